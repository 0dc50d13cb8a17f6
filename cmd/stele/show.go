package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) showCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "show NAME@VERSION|ENTRY|FINGERPRINT",
		Short: "Show one entry: what it says, who signed it, its standing",
		Long: `--as prints the raw bytes instead:
  payload    the in-toto statement, as signed
  envelope   the DSSE envelope, as JSON
  message    what the signature is over (the DSSE pre-authentication encoding)
  signature  the signature: armored for an SSH key, as ssh-keygen -Y verify
             reads it; DER for P-256, as openssl dgst -verify reads it
  leaf       the leaf of the log`,
		Example: "  stele show clinic/wdbc@2026-11-01\n  stele show 12 --as payload | jq .",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkWhat(args[0]); err != nil {
				return err
			}
			return a.read(c.Context(), func(r *reading) error {
				at, err := r.find(args[0])
				if err != nil {
					return err
				}
				if as != "" {
					return a.showRaw(r, at.entry, as)
				}
				return a.show(c.Context(), r, at)
			})
		},
	}
	c.Flags().StringVar(&as, "as", "", "payload, envelope, message, signature or leaf: raw bytes on standard output")
	return c
}

// checkWhat checks the form of what find finds, before any ledger is opened.
func checkWhat(what string) error {
	if _, err := strconv.ParseUint(what, 10, 64); err == nil {
		return nil
	}
	if strings.HasPrefix(what, "stele-") && !strings.Contains(what, "@") {
		if _, err := fingerprint.Parse(what); err != nil {
			return usagef("%v", err)
		}
		return nil
	}
	if _, _, err := statement.ParseNameVersion(what); err != nil {
		return usagef("%q is neither NAME@VERSION, nor an entry, nor a fingerprint", what)
	}
	return nil
}

// found is what a person named: an entry, or the artifact that it binds.
type found struct {
	entry uint64
	of    *ledger.Binding // nil: the entry itself was named
}

// find finds what a person names.
func (r *reading) find(what string) (found, error) {
	if index, err := strconv.ParseUint(what, 10, 64); err == nil {
		if index >= r.Size() {
			return found{}, failf(exitNotFound, "there is no entry %d; the log has %d", index, r.Size()).withEntry(index)
		}
		return found{entry: index}, nil
	}
	if strings.HasPrefix(what, "stele-") && !strings.Contains(what, "@") {
		fp, err := fingerprint.Parse(what)
		if err != nil {
			return found{}, usagef("%v", err)
		}
		return r.firstOf(fp)
	}
	name, version, err := statement.ParseNameVersion(what)
	if err != nil {
		return found{}, usagef("%q is neither NAME@VERSION, nor an entry, nor a fingerprint", what)
	}
	b, err := r.binding(name, version)
	return found{b.Entry, &b}, err
}

// firstOf finds the artifact that was first bound with a fingerprint.
func (r *reading) firstOf(fp fingerprint.Fingerprint) (found, error) {
	index, ok, err := r.FirstOn(fp)
	if err != nil {
		return found{}, err
	}
	if !ok {
		return found{}, failf(exitNotFound, "%s is not on this ledger", fp)
	}
	_, st, err := r.statement(index)
	if err != nil {
		return found{}, err
	}
	for _, s := range st.Stamps() {
		if s.Ref.Fingerprint == fp {
			b, err := r.binding(s.Ref.Name, s.Ref.Version)
			return found{index, &b}, err
		}
	}
	return found{}, fmt.Errorf("%w: entry %d is the first about %s, and binds it to no name", ledger.ErrDamaged, index, fp)
}

// artifactAt is the artifact that was named: by its name, or by the entry that
// stamps it and no other; nil where an entry was named that binds none, or
// several.
func (r *reading) artifactAt(at found) (*ledger.Binding, error) {
	if at.of != nil {
		return at.of, nil
	}
	_, st, err := r.statement(at.entry)
	if err != nil {
		return nil, err
	}
	stamps := st.Stamps()
	if len(stamps) != 1 {
		return nil, nil
	}
	b, err := r.binding(stamps[0].Ref.Name, stamps[0].Ref.Version)
	return &b, err
}

// statement reads an entry and what it says.
func (r *reading) statement(index uint64) (*evidence.Entry, *statement.Statement, error) {
	e, err := r.Entry(index)
	if err != nil {
		return nil, nil, err
	}
	st, err := e.Statement()
	return e, st, err
}

