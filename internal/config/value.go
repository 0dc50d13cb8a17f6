package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Text is a setting of any text.
type Text string

// Set implements Value.
func (t *Text) Set(text string) error { *t = Text(text); return nil }
func (t *Text) String() string        { return string(*t) }

// Type implements Value.
func (t *Text) Type() string { return "string" }

// Switch is a setting that is on or off.
type Switch bool

// Set implements Value.
func (s *Switch) Set(text string) error {
	switch text {
	case "true":
		*s = true
	case "false":
		*s = false
	default:
		return fmt.Errorf("%.40q is neither true nor false", text)
	}
	return nil
}

func (s *Switch) String() string { return strconv.FormatBool(bool(*s)) }

// Type implements Value.
func (s *Switch) Type() string { return "bool" }

// IsBoolFlag lets a flag stand without a value.
func (s *Switch) IsBoolFlag() bool { return true }

// Number is a setting of a count from 0.
type Number int

// MaxNumber is the largest Number.
const MaxNumber = 1 << 30

// Set implements Value.
func (n *Number) Set(text string) error {
	v, err := strconv.ParseUint(text, 10, 31)
	if err != nil || v > MaxNumber {
		return fmt.Errorf("%.40q is no number from 0 to %d", text, MaxNumber)
	}
	*n = Number(v)
	return nil
}

func (n *Number) String() string { return strconv.Itoa(int(*n)) }

// Type implements Value.
func (n *Number) Type() string { return "int" }

// Length is a setting of a length of time.
type Length time.Duration

// Set implements Value.
func (l *Length) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%.40q is no length of time; 30s and 10m are", text)
	}
	*l = Length(d)
	return nil
}

func (l *Length) String() string { return time.Duration(*l).String() }

// Type implements Value.
func (l *Length) Type() string { return "duration" }

// Word is a setting of one of a few words.
type Word struct {
	Value string
	Words []string
}

// Set implements Value.
func (w *Word) Set(text string) error {
	for _, word := range w.Words {
		if word == text {
			w.Value = text
			return nil
		}
	}
	return fmt.Errorf("%.40q is none of %s", text, strings.Join(w.Words, ", "))
}

func (w *Word) String() string { return w.Value }

// Type implements Value.
func (w *Word) Type() string { return "string" }

// List is a setting of several texts. A flag is given once for each, the environment
// has spaces between them, and the file a list. What a flag says takes the place of
// the default.
type List struct {
	items   []string
	changed bool
	Check   func(item string) error // nil: anything
}

// NewList returns a list with what it holds if nobody says otherwise.
func NewList(check func(string) error, standard ...string) *List {
	return &List{items: standard, Check: check}
}

// Items are what it holds.
func (l *List) Items() []string { return l.items }

// Set implements Value: it adds an item.
func (l *List) Set(text string) error {
	items := []string{text}
	if l.changed {
		items = append(l.items[:len(l.items):len(l.items)], text)
	}
	return l.replace(items)
}

func (l *List) replace(items []string) error {
	if len(items) > MaxItems {
		return fmt.Errorf("more than %d items", MaxItems)
	}
	for _, item := range items {
		if item == "" {
			return fmt.Errorf("an item is empty")
		}
		if l.Check != nil {
			if err := l.Check(item); err != nil {
				return err
			}
		}
	}
	l.items, l.changed = items, true
	return nil
}

func (l *List) String() string { return strings.Join(l.items, " ") }

// Type implements Value.
func (l *List) Type() string { return "strings" }
