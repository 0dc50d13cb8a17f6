package main

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// auditOpen is what became of an audit that was announced and has no result.
const auditOpen = "open"

// listAudits lists announced audits, of one artifact or of all.
func (a *app) listAudits(ctx context.Context, o *auditOrder) error {
	return a.read(ctx, func(r *reading) error {
		var list []jsonv1.AnnouncedAudit
		if o.name != "" {
			b, err := r.binding(o.name, o.version)
			if err != nil {
				return err
			}
			if list, err = r.auditsOf(b.Ref()); err != nil {
				return err
			}
		} else if err := r.allAudits(func(item jsonv1.AnnouncedAudit) { list = append(list, item) }); err != nil {
			return err
		}
		if a.json {
			for _, item := range list {
				a.printJSON(item)
			}
			return nil
		}
		if len(list) == 0 {
			a.term.Notef("no audit is announced")
			return nil
		}
		var rows [][]terminal.Cell
		for _, item := range list {
			result := ""
			if item.Result != nil {
				result = terminal.Count(*item.Result)
			}
			rows = append(rows, []terminal.Cell{
				{Text: entryText(item.Entry)}, {Text: item.Name + "@" + item.Version}, {Text: percentOf(item.Altered) + " at " + percentOf(item.Confidence)},
				{Text: item.Signer.Handle}, {Text: outcomeText(item), Style: outcomeStyle(item)}, {Text: result},
			})
		}
		a.term.Table([]terminal.Column{
			{Title: "ENTRY", Right: true}, {Title: "NAME@VERSION", Trim: terminal.TrimMiddle}, {Title: "LOOKED FOR"}, {Title: "AUDITOR"},
			{Title: "OUTCOME"}, {Title: "RESULT", Right: true},
		}, rows)
		return nil
	})
}

// outcomeText is what became of an announced audit, in a word or two.
func outcomeText(item jsonv1.AnnouncedAudit) string {
	switch {
	case item.Standing != "good":
		return item.Outcome + " (" + item.Standing + ")"
	case item.Outcome == auditOpen:
		return "never ended"
	case item.Chunks < item.ChunksDue:
		return item.Outcome + " (too few draws)"
	}
	return item.Outcome
}

// drawsDue is how many draws the odds of an announcement take. Whoever announces
// fewer promises what he does not keep; the ledger takes the number as it is.
func drawsDue(n *statement.AuditAnnouncement) (uint64, error) {
	return audit.DrawsFor(audit.Share(n.Altered), audit.Share(n.Confidence))
}

// percentOf writes a share for people: "0.005" is "0.5%".
func percentOf(share string) string {
	s, err := audit.ParseShare(share)
	if err != nil {
		return share
	}
	return s.Percent()
}

func outcomeStyle(item jsonv1.AnnouncedAudit) terminal.Style {
	switch {
	case item.Standing != "good" || item.Outcome == statement.OutcomeAltered || item.Chunks < item.ChunksDue:
		return terminal.Bad
	case item.Outcome == statement.OutcomeHeld:
		return terminal.Good
	}
	return terminal.Caution
}

// allAudits visits every announced audit, in order.
func (r *reading) allAudits(visit func(jsonv1.AnnouncedAudit)) error {
	for index, err := range r.ByKind(statement.KindAudit) {
		if err != nil {
			return err
		}
		_, st, err := r.Statement(index)
		if err != nil {
			return err
		}
		if st.Audit == nil || st.Audit.Announcement == nil {
			continue
		}
		announced, err := r.Audit(index)
		if err != nil {
			return err
		}
		item, err := r.auditJSON(&announced)
		if err != nil {
			return err
		}
		visit(item)
	}
	return nil
}

