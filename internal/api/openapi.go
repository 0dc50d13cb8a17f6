package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// Document is the OpenAPI 3.1 document of the operations, made of their table.
func Document() ([]byte, error) { return strictjson.Marshal(document()) }

type object = map[string]any

// everyCode are the codes that every operation can answer with.
var everyCode = []wire.Code{
	wire.CodeMalformed, wire.CodeNoRoute, wire.CodeTooLarge, wire.CodeUnauthorized, wire.CodeForbidden, wire.CodeRateLimited, wire.CodeUnavailable, wire.CodeInternal,
}

func document() object {
	schemas := schemas{}
	paths := object{}
	problem := schemas.of(reflect.TypeOf(wire.Problem{}))
	for _, o := range Operations() {
		item, ok := paths[o.Path].(object)
		if !ok {
			item = object{}
			paths[o.Path] = item
		}
		item[strings.ToLower(o.Method)] = describe(&o, schemas, problem)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Stele", "version": "1",
			"summary":     "A ledger that machine-learning teams cannot quietly rewrite.",
			"description": "Nothing that is answered here has to be believed: it can be checked against the log's signed checkpoint. The log's own read paths, /checkpoint and /tile/…, are those of c2sp.org/tlog-tiles.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"components": object{
			"schemas":         object(schemas),
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}, "certificate": object{"type": "mutualTLS"}},
		},
	}
}

func describe(o *Operation, s schemas, problem object) object {
	replies := object{}
	for _, r := range o.Replies {
		reply := object{"description": r.Doc}
		switch {
		case r.Of != nil:
			reply["content"] = object{typeJSON: object{"schema": s.of(reflect.TypeOf(r.Of))}}
		case r.Media != "":
			media, _, _ := strings.Cut(r.Media, ";")
			reply["content"] = object{media: object{"schema": object{}}}
		}
		replies[strconv.Itoa(r.Status)] = reply
	}
	if o.kept() {
		replies["304"] = object{"description": "If-None-Match names what it still is"}
	}
	codes := slices.Clone(everyCode)
	codes = append(codes, o.Codes...)
	if slices.ContainsFunc(o.Params, func(p Param) bool { return p.Name == paramSize.Name || p.Name == paramNext.Name }) {
		codes = append(codes, wire.CodeSize)
	}
	slices.Sort(codes)
	words := make([]string, 0, len(codes))
	for _, c := range slices.Compact(codes) {
		words = append(words, string(c))
	}
	replies["default"] = object{
		"description": "a problem (RFC 9457); its code is one of " + strings.Join(words, ", "),
		"content":     object{wire.ProblemType: object{"schema": problem}},
	}
	out := object{"operationId": o.ID, "summary": o.Doc, "responses": replies, "x-stele-scope": o.Scope.String()}
	if o.Scope != 0 {
		out["security"] = []any{object{"token": []string{}}, object{"certificate": []string{}}, object{}}
	}
	if len(o.Params) > 0 {
		params := []any{}
		for _, p := range o.Params {
			schema := object{"type": p.Schema}
			if len(p.Enum) > 0 && p.Schema == "string" {
				schema["enum"] = p.Enum
			}
			param := object{"name": p.Name, "in": p.In, "description": p.Doc, "schema": schema}
			if p.Required {
				param["required"] = true
			}
			params = append(params, param)
		}
		out["parameters"] = params
	}
	switch {
	case o.TakesOf != nil:
		out["requestBody"] = object{"required": true, "content": object{o.Takes: object{"schema": s.of(reflect.TypeOf(o.TakesOf))}}}
	case o.Takes == wire.EnvelopeType:
		out["requestBody"] = object{"required": true, "content": object{o.Takes: object{"schema": object{
			"type": "object", "description": "a DSSE envelope with one signature", "required": []string{"payload", "payloadType", "signatures"},
		}}}}
	case o.Takes != "":
		out["requestBody"] = object{"required": true, "content": object{o.Takes: object{"schema": object{}}}}
	}
	return out
}

// schemas are JSON schemas of Go types, by the types' names.
type schemas object

var (
	rawType   = reflect.TypeOf(json.RawMessage{})
	bytesType = reflect.TypeOf([]byte{})
	keyType   = reflect.TypeOf(statement.PublicKey{})
)

// of returns a schema, or a reference to it.
func (s schemas) of(t reflect.Type) object {
	switch {
	case t == rawType:
		return object{"type": "object"}
	case t == bytesType:
		return object{"type": "string", "contentEncoding": "base64"}
	case isText(t):
		return object{"type": "string"}
	case t == keyType: // it writes itself
		return object{"type": "object", "description": "a public key, as docs/formats/keys.md has it"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if _, known := s[t.Name()]; !known {
			s[t.Name()] = object{} // it may hold itself
			s[t.Name()] = s.structure(t)
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	return object{}
}

func isText(t reflect.Type) bool {
	_, ok := t.MethodByName("MarshalText")
	_, fromPointer := reflect.PointerTo(t).MethodByName("MarshalText")
	return ok || fromPointer
}

func (s schemas) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	s.fields(t, properties, &required)
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required}
}

func (s schemas) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			s.fields(f.Type, properties, required)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
