package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// collectionOrder is what `stele stamp` is told about members.
type collectionOrder struct {
	members, add, remove []string
}

func (o *collectionOrder) register(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.members, "member", nil, "stamp a collection: `prefix=name@version` of what is stamped already (repeatable)")
	f.StringArrayVar(&o.add, "add", nil, "of a collection with --since: one more `prefix=name@version` (repeatable)")
	f.StringArrayVar(&o.remove, "remove", nil, "of a collection with --since: leave out the member under this `prefix` (repeatable)")
}

// given reports whether a collection is to be stamped, and not a place.
func (o *collectionOrder) given() bool { return len(o.members)+len(o.add)+len(o.remove) > 0 }

// check refuses what cannot go together, before any ledger is opened.
func (o *collectionOrder) check(stamp *stampOrder, place bool) error {
	switch {
	case place:
		return usagef("a collection is stamped without a PATH: its members are on the ledger already")
	case len(o.add)+len(o.remove) > 0 && stamp.since == "":
		return usagef("--add and --remove change an earlier collection: name it with --since")
	case len(o.members) > 0 && len(o.add)+len(o.remove) > 0:
		return usagef("--member lists all members; --add and --remove change those of --since")
	case len(stamp.flags.ignore) > 0:
		return usagef("--ignore: a collection has no rules of its own; below each prefix hold those of the member's stamp")
	}
	return nil
}

// splitMember reads PREFIX=NAME@VERSION. A prefix may hold a '=' (date=2026-11-01),
// a name and a version cannot.
func splitMember(flag, text string) (prefix, what string, err error) {
	i := strings.LastIndexByte(text, '=')
	if i <= 0 || i == len(text)-1 {
		return "", "", usagef("%s %q: want PREFIX=NAME@VERSION", flag, text).withHint("for example " + flag + " date=2026-11-01=lab/events@2026-11-01")
	}
	prefix, err = cleanPrefix(flag, text[:i])
	return prefix, text[i+1:], err
}

// cleanPrefix takes a folder with or without the slash at its end.
func cleanPrefix(flag, prefix string) (string, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	if err := fingerprint.CheckPath(prefix); err != nil {
		return "", usagef("%s: %v", flag, err)
	}
	return prefix, nil
}

// collect finds the members that the flags name.
func (r *reading) collect(o *collectionOrder, since *collection.Node) ([]statement.CollectionMember, error) {
	members := map[string]statement.CollectionMember{}
	if len(o.add)+len(o.remove) > 0 {
		if len(since.Members) == 0 {
			return nil, usagef("%s is no collection: there are no members to add to or remove from", since.Binding.Ref()).withHint("list all members with --member")
		}
		for _, m := range since.Stamp.Members {
			members[m.Prefix] = m
		}
	}
	for _, text := range o.remove {
		prefix, err := cleanPrefix("--remove", text)
		if err != nil {
			return nil, err
		}
		if _, ok := members[prefix]; !ok {
			return nil, failf(exitNotFound, "--remove: %s has no member under %s", since.Binding.Ref(), prefix).withPath(prefix).
				withHint("`stele show " + since.Binding.Ref().String() + "` lists its members")
		}
		delete(members, prefix)
	}
	flag := map[bool]string{true: "--member", false: "--add"}[len(o.members) > 0]
	for _, text := range append(slices.Clone(o.members), o.add...) {
		prefix, what, err := splitMember(flag, text)
		if err != nil {
			return nil, err
		}
		if have, ok := members[prefix]; ok {
			return nil, usagef("%s %s: %s lies there already", flag, text, have.Ref).withHint("--remove it first, or choose another prefix")
		}
		if members[prefix], err = r.collectionMember(flag, prefix, what); err != nil {
			return nil, err
		}
	}
	return inOrder(slices.Collect(maps.Values(members)))
}

