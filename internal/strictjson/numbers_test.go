package strictjson

import (
	"errors"
	"testing"
)

// TestNumbers: every double has one spelling, that of RFC 8785.
func TestNumbers(t *testing.T) {
	for _, in := range []string{
		"0", "1", "-1", "0.5", "-0.5", "0.9", "0.000001", "1e-7", "1.5e-7", "5e-324", "-2.2250738585072014e-308",
		"4.5", "123456789.25", "9007199254740991", "-9007199254740991", "0.30000000000000004",
	} {
		var raw Raw
		if err := UnmarshalNumbers([]byte("["+in+"]"), &raw, testBytes, testDepth); err != nil || string(raw) != "["+in+"]" {
			t.Errorf("%s: %s, %v", in, raw, err)
		}
	}
	for _, in := range []string{
		"-0", "0.0", "1.0", "1.50", "00", "01", "-01", "1e0", "1e5", "1E-7", "1e-07", "0.0000001", "1e-400", "1e400", "-1e400",
		"1e21", "1e+21", "9007199254740992", "-9007199254740992", "9007199254740993", "99999999999999999999999999999999",
		"0.1000000000000000055511151231257827", "-", "1.", "-.5", "1e", "+1", "0.1.2", "1-2", "NaN", "Infinity", "null", "0x10",
	} {
		var raw Raw
		if err := UnmarshalNumbers([]byte("["+in+"]"), &raw, testBytes, testDepth); err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
	// All else is as strict as ever.
	var d document
	for _, in := range []string{`{"count":0.5}`, `{"count":-1}`, `{"name":"a","name":"b"}`, `{"Name":"a"}`, `{"name":null}`, `{} {}`} {
		if err := UnmarshalNumbers([]byte(in), &d, testBytes, testDepth); err == nil {
			t.Errorf("%s is accepted", in)
		}
	}
	if err := UnmarshalNumbers([]byte(`[[[[[[0.5]]]]]]`), new(Raw), testBytes, testDepth); !errors.Is(err, ErrLimit) {
		t.Errorf("deep: %v", err)
	}
	if err := UnmarshalNumbers([]byte(`[0.5]`), new(Raw), 3, testDepth); !errors.Is(err, ErrLimit) {
		t.Errorf("large: %v", err)
	}
	if err := Unmarshal([]byte(`[0.5]`), new(Raw), testBytes, testDepth); err == nil {
		t.Error("Unmarshal takes fractions")
	}
}
