package demo

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/model"
)

// The programs that the story runs: they split a table, train a classifier on
// one part, and measure it on the other. They know nothing of ledgers, and the
// same input gives the same output on the same kind of machine.

const (
	// holdOut: one row of so many is kept for measuring.
	holdOut = 5
	// rounds and rate are of gradient descent over all rows at once; decay pulls
	// the weights towards zero (L2), so that it ends at one place.
	rounds, rate, decay = 2000, 0.5, 0.001
	// threshold is from which probability on a case is called benign.
	threshold = 0.5
	modelFile = "model.safetensors"
	splitFile = "rows.csv"
)

// table is a table of numbers with a label of 0 or 1 at the end of each row.
type table struct {
	columns []string // without the label's
	rows    [][]float64
	labels  []float64
	lines   []string // each row as it was written
}

// Split reads every part of a table below from/measurements and writes its rows
// to train/rows.csv and test/rows.csv below to, the first of each five to the second.
func Split(from, to string, out io.Writer) error {
	t, err := readTable(filepath.Join(from, "measurements"))
	if err != nil {
		return err
	}
	head := strings.Join(append(slices.Clone(t.columns), "benign"), ",") + "\n"
	parts := map[string]*strings.Builder{"train": new(strings.Builder), "test": new(strings.Builder)}
	counts := map[string]int{}
	for _, b := range parts {
		b.WriteString(head)
	}
	for i, line := range t.lines {
		name := "train"
		if i%holdOut == 0 {
			name = "test"
		}
		parts[name].WriteString(line + "\n")
		counts[name]++
	}
	for name, b := range parts {
		dir := filepath.Join(to, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, splitFile), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d rows: %d to train on, %d held out\n", len(t.rows), counts["train"], counts["test"])
	return nil
}

// readTable reads all .csv files of a folder, in the order of their names.
func readTable(dir string) (*table, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no .csv file", dir)
	}
	slices.Sort(names)
	t := new(table)
	for _, name := range names {
		if err := t.read(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return t, nil
}

func (t *table) read(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	if len(records) == 0 || len(records[0]) < 2 {
		return fmt.Errorf("no columns")
	}
	n := len(records[0]) - 1
	if t.columns == nil {
		t.columns = records[0][:n]
	} else if !slices.Equal(t.columns, records[0][:n]) {
		return fmt.Errorf("other columns than the file before")
	}
	for i, record := range records[1:] {
		row := make([]float64, n)
		for j, field := range record[:n] {
			if row[j], err = strconv.ParseFloat(field, 64); err != nil {
				return fmt.Errorf("line %d: %w", i+2, err)
			}
		}
		switch record[n] {
		case "0":
			t.labels = append(t.labels, 0)
		case "1":
			t.labels = append(t.labels, 1)
		default:
			return fmt.Errorf("line %d: the label is %q, not 0 or 1", i+2, record[n])
		}
		t.rows = append(t.rows, row)
		t.lines = append(t.lines, strings.Join(record, ","))
	}
	return nil
}

// classifier is a logistic regression over standardised columns.
type classifier struct {
	mean, scale []float64 // of each column
	weight      []float64
	bias        float64
}

// probability is how likely a row's label is 1.
func (c *classifier) probability(row []float64) float64 {
	z := c.bias
	for j, x := range row {
		z += c.weight[j] * (x - c.mean[j]) / c.scale[j]
	}
	return 1 / (1 + math.Exp(-z))
}

// Train fits a classifier to a folder's table and writes it to
// to/model.safetensors.
func Train(from, to string, out io.Writer) error {
	t, err := readTable(from)
	if err != nil {
		return err
	}
	c := standardise(t)
	n := float64(len(t.rows))
	gradient := make([]float64, len(c.weight))
	for range rounds {
		clear(gradient)
		biased := 0.0
		for i, row := range t.rows {
			e := c.probability(row) - t.labels[i]
			for j, x := range row {
				gradient[j] += e * (x - c.mean[j]) / c.scale[j]
			}
			biased += e
		}
		for j := range c.weight {
			c.weight[j] -= rate * (gradient[j]/n + decay*c.weight[j])
		}
		c.bias -= rate * biased / n
	}
	loss := 0.0
	for i, row := range t.rows {
		p := c.probability(row)
		loss -= t.labels[i]*math.Log(p) + (1-t.labels[i])*math.Log(1-p)
	}
	if err := c.write(to, t.columns); err != nil {
		return err
	}
	fmt.Fprintf(out, "logistic regression on %d rows of %d columns: loss %.4f after %d rounds\n", len(t.rows), len(t.columns), loss/n, rounds)
	return nil
}

// standardise begins a classifier with the mean and the standard deviation of
// each column.
func standardise(t *table) *classifier {
	k, n := len(t.columns), float64(len(t.rows))
	c := &classifier{mean: make([]float64, k), scale: make([]float64, k), weight: make([]float64, k)}
	for j := range k {
		for _, row := range t.rows {
			c.mean[j] += row[j] / n
		}
		for _, row := range t.rows {
			c.scale[j] += (row[j] - c.mean[j]) * (row[j] - c.mean[j]) / n
		}
		if c.scale[j] = math.Sqrt(c.scale[j]); c.scale[j] == 0 {
			c.scale[j] = 1
		}
	}
	return c
}

func (c *classifier) write(dir string, columns []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tensor := func(name string, values ...float64) model.Data {
		d := model.Data{Name: name, Type: "F32", Shape: []uint64{uint64(len(values))}}
		for _, v := range values {
			d.Bytes = binary.LittleEndian.AppendUint32(d.Bytes, math.Float32bits(float32(v)))
		}
		return d
	}
	var buf bytes.Buffer
	metadata := map[string]string{"format": "logistic-regression", "columns": strings.Join(columns, ",")}
	if err := model.Write(&buf, metadata, []model.Data{
		tensor("mean", c.mean...), tensor("scale", c.scale...), tensor("weight", c.weight...), tensor("bias", c.bias),
	}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, modelFile), buf.Bytes(), 0o644)
}

// readClassifier reads what write wrote.
func readClassifier(dir string) (*classifier, error) {
	data, err := os.ReadFile(filepath.Join(dir, modelFile))
	if err != nil {
		return nil, err
	}
	h, err := model.ReadHeader(bytes.NewReader(data), uint64(len(data)))
	if err != nil {
		return nil, err
	}
	values := map[string][]float64{}
	for _, t := range h.Tensors {
		if t.Type != "F32" {
			return nil, fmt.Errorf("%s is %s", t.Name, t.Type)
		}
		for raw := data[t.Offset : t.Offset+t.Size]; len(raw) > 0; raw = raw[4:] {
			values[t.Name] = append(values[t.Name], float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
	}
	c := &classifier{mean: values["mean"], scale: values["scale"], weight: values["weight"]}
	if n := len(c.weight); n == 0 || len(c.mean) != n || len(c.scale) != n || len(values["bias"]) != 1 {
		return nil, fmt.Errorf("%s is no logistic regression", modelFile)
	}
	c.bias = values["bias"][0]
	return c, nil
}

// Evaluate measures a classifier on a folder's table, and writes a metric a
// line: NAME=VALUE, with four digits after the point.
func Evaluate(from, on string, out io.Writer) error {
	c, err := readClassifier(from)
	if err != nil {
		return err
	}
	t, err := readTable(on)
	if err != nil {
		return err
	}
	if len(t.columns) != len(c.weight) {
		return fmt.Errorf("%d columns for a classifier of %d", len(t.columns), len(c.weight))
	}
	right := 0
	scores := make([]float64, len(t.rows))
	for i, row := range t.rows {
		scores[i] = c.probability(row)
		if (scores[i] >= threshold) == (t.labels[i] == 1) {
			right++
		}
	}
	_, err = fmt.Fprintf(out, "accuracy=%.4f\nauc=%.4f\n", float64(right)/float64(len(t.rows)), auc(scores, t.labels))
	return err
}

// auc is the area under the receiver operating characteristic: how often a row
// of label 1 scores above one of label 0, ties counting half (Mann and Whitney).
func auc(scores, labels []float64) float64 {
	above, pairs := 0.0, 0.0
	for i := range scores {
		for j := range scores {
			if labels[i] == 1 && labels[j] == 0 {
				pairs++
				switch {
				case scores[i] > scores[j]:
					above++
				case scores[i] == scores[j]:
					above += 0.5
				}
			}
		}
	}
	return above / pairs
}
