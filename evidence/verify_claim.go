package evidence

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/statement"
)

// entries checks that the entries are in the log, and who signed them.
func (c *verification) entries() bool {
	var absent, unsigned []string
	signatures := Tampered
	indexes := make([]string, len(c.listed))
	included, signed := make([]error, len(c.listed)), make([]error, len(c.listed))
	c.each(len(c.listed), func(i int) {
		e, p := c.listed[i], c.f.Entries[i]
		included[i] = CheckInclusion(c.cp, e.Index, LeafHash(p.Leaf), p.Proof)
		signed[i] = verifyEnvelope(c.state.roster, e)
	})
	for i, e := range c.listed {
		indexes[i] = fmt.Sprint(e.Index)
		if err := included[i]; err != nil {
			absent = append(absent, err.Error())
		} else if err := c.before[i]; err != nil && !errors.Is(err, ErrUntrusted) {
			absent = append(absent, err.Error())
		} else if err != nil {
			c.unfit = append(c.unfit, err.Error())
		}
		if err := signed[i]; err != nil {
			unsigned = append(unsigned, err.Error())
			if errors.Is(err, ErrUntrusted) && len(unsigned) == 1 {
				signatures = Untrusted
			} else if !errors.Is(err, ErrUntrusted) {
				signatures = Tampered
			}
		}
	}
	what := "entry " + strings.Join(indexes, ", ")
	if len(indexes) > 8 {
		what = count(len(indexes), "entry", "entries")
	}
	c.what = what
	if len(absent) > 0 {
		c.fail(Tampered, CheckIncluded, "%s", some(absent))
	} else {
		c.pass(CheckIncluded, "%s of %d: the proof leads to the checkpoint's root", what, c.cp.Size)
	}
	if len(unsigned) > 0 {
		c.fail(signatures, CheckSignature, "%s", some(unsigned))
	} else {
		c.pass(CheckSignature, "%s: signed by %s", what, c.signers())
	}
	return true
}

// standing checks that the signers had standing for what they said, and were
// allowed to say it. Which entries that takes, the lineage says: one whose signer
// has none fells what it binds, and all that was made of it, but not somebody
// else's copy of the same bytes.
func (c *verification) standing() {
	wrong := c.unfit
	spared, routes := c.spared(), c.routes()
	kept := 0
	for _, e := range c.listed {
		s := c.state.roster.Standing(e.Envelope.By(), e.Index, e.Time)
		switch {
		case s.OK:
		case spared[e.Index]:
			kept++
		default:
			wrong = append(wrong, fmt.Sprintf("entry %d: its signer %s is %s: %s%s", e.Index, c.who(e), s.State, s.Detail, routes[e.Index]))
		}
	}
	if len(wrong) > 0 {
		c.fail(Untrusted, CheckStanding, "%s", some(wrong))
		return
	}
	rest := ""
	if kept > 0 {
		rest = fmt.Sprintf("; but for %s about the same bytes under another name, which are looked at for what taints them", count(kept, "entry", "entries"))
	}
	c.pass(CheckStanding, "%s: the signer's key was good then, as is known at %s%s", c.what, count(c.cp.Size, "entry", "entries"), rest)
}

// spared returns the entries without standing that say something of a copy in
// the lineage, and bind nothing that is in it.
func (c *verification) spared() map[uint64]bool {
	spared := make(map[uint64]bool)
	if c.graph == nil {
		return spared
	}
	for _, n := range c.graph.Nodes {
		for _, o := range n.Origins {
			if o.Fallen != "" {
				spared[o.Entry] = true
				spared[c.facts.bound[o.Of.String()].Entry] = true
			}
		}
	}
	for _, n := range c.graph.Nodes {
		delete(spared, n.Entry)
	}
	return spared
}

// routes says of entries that bound what fells the claim's artifact how it is
// reached.
func (c *verification) routes() map[uint64]string {
	routes := make(map[uint64]string)
	if c.judged == nil {
		return routes
	}
	for _, f := range c.judged.Fallen {
		if f.Distance() > 0 && routes[f.Artifact.Entry] == "" {
			routes[f.Artifact.Entry] = "; " + wayText(f.Path())
		}
	}
	return routes
}

