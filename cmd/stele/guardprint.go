package main

import (
	"fmt"
	"path/filepath"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
)

// tell says, on standard error, what is about to be served and what that rests
// on. What follows is the server's.
func (g *guarding) tell(variables map[string]string, replaces bool) {
	a := g.app
	if a.json {
		a.printJSON(g.json(variables, replaces))
		return
	}
	for _, text := range g.notes {
		a.term.Notef("%s", text)
	}
	for _, text := range g.warnings {
		a.term.Warnf("%s", text)
	}
	if a.quiet {
		return
	}
	for _, m := range g.order.models {
		rest := ""
		if v := m.verdict.Verdict; v == evidence.Withdrawn || v == evidence.Tainted {
			rest = ", and served all the same: the withdrawal does not forbid that"
		}
		a.term.Printf("%s is %s%s\n", m.what(), a.term.Style(verdictStyle(m.verdict.Verdict), account.OutcomeText(m.verdict.Verdict)), rest)
		stamp := m.subject.stamp
		pairs := []terminal.Pair{{Key: "files", Value: fmt.Sprintf("%s in %s", terminal.Bytes(stamp.Bytes), terminal.Plural(stamp.Files, "file"))}}
		switch {
		case m.verdict.How == "":
			pairs[0].Value += ", every byte was read"
		case g.order.check == checkAudit:
			pairs = append(pairs, terminal.Pair{Key: "read", Value: m.verdict.How, Style: terminal.Caution})
			for _, text := range m.odds {
				pairs = append(pairs, terminal.Pair{Key: "odds", Value: text})
			}
		default:
			pairs = append(pairs, terminal.Pair{Key: "not read", Value: m.verdict.How, Style: terminal.Caution})
		}
		release := m.release()
		pairs = append(pairs,
			terminal.Pair{Key: "released", Value: fmt.Sprintf("to %s in entry %d, by %s", g.order.stage, release.Entry, signedBy(release.Signer))},
			m.pinPair(), terminal.Pair{Key: "served from", Value: m.path})
		a.term.KeyValues(pairs)
	}
	at := g.asOf()
	a.term.Printf("as of %s of %s\n", terminal.Plural(at.Size, "entry", "entries"), at.Origin)
	a.term.Notef("%s begins", filepath.Base(g.order.command[0]))
}

// release is the one that put a model into the stage.
func (m *guardModel) release() jsonv1.GuardRelease {
	r := m.standing.Release
	return jsonv1.GuardRelease{Entry: r.Entry, Time: jsonv1.At(r.Time), Signer: jsonv1.Signer{Handle: r.Handle, Key: r.Signer.String()}}
}

// pinPair says what keeps a model's files as they were verified.
func (m *guardModel) pinPair() terminal.Pair {
	switch m.pin.Kind {
	case onlyChecked:
		return terminal.Pair{Key: "pinned", Value: "no, " + m.pin.Detail, Style: terminal.Caution}
	default:
		return terminal.Pair{Key: "pinned", Value: m.pin.Detail, Style: terminal.Good}
	}
}

func (g *guarding) json(variables map[string]string, replaces bool) *jsonv1.Guard {
	o := g.order
	out := &jsonv1.Guard{
		Stage: o.stage, Check: o.check, Warnings: g.warnings, Notes: g.notes, AsOf: asOfJSON(g.asOf()), Offline: len(o.evidence) > 0,
		Replaces: replaces, Variables: variables,
	}
	if o.maxAge > 0 {
		out.MaxAge = o.maxAge.String()
	}
	for _, m := range o.models {
		ref, stamp := m.standing.Judged.Artifact.Ref, m.subject.stamp
		out.Models = append(out.Models, jsonv1.GuardModel{
			Name: m.name, Version: m.version, Fingerprint: ref.Fingerprint.String(), Files: stamp.Files, Bytes: stamp.Bytes,
			Place: m.place, Path: m.path, Verdict: string(m.verdict.Verdict), Unread: m.verdict.Unread, How: m.verdict.How,
			Odds: m.odds, Release: m.release(), Pin: m.pin,
		})
	}
	return out
}
