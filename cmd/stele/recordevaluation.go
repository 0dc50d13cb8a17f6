package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// maxMetricsFile bounds a file of metrics, in bytes.
const maxMetricsFile = 1 << 20

// evaluationOrder is one call of `stele record evaluation`.
type evaluationOrder struct {
	name, version string
	datasets      []string
	metrics       []string // name=number
	file          string   // with more of them; "-": standard input
}

func (a *app) recordEvaluationCommand() *cobra.Command {
	var o evaluationOrder
	c := &cobra.Command{
		Use:   "evaluation NAME@VERSION --dataset N@V --metric K=NUMBER",
		Short: "Record what was measured of an artifact, and on which data",
		Long: `Signs that these metrics were measured of NAME@VERSION on the datasets, all of
which are on the ledger. Metrics are decimal numbers of at most 15 significant
digits: what a program measured with more is rounded to the nearest. --metrics
reads a JSON object of numbers, {"auc": 0.987, "loss": 1.2e-3}.

Whether it was measured so, the ledger does not know: it is what the signer
says.`,
		Example: `  stele record evaluation fraud/model@4 --dataset fraud/holdout@2 \
      --metric auc=0.987 --metric loss=0.12
  stele record evaluation fraud/model@4 --dataset fraud/holdout@2 \
      --metrics metrics.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			if len(o.datasets) == 0 {
				return usagef("record evaluation needs --dataset NAME@VERSION: what it was measured on").
					withHint("stamp the data first, if it is not on the ledger")
			}
			if len(o.metrics) == 0 && o.file == "" {
				return usagef("record evaluation needs --metric NAME=NUMBER, or --metrics FILE")
			}
			return a.recordEvaluation(c.Context(), &o)
		},
	}
	c.Flags().StringArrayVar(&o.datasets, "dataset", nil, "`name@version` it was measured on (repeatable)")
	c.Flags().StringArrayVar(&o.metrics, "metric", nil, "`name=number`, for example auc=0.987 (repeatable)")
	c.Flags().StringVar(&o.file, "metrics", "", "a JSON `file` with an object of numbers; - is standard input")
	return c
}

func (a *app) recordEvaluation(ctx context.Context, o *evaluationOrder) error {
	metrics, err := a.readMetrics(o)
	if err != nil {
		return err
	}
	if n := len(metrics); n == 0 || n > statement.MaxMetrics {
		return usagef("%d metrics: an evaluation has 1 to %d", n, statement.MaxMetrics).withHint("record several evaluations for more")
	}
	dir, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	var st *statement.Statement
	var origin string
	who := jsonv1.Signer{Key: statement.By(signer).String()}
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) {
		origin, who = r.Origin(), r.signerBy(authorOf(signer))
		ref, err := r.ref(o.name+"@"+o.version, "NAME@VERSION")
		if err != nil {
			return nil, err
		}
		m := &statement.Evaluation{Metrics: metrics}
		for _, text := range o.datasets {
			dataset, err := r.ref(text, "--dataset")
			if err != nil {
				return nil, err
			}
			m.Datasets = append(m.Datasets, dataset)
		}
		st = &statement.Statement{Kind: statement.KindEvaluation, Subject: []statement.Subject{ref.Subject()}, Evaluation: m}
		return st, nil
	})
	if err != nil {
		return err
	}
	return a.printEvaluated(st, proof, origin, who)
}

func (a *app) printEvaluated(st *statement.Statement, p *solo.Proof, origin string, who jsonv1.Signer) error {
	written, err := writtenJSON(p, st.Kind, origin, who)
	if err != nil {
		return err
	}
	ref, err := st.Ref()
	if err != nil {
		return err
	}
	m := st.Evaluation
	if a.json {
		a.printJSON(jsonv1.Evaluated{Written: written, Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(),
			Metrics: account.MetricsJSON(m.Metrics), Datasets: refsJSON(m.Datasets)})
		return nil
	}
	if a.quiet {
		return nil
	}
	a.term.Printf("recorded what was measured of %s\n", a.term.Style(terminal.Good, ref.String()))
	a.term.KeyValues(append(evaluationPairs(m), receiptPairs(a, written)...))
	return nil
}

// readMetrics reads the metrics of flags and file, each once.
func (a *app) readMetrics(o *evaluationOrder) (map[string]statement.Decimal, error) {
	metrics := map[string]statement.Decimal{}
	add := func(where, name, number string) error {
		if err := statement.CheckMetricName(name); err != nil {
			f := usagef("%s: %v", where, err)
			if statement.CheckMetricName(strings.ToLower(name)) == nil {
				f = f.withHint("names are in lower case: " + strings.ToLower(name))
			}
			return f
		}
		if _, twice := metrics[name]; twice {
			return usagef("%s: %s is given twice", where, name)
		}
		value, err := decimalOf(number)
		if err != nil {
			return usagef("%s: %s: %v", where, name, err).withHint("decimal numbers alone: leave out what could not be measured")
		}
		metrics[name] = value
		return nil
	}
	for _, text := range o.metrics {
		i := strings.LastIndexByte(text, '=')
		if i <= 0 || i == len(text)-1 {
			return nil, usagef("--metric %q: want NAME=NUMBER", text).withHint("for example --metric auc=0.987")
		}
		if err := add("--metric", text[:i], text[i+1:]); err != nil {
			return nil, err
		}
	}
	if o.file == "" {
		return metrics, nil
	}
	where, data, err := a.metricsFile(o.file)
	if err != nil {
		return nil, err
	}
	return metrics, eachMetric(where, data, add)
}

// metricsFile reads the file whole.
func (a *app) metricsFile(path string) (where string, data []byte, err error) {
	if path != "-" {
		if err := exists(path); err != nil {
			return path, nil, err
		}
		data, err = readSmall(path, maxMetricsFile)
		return path, data, err
	}
	data, err = io.ReadAll(io.LimitReader(a.stdin, maxMetricsFile+1))
	if err == nil && len(data) > maxMetricsFile {
		err = failf(exitError, "standard input has more than %d bytes of metrics", maxMetricsFile)
	}
	return "standard input", data, err
}

// notFinite finds what Python writes for numbers that are none.
var notFinite = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*(NaN|-?Infinity)`)

// eachMetric visits the members of a JSON object of numbers.
func eachMetric(where string, data []byte, visit func(where, name, number string) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	malformed := func(err error) error {
		if m := notFinite.FindSubmatch(data); m != nil {
			return usagef("%s: %s is %s, which is no decimal number", where, m[1], m[2]).withHint("leave out what could not be measured")
		}
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return usagef("%s is no JSON object of numbers", where).withHint(`for example {"auc": 0.987, "loss": 0.12}`)
		}
		return usagef("%s is no JSON object of numbers: %v", where, err).withHint(`for example {"auc": 0.987, "loss": 0.12}`)
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return malformed(err)
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return malformed(err)
		}
		value, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		number, ok := value.(json.Number)
		if !ok {
			return usagef("%s: %s is no number", where, name).withHint("a JSON object of numbers, one level deep")
		}
		if err := visit(where, name, string(number)); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return usagef("%s: there is something after the JSON object", where)
	}
	return nil
}

