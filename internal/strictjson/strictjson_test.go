package strictjson

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

type document struct {
	Name  string            `json:"name"`
	Count uint64            `json:"count,omitzero"`
	Words map[string]string `json:"words,omitzero"`
	Inner []document        `json:"inner,omitzero"`
	Raw   Raw               `json:"raw,omitzero"`
}

const (
	testBytes = 1 << 10
	testDepth = 5
)

func TestAccepts(t *testing.T) {
	for in, want := range map[string]string{
		`{"name":"a"}`: `{"name":"a"}`,
		" {\n\t\"count\" : 9007199254740991 , \"name\" : \"\\u0061\" } \r\n": `{"name":"a","count":9007199254740991}`,
		`{"name":"\"n1{[-null\\"}`:                   `{"name":"\"n1{[-null\\"}`,
		`{"name":"","words":{"b":"1","a":"2"}}`:      `{"name":"","words":{"a":"2","b":"1"}}`,
		`{"name":"<&>","raw":[{"x":[0]}]}`:           `{"name":"<&>","raw":[{"x":[0]}]}`,
		`{"name":"a","inner":[{"name":"b"}]}`:        `{"name":"a","inner":[{"name":"b"}]}`,
		"{\"name\":\"\u2028é𝄞\"}":                    "{\"name\":\"\u2028é𝄞\"}",
		`{"name":"\ud834\udd1e"}`:                    `{"name":"𝄞"}`,
		`{"name":"a","inner":[],"words":{}}`:         `{"name":"a","words":{},"inner":[]}`,
		`{"name":"a","count":0}`:                     `{"name":"a"}`,
		`{"raw":{"a":{"b":{"c":{}}}},"name":"deep"}`: `{"name":"deep","raw":{"a":{"b":{"c":{}}}}}`,
	} {
		var d document
		if err := Unmarshal([]byte(in), &d, testBytes, testDepth); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := Marshal(d)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":                 "",
		"white space":             " ",
		"cut short":               `{"name":"a"`,
		"an open string":          `{"name":"a`,
		"an open escape":          `{"name":"a\`,
		"trailing data":           `{"name":"a"} {}`,
		"trailing text":           `{"name":"a"}x`,
		"a byte order mark":       "\xef\xbb\xbf{}",
		"a comment":               `{"name":"a"/**/}`,
		"a trailing comma":        `{"name":"a",}`,
		"single quotes":           `{'name':'a'}`,
		"an unknown member":       `{"name":"a","x":1}`,
		"a case-folded member":    `{"Name":"a"}`,
		"a duplicate":             `{"name":"a","name":"a"}`,
		"a duplicate, escaped":    `{"name":"a","n\u0061me":"a"}`,
		"a duplicate in a map":    `{"words":{"a":"1","a":"2"}}`,
		"a duplicate within raw":  `{"raw":{"a":"1","\u0061":"2"}}`,
		"null":                    `null`,
		"a null member":           `{"name":null}`,
		"a null in a list":        `{"inner":[null]}`,
		"invalid UTF-8":           "{\"name\":\"\xc3\"}",
		"a surrogate in UTF-8":    "{\"name\":\"\xed\xa0\x80\"}",
		"an overlong encoding":    "{\"name\":\"\xc0\x80\"}",
		"an unpaired surrogate":   `{"name":"\ud800"}`,
		"surrogates in disorder":  `{"name":"\udd1e\ud834"}`,
		"a raw control character": "{\"name\":\"\x01\"}",
		"a raw line break":        "{\"name\":\"\n\"}",
		"an unknown escape":       `{"name":"\x41"}`,
		"a fraction":              `{"count":1.0}`,
		"an exponent":             `{"count":1e3}`,
		"1e400":                   `{"count":1e400}`,
		"a negative number":       `{"count":-1}`,
		"minus zero":              `{"count":-0}`,
		"a leading zero":          `{"count":01}`,
		"a plus":                  `{"count":+1}`,
		"2^53":                    `{"count":9007199254740992}`,
		"2^64":                    `{"count":18446744073709551616}`,
		"a fraction within raw":   `{"raw":[0.5]}`,
		"NaN":                     `{"count":NaN}`,
		"a number as a string":    `{"count":"1"}`,
		"a string as a number":    `{"name":1}`,
		"a list for an object":    `[]`,
		"a string for an object":  `"a"`,
		"too deep":                `{"raw":[[[[[]]]]]}`,
		"far too deep":            strings.Repeat("[", 1000),
		"too long":                `{"name":"` + strings.Repeat("a", testBytes) + `"}`,
		"a number of 1000 digits": `{"count":` + strings.Repeat("1", 1000) + `}`,
	} {
		var d document
		err := Unmarshal([]byte(in), &d, testBytes, testDepth)
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, d)
			continue
		}
		if limit := strings.HasPrefix(name, "too ") || name == "far too deep"; errors.Is(err, ErrLimit) != limit {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An error names what is wrong in words that are safe to show, and no Go types.
func TestErrorsAreSafeToShow(t *testing.T) {
	for in, want := range map[string]string{
		"{\"x\u202e\u009b\":1}":                    `json: unknown member "/x\u202e\u009b"`,
		`{"inner":[{"name":1}]}`:                   `json: member "/inner/0/name": wrong type`,
		`{"words":{"a":"1","a":"2"}}`:              `json: member "/words/a" twice`,
		"{\"name\":\"\\ud800\u009b\"}":             `json: invalid at byte 9`,
		`{"` + strings.Repeat("y", 200) + `":"1"}`: `json: unknown member "/` + strings.Repeat("y", 79) + `"…`,
	} {
		var d document
		if err := Unmarshal([]byte(in), &d, testBytes, testDepth); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	in := []byte(` { "b" : [ 1 , "\u0061" ] , "a" : "/" } `)
	before := bytes.Clone(in)
	got, err := Canonical(in)
	if err != nil || string(got) != `{"a":"/","b":[1,"a"]}` {
		t.Errorf("got %s, %v", got, err)
	}
	if !bytes.Equal(in, before) {
		t.Error("the input was changed")
	}
	if _, err := Canonical([]byte(`{"a":1,"a":1}`)); err == nil {
		t.Error("a duplicate name was accepted")
	}
}

// Whatever is accepted is written in one way that reads back as the same.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"raw":[{"x":[0]}],"name":"\ud834\udd1e"}`, `{"words":{"a":"\"\\","b":""},"count":12}`, `{"inner":[{"inner":[]}]}`, `[1e400]`, `{"name":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d, again document
		if Unmarshal(data, &d, testBytes, testDepth) != nil {
			return
		}
		one, err := Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(one, &again, 10*testBytes, testDepth); err != nil {
			t.Fatalf("%s: %v", one, err)
		}
		two, err := Marshal(again)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%s became %s, %v", one, two, err)
		}
		if _, err := Canonical(data); err != nil {
			t.Fatal(err)
		}
	})
}
