package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) showCommand() *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "show NAME@VERSION|ENTRY|FINGERPRINT|RUN",
		Short: "Show an artifact, a run or an entry: all there is about it",
		Long: `Of an artifact: its stamp, what it was made of, what was measured, who approved
it, where it was released, what was made of it, whether it is tainted. Of an
entry or a run: what it says, who signed it, its standing. Of a run's id the
first 8 digits will do, or more, as long as no other begins so.

--as prints the raw bytes instead:
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
					return a.orPending(args[0], err)
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
	if _, err := strconv.ParseUint(what, 10, 64); err == nil || runID.MatchString(what) || runBegins.MatchString(what) {
		return nil
	}
	if strings.HasPrefix(what, "stele-") && !strings.Contains(what, "@") {
		if _, err := fingerprint.Parse(what); err != nil {
			return usagef("%v", err)
		}
		return nil
	}
	if _, _, err := statement.ParseNameVersion(what); err != nil {
		return notNamed(what)
	}
	return nil
}

func notNamed(what string) error {
	return usagef("%q is neither NAME@VERSION, nor an entry, a fingerprint or a run", what)
}

// found is what a person named: an entry, or the artifact that it binds.
type found struct {
	entry uint64
	of    *ledger.Binding // nil: the entry itself was named
}

// find finds what a person names.
func (r *reading) find(what string) (found, error) {
	if index, err := strconv.ParseUint(what, 10, 64); err == nil && (index < r.Size() || !runBegins.MatchString(what)) {
		if index >= r.Size() {
			return found{}, failf(exitNotFound, "there is no entry %d; the log has %d", index, r.Size()).withEntry(index)
		}
		return found{entry: index}, nil
	}
	if runID.MatchString(what) {
		id, err := statement.ParseNonce(what)
		if err != nil {
			return found{}, usagef("%v", err)
		}
		index, err := r.Run(id)
		if errors.Is(err, ledger.ErrNotFound) {
			return found{}, failf(exitNotFound, "there is no run %s on this ledger", id).withHint("`stele log --kind run` lists them")
		}
		return found{entry: index}, err
	}
	if runBegins.MatchString(what) {
		e, err := r.runThatBegins(what)
		return found{entry: e.Entry}, err
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
		return found{}, notNamed(what)
	}
	b, err := r.binding(name, version)
	return found{b.Entry, &b}, err
}

// orPending says of a run that is not on the ledger what this machine knows of
// it; of anything else, what was wrong.
func (a *app) orPending(what string, err error) error {
	if statusOf(err) != exitNotFound {
		return err
	}
	id, perr := statement.ParseNonce(what)
	if runBegins.MatchString(what) {
		var ok bool
		if id, ok = a.pending().ThatBegins(what); !ok {
			return err
		}
	} else if perr != nil {
		return err
	}
	switch p, perr := a.pending().Find(id); {
	case perr != nil:
		return perr
	case p != nil:
		return a.notRecorded(p)
	}
	return err
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
	_, st, err := r.Statement(index)
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
	_, st, err := r.Statement(at.entry)
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
		if key, _, ok := r.Control.Roster().Key(e.Envelope.KeyID); ok && key.Algorithm() == statement.AlgorithmSSH {
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
	e, st, err := r.Statement(at.entry)
	if at.of != nil {
		e, st, err = r.StampAt(*at.of)
	}
	if err != nil {
		return err
	}
	if err := r.proveIncluded(e); err != nil {
		return err
	}
	if st.Stamp != nil {
		return a.showArtifact(r, e, st)
	}
	details, raw, detailsErr := a.detailsOf(r, st)
	if a.json {
		item := r.entryJSON(e, st)
		item.Payload = json.RawMessage(e.Envelope.Payload)
		if details != nil {
			item.Details = json.RawMessage(raw)
		}
		a.printJSON(item)
		return nil
	}
	pairs := a.entryPairs(r, e, st)
	if detailsAt(st) != nil {
		pairs = append(pairs, detailsPairs(details, detailsErr)...)
	}
	a.term.KeyValues(pairs)
	return nil
}

// showArtifact shows a stamp, or what a run stamps, with everything that the
// ledger has about the artifact.
func (a *app) showArtifact(r *reading, e *evidence.Entry, st *statement.Statement) error {
	ref, err := st.Ref()
	if err != nil {
		return err
	}
	c, err := r.Of(ledger.Binding{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint, Entry: e.Index})
	if err != nil {
		return err
	}
	if err := c.Fill(r.Book); err != nil {
		return err
	}
	uses, err := c.Uses(r.Book)
	if err != nil {
		return err
	}
	audits, err := r.auditsOf(ref)
	if err != nil {
		return err
	}
	details, raw, detailsErr := a.detailsOf(r, st)
	if a.json {
		item := r.entryJSON(e, st)
		if whole, err := e.Statement(); err == nil {
			item.Kind = string(whole.Kind)
			if whole.Run != nil {
				item.Run = whole.Nonce.String()
			}
		}
		item.Payload = json.RawMessage(e.Envelope.Payload)
		item.Withdrawn, item.Members, item.Audits = r.withdrawalsJSON(ref), membersJSON(st.Stamp.Members), audits
		item.About = c.JSON(r.Book)
		item.About.Uses = uses
		if details != nil {
			item.Details = json.RawMessage(raw)
		}
		a.printJSON(item)
		return nil
	}
	pairs := append(r.judgedPairs(a.entryPairs(r, e, st), c), a.accountPairs(r, c)...)
	pairs = append(append(pairs, usesPairs(uses)...), auditPairs(audits)...)
	if detailsAt(st) != nil {
		pairs = append(pairs, detailsPairs(details, detailsErr)...)
	}
	a.term.KeyValues(pairs)
	a.printEvaluations(r, c.Evaluations)
	if len(st.Stamp.Members) > 0 {
		a.printMembers(st.Stamp.Members, nil)
	}
	return nil
}

// judgedPairs put what speaks against an artifact where a person looks first:
// its standing is its own, and not that of its signer's key alone.
func (r *reading) judgedPairs(pairs []terminal.Pair, c *account.Account) []terminal.Pair {
	i := slices.IndexFunc(pairs, func(p terminal.Pair) bool { return p.Key == "standing" })
	if i < 0 || c.Standing() == standingGood {
		return pairs
	}
	key := pairs[i]
	key.Key = "key"
	against := []terminal.Pair{{Key: "standing", Value: strings.ToUpper(c.Standing()), Style: terminal.Bad}, key}
	against = append(against, againstPairs(c)...)
	if c.Judged.Taint != nil {
		against = append(against, taintPairs(c)...)
	}
	return slices.Concat(pairs[:i], against, pairs[i+1:])
}

// accountPairs are what there is about an artifact beside its stamp.
func (a *app) accountPairs(r *reading, c *account.Account) []terminal.Pair {
	var pairs []terminal.Pair
	for _, p := range [][]terminal.Pair{
		originPairs(c, c.Entry), untaintedPairs(c), stagePairs(c), r.decisionPairs(c.Decisions, ""), a.releasePairs(r, c), r.importPairs(c),
	} {
		pairs = append(pairs, p...)
	}
	return pairs
}
