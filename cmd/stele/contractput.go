package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// contractOrder is one call of `stele contract put`, `propose` or `lift`.
type contractOrder struct {
	action      string
	path        string
	digest      string // that the document must have, where pinned
	pinned      bool
	want        [32]byte
	reason      string // of a lift
	dryRun, yes bool
}

func (a *app) contractPut() *cobra.Command {
	o := contractOrder{action: statement.ContractPut}
	c := &cobra.Command{
		Use:   "put FILE",
		Short: "Put a contract in force, from the next entry (administrators)",
		Long: `Runs the contract's own tests, shows what changes against the version in force,
warns of what may not be meant, and asks. Then the contract is an entry, and in
force from the next one: for every statement that it is about, whoever signs it.
A later version of the same name takes its place; an earlier one is refused.

The file is read once: what was tested and shown is what is signed. --digest
puts that document only which stele contract test named, whatever lies in the
file by now, and does not ask.

Rules may be about contracts, too. A warning that nobody could lift or replace
the contract any more is meant: the way back is then the recovery key alone.`,
		Example: `  stele contract put production.yaml --dry-run
  stele contract put production.yaml --digest sha256:6f1c…`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.path, o.pinned = args[0], c.Flags().Changed("digest")
			return a.putContract(c.Context(), &o)
		},
	}
	o.registerFile(c)
	return c
}

func (a *app) contractPropose() *cobra.Command {
	o := contractOrder{action: statement.ContractPropose}
	c := &cobra.Command{
		Use:   "propose FILE",
		Short: "Say that you want a contract, too; nothing is in force by it",
		Long: `Signs that you want this document, to the byte. Nothing else follows from it: a
rule on contract statements can ask for it. So the second of two administrators
puts what the first has proposed, or a proposal has to lie for a while before it
is put.`,
		Example: "  stele contract propose production.yaml\n  stele contract put production.yaml --key second   # somebody else",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.path, o.pinned = args[0], c.Flags().Changed("digest")
			return a.putContract(c.Context(), &o)
		},
	}
	o.registerFile(c)
	return c
}

// registerFile adds the flags of what signs a document in a file.
func (o *contractOrder) registerFile(c *cobra.Command) {
	c.Flags().StringVar(&o.digest, "digest", "", "sign only a document of this `digest`, and do not ask")
	o.register(c)
}

func (o *contractOrder) register(c *cobra.Command) {
	c.Flags().BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be signed, and what contracts say of it; write nothing")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
}

// enacting is a contract statement that can be shown and signed.
type enacting struct {
	order *contractOrder
	file  *drafted // nil of a lift
	said  *statement.Contract

	now      []evidence.ContractEntry // of that name, in force
	warnings []jsonv1.ContractWarning
	locks    bool // one of them says that nobody could undo it
	control  uint64
	origin   string
	who      jsonv1.Signer
	tried    foresight.Answer

	done       *evidence.ContractEntry // it is on the ledger already
	checkpoint []byte                  // then: the one it is under
}

func (a *app) putContract(ctx context.Context, o *contractOrder) (err error) {
	if o.pinned { // also by an empty text, of a variable that nobody has set
		if o.want, err = parseDigest(o.digest); err != nil {
			return err
		}
	}
	d, err := readContract(o.path)
	if err != nil {
		return err
	}
	if o.pinned && d.Digest() != o.want {
		return failf(exitTampered, "%s is not the contract that was tested: its digest is %s", o.path, digestText(d.Digest())).withPath(o.path).
			withHint(fmt.Sprintf("look what has changed: `stele contract diff %s`; then test it again", o.path))
	}
	said, err := d.header(o.action)
	if err != nil {
		return err
	}
	tests, err := d.test()
	if err != nil {
		return err
	}
	if !tests.OK {
		if !a.json {
			a.printTests(d, tests)
		}
		return failf(exitRefused, "%s: %s of %d", o.path, countOf(failedTests(tests), "test")+" failed", len(tests.Tests)).withPath(o.path).
			withHint("the ledger takes no contract whose own tests fail; `stele contract test " + o.path + "` shows them")
	}
	return a.enact(ctx, &enacting{order: o, file: d, said: said, warnings: tests.Warnings})
}

