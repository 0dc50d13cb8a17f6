package main

import (
	"fmt"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// storyShown is how many artifacts of a story are told; of the others those that
// are withdrawn, and how many there are.
const storyShown = 20

// toldJSON turns a line of a story into what --json prints.
func toldJSON(t evidence.Told) jsonv1.Told {
	return jsonv1.Told{
		Entry: t.Entry, Time: jsonv1.At(t.Time), Kind: string(t.Kind), Name: t.Name, Version: t.Version, Fingerprint: t.Fingerprint,
		Depth: t.Depth, Bound: t.Bound, Signer: toldBy(t), Standing: t.Standing,
		Says: t.Says, Command: t.Command, Parameters: t.Parameters, Of: t.Of, Inputs: t.Inputs, Discounted: t.Discounted, Unknown: t.Unknown,
		Withdrawn: t.Withdrawn, Taint: t.Taint, Untrusted: t.Untrusted,
	}
}

func toldBy(t evidence.Told) jsonv1.Signer {
	s := jsonv1.Signer{Handle: t.Handle, Key: t.Signer.String()}
	if t.Delegate != "" {
		s.Delegation = &jsonv1.SignerDelegation{Subject: t.Delegate}
	}
	return s
}

// printStory tells what an artifact was made of: each artifact with the entries
// about it, the one that was asked about first. What was tampered with tells no
// story.
func (a *app) printStory(v *evidence.Verdict, all bool) {
	story := v.Story
	switch {
	case len(story) == 0 || v.Verdict == evidence.Tampered:
		return
	case v.Verdict == evidence.Untrusted:
		a.term.Printf("\nwhat it says, as far as it is to be believed:\n")
	default:
		a.term.Printf("\n")
	}
	var artifacts, hidden uint64
	for i := 0; i < len(story); {
		n := i + 1
		for n < len(story) && !story[n].Bound {
			n++
		}
		artifacts++
		if all || artifacts <= storyShown || story[i].Withdrawn != "" {
			a.printTold(story[i:n])
		} else {
			hidden++
		}
		i = n
	}
	if hidden > 0 {
		a.term.Notef("… and %s that it was made of; --all and --json tell of them", terminal.Plural(hidden, "more artifact"))
	}
	a.term.Printf("\n")
}

// printTold tells of one artifact: what bound it, then what else is about it.
func (a *app) printTold(lines []evidence.Told) {
	bound := lines[0]
	name := bound.Name + "@" + bound.Version
	switch {
	case bound.Untrusted:
		a.term.Printf("%s  %s\n", name, a.term.Style(terminal.Bad, account.OutcomeText(evidence.Untrusted)))
	case bound.Withdrawn != "":
		a.term.Printf("%s  %s (%s)\n", name, a.term.Style(terminal.Bad, "WITHDRAWN"), bound.Withdrawn)
	case bound.Taint != "":
		a.term.Printf("%s  %s (%s)\n", name, a.term.Style(terminal.Bad, "TAINTED"), bound.Taint)
	default:
		a.term.Printf("%s\n", name)
	}
	var pairs []terminal.Pair
	for _, t := range lines {
		pairs = append(pairs, terminal.Pair{Key: fmt.Sprintf("%-10s", t.Kind), Value: toldText(t)}) // in line with the artifacts above and below
		if len(t.Command) > 0 {
			command := "command: " + shellText(t.Command)
			for i, name := range sortedKeys(t.Parameters) {
				command += map[bool]string{true: "; with ", false: ", "}[i == 0] + name + "=" + t.Parameters[name]
			}
			pairs = append(pairs, terminal.Pair{Value: account.Short(command)})
		}
		if t.Discounted != "" {
			pairs = append(pairs, terminal.Pair{Value: "does not count: " + t.Discounted, Style: terminal.Caution})
		}
		by, style := account.SignerText(toldBy(t)), terminal.Dim
		if t.Standing != statement.StateGood {
			by, style = fmt.Sprintf("%s (whose key is %s)", by, t.Standing), terminal.Bad
		}
		pairs = append(pairs, terminal.Pair{Value: fmt.Sprintf("entry %d, by %s, %s", t.Entry, by, a.term.Time(t.Time)), Style: style})
	}
	a.term.KeyValues(pairs)
}

// toldText is what an entry says, with what it says the artifact was made of.
func toldText(t evidence.Told) string {
	text := t.Says
	if t.Of != "" {
		text = "the same bytes as " + t.Of + ": " + text
	}
	inputs := strings.Join(first(t.Inputs, 5), ", ")
	switch {
	case inputs != "" && t.Unknown: // whoever says so has lost standing
		text += "; said to be of " + inputs + ", which makes no origin known"
	case inputs != "":
		text += "; of " + inputs
	case t.Unknown:
		text += "; of unknown origin"
	}
	return text
}
