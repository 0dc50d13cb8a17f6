package strictjson_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/strictjson"
)

func TestForeign(t *testing.T) {
	type document struct {
		Name string         `json:"name"`
		Size float64        `json:"size"`
		Rest strictjson.Raw `json:"rest"`
	}
	const limit, depth = 200, 3
	for _, c := range []struct {
		name, data, wrong string
	}{
		{"as ours", `{"name":"a","size":1}`, ""},
		{"unknown members", `{"name":"a","else":[{"x":1}]}`, ""},
		{"another case is another member", `{"name":"a","Name":"b","NAME":"c"}`, ""},
		{"null", `{"name":null,"rest":null}`, ""},
		{"any number", `{"size":-1.5e3}`, ""},
		{"a number with a point", `{"size":1000.0}`, ""},
		{"white space around", " \n{\"name\":\"a\"}\n", ""},
		{"brackets in a string", `{"name":"[[[[[{{{{{","rest":"\\\"]"}`, ""},
		{"as deep as allowed", `{"rest":[[1]]}`, ""},
		{"duplicate names", `{"name":"a","name":"b"}`, `member "/name" twice`},
		{"duplicate names where nobody looks", `{"rest":{"x":1,"x":2}}`, "twice"},
		{"duplicate names in what is passed over", `{"else":{"x":1,"x":2}}`, "twice"},
		{"the same name escaped", `{"name":"a","n\u0061me":"b"}`, "twice"},
		{"invalid UTF-8", "{\"name\":\"\xff\"}", "invalid"},
		{"an unpaired surrogate", `{"name":"\ud800"}`, "invalid"},
		{"something after the value", `{"name":"a"} {}`, "invalid"},
		{"a byte order mark", "\ufeff{}", "invalid"},
		{"a comment", `{/**/}`, "invalid"},
		{"too deep", `{"rest":[[[1]]]}`, "nested deeper than 3"},
		{"too long", `{"name":"` + strings.Repeat("a", limit) + `"}`, "at most 200 are allowed"},
		{"another type", `{"name":1}`, `member "/name"`},
		{"nothing", ``, "invalid"},
		{"an open string", `{"name":"a`, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := strictjson.UnmarshalForeign([]byte(c.data), new(document), limit, depth)
			switch {
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("%v, want %q", err, c.wrong)
			}
		})
	}
	err := strictjson.UnmarshalForeign([]byte(`[[[[]]]]`), new(any), limit, depth)
	if !errors.Is(err, strictjson.ErrLimit) {
		t.Errorf("too deep: %v, want ErrLimit", err)
	}
}
