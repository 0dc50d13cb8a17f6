// Package demo tells Stele's main job as a story on real data: every step
// prints the command a person would type, and runs that very command.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Story is one telling. Dir must be empty or not exist; all that the story
// writes lies below it, keys and trust included, so that it touches nothing
// of the person's own.
type Story struct {
	Stele string // path of the stele binary that the steps run
	Dir   string
	Out   io.Writer
	Style func(style, text string) string // "command", "title", "dim": how they look on this terminal
	Env   []string                        // the environment the commands inherit
}

// artifact is the name the story stamps under.
const artifact = "clinic/wdbc@2026-11-01"

// ErrStep says that a step did not end with the status the story expects.
var ErrStep = errors.New("the demo went another way than it should")

// Tell runs the story and returns the first step that went wrong.
func (s *Story) Tell(ctx context.Context) error {
	began := time.Now()
	if list, err := os.ReadDir(s.Dir); err == nil && len(list) > 0 {
		return fmt.Errorf("%s is not empty", s.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	work := filepath.Join(s.Dir, "clinic")
	receiver := filepath.Join(s.Dir, "auditor")
	if err := os.MkdirAll(receiver, 0o755); err != nil {
		return err
	}
	data := filepath.Join(work, "training")
	rows, err := layOut(data)
	if err != nil {
		return err
	}

	s.title("1. A folder of training data")
	s.say("569 rows of measurements in 12 files, a photograph, an attribution (real data,\nsee training/ATTRIBUTION.md). First a ledger to put its fingerprint on:")
	if err := s.run(ctx, work, 0, "stele init --handle ada"); err != nil {
		return err
	}

	s.title("2. Stamp it")
	s.say("The files stay where they are. Their fingerprint, who stamped it and when go\ninto an append-only log:")
	if err := s.run(ctx, work, 0, "stele stamp training --as "+artifact+" --annotation license=CC-BY-4.0"); err != nil {
		return err
	}
	s.say("Every byte read again says that it holds:")
	if err := s.run(ctx, work, 0, "stele verify "+artifact+" training"); err != nil {
		return err
	}
	pristine := filepath.Join(receiver, "training")
	if err := os.CopyFS(pristine, os.DirFS(data)); err != nil {
		return err
	}

	s.title("3. Somebody alters half a percent of it")
	pixel, err := flipPixel(filepath.Join(data, "images", "flower.png"))
	if err != nil {
		return err
	}
	labels, err := flipLabels(data, rows)
	if err != nil {
		return err
	}
	s.say(fmt.Sprintf("images/flower.png %s", pixel))
	for _, l := range labels {
		s.say(l)
	}
	s.say(fmt.Sprintf("\nThat is 1 pixel, and %d of %d rows. Nothing else moved. Does anyone notice?", len(labels), rows))
	if err := s.run(ctx, work, 3, "stele verify "+artifact+" training"); err != nil {
		return err
	}

	s.title("4. It cannot take the old name")
	if err := s.run(ctx, work, 4, "stele stamp training --as "+artifact); err != nil {
		return err
	}

	s.title("5. Proof to hand over")
	s.say("One file was in the training data, another was not; the file that says so needs\nneither the data nor the ledger:")
	if err := s.run(ctx, work, 0, "stele prove "+artifact+" --path measurements/part-03.csv --absent measurements/patients.csv -o ../auditor/evidence.json"); err != nil {
		return err
	}
	if err := s.run(ctx, work, 0, "stele trust export -o ../auditor/clinic.policy"); err != nil {
		return err
	}

	s.title("6. An auditor checks it, offline, trusting only the clinic's log key")
	s.say("Another person, another folder, no ledger; their own copy of the data was taken\nbefore anybody touched it:")
	if err := s.run(ctx, receiver, 0, "stele verify --checks --evidence evidence.json --trust clinic.policy training"); err != nil {
		return err
	}
	s.say("And what the clinic has on its disk today:")
	if err := s.run(ctx, receiver, 3, "stele verify --evidence evidence.json --trust clinic.policy ../clinic/training"); err != nil {
		return err
	}
	s.end(time.Since(began))
	return nil
}

func (s *Story) end(took time.Duration) {
	s.title(fmt.Sprintf("That was all, in %.1f seconds. Everything lies in", took.Seconds()))
	fmt.Fprintf(s.Out, `  %s
    clinic/training      the data, altered
    clinic/.stele        the ledger: log, checkpoints, manifests
    auditor/             the evidence, the log key to trust, the data as it was
    home/                the demo's keys and trust (yours are untouched)

Try, after `+"`go install ./cmd/stele`"+` from the repository:

  cd %s
  export STELE_CONFIG=%s STELE_STATE=%s
`, s.Dir, shellQuote(filepath.Join(s.Dir, "clinic")), shellQuote(s.config()), shellQuote(s.state()))
	for _, c := range []string{
		"stele log",
		"stele show " + artifact,
		"stele diff " + artifact + " ./training",
		"stele stamp training --as clinic/wdbc@2026-11-02 --since " + artifact,
		"stele withdraw " + artifact + " --reason 'labels in doubt'",
		"stele fsck",
	} {
		fmt.Fprintf(s.Out, "  %s\n", s.style("command", c))
	}
}

func (s *Story) config() string { return filepath.Join(s.Dir, "home", "config") }
func (s *Story) state() string  { return filepath.Join(s.Dir, "home", "state") }

// run shows the command line and runs it, in dir, as written: the words are
// split at spaces, quotes are not needed in the story.
func (s *Story) run(ctx context.Context, dir string, want int, line string) error {
	fmt.Fprintln(s.Out)
	for _, l := range strings.Split("$ "+wrapCommand(line), "\n") {
		fmt.Fprintln(s.Out, s.style("command", l))
	}
	words := strings.Fields(line)
	c := exec.CommandContext(ctx, s.Stele, words[1:]...)
	c.Dir = dir
	c.Stdout, c.Stderr = s.Out, s.Out
	c.Env = append(s.Env[:len(s.Env):len(s.Env)], "STELE_CONFIG="+s.config(), "STELE_STATE="+s.state(),
		"STELE_LEDGER=", "STELE_KEY=", "STELE_TRUST=")
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %s: %w", line, err)
	}
	got := c.ProcessState.ExitCode()
	fmt.Fprintf(s.Out, "%s\n", s.style("dim", fmt.Sprintf("exit status %d%s", got, meaning(got))))
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
	}
	return ""
}

// wrapCommand breaks a long command as a shell would take it, to 80 columns.
func wrapCommand(line string) string {
	const width = 76
	var out strings.Builder
	col := 0
	for i, w := range strings.Fields(line) {
		if i > 0 && col+1+len(w) > width {
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

func (s *Story) title(text string) { fmt.Fprintf(s.Out, "\n%s\n", s.style("title", text)) }
func (s *Story) say(text string)   { fmt.Fprintln(s.Out, text) }

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