// enact looks, shows, asks and signs.
func (a *app) enact(ctx context.Context, p *enacting) error {
	o := p.order
	dir, signer, closeSigner, err := a.decider(ctx, &decideFlags{dryRun: o.dryRun})
	if err != nil {
		return err
	}
	defer closeSigner()
	agreed := o.yes || o.pinned
	asks := !agreed && !a.json && !o.dryRun && a.term.CanAsk()
	if err := a.readAt(ctx, dir, func(r *reading) error { return a.planEnacting(r, p, signer, asks || o.dryRun) }); err != nil {
		return err
	}
	switch {
	case p.done != nil:
		return a.printEnacted(p, &solo.Proof{Receipt: ledger.Receipt{Index: p.done.Entry, Time: p.done.Time, Existed: true}, Checkpoint: p.checkpoint})
	case o.dryRun && p.tried.Refusal != nil:
		return p.tried.Refusal
	case o.dryRun:
		return a.printEnacted(p, nil)
	case p.tried.Refusal != nil:
		return p.tried.Refusal
	case p.locks && !agreed && !asks:
		return usagef("nobody can be asked here whether %s is meant", p.said.ID()).withHint("--yes puts it all the same, or --digest as it was tested")
	}
	if asks {
		ok, err := a.term.Confirm(ctx, p.question(), len(p.warnings) == 0 && p.said.Action != statement.ContractLift)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitError, "nothing was signed")
		}
	}
	if a.looked != nil {
		a.looked()
	}
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) { return p.statement(), p.unchanged(r) })
	if err != nil {
		return err
	}
	return a.printEnacted(p, proof)
}

func (p *enacting) statement() *statement.Statement {
	return &statement.Statement{Kind: statement.KindContract, Contract: p.said}
}

func (p *enacting) question() string {
	id := p.said.ID()
	switch {
	case p.said.Action == statement.ContractLift:
		return "lift " + id + "?"
	case p.said.Action == statement.ContractPropose:
		return "propose " + id + "?"
	case len(p.now) > 0:
		return fmt.Sprintf("put %s in place of %s?", id, p.now[0].ID())
	}
	return "put " + id + " in force?"
}

// planEnacting asks the ledger what would come of it, and shows it.
func (a *app) planEnacting(r *reading, p *enacting, signer statement.Signer, shows bool) error {
	var by author // zero, and nobody's, for whoever only looks
	if signer != nil {
		by = authorOf(signer)
	}
	p.origin, p.who, p.control = r.Origin(), r.signerBy(by), r.Control.Count()
	p.now = r.inForceOf(p.said.Name)
	if p.done = r.saidAlready(p.said, by.key); p.done != nil {
		p.who = jsonv1.Signer{Handle: p.done.Handle, Key: p.done.Signer.String()}
		var err error
		p.checkpoint, err = r.LatestCheckpoint()
		return err
	}
	// What would be refused for certain is told before anybody is asked.
	now := max(a.now().UnixMilli(), r.Time())
	if signer != nil {
		if err := by.check(r.Control.Roster(), r.Size(), now, p.statement()); err != nil {
			return err
		}
	}
	var err error
	if p.tried, err = foresight.Ask(r.Book, p.statement(), r.signs(by), now); err != nil {
		return err
	}
	hint, err := foresight.WayBack(r.Book, p.tried.Refusal, now)
	if err != nil {
		return err
	}
	if hint != "" {
		p.tried.Refusal = failf(exitRefused, "%w", p.tried.Refusal).withHint(hint)
	}
	if p.said.Action == statement.ContractPut {
		locks, err := foresight.LocksOut(r.Book, p.file.Contract, now)
		if err != nil {
			return err
		}
		if p.locks = locks != nil; p.locks {
			p.warnings = append([]jsonv1.ContractWarning{{Code: locks.Code, Message: locks.Message, Hint: locks.Hint}}, p.warnings...)
		}
	}
	if a.json || a.quiet && !shows {
		return nil
	}
	if shows {
		a.showEnacting(r, p)
	}
	if p.file != nil && p.tried.Refusal == nil {
		a.printWarnings(p.order.path, p.warnings)
	}
	a.noteUndecided(p.tried.Undecided)
	return nil
}

// inForceOf are the versions of a contract in force: one, and those whose signer
// has fallen since.
func (r *reading) inForceOf(name string) (list []evidence.ContractEntry) {
	for _, e := range r.Control.ContractsInForce() {
		if e.Name == name {
			list = append(list, e)
		}
	}
	return list
}

// saidAlready finds what is signed already and still holds: a put of the same
// document that is in force, or a proposal of it by the same key.
func (r *reading) saidAlready(said *statement.Contract, key statement.KeyID) *evidence.ContractEntry {
	var list []evidence.ContractEntry
	switch said.Action {
	case statement.ContractPut:
		list = r.inForceOf(said.Name)
		if len(list) != 1 { // what is fallen is put again, and replaced by that
			return nil
		}
	case statement.ContractPropose:
		list = slices.DeleteFunc(r.Control.ContractProposals(said.Digest), func(e evidence.ContractEntry) bool { return e.Signer != key })
	}
	for i := range list {
		if list[i].Digest == said.Digest && list[i].Void == "" {
			return &list[i]
		}
	}
	return nil
}

