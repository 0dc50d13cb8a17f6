package statement

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func testEvaluation() *Statement {
	ref := testRef("fraud/model", "2026.11")
	return &Statement{Kind: KindEvaluation, Subject: []Subject{ref.Subject()}, Ledger: testLedger, Nonce: testNonce("evaluation"), Evaluation: &Evaluation{
		Metrics:  map[string]Decimal{"auc": "0.9731", "recall@0.01": "0.5", "log-loss": "-12.25", "threshold": "0", "examples": "56962", "eval/latency:p99": "0.000125"},
		Datasets: []Ref{testRef("fraud/test", "2026.11"), testRef("fraud/drift", "2026.11")},
		Details:  ptr(AttachmentOf(must(testDetails().Marshal()))),
	}}
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "1": 1, "-1": -1, "10": 10, "100": 100, "0.5": 0.5, "-0.5": -0.5, "0.9731": 0.9731, "123456789012345": 123456789012345,
		"0.123456789012345": 0.123456789012345, "12345.6789012345": 12345.6789012345, "1000000000000000000000000000000": 1e30,
		"0.000000000000000000000000000001": 1e-30, "-123456789012345000000000000000": -1.23456789012345e29, "9007199254740990": 9007199254740990,
	} {
		d, err := ParseDecimal(text)
		if err != nil || string(d) != text || d.Float64() != want {
			t.Errorf("%s: %s, %v, %v", text, d, d.Float64(), err)
		}
		// What has so few digits goes through a double and comes out the same.
		if back, err := NewDecimal(want); err != nil || back != d {
			t.Errorf("%s: from %v: %s, %v", text, want, back, err)
		}
	}
	for _, text := range []string{
		"", "-", "+1", "+0.5", "--1", "-0", "-0.0", "0.0", "00", "01", "-01", "00.5", "0.50", "1.0", "1.", ".5", "-.5", "1.-5", "1.+5", "1..5", "1.5.5",
		"1e9", "1E9", "1e-3", "0x10", "0b1", "1_000", "1,000", "1,5", " 1", "1 ", "1\n", "NaN", "nan", "Inf", "-Inf", "inf", "Infinity", "null", "true",
		"1/2", "50%", "٥", "１", "−1", "0.٥",
		strings.Repeat("1", 16), "0." + strings.Repeat("1", 16), "1.000000000000001", strings.Repeat("1", 40), "1" + strings.Repeat("0", 32), "0." + strings.Repeat("0", 30) + "1",
	} {
		if d, err := ParseDecimal(text); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %s, %v", text, d, err)
		}
	}
}

func TestNewDecimal(t *testing.T) {
	for f, want := range map[float64]Decimal{
		0: "0", 1: "1", 0.1: "0.1", 0.1 + 0.2: "0.3", 1.0 / 3: "0.333333333333333", 2.0 / 3: "0.666666666666667", -1.0 / 3: "-0.333333333333333",
		1 << 53: "9007199254740990", 1e21: "1000000000000000000000", 0.9123456789012345: "0.912345678901235", 0.9999999999999999: "1", 123456.7890625: "123456.7890625",
	} {
		if d, err := NewDecimal(f); err != nil || d != want {
			t.Errorf("%v: %s, %v, want %s", f, d, err, want)
		}
	}
	if d, err := NewDecimal(math.Copysign(0, -1)); err != nil || d != "0" {
		t.Errorf("minus zero: %s, %v", d, err)
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e32, 1e-31} {
		if d, err := NewDecimal(f); !errors.Is(err, ErrFormat) {
			t.Errorf("%v: %s, %v", f, d, err)
		}
	}
}

