package account

import (
	"fmt"
	"strings"

	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// WithdrawalText says who withdrew something, and why.
func WithdrawalText(w *lineage.Withdrawal) string {
	what := w.Effect
	if w.Target == statement.TargetBinding {
		what = "the name was a mistake"
	}
	return fmt.Sprintf("withdrawn in entry %d by %s (%s): %s", w.Entry, w.Handle, what, Short(w.Reason))
}

// MemberText says that a member of a collection is withdrawn.
func MemberText(c *lineage.Cause) string {
	return fmt.Sprintf("%s, a member, ", c.At()) + WithdrawalText(&c.Withdrawal)
}

func memberLines(j *lineage.Judgement) []string {
	var lines []string
	for i := range j.Members {
		lines = append(lines, MemberText(&j.Members[i]))
	}
	return lines
}

// CauseText says what taints an artifact: the withdrawn contents, under the name by
// which they are reached, and how many steps up they are.
func CauseText(at string, steps int, w *lineage.Withdrawal) string {
	if steps > 1 {
		at += fmt.Sprintf(", %s steps up", terminal.Count(uint64(steps)))
	}
	return at + ", " + WithdrawalText(w)
}

// WorstText tells the strongest cause of a taint.
func WorstText(t *lineage.Taint) string {
	w := t.Worst()
	return CauseText(w.At().String(), w.Distance(), &w.Withdrawal)
}

// FallenText says whose stamp counts for nothing, and why: the artifact's own, or
// that of one it was made of, so many steps up.
func FallenText(name string, steps int, entry uint64, detail string) string {
	what := "its stamp"
	if steps > 0 {
		what = "made of " + name
	}
	if steps > 1 {
		what += fmt.Sprintf(", %s steps up", terminal.Count(uint64(steps)))
	}
	if steps > 0 {
		what += ", whose stamp"
	}
	return fmt.Sprintf("%s in entry %d counts for nothing: %s", what, entry, detail)
}

// FallText is FallenText of a fall.
func FallText(f *lineage.Fall) string {
	a := f.Artifact
	return FallenText(a.Ref.String(), f.Distance(), a.Entry, a.Standing.Detail)
}

// FallLines say which stamps count for nothing, of an artifact and of what it was
// made of, and how they are reached.
func FallLines(j *lineage.Judgement) []string {
	var lines []string
	for i := range j.Fallen {
		f := &j.Fallen[i]
		lines = append(lines, FallText(f))
		if f.Distance() > 0 {
			lines = append(lines, PathText(f.Path(), false))
		}
	}
	if j.MoreFallen {
		lines = append(lines, "and others")
	}
	return lines
}

// WrongText says in a clause what is against an artifact, the worst of it; it is
// empty where nothing is.
func WrongText(j *lineage.Judgement) string {
	switch own := j.Artifact.Withdrawals; j.Word() {
	case lineage.Untrusted:
		return FallText(&j.Fallen[0])
	case lineage.Withdrawn:
		if len(own) > 0 {
			return WithdrawalText(&own[0])
		}
		return MemberText(&j.Members[0])
	case lineage.Tainted:
		return WorstText(j.Taint)
	case lineage.Unknown:
		return fmt.Sprintf("more is recorded of what it was made of than the %s artifacts that are looked through", terminal.Count(lineage.MaxWalk))
	}
	return ""
}

// PathText tells a path, leaving out the middle of a long one unless all is asked
// for.
func PathText(path []lineage.Step, all bool) string {
	const ends = 3
	cut := !all && len(path) > 2*ends+1
	var b strings.Builder
	for i, s := range path {
		if cut && i == ends {
			fmt.Fprintf(&b, ", … %s steps …", terminal.Count(uint64(len(path)-2*ends)))
		}
		if cut && i >= ends && i < len(path)-ends {
			continue
		}
		if i > 0 {
			b.WriteString(", made of ")
		}
		b.WriteString(s.Ref.Name + "@" + s.Ref.Version)
		if s.Way != "" {
			fmt.Fprintf(&b, " (%s, entry %d)", s.Way, s.Entry)
		}
	}
	return b.String()
}

// KindsText counts artifacts by their kind: "9 models, 3 of code".
func KindsText(kinds map[string]uint64) string {
	var parts []string
	for _, k := range []string{statement.ArtifactDataset, statement.ArtifactModel, statement.ArtifactCode, statement.ArtifactOther, "artifact"} {
		n := kinds[k]
		switch {
		case n == 0:
		case k == statement.ArtifactCode:
			parts = append(parts, terminal.Count(n)+" of code")
		case k == statement.ArtifactOther:
			parts = append(parts, terminal.Count(n)+" of other kinds")
		default:
			parts = append(parts, terminal.Plural(n, k))
		}
	}
	return strings.Join(parts, ", ")
}

// ShortRun is as much of a run's id as stands among other words; it finds the run
// again.
func ShortRun(id string) string { return id[:min(len(id), 8)] }

// Short is as much of a reason as stands in a line among others.
func Short(text string) string {
	const most = 200
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
