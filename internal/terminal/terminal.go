// Package terminal is what a person sees: tables, trees, receipts, checks,
// one progress line, a question, and the words for sizes, rates and times.
//
// Two rules hold throughout. Text that came from data, a ledger or another
// person is made harmless before it is written (see Clean): no name or path
// can move the cursor, change colours, or reverse the order of what is read.
// And nothing is cut when standard output is not a terminal: whoever pipes
// the output gets every character of it; on a terminal a table fits the width.
package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// DefaultWidth is the number of columns assumed for a terminal that does not
// say how wide it is.
const DefaultWidth = 80

// minWidth is the narrowest layout that is attempted; a narrower terminal
// wraps by itself.
const minWidth = 40

// A Terminal writes for a person: results to standard output, everything else
// to standard error. Its methods may be called from several goroutines.
type Terminal struct {
	in       io.Reader
	out, err *stream

	unicode bool // lines and ellipses may be drawn with non-ASCII characters
	zone    *time.Location
	now     func() time.Time

	mu       sync.Mutex // guards what follows, and every write
	quiet    bool
	line     *progressLine // the progress line on the screen, if any
	writeErr error
}

// A stream is one of the two outputs.
type stream struct {
	w      io.Writer
	fd     int  // -1: not a file
	fixed  int  // columns; 0: ask the system each time, for windows are resized
	tty    bool // it is a terminal
	dumb   bool // it cannot erase a line
	colour bool
}

// New returns a Terminal over the three standard streams. getenv is
// os.Getenv, or a test's; it is asked for NO_COLOR, TERM, LC_ALL, LC_CTYPE
// and LANG. A stream is a terminal if it is an *os.File and the
// operating system says so.
func New(stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) *Terminal {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	return &Terminal{
		in:      stdin,
		out:     newStream(stdout, getenv),
		err:     newStream(stderr, getenv),
		unicode: utf8Locale(getenv),
		zone:    time.Local,
		now:     time.Now,
	}
}

func newStream(w io.Writer, getenv func(string) string) *stream {
	s := &stream{w: w, fd: -1}
	if f, ok := w.(*os.File); ok && f != nil {
		s.fd = int(f.Fd())
		s.tty = term.IsTerminal(s.fd)
	}
	if s.tty {
		s.dumb = getenv("TERM") == "dumb" || !enableSequences(s.fd)
		// https://no-color.org: present and not empty, whatever it says.
		s.colour = !s.dumb && getenv("NO_COLOR") == ""
	}
	return s
}

// utf8Locale reports whether the locale can show non-ASCII characters. Only
// a locale that names another character set says no: an unset one is what
// containers have, and their terminals speak UTF-8.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		v := strings.ToLower(getenv(name))
		if v == "" {
			continue
		}
		if v == "c" || v == "posix" {
			return false
		}
		if _, charset, ok := strings.Cut(v, "."); ok {
			charset, _, _ = strings.Cut(charset, "@")
			return charset == "utf-8" || charset == "utf8"
		}
		return true
	}
	return true
}

// InIsTerminal reports whether standard input is a terminal.
func (t *Terminal) InIsTerminal() bool {
	f, ok := t.in.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// CanAsk reports whether a question can be put to a person: both standard
// input and standard error are terminals.
func (t *Terminal) CanAsk() bool { return t.InIsTerminal() && t.err.tty }

// SetQuiet silences notes and progress. Results, warnings, errors and
// questions stay.
func (t *Terminal) SetQuiet(quiet bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.quiet = quiet
}

// Quiet reports whether SetQuiet(true) is in force.
func (t *Terminal) Quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.quiet
}

// Width is the number of columns that tables and trees on standard output
// are fitted to; 0 where it is not a terminal and nothing is cut.
func (t *Terminal) Width() int { return t.out.width() }

func (s *stream) width() int {
	switch {
	case !s.tty:
		return 0
	case s.fixed > 0:
		return s.fixed
	case s.fd >= 0:
		if w, _, err := term.GetSize(s.fd); err == nil && w > 0 {
			return max(w, minWidth)
		}
	}
	return DefaultWidth
}

// WriteErr returns the first error met while writing, such as a full disk
// behind a redirect or a closed pipe.
func (t *Terminal) WriteErr() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.writeErr
}

// write sends text, already clean, to a stream; a progress line on the
// screen steps aside for it. Callers do not hold t.mu.
func (t *Terminal) write(s *stream, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writeLocked(s, text)
}

func (t *Terminal) writeLocked(s *stream, text string) {
	if t.line != nil {
		t.line.clear(t)
	}
	if _, err := io.WriteString(s.w, text); err != nil && t.writeErr == nil {
		t.writeErr = fmt.Errorf("write output: %w", err)
	}
	if t.line != nil {
		t.line.redraw(t)
	}
}

// print writes to standard output.
func (t *Terminal) print(text string) { t.write(t.out, text) }

