package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) entryPairs(r *reading, e *evidence.Entry, st *statement.Statement) []terminal.Pair {
	standing := r.Standing(e)
	pairs := []terminal.Pair{
		{Key: "entry", Value: fmt.Sprintf("%s, of a log of %s", entryText(e.Index), terminal.Plural(r.Size(), "entry", "entries"))},
		{Key: "kind", Value: kindOf(e, st)},
		{Key: "subject", Value: subject(st), Style: terminal.Accent},
		{Key: "time", Value: a.term.Time(e.Time) + ", as the ledger claims"},
		{Key: "signed by", Value: signedBy(r.Signer(e))},
		{Key: "standing", Value: standing.State + orNothing(": ", standing.Detail), Style: standingStyle(standing.State)},
	}
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	switch {
	case st.Stamp != nil:
		s := st.Stamp
		ref, _ := st.Ref() // parsed with the statement
		add("fingerprint", ref.Fingerprint.String())
		add("artifact", fmt.Sprintf("%s, %s in %s", s.Kind, terminal.Bytes(s.Bytes), terminal.Plural(s.Files, "file")))
		if len(s.Members) > 0 {
			add("collection", terminal.Plural(uint64(len(s.Members)), "member")+", each stamped before")
		}
		if b := basisText(s.Basis); b != "" {
			add("basis", b)
		}
		if s.Listed {
			add("files", "exactly those of a list")
		}
		add("ignore rules", strings.Join(s.Ignore, "  "))
		for _, f := range s.From {
			add("from", f.String())
		}
		if s.Since != nil {
			add("since", s.Since.String())
		}
		if c := s.Changes; c != nil {
			add("changes", countsText(jsonv1.Counts{Same: c.Same, Modified: c.Modified, Added: c.Added, Removed: c.Removed, Moved: c.Moved}))
		}
		for _, k := range sortedKeys(s.Annotations) {
			add("annotation", k+"="+s.Annotations[k])
		}
		pairs = append(pairs, r.withdrawnPairs(ref)...)
	case st.Run != nil:
		pairs = append(pairs, a.runPairs(r, st)...)
	case st.Evaluation != nil:
		pairs = append(pairs, evaluationPairs(st.Evaluation)...)
	case st.Approval != nil, st.Release != nil:
		pairs = append(pairs, releaseEntryPairs(st)...)
	case st.Import != nil:
		pairs = append(pairs, importEntryPairs(st.Import)...)
	case st.Withdrawal != nil:
		add("effect", st.Withdrawal.Effect)
		add("location", st.Withdrawal.Location)
		add("reason", st.Withdrawal.Reason)
	case st.Reinstatement != nil:
		add("reason", st.Reinstatement.Reason)
	case st.Identity != nil:
		add("names", strings.Join(st.Identity.Names, "  "))
		if st.Identity.Key != nil {
			add("key", st.Identity.Key.ID().String())
			add("algorithm", st.Identity.Key.Algorithm())
		}
		if st.Identity.Expires != 0 {
			add("expires", a.term.Time(st.Identity.Expires))
		}
		if st.Identity.Action == statement.ActionCompromised {
			add("since", fmt.Sprintf("entry %d", st.Identity.Since))
		}
	case st.Genesis != nil:
		g := st.Genesis
		add("ledger", r.ID().String())
		add("hash", g.Hash.String())
		add("rules", strconv.Itoa(g.Rules))
		add("log key", g.LogKey)
		for _, m := range g.Administrators {
			add("administrator", m.Handle+" ("+keyWords(m.Key)+")")
		}
		add("recovery key", keyWords(g.Recovery))
		if p := g.Predecessor; p != nil {
			add("succeeds", fmt.Sprintf("ledger %s (%s), which goes on no more", p.Ledger, p.Origin))
			add("as of its", fmt.Sprintf("checkpoint of %d entries, root %s", p.Size, base64.StdEncoding.EncodeToString(p.Root[:])))
		}
	case st.Audit != nil:
		pairs = append(pairs, r.auditEntryPairs(e, st.Audit)...)
	case st.Contract != nil:
		pairs = append(pairs, a.contractEntryPairs(r, e.Index, st.Contract)...)
	case st.LogKey != nil:
		add("next key", st.LogKey.Next)
	}
	add("statement", e.Envelope.ID().String())
	return pairs
}

// kindOf names the kind of an entry; of what a run stamps, that it does.
func kindOf(e *evidence.Entry, st *statement.Statement) string {
	if whole, err := e.Statement(); err == nil && whole.Kind != st.Kind {
		return string(whole.Kind) + ", which stamps it"
	}
	return string(st.Kind)
}