// auditsOf lists the announced audits of an artifact's contents.
func (r *reading) auditsOf(ref statement.Ref) ([]jsonv1.AnnouncedAudit, error) {
	var list []jsonv1.AnnouncedAudit
	for announced, err := range r.Audits(ref) {
		if err != nil {
			return nil, err
		}
		item, err := r.auditJSON(&announced)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

func (r *reading) auditJSON(announced *ledger.Audit) (item jsonv1.AnnouncedAudit, err error) {
	e, st := announced.Announced.Entry, announced.Announced.Statement
	ref, err := st.Ref()
	if err != nil {
		return item, err
	}
	n := st.Audit.Announcement
	item = jsonv1.AnnouncedAudit{
		Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(), Entry: e.Index, Time: jsonv1.At(e.Time),
		Signer: r.Signer(e), Standing: r.Standing(e).State, Altered: n.Altered.String(), Confidence: n.Confidence.String(),
		Chunks: n.Chunks, Outcome: auditOpen,
	}
	if item.ChunksDue, err = drawsDue(n); err != nil {
		return item, err
	}
	if end := announced.Result; end != nil {
		result := end.Statement.Audit.Result
		item.Outcome, item.Result, item.Ended = result.Outcome, &end.Index, jsonv1.At(end.Time)
		item.ChunksRead, item.BytesRead, item.Seed = result.ChunksRead, result.BytesRead, fmt.Sprintf("%x", result.Seed)
		if s := r.Standing(end.Entry); !s.OK { // the result counts for as little as its signer
			item.Standing = s.State
		}
	}
	return item, nil
}

// auditPairs shows the announced audits of an artifact.
func auditPairs(list []jsonv1.AnnouncedAudit) []terminal.Pair {
	var pairs []terminal.Pair
	for _, item := range list {
		text := fmt.Sprintf("announced in entry %d by %s, to find %s of the bytes altered with a probability of %s: ",
			item.Entry, item.Signer.Handle, percentOf(item.Altered), percentOf(item.Confidence))
		switch {
		case item.Result == nil:
			text += outcomeText(item)
		default:
			text += fmt.Sprintf("%s, entry %d, %s and %s read", outcomeText(item), *item.Result, terminal.Plural(item.ChunksRead, "chunk"), terminal.Bytes(item.BytesRead))
		}
		pairs = append(pairs, terminal.Pair{Key: "audit", Value: text, Style: outcomeStyle(item)})
	}
	return pairs
}

// auditEntryPairs shows what an entry of an audit says.
func (r *reading) auditEntryPairs(e *evidence.Entry, au *statement.Audit) []terminal.Pair {
	var pairs []terminal.Pair
	add := func(key, format string, args ...any) {
		pairs = append(pairs, terminal.Pair{Key: key, Value: fmt.Sprintf(format, args...)})
	}
	if n := au.Announcement; n != nil {
		add("looks for", "%s of the bytes in altered chunks, with a probability of %s", percentOf(n.Altered.String()), percentOf(n.Confidence.String()))
		draws := terminal.Plural(n.Chunks, "chunk")
		if due, err := drawsDue(n); err == nil && n.Chunks < due {
			draws += fmt.Sprintf(", and that takes %s", terminal.Count(due))
		}
		add("draws", "%s", draws)
		add("nonce", "of SHA-256 %x", n.NonceSHA256)
		if announced, err := r.Audit(e.Index); err == nil && announced.Result != nil {
			add("ended by", "entry %d: %s", announced.Result.Index, announced.Result.Statement.Audit.Result.Outcome)
		} else if err == nil {
			pairs = append(pairs, terminal.Pair{Key: "ended by", Value: "nothing: this audit was announced and never ended", Style: terminal.Caution})
		}
		return pairs
	}
	n := au.Result
	add("announced", "entry %d", n.Announcement)
	pairs = append(pairs, terminal.Pair{Key: "outcome", Value: n.Outcome, Style: outcomeStyle(jsonv1.AnnouncedAudit{Outcome: n.Outcome, Standing: "good"})})
	add("compared", "%s, %s differ by name or size", terminal.Plural(n.FilesCompared, "file"), terminal.Count(n.NamesDiffering))
	add("read", "%s of %s, %s; %s differ", terminal.Count(n.ChunksRead), terminal.Plural(n.ChunksAsked, "chunk"), terminal.Bytes(n.BytesRead), terminal.Count(n.ChunksDiffering))
	add("checkpoint", "%s, the first over the announcement", terminal.Plural(n.Checkpoint.Size, "entry", "entries"))
	add("seed", "%x", n.Seed)
	return pairs
}

// checkAudit checks an audit that somebody announced and ended: that its seed
// and its chunks are those that the ledger leaves no choice about, and, with the
// data, that the same chunks read again say the same.
func (a *app) checkAudit(ctx context.Context, o *auditOrder) (err error) {
	var announced ledger.Audit
	var item jsonv1.AnnouncedAudit
	var seed audit.Seed
	err = a.read(ctx, func(r *reading) error {
		if announced, err = r.announcedAudit(*o.check); err != nil {
			return err
		}
		if announced.Result == nil {
			return failf(exitError, "the audit that entry %d announced has not ended: there is nothing to check", announced.Announced.Index).
				withEntry(announced.Announced.Index).withHint("who announced it can go on with it: `stele audit --resume`")
		}
		if item, err = r.auditJSON(&announced); err != nil {
			return err
		}
		seed, err = r.checkSeed(&announced)
		return err
	})
	if err != nil {
		return err
	}
	if err := o.of(&announced); err != nil {
		return err
	}
	w, err := a.beginAudit(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = w.end(err) }()
	plan, err := w.draw(seed, o.draws)
	if err != nil {
		return err
	}
	result := announced.Result.Statement.Audit.Result
	if result.ChunksAsked != plan.ToRead {
		return failf(exitTampered, "entry %d says that %d chunks were drawn; its seed draws %d", announced.Result.Index, result.ChunksAsked, plan.ToRead).
			withEntry(announced.Result.Index)
	}
	if due := item.ChunksDue; o.draws < due && !plan.All {
		return failf(exitTampered, "entry %d announces %s to be drawn; the odds that it states take %s", item.Entry,
			terminal.Plural(o.draws, "chunk"), terminal.Count(due)).withEntry(item.Entry)
	}
	item.Checked = true
	if w.data == nil {
		return a.printChecked(&item, plan)
	}
	out := newAudit(o, w, plan)
	out.Announced, out.Ended, out.Repeated = &announced.Announced.Index, &announced.Result.Index, true
	found, err := a.runAudit(ctx, o, w, plan, out)
	if err != nil {
		return err
	}
	a.term.Notef("the audit of entry %d, which ended as %s, drew these chunks", announced.Announced.Index, outcomeText(item))
	if err := a.judgeAudit(o, w, plan, found, out); err != nil || item.Standing == "good" {
		return err
	}
	a.term.Warnf("what %s said of it counts for nothing: the key is %s", item.Signer.Handle, item.Standing)
	return verdictError{exitUntrusted}
}

// checkSeed recomputes the seed from the ledger. Admission did the same; this is
// for whoever does not take the operator's word for it.
func (r *reading) checkSeed(announced *ledger.Audit) (seed audit.Seed, err error) {
	for _, e := range []*evidence.Entry{announced.Announced.Entry, announced.Result.Entry} {
		if err := r.proveIncluded(e); err != nil {
			return seed, err
		}
	}
	cp, err := r.CheckpointOver(announced.Announced.Index)
	if err != nil {
		return seed, err
	}
	n, result := announced.Announced.Statement.Audit.Announcement, announced.Result.Statement.Audit.Result
	seed = statement.AuditSeed(announced.Announced.LeafHash(), result.Nonce, cp.Size, cp.Root)
	end := announced.Result.Index
	switch {
	case sha256.Sum256(result.Nonce[:]) != n.NonceSHA256:
		return seed, failf(exitTampered, "the nonce of entry %d is not the one that entry %d announced", end, announced.Announced.Index).withEntry(end)
	case result.Checkpoint != statement.AuditCheckpoint{Size: cp.Size, Root: cp.Root}:
		return seed, failf(exitTampered, "entry %d does not take its seed from the first checkpoint over entry %d", end, announced.Announced.Index).withEntry(end)
	case audit.Seed(result.Seed) != seed:
		return seed, failf(exitTampered, "entry %d has the seed %x; the ledger leaves no choice but %x", end, result.Seed, seed).withEntry(end)
	}
	return seed, nil
}

// printChecked tells what was found without reading data.
func (a *app) printChecked(item *jsonv1.AnnouncedAudit, plan *audit.Plan) error {
	if a.json {
		a.printJSON(item)
	} else if !a.quiet {
		a.term.Printf("the audit of %s@%s that entry %d announced\n", item.Name, item.Version, item.Entry)
		a.term.KeyValues([]terminal.Pair{
			{Key: "outcome", Value: outcomeText(*item), Style: outcomeStyle(*item)},
			{Key: "seed", Value: item.Seed},
			{Key: "follows from", Value: "the announcement, its nonce and the first checkpoint over it"},
			{Key: "draws", Value: plan.WillRead()},
			{Key: "was read", Value: fmt.Sprintf("%s, %s, as %s says", terminal.Plural(item.ChunksRead, "chunk"), terminal.Bytes(item.BytesRead), item.Signer.Handle)},
		})
		a.term.Hintf("with PLACE the same chunks are read again")
	}
	if item.Standing != "good" {
		return verdictError{exitUntrusted}
	}
	return nil
}