func TestParseRefusesEvaluations(t *testing.T) {
	metric := func(name, value string) change { return change{name, `"auc":"0.9731"`, `"auc":` + value} }
	changes := []change{
		metric("NaN", `"NaN"`), metric("infinity", `"Infinity"`), metric("an exponent", `"1e9"`), metric("a leading zero", `"01"`),
		metric("minus zero", `"-0"`), metric("a plus", `"+1"`), metric("a zero at its end", `"0.50"`), metric("no digit before the point", `".5"`),
		metric("40 digits", `"`+strings.Repeat("1", 40)+`"`), metric("16 digits", `"`+strings.Repeat("1", 16)+`"`), metric("nothing", `""`),
		metric("a comma", `"0,5"`), metric("a percentage", `"97%"`), metric("Arabic digits", `"٩"`), metric("a space", `" 1"`),
		metric("a number", `0.9731`), metric("a whole number", `1`), metric("a boolean", `true`), metric("a null", `null`), metric("a list", `["0.9731"]`),
		{"an upper-case metric", `"auc"`, `"AUC"`},
		{"a case-folded twin of a metric", `"auc":`, `"Auc":"0.5","auc":`},
		{"a metric twice", `"auc":`, `"auc":"0.5","auc":`},
		{"a metric with a space", `"auc"`, `"a uc"`},
		{"a metric with a look-alike", `"auc"`, `"аuc"`},
		{"a metric without a name", `"auc"`, `""`},
		{"a metric that begins with a dash", `"auc"`, `"-auc"`},
		{"a long name of a metric", `"auc"`, `"` + strings.Repeat("a", MaxMetricName+1) + `"`},
		{"no metrics", `"metrics":{`, `"metrics":{},"x":{`},
		{"no datasets", `"datasets":[`, `"datasets":[],"x":[`},
		{"the datasets left out", `"datasets":[`, `"x":[`},
		{"datasets out of order", `fraud/drift@2026.11`, `fraud/zebra@2026.11`},
		{"a dataset twice", `fraud/drift@2026.11`, `fraud/test@2026.11`},
		{"a dataset of another hash", `"fraud/drift@2026.11","digest":{"stele-sha256"`, `"fraud/drift@2026.11","digest":{"stele-blake3"`},
		{"a dataset with a plain digest", `"fraud/drift@2026.11","digest":{"stele-sha256"`, `"fraud/drift@2026.11","digest":{"sha256"`},
		{"a dataset without a version", `fraud/drift@2026.11`, `fraud/drift`},
		{"a case-folded name", `"metrics"`, `"Metrics"`},
		{"an unknown member", `"metrics"`, `"passed":true,"metrics"`},
		{"a second subject", `"subject":[`, `"subject":[{"name":"a@1","digest":` + digest(testRef("a", "1")) + `},`},
		{"an empty attachment", `"details":{"sha256":"`, `"details":{"size":0,"x":"`},
	}
	refuses(t, testEvaluation(), changes)
}

func TestMarshalRefusesEvaluations(t *testing.T) {
	metrics := func(n int) map[string]Decimal {
		m := make(map[string]Decimal)
		for i := range n {
			m[fmt.Sprint("m", i)] = "0.5"
		}
		return m
	}
	refs := func(n int) (list []Ref) {
		for i := range n {
			list = append(list, testRef("x", fmt.Sprint(i)))
		}
		return list
	}
	for name, change := range map[string]func(*Evaluation){
		"no metrics":                      func(e *Evaluation) { e.Metrics = nil },
		"65 metrics":                      func(e *Evaluation) { e.Metrics = metrics(MaxMetrics + 1) },
		"a metric that was not parsed":    func(e *Evaluation) { e.Metrics["auc"] = "0.50" },
		"a metric that was left empty":    func(e *Evaluation) { e.Metrics["auc"] = "" },
		"an upper-case metric":            func(e *Evaluation) { e.Metrics["AUC"] = "1" },
		"no dataset":                      func(e *Evaluation) { e.Datasets = nil },
		"101 datasets":                    func(e *Evaluation) { e.Datasets = refs(MaxReferences + 1) },
		"a dataset twice":                 func(e *Evaluation) { e.Datasets = append(e.Datasets, e.Datasets[0]) },
		"a dataset without a fingerprint": func(e *Evaluation) { e.Datasets[0].Fingerprint = fingerprint.Fingerprint{} },
		"an empty attachment":             func(e *Evaluation) { e.Details = new(Attachment) },
	} {
		st := testEvaluation()
		change(st.Evaluation)
		if payload, err := st.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %s, %v", name, payload, err)
		}
	}
	full := testEvaluation()
	full.Evaluation.Metrics, full.Evaluation.Datasets = metrics(MaxMetrics), refs(MaxReferences)
	if _, err := Parse(must(full.Marshal())); err != nil {
		t.Errorf("an evaluation at its limits: %v", err)
	}
	// The quality of a dataset is measured on the dataset.
	self := testEvaluation()
	self.Evaluation.Datasets = []Ref{must(self.Ref())}
	if _, err := Parse(must(self.Marshal())); err != nil {
		t.Errorf("measured on itself: %v", err)
	}
	one, two := testEvaluation(), testEvaluation()
	two.Evaluation.Datasets[0], two.Evaluation.Datasets[1] = two.Evaluation.Datasets[1], two.Evaluation.Datasets[0]
	if !bytes.Equal(must(one.Marshal()), must(two.Marshal())) {
		t.Error("the order of datasets says something")
	}
}