// collectionMember is a stamped artifact under a prefix.
func (r *reading) collectionMember(flag, prefix, what string) (m statement.CollectionMember, err error) {
	ref, err := r.ref(what, flag)
	if err != nil {
		return m, err
	}
	b, err := r.binding(ref.Name, ref.Version)
	if err != nil {
		return m, err
	}
	_, st, err := r.StampAt(b)
	if err != nil {
		return m, err
	}
	j, err := r.Judgement(ref)
	if err != nil {
		return m, err
	}
	if standing := j.Word(); standing != standingGood {
		return m, failf(exitOf(standing), "%s: the stamp of %s does not stand: %s (%s)", flag, ref, standing, account.WrongText(j)).withEntry(b.Entry).
			withHint("`stele show " + ref.String() + "` says why; a collection of it would be worth no more")
	}
	return statement.CollectionMember{Prefix: prefix, Ref: ref, Files: st.Stamp.Files, Bytes: st.Stamp.Bytes}, nil
}

// inOrder sorts members as a collection has them, and says in a person's words
// what makes none of them.
func inOrder(members []statement.CollectionMember) ([]statement.CollectionMember, error) {
	slices.SortFunc(members, func(a, b statement.CollectionMember) int { return strings.Compare(a.Prefix+"/", b.Prefix+"/") })
	if len(members) == 0 {
		return nil, usagef("a collection needs at least one member")
	}
	if n := len(members); n > statement.MaxMembers {
		return nil, failf(exitError, "a collection of %d members: at most %d are possible", n, statement.MaxMembers).
			withHint("collect in steps: the days of a month in one collection, the months of a year in another, and so on")
	}
	for i := 1; i < len(members); i++ {
		if a, b := members[i-1].Prefix, members[i].Prefix; strings.HasPrefix(b+"/", a+"/") {
			return nil, usagef("%s lies within %s: the prefixes of a collection stand side by side", b, a)
		}
	}
	return members, nil
}

// stampCollection stamps members that are on the ledger already as one
// artifact. Nothing is read but, where they are here, manifests: to count what
// changed since the earlier version.
func (a *app) stampCollection(ctx context.Context, o *stampOrder) error {
	annotations, err := parseAnnotations(o.annotations)
	if err != nil {
		return err
	}
	if err := oneOf("--kind", o.kind, artifactKinds...); err != nil {
		return err
	}
	dir, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	plan, err := a.planStamp(ctx, dir, o, authorOf(signer))
	if err != nil {
		return err
	}
	st, since, diff, err := a.planCollection(ctx, dir, o, plan)
	if err != nil {
		return err
	}
	st.Stamp.Annotations = annotations
	if b := plan.bound; b != nil {
		ref, err := st.Ref()
		if err != nil {
			return err
		}
		return a.alreadyBound(&stamping{order: o, plan: plan, result: scan.Result{Fingerprint: ref.Fingerprint}})
	}
	if o.dryRun || since != nil && !o.yes && a.term.CanAsk() && !a.json {
		if err := a.tryStamp(ctx, dir, st, signer); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.printCollection(st, nil, plan, since, diff, true)
	}
	if since != nil && !o.yes && a.term.CanAsk() && !a.json {
		a.printMembers(st.Stamp.Members, since)
		ok, err := a.term.Confirm(ctx, fmt.Sprintf("stamp this as %s?", o.as), true)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitError, "not stamped")
		}
	}
	proof, err := a.submit(ctx, dir, signer, func(*reading) (*statement.Statement, error) { return st, nil })
	if err != nil {
		return err
	}
	return a.printCollection(st, proof, plan, since, diff, false)
}

// planCollection makes the statement, and compares with the version that it is
// since, where there is one.
func (a *app) planCollection(ctx context.Context, dir string, o *stampOrder, p *stampPlan) (st *statement.Statement, since *collection.Node, diff *jsonv1.Diff, err error) {
	err = a.readAt(ctx, dir, func(r *reading) error {
		if p.since != nil {
			if since, err = r.unfoldRef(*p.since); err != nil {
				return err
			}
		}
		members, err := r.collect(&o.collection, since)
		if err != nil {
			return err
		}
		fp, files, bytes, err := statement.Collection(r.Algorithm(), members)
		if err != nil {
			return usagef("%v", err)
		}
		ref := statement.Ref{Name: o.name, Version: o.version, Fingerprint: fp}
		st = &statement.Statement{
			Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()},
			Stamp: &statement.Stamp{
				Kind: o.kind, Files: files, Bytes: bytes, Ignore: []string{}, Basis: statement.Basis{Stamped: bytes},
				Members: members, From: p.from, Since: p.since,
			},
		}
		if since == nil {
			return nil
		}
		now, err := r.unfold(ledger.Binding{Name: o.name, Version: o.version, Fingerprint: fp}, st.Stamp)
		if err != nil {
			return err
		}
		known := a.manifests(ctx, dir, "", &o.flags)
		defer known.close()
		switch diff, err = compareParts(ctx, since, now, known.open, o.all); {
		case err == nil:
			st.Stamp.Changes = changesOf(diff.Counts)
		case manifestMissing(err):
			a.term.Notef("what changed since %s is not counted: %v", p.since, err)
			err = nil
		}
		return err
	})
	return st, since, diff, err
}

