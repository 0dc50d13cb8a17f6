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
	"path/filepath"
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

	work, data string // the clinic's folder, and its data
	receiver   string // the auditor's folder
	bin        string // the folder that has the binary by its name
	rows       int
	chapter    int
}

// artifact is the name the story stamps under.
const artifact = "clinic/wdbc@2026-11-01"

// ErrStep says that a step did not end with the status the story expects.
var ErrStep = errors.New("the demo went another way than it should")

// Tell runs the story and returns the first step that went wrong.
func (s *Story) Tell(ctx context.Context) error {
	began := time.Now()
	if list, err := os.ReadDir(s.Dir); err == nil && len(list) > 0 {
		return fmt.Errorf("%s is not empty; the story needs a folder of its own", s.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.work, s.receiver = filepath.Join(s.Dir, "clinic"), filepath.Join(s.Dir, "auditor")
	s.data = filepath.Join(s.work, "training")
	if err := os.MkdirAll(s.receiver, 0o755); err != nil {
		return err
	}
	err := s.findSelf()
	if err != nil {
		return err
	}
	if s.rows, err = layOut(s.data); err != nil {
		return err
	}
	for _, tell := range []func(context.Context) error{
		s.stamp, s.alter, s.handOver, s.lastMonth, s.train, s.rule, s.release, s.walkBack, s.callAtNight,
	} {
		if err := tell(ctx); err != nil {
			if ctx.Err() != nil { // nobody looks at half a story, and it could not begin again here
				s.takeAway()
			}
			return err
		}
	}
	s.end(time.Since(began))
	return nil
}

// takeAway empties the story's folder of what it made.
func (s *Story) takeAway() {
	for _, made := range []string{"clinic", "auditor", "home"} {
		_ = os.RemoveAll(filepath.Join(s.Dir, made))
	}
}

func (s *Story) stamp(ctx context.Context) error {
	s.title("A folder of training data")
	s.say("569 rows of measurements in 12 files, a photograph, an attribution (real data,\nsee training/ATTRIBUTION.md). First a ledger to put its fingerprint on:")
	if err := s.run(ctx, s.work, 0, "stele init --handle ada"); err != nil {
		return err
	}
	s.title("Stamp it")
	s.say("The files stay where they are. Their fingerprint, who stamped it and when go\ninto an append-only log:")
	if err := s.run(ctx, s.work, 0, "stele stamp training --as "+artifact+" --annotation license=CC-BY-4.0"); err != nil {
		return err
	}
	s.say("Every byte read again says that it holds:")
	if err := s.run(ctx, s.work, 0, "stele verify "+artifact+" training"); err != nil {
		return err
	}
	return os.CopyFS(s.pristine(), os.DirFS(s.data))
}

// pristine is the copy of the data that the auditor has, from before anybody
// altered it.
func (s *Story) pristine() string { return filepath.Join(s.receiver, "training") }

func (s *Story) alter(ctx context.Context) error {
	s.title("Somebody alters half a percent of it")
	pixel, err := flipPixel(filepath.Join(s.data, "images", "flower.png"))
	if err != nil {
		return err
	}
	labels, err := flipLabels(s.data, s.rows)
	if err != nil {
		return err
	}
	s.say(fmt.Sprintf("images/flower.png %s", pixel))
	for _, l := range labels {
		s.say(l)
	}
	s.say(fmt.Sprintf("\nThat is 1 pixel, and %d of %d rows. Nothing else moved. Does anyone notice?", len(labels), s.rows))
	if err := s.run(ctx, s.work, 3, "stele verify "+artifact+" training"); err != nil {
		return err
	}
	s.title("It cannot take the old name")
	return s.run(ctx, s.work, 4, "stele stamp training --as "+artifact)
}

func (s *Story) handOver(ctx context.Context) error {
	s.title("Proof to hand over")
	s.say("One file was in the training data, another was not; the file that says so needs\nneither the data nor the ledger:")
	if err := s.run(ctx, s.work, 0, "stele prove "+artifact+" --path measurements/part-03.csv --absent measurements/patients.csv -o ../auditor/evidence.json"); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, 0, "stele trust export -o ../auditor/clinic.policy"); err != nil {
		return err
	}
	s.title("An auditor checks it, offline, trusting only the clinic's log key")
	s.say("Another person, another folder, no ledger; their own copy of the data was taken\nbefore anybody touched it:")
	if err := s.run(ctx, s.receiver, 0, "stele verify --checks --evidence evidence.json --trust clinic.policy training"); err != nil {
		return err
	}
	s.say("And what the clinic has on its disk today:")
	return s.run(ctx, s.receiver, 3, "stele verify --evidence evidence.json --trust clinic.policy ../clinic/training")
}

func (s *Story) end(took time.Duration) {
	fmt.Fprintf(s.Out, "\n%s\n", s.style("title", fmt.Sprintf("That was all, in %.1f seconds. Everything lies in", took.Seconds())))
	fmt.Fprintf(s.Out, `  %s
    clinic/training      the data, as it was stamped
    clinic/net-2         the model that was made of it
    clinic/.stele        the ledger: log, checkpoints, manifests
    auditor/             the evidence, the log key to trust, copies of their own
    home/                the demo's keys and trust (yours are untouched)

Try, after `+"`go install ./cmd/stele`"+` from the repository:

  cd %s
  export STELE_CONFIG=%s STELE_STATE=%s
`, s.Dir, shellQuote(s.work), shellQuote(s.config()), shellQuote(s.state()))
	for _, c := range []string{
		"stele log",
		"stele show " + newModel,
		"stele trace " + artifact + " --down",
		"stele contract show two-approvals",
		"stele diff " + october + " " + artifact,
		"stele reinstate " + artifact + " --reason 'labels were right'",
		"stele status --at 12",
		"stele fsck",
	} {
		fmt.Fprintf(s.Out, "  %s\n", s.style("command", c))
	}
}