// withdrawnPairs are the withdrawals of an artifact, ended ones too.
func (r *reading) withdrawnPairs(ref statement.Ref) []terminal.Pair {
	var pairs []terminal.Pair
	for _, w := range r.Control.Withdrawals(ref) {
		text := fmt.Sprintf("entry %d by %s: %s (%s, %s)", w.Entry, w.Handle, w.Reason, w.Target, w.Effect)
		style := terminal.Bad
		switch {
		case w.Void != "":
			text, style = text+"; counts for nothing: "+w.Void, terminal.Dim
		case w.EndedBy != nil:
			text, style = text+fmt.Sprintf("; ended by entry %d", *w.EndedBy), terminal.Dim
		}
		pairs = append(pairs, terminal.Pair{Key: "withdrawn", Value: text, Style: style})
	}
	return pairs
}

// basisText says how the bytes of a stamp are known, where they were not all
// read for it.
func basisText(b statement.Basis) string {
	var parts []string
	add := func(n uint64, how string) {
		if n > 0 {
			parts = append(parts, terminal.Bytes(n)+" "+how)
		}
	}
	add(b.Read, "read")
	add(b.Version, "by the same object version")
	add(b.ETag, "by the same ETag")
	add(b.MTime, "by the same size and times")
	add(b.Claimed, "read elsewhere, as the signer claims")
	if b.Version+b.ETag+b.MTime+b.Claimed == 0 {
		return ""
	}
	if b.Entry != nil {
		parts = append(parts, fmt.Sprintf("last read for entry %d or later", *b.Entry))
	}
	return strings.Join(parts, ", ")
}

// detailsAt is the details document that a statement names, or nil.
func detailsAt(st *statement.Statement) *statement.Attachment {
	switch {
	case st.Stamp != nil:
		return st.Stamp.Details
	case st.Audit != nil:
		return st.Audit.Details
	case st.Run != nil:
		return st.Run.Details
	case st.Evaluation != nil:
		return st.Evaluation.Details
	}
	return nil
}

// detailsOf reads the details document of a statement: nil where it
// names none; solo.ErrWithheld where it is not here.
func (a *app) detailsOf(r *reading, st *statement.Statement) (d *statement.Details, raw []byte, err error) {
	if detailsAt(st) == nil {
		return nil, nil, nil
	}
	dir, err := a.findLedger()
	if err != nil {
		return nil, nil, err
	}
	if raw, err = a.documentOf(r.context(), dir, *detailsAt(st)); err != nil {
		return nil, nil, err
	}
	d, err = statement.ParseDetails(raw)
	return d, raw, err
}

// detailsPairs shows the details document, or why it is not shown.
func detailsPairs(d *statement.Details, err error) []terminal.Pair {
	switch {
	case errors.Is(err, solo.ErrWithheld):
		return []terminal.Pair{{Key: "details", Value: "not here: erased, or kept elsewhere"}}
	case err != nil:
		return []terminal.Pair{{Key: "details", Value: err.Error(), Style: terminal.Bad}}
	}
	var pairs []terminal.Pair
	for _, l := range d.Locations {
		pairs = append(pairs, terminal.Pair{Key: "location", Value: l})
	}
	for _, l := range d.ManifestLocations {
		pairs = append(pairs, terminal.Pair{Key: "manifest", Value: l})
	}
	if len(d.Command) > 0 {
		pairs = append(pairs, terminal.Pair{Key: "command", Value: shellText(d.Command)}, terminal.Pair{Key: "directory", Value: d.Directory})
	}
	for _, m := range []struct {
		key    string
		values map[string]string
	}{{"parameter", d.Parameters}, {"environment", d.Environment}} {
		for _, k := range sortedKeys(m.values) {
			pairs = append(pairs, terminal.Pair{Key: m.key, Value: k + "=" + m.values[k]})
		}
	}
	pairs = append(pairs, treePairs(d.Tree)...)
	for _, k := range sortedKeys(d.Inputs) {
		pairs = append(pairs, terminal.Pair{Key: "read", Value: k + " at " + d.Inputs[k]})
	}
	return append(pairs, terminal.Pair{Key: "host", Value: d.Host})
}

// treePairs say what the fingerprint of changed code is of.
func treePairs(t statement.TreeDetails) []terminal.Pair {
	if t == (statement.TreeDetails{}) {
		return nil
	}
	pairs := []terminal.Pair{{Key: "tree", Value: fmt.Sprintf("%s changed, %s untracked, %s deleted", terminal.Count(t.Changed), terminal.Count(t.Untracked), terminal.Count(t.Deleted))}}
	if t.LeftOut > 0 {
		pairs = append(pairs, terminal.Pair{Key: "not in it", Value: terminal.Plural(t.LeftOut, "untracked file") + " of " + terminal.Bytes(t.LeftOutBytes)})
	}
	return pairs
}

// keyWords names a key in a few words.
func keyWords(k *statement.PublicKey) string {
	return "key " + shortKey(k.ID().String()) + ", " + k.Algorithm()
}

func orNothing(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// shellText is a command as a person would type it.
func shellText(command []string) string {
	words := make([]string, len(command))
	for i, w := range command {
		if words[i] = w; w == "" || strings.ContainsAny(w, " \t\n'\"\\$`*?[]{}()<>|&;#~!") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