// some joins findings into a sentence, the first few of them.
func some(list []string) string {
	const most = 8
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], "; ") + fmt.Sprintf("; and %d more", n)
	}
	return strings.Join(list, "; ")
}

// who names an entry's signer in a sentence.
func (c *verification) who(e *Entry) string {
	key, m, ok := c.state.roster.Key(e.Envelope.By())
	if !ok {
		return "with the unregistered key " + e.Envelope.By().String()
	}
	name := m.Handle
	if d := delegation(e); d != nil {
		name += " for " + d.Subject
	}
	return name + " (" + key.Algorithm() + " " + key.ID().String()[:16] + "…)"
}

// delegation returns the one through which an entry was signed, or nil. It was
// parsed with the entry.
func delegation(e *Entry) *statement.Delegation {
	d, _ := e.Envelope.Delegated()
	return d
}

func (c *verification) signers() string {
	var names []string
	for _, e := range c.listed {
		if n := c.who(e); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return some(names)
}

// claim checks what the file claims against its entry, and what was asked for
// against the claim.
func (c *verification) claim() bool {
	defer c.standing()
	claim := &c.f.Claim
	for _, e := range c.listed {
		if st := c.parsed[e]; st.Kind != statement.KindGenesis && st.Ledger != c.f.Ledger {
			c.fail(Tampered, CheckClaim, "entry %d was signed for the ledger %s, not for this one", e.Index, st.Ledger)
			return false
		}
		if e.Index == claim.Entry {
			c.stamped = e
		}
	}
	if c.stamped == nil {
		c.fail(Tampered, CheckClaim, "it is about entry %d, which is not in the file", claim.Entry)
		return false
	}
	st := c.parsed[c.stamped]
	stamps := st.Stamps()
	if len(stamps) == 0 {
		c.fail(Tampered, CheckClaim, "it is about entry %d, which is %s and stamps nothing", claim.Entry, st.Kind.Noun())
		return false
	}
	ref, s, ok := st.StampOf(claim.Name, claim.Version)
	if !ok { // told with what it does stamp
		ref, s = stamps[0].Ref, stamps[0].Stamp
	}
	c.stamp = s
	c.Stamp = &Stamped{
		Entry: claim.Entry, Time: c.stamped.Time, ID: c.stamped.Envelope.ID(),
		Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(),
		Kind: s.Kind, Files: s.Files, Bytes: s.Bytes, Ignore: s.Ignore, Basis: s.Basis,
		Signer: c.stamped.Envelope.By(), Stamp: s,
	}
	if _, m, ok := c.state.roster.Key(c.Stamp.Signer); ok {
		c.Stamp.Handle = m.Handle
	}
	if d := delegation(c.stamped); d != nil {
		c.Stamp.Delegate, c.Stamp.Delegation = d.Subject, d
	}
	switch {
	case ref != claim.Ref():
		c.fail(Tampered, CheckClaim, "it says %s is %s, but entry %d stamps %s as %s", claim.Ref(), claim.Fingerprint, claim.Entry, ref, ref.Fingerprint)
		return false
	case ref.Fingerprint.Algorithm != c.state.hash:
		c.fail(Tampered, CheckClaim, "a fingerprint by %s on a ledger of %s", ref.Fingerprint.Algorithm, c.state.hash)
		return false
	case c.opts.Name != "" && c.opts.Name != ref.Name, c.opts.Version != "" && c.opts.Version != ref.Version:
		c.fail(Unknown, CheckClaim, "%s@%s was asked for; the evidence is about %s", c.opts.Name, c.opts.Version, ref)
	default:
		of := ""
		if len(s.Members) > 0 {
			of = ", a collection of " + count(len(s.Members), "artifact", "artifacts")
		}
		by := "in"
		if st.Run != nil {
			by = "by the run in"
		}
		c.pass(CheckClaim, "%s is %s, stamped as %s of %s, %s%s, %s entry %d", ref, ref.Fingerprint, s.Kind,
			count(s.Files, "file", "files"), count(s.Bytes, "byte", "bytes"), of, by, claim.Entry)
	}
	c.withdrawn(ref)
	c.lineage()
	c.released(ref)
	c.paths()
	c.story()
	return true
}

// withdrawn checks that nothing that stands takes the claim back: for a
// collection, nor the contents of one of its members.
func (c *verification) withdrawn(ref statement.Ref) {
	c.Withdrawals = c.state.Withdrawals(ref)
	for _, m := range c.stamp.Members {
		c.Withdrawals = append(c.Withdrawals, c.state.Withdrawals(statement.Ref{Fingerprint: m.Ref.Fingerprint})...)
	}
	slices.SortFunc(c.Withdrawals, func(a, b Withdrawal) int { return cmp.Compare(a.Entry, b.Entry) })
	c.Withdrawals = slices.CompactFunc(c.Withdrawals, func(a, b Withdrawal) bool { return a.Entry == b.Entry })
	var stand, others []string
	for _, w := range c.Withdrawals {
		by := w.Handle
		if by == "" {
			by = w.Signer.String()
		}
		text := fmt.Sprintf("entry %d by %s (%s, effect %s): %s", w.Entry, by, w.Target, w.Effect, w.Reason)
		if w.Ref.Fingerprint != ref.Fingerprint {
			text = "its member " + w.Ref.String() + " in " + text
		}
		switch {
		case w.Void != "":
			others = append(others, text+", which counts for nothing: "+w.Void)
		case w.EndedBy != nil:
			others = append(others, fmt.Sprintf("%s, ended by entry %d", text, *w.EndedBy))
		case w.Target == statement.TargetLocation:
			others = append(others, text+", which is of the location "+w.Location+" alone")
		default:
			stand = append(stand, text)
		}
	}
	if len(stand) > 0 {
		c.fail(Withdrawn, CheckNotWithdrawn, "%s is withdrawn: %s", ref, some(stand))
		return
	}
	rest := ""
	if len(others) > 0 {
		rest = "; there was " + some(others)
	}
	c.pass(CheckNotWithdrawn, "no withdrawal of %s or of its contents stands among %s up to the checkpoint%s", ref,
		count(c.state.Count(), "control entry", "control entries"), rest)
}

// contents compares the data at hand with the stamp, and the attachments
// carried with the digests in the entries.
func (c *verification) contents() bool {
	s := c.stamp
	switch have := c.opts.Contents; {
	case have == nil:
		c.skip(CheckContents, "no data was given to compare with the stamp")
	case have.Differs != "":
		c.fail(Tampered, CheckContents, "the data differs from what was stamped: %s", have.Differs)
	case have.Fingerprint != c.f.Claim.Fingerprint:
		c.fail(Tampered, CheckContents, "the data is %s, %s, %s; stamped was %s, %s, %s",
			have.Fingerprint, count(have.Files, "file", "files"), count(have.Bytes, "byte", "bytes"),
			c.f.Claim.Fingerprint, count(s.Files, "file", "files"), count(s.Bytes, "byte", "bytes"))
	case have.Files != s.Files || have.Bytes != s.Bytes:
		c.fail(Tampered, CheckContents, "the data has the stamp's fingerprint and is %s, %s; the stamp says %s, %s",
			count(have.Files, "file", "files"), count(have.Bytes, "byte", "bytes"), count(s.Files, "file", "files"), count(s.Bytes, "byte", "bytes"))
	case have.Unread > 0 || have.How != "":
		// Not passed: what was not read is the caller's word.
		c.Unread, c.How = have.Unread, have.How
		if c.How == "" {
			c.How = "not read now"
		}
		c.skip(CheckContents, "what was read fits the stamp, but not all was: %d of %s were not read now (%s)",
			have.Unread, count(have.Bytes, "byte", "bytes"), c.How)
	default:
		c.pass(CheckContents, "the data has the stamp's fingerprint: %s, %s", count(have.Files, "file", "files"), count(have.Bytes, "byte", "bytes"))
	}
	c.attachments()
	return true
}

// Documents returns what a statement names by digest, and evidence may carry
// along: details, and a foreign statement that was imported.
func Documents(st *statement.Statement) []*statement.Attachment {
	var list []*statement.Attachment
	add := func(a *statement.Attachment) {
		if a != nil {
			list = append(list, a)
		}
	}
	switch {
	case st.Run != nil:
		add(st.Run.Details)
	case st.Evaluation != nil:
		add(st.Evaluation.Details)
	case st.Audit != nil:
		add(st.Audit.Details)
	case st.Import != nil:
		add(&st.Import.Document)
	}
	for _, o := range st.Stamps() {
		add(o.Stamp.Details)
	}
	return list
}

// carried returns the details documents that are carried along, by their
// digests, which are those of what they hold.
func (c *verification) carried() map[[32]byte]*statement.Details {
	if c.documents == nil {
		c.documents = make(map[[32]byte]*statement.Details)
		for _, a := range c.f.Attachments {
			if sha256.Sum256(a.Data) != a.SHA256 {
				continue
			}
			if d, err := statement.ParseDetails(a.Data); err == nil {
				c.documents[a.SHA256] = d
			}
		}
	}
	return c.documents
}

func (c *verification) attachments() {
	named := make(map[[32]byte]uint64) // digest → size
	name := func(attachments ...*statement.Attachment) {
		for _, a := range attachments {
			if a != nil {
				named[a.SHA256] = a.Size
			}
		}
	}
	for _, e := range c.listed {
		name(Documents(c.parsed[e])...)
	}
	// A details document may name the manifest and its marks.
	for sum, d := range c.carried() {
		if _, ok := named[sum]; ok {
			name(d.Manifest, d.Marks)
		}
	}
	for _, a := range c.f.Attachments {
		size, ok := named[a.SHA256]
		switch {
		case !ok:
			c.fail(Tampered, CheckAttachments, "no entry names the attachment sha256:%x", a.SHA256)
			return
		case sha256.Sum256(a.Data) != a.SHA256 || uint64(len(a.Data)) != size:
			c.fail(Tampered, CheckAttachments, "the attachment sha256:%x of %d bytes has other contents", a.SHA256, size)
			return
		}
	}
	withheld := len(named) - len(c.f.Attachments)
	switch {
	case len(named) == 0:
		c.skip(CheckAttachments, "the entries name none")
	case len(c.f.Attachments) == 0:
		c.skip(CheckAttachments, "left out: %s that the entries name by digest", count(withheld, "document", "documents"))
	case withheld > 0:
		c.pass(CheckAttachments, "%s as the entries say; left out: %d", count(len(c.f.Attachments), "document", "documents"), withheld)
	default:
		c.pass(CheckAttachments, "%s as the entries say", count(len(c.f.Attachments), "document", "documents"))
	}
}

// times compares the ledger's times with each other and with the witnesses'.
func (c *verification) times() bool {
	all := slices.Concat(c.known, c.listed, []*Entry{c.last})
	slices.SortStableFunc(all, func(a, b *Entry) int { return int(min(1, max(-1, int64(a.Index)-int64(b.Index)))) })
	for i := 1; i < len(all); i++ {
		if all[i].Time < all[i-1].Time {
			c.fail(Untrusted, CheckTime, "the ledger's time goes back: entry %d is from %s, entry %d from %s", all[i-1].Index, all[i-1].When(), all[i].Index, all[i].When())
			return true
		}
	}
	var seen int64
	ok := false
	if c.opened != nil {
		seen, ok = c.opened.SeenBy()
	}
	switch {
	case !ok:
		c.skip(CheckTime, "the ledger claims that it was stamped at %s; no witness says so", c.stamped.When())
	case seen < (c.last.Time-maxSkew)/1000:
		c.fail(Untrusted, CheckTime, "the ledger claims that entry %d is from %s, but witnesses saw it at %s", c.last.Index, c.last.When(), formatSeconds(seen))
	default:
		c.pass(CheckTime, "stamped at %s, the ledger claims; witnesses had seen it by %s", c.stamped.When(), formatSeconds(seen))
	}
	return true
}