// decimalOf turns a number as programs write it (1.20e-3, 0.98700) into a
// decimal's one spelling. More than 15 significant digits are rounded where
// they are a measurement's, and refused where they count something.
func decimalOf(text string) (statement.Decimal, error) {
	d, err := statement.ParseDecimal(text)
	if err == nil {
		return d, nil
	}
	switch {
	case !jsonNumber.MatchString(text):
		return "", fmt.Errorf("number %.40q: want one such as 12, 0.987 or 1.2e-3", text)
	case !strings.ContainsAny(text, ".eE"):
		return "", err
	}
	f, ferr := strconv.ParseFloat(text, 64)
	if ferr != nil {
		return "", fmt.Errorf("number %.40q: too large", text)
	}
	if d, err = statement.NewDecimal(f); err == nil && d == "0" && strings.ContainsAny(mantissa(text), "123456789") {
		return "", fmt.Errorf("number %.40q: too small to be told from 0", text)
	}
	return d, err
}

// jsonNumber is a number of RFC 8259, section 6.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func mantissa(number string) string {
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		return number[:i]
	}
	return number
}

func refsJSON(refs []statement.Ref) []jsonv1.Ref {
	list := []jsonv1.Ref{}
	for _, ref := range refs {
		list = append(list, jsonv1.Ref{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String()})
	}
	return list
}
