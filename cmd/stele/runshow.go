package main

import (
	"fmt"
	"strings"

	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// runPairs show what a run says.
func (a *app) runPairs(r *reading, st *statement.Statement) []terminal.Pair {
	run := st.Run
	var pairs []terminal.Pair
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	add("run", st.Nonce.String())
	add("observed", map[string]string{
		statement.ObservationWrapped:  "wrapped: stele started the command and waited for it",
		statement.ObservationReported: "reported: as its signer was told",
	}[run.Observation])
	ended := terminal.Pair{Key: "ended", Value: exitText(run)}
	if run.Failed {
		ended.Value, ended.Style = ended.Value+"; a failed run stamps nothing", terminal.Bad
	}
	pairs = append(pairs, ended)
	began := "started"
	if took(run) == "" {
		began = "finished"
	}
	add(began, a.term.Time(run.Started)+", as the signer's machine says")
	add("took", took(run))
	if !run.AttemptOf.IsZero() {
		text := run.AttemptOf.String()
		if index, err := r.Run(run.AttemptOf); err == nil {
			text += fmt.Sprintf(", entry %d", index)
		} else {
			text += ", not on this ledger"
		}
		add("attempt of", text)
	}
	for _, ref := range run.Inputs {
		add("input", ref.String())
	}
	for _, o := range run.Outputs {
		if o.Stamp == nil {
			add("output", o.Ref.String()+", stamped before")
			continue
		}
		add("output", fmt.Sprintf("%s, %s, %s in %s", o.Ref, o.Stamp.Kind, terminal.Bytes(o.Stamp.Bytes), terminal.Plural(o.Stamp.Files, "file")))
	}
	if c := run.Code; c != nil {
		add("code", "commit "+c.Commit+orNothing(" of ", c.Remote))
		if c.Dirty {
			text := "there were changes that are in no commit"
			if c.Tree != nil {
				text += "; the files were " + c.Tree.String()
			}
			pairs = append(pairs, terminal.Pair{Key: "changes", Value: text, Style: terminal.Caution})
		}
	}
	if m := run.Image; m != nil {
		add("image", strings.TrimPrefix(m.Name+"@sha256:"+hexOf(m.SHA256), "@"))
	}
	for _, l := range run.Locks {
		add("lock file", l.Path+", sha256:"+hexOf(l.SHA256)[:12]+"…")
	}
	return pairs
}

// evaluationPairs, importEntryPairs: what those entries say beside their subject.
func evaluationPairs(m *statement.Evaluation) []terminal.Pair {
	var pairs []terminal.Pair
	for _, ref := range m.Datasets {
		pairs = append(pairs, terminal.Pair{Key: "measured on", Value: ref.String()})
	}
	for _, name := range sortedKeys(m.Metrics) {
		pairs = append(pairs, terminal.Pair{Key: name, Value: string(m.Metrics[name])})
	}
	return pairs
}

// importEntryPairs show what an import says, as its document says it.
func importEntryPairs(m *statement.Import) []terminal.Pair {
	var pairs []terminal.Pair
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	add("format", m.Format+", "+m.PredicateType)
	add("document", fmt.Sprintf("%s, sha256:%s", terminal.Bytes(m.Document.Size), hexOf(m.Document.SHA256)))
	add("its signer", "by "+m.Key.Method+", the key sha256:"+hexOf(m.Key.SHA256)+orNothing(", ", m.Key.Subject))
	if m.Resources > 0 {
		add("lists", fmt.Sprintf("%s, by %s", terminal.Plural(m.Resources, "resource"), m.Hash))
	}
	for _, path := range m.Ignored {
		pairs = append(pairs, terminal.Pair{Key: "leaves out", Value: path, Style: terminal.Caution})
	}
	add("builder", m.Builder)
	for _, ref := range m.Inputs {
		add("claims", "made of "+ref.String())
	}
	return pairs
}

// releaseEntryPairs show what an approval or a release says.
func releaseEntryPairs(st *statement.Statement) []terminal.Pair {
	var pairs []terminal.Pair
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	var reason string
	var after uint64
	if p := st.Approval; p != nil {
		add("stage", p.Stage)
		add("decision", decisionWord(p.Decision))
		reason, after = p.Reason, p.After
	} else if p := st.Release; p != nil {
		add("stage", p.Stage)
		add("action", p.Action)
		for _, ref := range p.Replaces {
			add("replaces", ref.String())
		}
		reason, after = p.Reason, p.After
	}
	add("reason", reason)
	add("after", fmt.Sprintf("entry %d, the last that its author saw", after))
	return pairs
}