// unchanged refuses to sign what was shown against a version that is not in force
// any more, or was put into a state where others count.
func (p *enacting) unchanged(r *reading) error {
	if r.Control.Count() == p.control {
		return nil
	}
	same := slices.EqualFunc(p.now, r.inForceOf(p.said.Name), func(a, b evidence.ContractEntry) bool { return a.Entry == b.Entry && a.Void == b.Void })
	if same {
		return nil
	}
	f := failf(exitRefused, "somebody was faster: the versions of %s in force have changed since you looked", p.said.Name)
	f.rule = string(ledger.RuleAfter)
	return f.withHint("run it again to see what is there now")
}

// showEnacting shows what would be signed, and against what.
func (a *app) showEnacting(r *reading, p *enacting) {
	a.term.Printf("%s\n", a.term.Style(terminal.Bold, p.said.ID()))
	var pairs []terminal.Pair
	if p.file != nil {
		pairs = documentPairs(p.file.Document())
	}
	for i := range p.now {
		key := "in force"
		if i > 0 {
			key = ""
		}
		pairs = append(pairs, terminal.Pair{Key: key, Value: p.now[i].ID() + ", " + r.contractStateOf(&p.now[i]).text(a)})
	}
	if p.said.Action == statement.ContractPut && len(p.now) == 0 {
		pairs = append(pairs, terminal.Pair{Key: "in force", Value: "no version of it"})
	}
	pairs = append(append(pairs, answerPairs(&p.tried)...), terminal.Pair{Key: "digest", Value: digestText(p.said.Digest)})
	a.term.KeyValues(pairs)
	if p.file != nil && len(p.now) > 0 {
		last := p.now[len(p.now)-1]
		if d, err := contractChanges(last.Document, p.file.draft.Document); err == nil {
			a.term.Printf("\nagainst %s:\n", last.ID())
			a.printContractChanges(d, false)
		}
	}
	a.term.Printf("\nto be signed: %s\n", a.term.Style(terminal.Accent, p.said.ID()+" "+actionWords(p.said.Action)))
}

// actionWords say what a contract statement does.
func actionWords(action string) string {
	switch action {
	case statement.ContractPropose:
		return "is proposed"
	case statement.ContractLift:
		return "is lifted"
	}
	return "is put in force"
}

// printEnacted writes the receipt; without a proof, what would be signed.
func (a *app) printEnacted(p *enacting, proof *solo.Proof) error {
	said := p.said
	out := jsonv1.ContractWritten{
		Action: said.Action, Contract: said.ID(), Name: said.Name, Version: said.Version, Digest: digestText(said.Digest),
		Warnings: p.warnings, Signer: p.who, Origin: p.origin, DryRun: proof == nil,
	}
	var replaced []string
	for i := range p.now {
		if said.Action == statement.ContractPut && p.done == nil {
			replaced = append(replaced, p.now[i].ID())
		}
	}
	out.Replaces = strings.Join(replaced, ", ")
	var written jsonv1.Written
	if proof != nil {
		var err error
		if written, err = writtenJSON(proof, statement.KindContract, p.origin, p.who); err != nil {
			return err
		}
		out.Entry, out.Time, out.Checkpoint, out.Existed = &written.Entry, written.Time, &written.Checkpoint, written.Existed
	}
	switch {
	case a.json:
		a.printJSON(out)
		return nil
	case a.quiet:
		return nil
	case proof == nil:
		a.term.Notef("nothing was signed; --digest %s puts this document and no other", out.Digest)
		return nil
	case out.Existed && said.Action == statement.ContractPut:
		a.term.Printf("%s: it is in force already\n", said.ID())
	case out.Existed:
		a.term.Printf("%s: you have proposed it already\n", said.ID())
	default:
		a.term.Printf("%s\n", a.term.Style(terminal.Good, said.ID()+" "+actionWords(said.Action)))
	}
	pairs := []terminal.Pair{{Key: "replaces", Value: out.Replaces}, {Key: "digest", Value: out.Digest}, {Key: "reason", Value: said.Reason}}
	a.term.KeyValues(append(pairs, receiptPairs(a, written)...))
	if !out.Existed && said.Action == statement.ContractPut {
		a.term.Notef("in force from entry %d on", written.Entry+1)
	}
	return nil
}