// proveIncluded checks that an entry is the one under the trusted checkpoint:
// opening a ledger does not read every leaf again.
func (r *reading) proveIncluded(e *evidence.Entry) error {
	signed, err := r.LatestCheckpoint()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	proof, err := r.Inclusion(e.Index)
	if err != nil {
		return err
	}
	if err := evidence.CheckInclusion(cp, e.Index, e.LeafHash(), proof); err != nil {
		return fmt.Errorf("entry %d is not what the log's checkpoint covers: %w", e.Index, err)
	}
	return nil
}

func (a *app) showRaw(r *reading, index uint64, as string) error {
	e, err := r.Entry(index)
	if err != nil {
		return err
	}
	if err := r.proveIncluded(e); err != nil {
		return err
	}
	var out []byte
	switch as {
	case "payload":
		out = append(e.Envelope.Payload, '\n')
	case "envelope":
		if out, err = e.Envelope.MarshalJSON(); err == nil {
			out = append(out, '\n')
		}
	case "message":
		out = statement.PAE(e.Envelope.PayloadType, e.Envelope.Payload)
	case "leaf":
		out = e.Leaf()
	case "signature":
		out = e.Envelope.Signature
		if key, _, ok := r.control.Roster().Key(e.Envelope.KeyID); ok && key.Algorithm() == statement.AlgorithmSSH {
			out = statement.ArmorSSHSIG(out)
		}
	default:
		return usagef("--as %q: use payload, envelope, message, signature or leaf", as)
	}
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(out)
	return err
}

func (a *app) show(ctx context.Context, r *reading, at found) error {
	e, st, err := r.statement(at.entry)
	if at.of != nil {
		e, st, err = r.stampAt(*at.of)
	}
	if err != nil {
		return err
	}
	if err := r.proveIncluded(e); err != nil {
		return err
	}
	details, raw, detailsErr := a.detailsOf(r, st)
	if a.json {
		item := r.entryJSON(e, st)
		item.Payload = json.RawMessage(e.Envelope.Payload)
		if st.Stamp != nil {
			ref, err := st.Ref()
			if err != nil {
				return err
			}
			item.Withdrawn = r.withdrawalsJSON(ref)
			item.Members = membersJSON(st.Stamp.Members)
			if item.Audits, err = r.auditsOf(ref); err != nil {
				return err
			}
		}
		if details != nil {
			item.Details = json.RawMessage(raw)
		}
		a.printJSON(item)
		return nil
	}
	pairs := a.entryPairs(r, e, st)
	if st.Stamp != nil {
		ref, err := st.Ref()
		if err != nil {
			return err
		}
		audits, err := r.auditsOf(ref)
		if err != nil {
			return err
		}
		pairs = append(pairs, auditPairs(audits)...)
	}
	if detailsAt(st) != nil {
		pairs = append(pairs, detailsPairs(details, detailsErr)...)
	}
	a.term.KeyValues(pairs)
	if st.Stamp != nil && len(st.Stamp.Members) > 0 {
		a.printMembers(st.Stamp.Members, nil)
	}
	return nil
}

func (a *app) entryPairs(r *reading, e *evidence.Entry, st *statement.Statement) []terminal.Pair {
	standing := r.standingOf(e)
	pairs := []terminal.Pair{
		{Key: "entry", Value: fmt.Sprintf("%s, of a log of %s", terminal.Count(e.Index), terminal.Plural(r.Size(), "entry", "entries"))},
		{Key: "kind", Value: string(st.Kind)},
		{Key: "subject", Value: subject(st), Style: terminal.Accent},
		{Key: "time", Value: a.term.Time(e.Time) + ", as the ledger claims"},
		{Key: "signed by", Value: signedBy(r.signerOf(e))},
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
		for _, w := range r.control.Withdrawals(ref) {
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
	case st.Audit != nil:
		pairs = append(pairs, r.auditEntryPairs(e, st.Audit)...)
	case st.LogKey != nil:
		add("next key", st.LogKey.Next)
	}
	add("statement", e.Envelope.ID().String())
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
	}
	return nil
}

// detailsOf reads the details document of a stamp or an audit: nil where it
// names none; solo.ErrWithheld where it is not here.
func (a *app) detailsOf(r *reading, st *statement.Statement) (d *statement.Details, raw []byte, err error) {
	if detailsAt(st) == nil {
		return nil, nil, nil
	}
	dir, err := a.findLedger()
	if err != nil {
		return nil, nil, err
	}
	if raw, err = solo.OpenShelf(dir).Get(*detailsAt(st)); err != nil {
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
	return append(pairs, terminal.Pair{Key: "host", Value: d.Host})
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
