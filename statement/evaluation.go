package statement

import (
	"math"
	"strconv"
	"strings"
)

// Evaluation says what was measured of an artifact, and on what.
type Evaluation struct {
	Metrics  map[string]Decimal // 1 to MaxMetrics; see [CheckMetricName]
	Datasets []Ref              // 1 to MaxReferences, each name@version once
	Details  *Attachment        // the details document, or nil
}

// Decimal is a decimal number in its one spelling: an optional minus sign, digits
// without superfluous zeros, and where it is no whole number a point and digits
// that do not end in 0. It has at most MaxDecimalDigits significant digits, no
// exponent, and no more than MaxDecimal bytes. Zero has no sign.
type Decimal string

// ParseDecimal reads the one spelling of a number.
func ParseDecimal(text string) (Decimal, error) {
	if len(text) > MaxDecimal {
		return "", malformed("number %s: %d bytes, at most %d are allowed", quote(text), len(text), MaxDecimal)
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	digits := whole + fraction
	switch {
	case !isDigits(whole), point && !isDigits(fraction):
		return "", malformed("number %s: want digits, with a point between them or none, and no exponent", quote(text))
	case len(whole) > 1 && whole[0] == '0', point && fraction[len(fraction)-1] == '0':
		return "", malformed("number %s: superfluous zeros", quote(text))
	case text[0] == '-' && strings.Trim(digits, "0") == "":
		return "", malformed("number %s: zero has no sign", quote(text))
	case len(strings.Trim(digits, "0")) > MaxDecimalDigits:
		return "", malformed("number %s: more than %d significant digits", quote(text), MaxDecimalDigits)
	}
	return Decimal(text), nil
}

// NewDecimal returns the number nearest to f that a Decimal can say: rounded to
// MaxDecimalDigits significant digits. It is an ErrFormat for what is no number,
// and where the spelling would be longer than MaxDecimal.
func NewDecimal(f float64) (Decimal, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", malformed("%v is no number", f)
	}
	// Rounded first, then written as short as the rounded number allows.
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', MaxDecimalDigits-1, 64), 64)
	if err != nil {
		return "", malformed("number %v: %w", f, err)
	}
	if rounded == 0 {
		return "0", nil
	}
	return ParseDecimal(strconv.FormatFloat(rounded, 'f', -1, 64))
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Float64 returns the nearest double, which is written as the same decimal.
func (d Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(string(d), 64)
	return f
}

// CheckMetricName checks the name of a metric: [a-z0-9._/@:-], beginning with a
// letter or a digit, at most MaxMetricName bytes. Lower case alone, so that no
// two differ in case.
func CheckMetricName(name string) error {
	if len(name) > MaxMetricName || !isWord(name, "._/@:-", false) {
		return malformed("metric %s: want a-z 0-9 . _ / @ : - beginning with a letter or digit, at most %d bytes", quote(name), MaxMetricName)
	}
	return nil
}

type wireEvaluation struct {
	wireCommon
	Metrics  map[string]Decimal `json:"metrics"`
	Datasets []wireRef          `json:"datasets"`
	Details  *wireAttachment    `json:"details,omitzero"`
}

func (w *wireEvaluation) decode(st *Statement) error {
	e := &Evaluation{Metrics: w.Metrics}
	var err error
	if e.Datasets, err = parseRefs("evaluation: datasets", w.Datasets, MaxReferences); err != nil {
		return err
	}
	if e.Details, err = w.Details.attachment(); err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.Evaluation = e
	return nil
}

func (e *Evaluation) subject(*Statement) []Subject { return nil }

func (e *Evaluation) check(st *Statement) error {
	self, err := st.Ref()
	if err != nil {
		return err
	}
	if n := len(e.Metrics); n < 1 || n > MaxMetrics {
		return malformed("evaluation: %d metrics, 1 to %d are allowed", n, MaxMetrics)
	}
	for name, value := range e.Metrics {
		if err := CheckMetricName(name); err != nil {
			return err
		}
		if _, err := ParseDecimal(string(value)); err != nil {
			return err
		}
	}
	if len(e.Datasets) == 0 {
		return malformed("evaluation: no dataset that it was measured on")
	}
	if err := checkRefs("evaluation: datasets", e.Datasets, MaxReferences, self.Fingerprint.Algorithm); err != nil {
		return err
	}
	return e.Details.check()
}

func (e *Evaluation) wire(st *Statement) any {
	return wireEvaluation{st.common(), e.Metrics, wireRefs(e.Datasets), e.Details.wire()}
}
