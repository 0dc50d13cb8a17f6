package strictjson

import "testing"

// A part is decoded as strictly as the document it was in.
func TestUnmarshalPart(t *testing.T) {
	var whole document
	if err := Unmarshal([]byte(`{"name":"a","raw":{"name":"b","count":3}}`), &whole, testBytes, testDepth); err != nil {
		t.Fatal(err)
	}
	var part document
	if err := UnmarshalPart(whole.Raw, &part); err != nil || part.Name != "b" || part.Count != 3 {
		t.Errorf("%+v, %v", part, err)
	}
	for _, raw := range []string{``, `{"x":1}`, `{"Name":"b"}`, `{"name":1}`, `[]`, `{"name":"b"}{}`} {
		if err := UnmarshalPart(Raw(raw), new(document)); err == nil {
			t.Errorf("%s: accepted", raw)
		}
	}
}
