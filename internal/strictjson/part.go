package strictjson

import "github.com/go-json-experiment/json"

// UnmarshalPart decodes a value that was part of a document which [Unmarshal]
// has read, into a [Raw]: depth, numbers and null were checked there, and are not
// again.
func UnmarshalPart(part Raw, v any) error {
	return explain(json.Unmarshal(part, v, json.RejectUnknownMembers(true)))
}
