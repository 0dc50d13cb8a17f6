package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"
)

// width is how wide the story is told.
const width = 80

// findSelf makes the binary one that a run can start by its name.
func (s *Story) findSelf() error {
	name := "stele"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if s.bin = filepath.Dir(s.Stele); filepath.Base(s.Stele) == name {
		return nil
	}
	s.bin = filepath.Join(s.Dir, "home", "bin")
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return err
	}
	return os.Symlink(s.Stele, filepath.Join(s.bin, name))
}

func (s *Story) config() string { return filepath.Join(s.Dir, "home", "config") }
func (s *Story) state() string  { return filepath.Join(s.Dir, "home", "state") }

// run shows the command line and runs it, in dir, as written.
func (s *Story) run(ctx context.Context, dir string, want int, line string) error {
	return s.runInto(ctx, dir, want, line, io.Discard)
}

// runInto is run, with a copy of what is printed.
func (s *Story) runInto(ctx context.Context, dir string, want int, line string, also io.Writer) error {
	fmt.Fprintln(s.Out)
	s.show(line)
	out := &folder{to: s.Out}
	got, err := s.start(ctx, dir, line, io.MultiWriter(out, also))
	out.end()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "%s\n", s.style("dim", fmt.Sprintf("exit status %d%s", got, meaning(got))))
	return s.expect(line, got, want)
}

// quietly shows and runs commands that must end with 0, without what they print.
func (s *Story) quietly(ctx context.Context, dir string, lines ...string) error {
	fmt.Fprintln(s.Out)
	for _, line := range lines {
		s.show(line)
		var printed bytes.Buffer
		got, err := s.start(ctx, dir, line, &printed)
		if err == nil {
			err = s.expect(line, got, 0)
		}
		if err != nil {
			_, _ = printed.WriteTo(s.Out)
			return err
		}
	}
	return nil
}

func (s *Story) show(line string) {
	for _, l := range strings.Split("$ "+wrapCommand(line), "\n") {
		fmt.Fprintln(s.Out, s.style("command", l))
	}
}

// start runs a command to its end; its words are split as a shell would.
func (s *Story) start(ctx context.Context, dir, line string, out io.Writer) (status int, err error) {
	words := shellWords(line)
	c := exec.CommandContext(ctx, s.Stele, words[1:]...)
	c.Dir = dir
	c.Stdout, c.Stderr = out, out
	c.Env = append(s.Env[:len(s.Env):len(s.Env)], "STELE_CONFIG="+s.config(), "STELE_STATE="+s.state(),
		"STELE_LEDGER=", "STELE_KEY=", "STELE_TRUST=", "PATH="+s.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	err = c.Run()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("run %s: %w", line, err)
	}
	return c.ProcessState.ExitCode(), nil
}

func (s *Story) expect(line string, got, want int) error {
	if got != want {
		return fmt.Errorf("%w: `%s` ended with status %d, not %d", ErrStep, line, got, want)
	}
	return nil
}

// meaning is what the story says beside an exit status.
func meaning(status int) string {
	switch status {
	case 0:
		return ": it holds"
	case 3:
		return ": tampered"
	case 4:
		return ": refused"
	case 125:
		return ": the command was not run"
	}
	return ""
}

// folder writes lines that fit the story's width: a longer one goes on below,
// under its value where it is a line of a receipt.
type folder struct {
	to   io.Writer
	rest []byte // of a line that has not ended
}

// receipt is the beginning of a line of a receipt, up to its value.
var receipt = regexp.MustCompile(`^ +(?:[✓✗–] )?[a-z]+(?: [a-z]+)* {2,}`)

func (f *folder) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	for {
		line, rest, ended := bytes.Cut(f.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		if _, err := io.WriteString(f.to, fold(string(line))+"\n"); err != nil {
			return 0, err
		}
		f.rest = rest
	}
}

// end writes a line that has no end.
func (f *folder) end() {
	if len(f.rest) > 0 {
		fmt.Fprintln(f.to, fold(string(f.rest)))
	}
	f.rest = nil
}

// fold breaks a line at spaces: of a receipt, so that it goes on under its
// value; of a table, before its last column.
func fold(line string) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	hang := utf8.RuneCountInString(receipt.FindString(line))
	if hang == 0 || hang > width/2 {
		hang = utf8.RuneCountInString(line) - utf8.RuneCountInString(strings.TrimLeft(line, " │├└─")) + 4
		if i := strings.LastIndex(line, "  "); i > 0 && utf8.RuneCountInString(line[:i]) <= width {
			last := strings.TrimSpace(line[i:])
			if rest := hang + utf8.RuneCountInString(last); i > width/2 && rest <= width {
				return strings.TrimRight(line[:i], " ") + "\n" + strings.Repeat(" ", hang) + last
			}
		}
	}
	if word := strings.TrimSpace(line); !strings.Contains(word, " ") {
		return strings.Repeat(" ", max(0, min(4, width-1-utf8.RuneCountInString(word)))) + word
	}
	var out strings.Builder
	col, written := 0, false // written: something stands on this line
	for _, word := range strings.SplitAfter(line, " ") {
		n := utf8.RuneCountInString(strings.TrimRight(word, " "))
		if written && n > 0 && col+n > width {
			indent := hang
			if hang+n > width { // one long word, such as a fingerprint
				indent = max(0, min(4, width-1-n))
			}
			out.WriteString("\n" + strings.Repeat(" ", indent))
			col, written = indent, false
		}
		out.WriteString(word)
		col += utf8.RuneCountInString(word)
		written = written || n > 0
	}
	lines := strings.Split(out.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// shellWords splits a command line at spaces, but not within single quotes.
func shellWords(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// wrapCommand breaks a long command as a shell would take it, to the story's
// width. A flag keeps its value.
func wrapCommand(line string) string {
	const most = width - 4 // "$ " and " \"
	var out strings.Builder
	col := 0
	for i, w := range parts(line) {
		if i > 0 && col+1+len(w) > most {
			out.WriteString(" \\\n    ")
			col = 4
		} else if i > 0 {
			out.WriteByte(' ')
			col++
		}
		out.WriteString(w)
		col += len(w)
	}
	return out.String()
}

// parts are the words of a command: what is quoted in one, each flag with its
// value, and the command that it runs.
func parts(line string) (list []string) {
	before, command, runs := strings.Cut(line, " -- ")
	quoted, flag := false, false
	for _, w := range strings.Fields(before) {
		if quoted || flag && !strings.HasPrefix(w, "-") {
			list[len(list)-1] += " " + w
		} else {
			list = append(list, w)
		}
		quoted = quoted != (strings.Count(w, "'")%2 == 1)
		flag = strings.HasPrefix(w, "-")
	}
	if runs {
		list = append(list, "-- "+command)
	}
	return list
}

// title begins a chapter.
func (s *Story) title(text string) {
	s.chapter++
	fmt.Fprintf(s.Out, "\n%s\n", s.style("title", fmt.Sprintf("%d. %s", s.chapter, text)))
}

func (s *Story) say(text string) { fmt.Fprintln(s.Out, text) }

func (s *Story) style(style, text string) string {
	if s.Style == nil {
		return text
	}
	return s.Style(style, text)
}

// shellQuote makes a path safe to paste.
func shellQuote(p string) string {
	if strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:") == "" {
		return p
	}
	return "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
}