// Printf writes one or more lines to standard output. The format is the
// program's own; arguments that are strings, errors or Stringers are cleaned,
// so untrusted text belongs in the arguments.
func (t *Terminal) Printf(format string, args ...any) {
	t.print(t.out.fold(sprintf(format, args), "  "))
}

// Println writes text, made harmless, as one line to standard output.
func (t *Terminal) Println(text string) { t.print(Clean(text) + "\n") }

// Heading writes a title in bold, with a blank line before it.
func (t *Terminal) Heading(text string) {
	t.print("\n" + t.out.paint(Bold, Clean(text)) + "\n")
}

// Notef writes one line of information to standard error, unless quiet.
// Strings among the arguments are cleaned, as in Printf.
func (t *Terminal) Notef(format string, args ...any) {
	if !t.Quiet() {
		t.write(t.err, t.err.fold(sprintf(format, args), "")+"\n")
	}
}

// Warnf writes a line that starts with "warning:" to standard error.
func (t *Terminal) Warnf(format string, args ...any) {
	t.label(Caution, "warning", sprintf(format, args))
}

// Hintf writes a line that starts with "hint:" to standard error: what to do
// about the error or warning before it.
func (t *Terminal) Hintf(format string, args ...any) {
	t.label(Accent, "hint", sprintf(format, args))
}

// Error writes an error as a line that starts with "error:" to standard
// error, and a "hint:" line if it, or an error it wraps, has a method
// Hint() string that returns text. A line break within the error's text is
// shown as \n: nobody's file name can add a line of its own.
func (t *Terminal) Error(err error) {
	if err == nil {
		return
	}
	t.label(Bad, "error", Clean(err.Error()))
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		if text := h.Hint(); text != "" {
			t.label(Accent, "hint", Clean(text))
		}
	}
}

func (t *Terminal) label(style Style, label, text string) {
	text = t.err.fold(label+": "+text, "  ")
	t.write(t.err, t.err.paint(style, label+":")+strings.TrimPrefix(text, label+":")+"\n")
}

// fold breaks sentences at words where they are too long for a terminal; what
// has no space in it stays whole, to be copied. The indent begins each further
// line. Elsewhere, and where text is coloured already, nothing is changed.
func (s *stream) fold(text, indent string) string {
	width := s.width()
	if width == 0 || strings.ContainsRune(text, '\x1b') {
		return text
	}
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if Columns(line) <= width {
			out = append(out, line)
			continue
		}
		lead := line[:len(line)-len(strings.TrimLeft(line, " "))]
		for i, part := range wrap(strings.TrimLeft(line, " "), width-max(len(lead), len(indent))) {
			if i > 0 && lead == "" {
				part = indent + part
			}
			out = append(out, lead+part)
		}
	}
	return strings.Join(out, "\n")
}

// sprintf is fmt.Sprintf with every string, error, Stringer and byte slice
// among the arguments cleaned first. Other kinds print nothing but digits
// and punctuation, or, nested in a composite, are cleaned after printing.
func sprintf(format string, args []any) string {
	clean := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
			clean[i] = a
		case Styled:
			clean[i] = a
		case string:
			clean[i] = Clean(a)
		case []byte:
			clean[i] = Clean(string(a))
		case error:
			clean[i] = Clean(a.Error())
		case fmt.Stringer:
			clean[i] = Clean(a.String())
		default:
			clean[i] = Clean(fmt.Sprint(a))
		}
	}
	return fmt.Sprintf(format, clean...)
}

// Ellipsis is what stands for text left out.
func (t *Terminal) ellipsis() string {
	if t.unicode {
		return "…"
	}
	return "..."
}

// A Style is what a piece of text means; how it looks depends on the stream.
type Style uint8

// The styles. Colour is never the only sign: the words say the same.
const (
	Plain   Style = iota
	Bold          // a title
	Dim           // detail that may be skipped
	Good          // it holds
	Bad           // it does not
	Caution       // look here
	Accent        // a command to type, a name to notice
)

// SGR parameters (ECMA-48 8.3.117), the eight basic colours only: they follow
// the theme of the person's terminal, light or dark.
var sgr = [...]int{Plain: 0, Bold: 1, Dim: 2, Good: 32, Bad: 31, Caution: 33, Accent: 36}

func (s *stream) paint(style Style, clean string) string {
	if !s.colour || style == Plain || int(style) >= len(sgr) || clean == "" {
		return clean
	}
	return "\x1b[" + strconv.Itoa(sgr[style]) + "m" + clean + "\x1b[0m"
}

// Styled is text that was cleaned and then coloured for one stream; it may be
// an argument of Printf and its like.
type Styled struct{ text string }

// String returns the text with its colours.
func (s Styled) String() string { return s.text }

// Style cleans text and colours it for standard output.
func (t *Terminal) Style(style Style, text string) Styled {
	return Styled{t.out.paint(style, Clean(text))}
}