// unfoldRef is unfold of what a statement refers to.
func (r *reading) unfoldRef(ref statement.Ref) (*collection.Node, error) {
	b, st, err := r.boundBy(ref.Name, ref.Version)
	if err != nil {
		return nil, err
	}
	return r.unfold(b, st.Stamp)
}

// changesOf is what a stamp says of a comparison.
func changesOf(c jsonv1.Counts) *statement.Changes {
	return &statement.Changes{Same: c.Same, Modified: c.Modified, Added: c.Added, Removed: c.Removed, Moved: c.Moved}
}

// printCollection writes the receipt of a collection.
func (a *app) printCollection(st *statement.Statement, proof *solo.Proof, p *stampPlan, since *collection.Node, diff *jsonv1.Diff, dry bool) error {
	if err := a.printStamp(stampReceipt{st: st, plan: p, proof: proof, diff: diff, dry: dry}); err != nil || a.json || a.quiet {
		return err
	}
	if diff != nil {
		a.term.Printf("files since %s: %s\n", since.Binding.Ref(), countsText(diff.Counts))
	}
	a.printMembers(st.Stamp.Members, since)
	return nil
}

func membersJSON(members []statement.CollectionMember) []jsonv1.Member {
	var out []jsonv1.Member
	for _, m := range members {
		out = append(out, jsonv1.Member{Prefix: m.Prefix, Name: m.Ref.Name, Version: m.Ref.Version, Fingerprint: m.Ref.Fingerprint.String(), Files: m.Files, Bytes: m.Bytes})
	}
	return out
}

// printMembers lists what a collection holds; where it is known what it held
// before, only what became of that.
func (a *app) printMembers(members []statement.CollectionMember, since *collection.Node) {
	var rows [][]terminal.Cell
	if since == nil || len(since.Members) == 0 {
		for _, m := range members {
			rows = append(rows, memberRow(m))
		}
		a.term.Table(memberColumns, rows)
		return
	}
	row := func(word string, style terminal.Style, m statement.CollectionMember) {
		rows = append(rows, append([]terminal.Cell{{Text: word, Style: style}}, memberRow(m)...))
	}
	was := map[string]statement.CollectionMember{}
	for _, m := range since.Stamp.Members {
		was[m.Prefix] = m
	}
	same := 0
	for _, m := range members {
		old, had := was[m.Prefix]
		delete(was, m.Prefix)
		switch {
		case !had:
			row("added", terminal.Good, m)
		case old.Ref.Fingerprint != m.Ref.Fingerprint:
			row("replaced", terminal.Caution, m)
		default:
			same++
		}
	}
	for _, prefix := range sortedKeys(was) {
		row("removed", terminal.Bad, was[prefix])
	}
	if len(rows) > 0 {
		a.term.Table(append([]terminal.Column{{Title: "CHANGE"}}, memberColumns...), rows)
	}
	a.term.Notef("%s as in %s", terminal.Plural(uint64(same), "member"), since.Binding.Ref())
}

// memberColumns and memberRow are a member in a table.
var memberColumns = []terminal.Column{{Title: "PREFIX", Trim: terminal.TrimPath}, {Title: "MEMBER", Trim: terminal.TrimMiddle},
	{Title: "FILES", Right: true}, {Title: "SIZE", Right: true}}

func memberRow(m statement.CollectionMember) []terminal.Cell {
	return terminal.Row(m.Prefix, m.Ref.String(), terminal.Count(m.Files), terminal.Bytes(m.Bytes))
}
