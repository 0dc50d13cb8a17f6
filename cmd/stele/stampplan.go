package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// stampPlan is what is known of the ledger before the data is read, so that
// a name that is taken, a missing origin or a key without standing is told
// at once and not after hours of reading.
type stampPlan struct {
	algorithm fingerprint.Algorithm
	origin    string
	signer    jsonv1.Signer
	from      []statement.Ref
	since     *statement.Ref
	ledger    statement.LedgerID
	bound     *boundName    // the name, where it is taken already
	earlier   *earlierStamp // to compare with: of the name where it is taken, --since, or the name's last version
}

// boundName is a name@version that is on the ledger already.
type boundName struct {
	ledger.Binding
	stamp      *statement.Stamp
	time       int64
	signer     jsonv1.Signer
	checkpoint []byte
	standing   string // of the artifact
	why        string // it is not good
}

func (a *app) planStamp(ctx context.Context, dir string, o *stampOrder, by author) (*stampPlan, error) {
	var p *stampPlan
	err := a.readAt(ctx, dir, func(r *reading) (err error) {
		if p, err = a.planStampAt(r, o, by); err != nil || p.bound != nil || o.collection.given() {
			return err
		}
		if err = a.foreseeStamp(r, p, o, by); a.unknown(err) {
			a.term.Notef("what the contracts in force say of it is not known so far: the ledger decides when `stele push` gives it the stamp")
			return nil
		}
		return err
	})
	return p, err
}

// planStampAt is planStamp of a ledger that is open.
func (a *app) planStampAt(r *reading, o *stampOrder, by author) (*stampPlan, error) {
	p := new(stampPlan)
	p.algorithm, p.origin, p.ledger = r.Algorithm(), r.Origin(), r.ID()
	p.signer = r.signerBy(by)
	if err := r.mayWrite(by, o.name, a.now().UnixMilli()); err != nil {
		return nil, err
	}
	for _, f := range o.from {
		ref, err := r.ref(f, "--from")
		if waits, ok := a.waiting(r.ID(), f); ok && a.unknown(err) {
			p.from = append(p.from, waits)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := a.warnOfOrigin(r, ref); err != nil {
			return nil, err
		}
		p.from = append(p.from, ref)
	}
	if o.since != "" {
		ref, err := r.ref(o.since, "--since")
		if waits, ok := a.waiting(r.ID(), o.since); ok && a.unknown(err) {
			ref, err = waits, nil
		}
		if err != nil {
			return nil, err
		}
		p.since = &ref
	}
	if err := a.planName(r, o, p); a.unknown(err) {
		a.term.Notef("whether %s is taken is not known so far: the ledger decides when `stele push` gives it the stamp", o.as)
		p.bound, p.earlier = nil, nil
	} else if err != nil {
		return nil, err
	}
	return p, nil
}

// planName finds out whether the name is taken, and what to compare with.
func (a *app) planName(r *reading, o *stampOrder, p *stampPlan) error {
	b, err := r.Bound(o.name, o.version)
	switch {
	case err == nil:
		e, st, err := r.StampAt(b)
		if err != nil {
			return err
		}
		checkpoint, err := r.LatestCheckpoint()
		if err != nil {
			return err
		}
		j, err := r.Judgement(b.Ref())
		if err != nil {
			return err
		}
		p.bound = &boundName{Binding: b, stamp: st.Stamp, time: e.Time, signer: r.Signer(e), checkpoint: checkpoint, standing: j.Word(), why: account.WrongText(j)}
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	p.earlier, err = a.earlierFor(r, o, p)
	return err
}

// earlierFor finds the stamp to compare with; nil where there is none.
func (a *app) earlierFor(r *reading, o *stampOrder, p *stampPlan) (*earlierStamp, error) {
	var b ledger.Binding
	var err error
	switch {
	case p.bound != nil:
		b = p.bound.Binding
	case p.since != nil:
		b, err = r.binding(p.since.Name, p.since.Version)
	default:
		b, err = r.Latest(o.name)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return a.earlierStamp(r, b)
}

// maySign says beforehand what admission would refuse of any statement by a key.
func (r *reading) maySign(by author, now int64) error {
	_, m, ok := r.Control.Roster().Key(by.key)
	if ok && m.Recovery {
		return failf(exitRefused, "the recovery key issues identity statements and lifts contracts, and does nothing else").withHint("register a key with it, and use that: `stele key add --key RECOVERY`")
	}
	if !ok {
		return failf(exitUntrusted, "the key %s is not registered on this ledger", shortKey(by.key.String())).
			withHint("`stele key request` makes a request for an administrator; --key chooses another key")
	}
	if s := r.Control.Roster().Standing(by.key, r.Size(), now); !s.OK {
		return failf(exitUntrusted, "the key of %s has no standing: %s", m.Handle, s.Detail).withHint("--key chooses another key")
	}
	if by.delegation != nil {
		return r.mayDelegated(by, now)
	}
	return nil
}

// mayWrite is maySign, of a statement that binds a name.
func (r *reading) mayWrite(by author, name string, now int64) error {
	if err := r.maySign(by, now); err != nil {
		return err
	}
	_, m, _ := r.Control.Roster().Key(by.key)
	who, names := m.Handle, m.Names
	if covers(names, name) && by.delegation != nil {
		who, names = "the delegation for "+by.delegation.Subject, by.delegation.Names
	}
	if covers(names, name) {
		return nil
	}
	f := failf(exitRefused, "%s may not write %s: its names are %s", who, name, strings.Join(names, ", "))
	f.rule = string(ledger.RuleWhoMay)
	return f.withHint("an administrator can register a key for more names")
}

func covers(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return statement.MatchName(p, name) })
}

// warnOfOrigin says of what something is to be derived from that it does not
// stand: that is a fact, and may be stamped.
func (a *app) warnOfOrigin(r *reading, ref statement.Ref) error {
	j, err := r.Judgement(ref)
	if err != nil {
		return err
	}
	switch standing := j.Word(); standing {
	case standingGood:
	case standingWithdrawn, standingTainted:
		a.term.Warnf("--from: %s is %s, and what is made of it is tainted", ref, standing)
	case standingUntrusted:
		a.term.Warnf("--from: %s is not trusted, nor is what is made of it: %s", ref, account.WrongText(j))
	default:
		a.term.Warnf("--from: whether %s is tainted is not known: %s", ref, account.WrongText(j))
	}
	return nil
}

// ref finds an artifact that a statement refers to.
func (r *reading) ref(text, flag string) (statement.Ref, error) {
	name, version, err := statement.ParseNameVersion(text)
	if err != nil {
		return statement.Ref{}, usagef("%s: %v", flag, err)
	}
	b, err := r.binding(name, version)
	if err == nil {
		var e *evidence.Entry
		if e, err = r.Entry(b.Entry); err == nil {
			err = r.proveIncluded(e) // whoever signs takes its fingerprint for this name
		}
	}
	if err != nil {
		return statement.Ref{}, fmt.Errorf("%s: %w", flag, err)
	}
	return b.Ref(), nil
}
