package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/model"
)

// The model is a real one: it learns, from rows that it is not measured on,
// and twice the same.
func TestTrainARealModel(t *testing.T) {
	dir := t.TempDir()
	if _, err := layOut(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	split := filepath.Join(dir, "split")
	if err := Split(filepath.Join(dir, "data"), split, &out); err != nil {
		t.Fatal(err)
	}
	if want := "569 rows: 455 to train on, 114 held out\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
	rows := func(part string) []string {
		text, err := os.ReadFile(filepath.Join(split, part, splitFile))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	}
	seen := map[string]bool{}
	for _, r := range rows("train") {
		seen[r] = true
	}
	for _, r := range rows("test") {
		if seen[r] {
			t.Errorf("%s is in both", r)
		}
	}
	for _, to := range []string{"one", "two"} {
		if err := Train(filepath.Join(split, "train"), filepath.Join(dir, to), &out); err != nil {
			t.Fatal(err)
		}
	}
	one, err := os.ReadFile(filepath.Join(dir, "one", modelFile))
	if err != nil {
		t.Fatal(err)
	}
	if two, _ := os.ReadFile(filepath.Join(dir, "two", modelFile)); !bytes.Equal(one, two) {
		t.Error("the same rows gave two models")
	}
	h, err := model.ReadHeader(bytes.NewReader(one), uint64(len(one)))
	if err != nil || len(h.Tensors) != 4 {
		t.Errorf("%+v, %v", h, err)
	}
	out.Reset()
	if err := Evaluate(filepath.Join(dir, "one"), filepath.Join(split, "test"), &out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	for _, line := range strings.Fields(out.String()) {
		name, text, _ := strings.Cut(line, "=")
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v < 0.95 || v > 1 {
			t.Errorf("%s is %s", name, text)
		}
	}
	// A single label that is turned round is another model: the loss says so.
	if _, err := flipLabels(filepath.Join(dir, "data"), 569); err != nil {
		t.Fatal(err)
	}
	if err := Split(filepath.Join(dir, "data"), filepath.Join(dir, "again"), &out); err != nil {
		t.Fatal(err)
	}
	if err := Train(filepath.Join(dir, "again", "train"), filepath.Join(dir, "three"), &out); err != nil {
		t.Fatal(err)
	}
	if three, _ := os.ReadFile(filepath.Join(dir, "three", modelFile)); bytes.Equal(one, three) {
		t.Error("altered rows gave the same model")
	}
}

func TestEvaluateRefuses(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return filepath.Dir(path)
	}
	good := put("good/rows.csv", "a,b,benign\n1,2,0\n3,4,1\n")
	if err := Train(good, filepath.Join(dir, "net"), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"no model":        {good, good},
		"no data":         {filepath.Join(dir, "net"), dir},
		"other columns":   {filepath.Join(dir, "net"), put("wide/rows.csv", "a,b,c,benign\n1,2,3,0\n")},
		"another label":   {filepath.Join(dir, "net"), put("label/rows.csv", "a,b,benign\n1,2,maybe\n")},
		"no number":       {filepath.Join(dir, "net"), put("word/rows.csv", "a,b,benign\n1,two,0\n")},
		"no model at all": {put("text/model.safetensors", "not one"), good},
	} {
		if err := Evaluate(c[0], c[1], &bytes.Buffer{}); err == nil {
			t.Errorf("%s: measured", name)
		}
	}
}

func TestAreaUnderTheCurve(t *testing.T) {
	for _, c := range []struct {
		scores, labels []float64
		want           float64
	}{
		{[]float64{0.1, 0.9}, []float64{0, 1}, 1},
		{[]float64{0.9, 0.1}, []float64{0, 1}, 0},
		{[]float64{0.5, 0.5}, []float64{0, 1}, 0.5},
		{[]float64{0.1, 0.4, 0.35, 0.8}, []float64{0, 0, 1, 1}, 0.75}, // the example of scikit-learn's roc_auc_score
	} {
		if got := auc(c.scores, c.labels); got != c.want {
			t.Errorf("%v: %v, want %v", c.scores, got, c.want)
		}
	}
}
