package evidence

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// Whatever was not read now, and however little, the verdict is never verified.
func TestSampledIsNeverVerified(t *testing.T) {
	l := newLedger(t, "sampled")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	whole := Contents{Fingerprint: d.fp, Files: d.sum.Files, Bytes: d.sum.Bytes}
	contents := func(change func(c *Contents)) *Contents {
		c := whole
		change(&c)
		return &c
	}
	const how = "12 of 900 GB, by object version"
	for name, c := range map[string]struct {
		contents *Contents
		trust    *Policy
		opts     Options
		verdict  Outcome
		failed   []string
	}{
		"every byte":                   {contents(func(*Contents) {}), l.policy(), Options{}, Verified, nil},
		"no data at all":               {nil, l.policy(), Options{}, Verified, nil},
		"some bytes":                   {contents(func(c *Contents) { c.Unread, c.How = 1, how }), l.policy(), Options{}, Sampled, nil},
		"some bytes, without a word":   {contents(func(c *Contents) { c.Unread = 1 }), l.policy(), Options{}, Sampled, nil},
		"no byte":                      {contents(func(c *Contents) { c.Unread, c.How = d.sum.Bytes, how }), l.policy(), Options{}, Sampled, nil},
		"empty files removed":          {contents(func(c *Contents) { c.How = "3 files removed by entry 7" }), l.policy(), Options{}, Sampled, nil},
		"of other data":                {contents(func(c *Contents) { c.Unread, c.How, c.Fingerprint = 1, how, testData(t, 2).fp }), l.policy(), Options{}, Tampered, []string{CheckContents}},
		"of more files":                {contents(func(c *Contents) { c.Unread, c.How = 1, how; c.Files++ }), l.policy(), Options{}, Tampered, []string{CheckContents}},
		"a chunk that differs":         {contents(func(c *Contents) { c.Unread, c.How, c.Differs = 1, how, "bytes 0 to 9 of a.csv" }), l.policy(), Options{}, Tampered, []string{CheckContents}},
		"a difference, and all read":   {contents(func(c *Contents) { c.Differs = "bytes 0 to 9 of a.csv" }), l.policy(), Options{}, Tampered, []string{CheckContents}},
		"from a log nobody trusts":     {contents(func(c *Contents) { c.Unread, c.How = 1, how }), nil, Options{}, Untrusted, []string{CheckTrustedLog}},
		"of what was not asked for":    {contents(func(c *Contents) { c.Unread, c.How = 1, how }), l.policy(), Options{Name: "scans/other"}, Unknown, []string{CheckClaim}},
		"older than was asked, unseen": {contents(func(c *Contents) { c.Unread, c.How = 1, how }), l.policy(), Options{Now: l.now, MaxAge: 1}, Untrusted, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Contents = c.contents
			v := Verify(f, c.trust, c.opts)
			want(t, v, c.verdict, c.failed...)
			partial := c.contents != nil && (c.contents.Unread > 0 || c.contents.How != "")
			if partial && v.Result(CheckContents) == Passed {
				t.Error("the contents passed, and not all were read")
			}
			if c.verdict != Sampled {
				return
			}
			if v.Exit() != 0 || v.Unread != c.contents.Unread || v.How == "" || v.Result(CheckContents) != NotMade {
				t.Errorf("%+v", v)
			}
			if !strings.Contains(v.String(), v.How) {
				t.Errorf("the verdict does not say how: %s", v)
			}
		})
	}

	l.withdraw(l.member, d.ref("scans/train", "1"), statement.TargetContents, "")
	f = l.prove(l.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, l.policy(), Options{Contents: contents(func(c *Contents) { c.Unread = 1 })}), Withdrawn, CheckNotWithdrawn)
}

func TestSampledJSON(t *testing.T) {
	l := newLedger(t, "sampled json")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	v := Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), l.policy(),
		Options{Contents: &Contents{Fingerprint: d.fp, Files: d.sum.Files, Bytes: d.sum.Bytes, Unread: 5, How: "5 bytes, by ETag"}})
	b := must(json.Marshal(v))
	for _, text := range []string{`"verdict":"sampled"`, `"unread":5`, `"how":"5 bytes, by ETag"`, `{"name":"contents","ok":null,`} {
		if !strings.Contains(string(b), text) {
			t.Errorf("%s is not in %s", text, b)
		}
	}
}

// collecting is the statement that stamps a collection of the data.
func collecting(name, version string, members ...statement.CollectionMember) (*statement.Statement, statement.Ref) {
	fp, files, bytes, err := statement.Collection(members[0].Ref.Fingerprint.Algorithm, members)
	if err != nil {
		panic(err)
	}
	ref := statement.Ref{Name: name, Version: version, Fingerprint: fp}
	return &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Stamp: &statement.Stamp{
		Kind: statement.ArtifactDataset, Files: files, Bytes: bytes, Basis: statement.Basis{Stamped: bytes}, Members: members}}, ref
}

func (d *data) member(prefix, name, version string) statement.CollectionMember {
	return statement.CollectionMember{Prefix: prefix, Ref: d.ref(name, version), Files: d.sum.Files, Bytes: d.sum.Bytes}
}

// A collection verifies by its one entry; what was withdrawn of a member's
// contents cannot be hidden in it.
func TestAttackWithdrawnMember(t *testing.T) {
	l := newLedger(t, "collection")
	monday, tuesday := testData(t, 1), testData(t, 2)
	l.stamp(l.member, monday, "scans/day", "1")
	l.stamp(l.member, tuesday, "scans/day", "2")
	st, ref := collecting("scans/week", "1", monday.member("monday", "scans/day", "1"), tuesday.member("tuesday", "scans/day", "2"))
	e := l.say(l.member, st)
	verdict := func() *Verdict {
		f, err := Collect(l, l.checkpoint(), Claim{Entry: e.Index, Name: "scans/week", Version: "1", Fingerprint: ref.Fingerprint}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return Verify(f, l.policy(), Options{StampOnly: true, Contents: &Contents{Fingerprint: ref.Fingerprint, Files: 10, Bytes: monday.sum.Bytes + tuesday.sum.Bytes}})
	}
	v := verdict()
	want(t, v, Verified)
	if v.Result(CheckMembers) != NotMade || !strings.Contains(v.String(), "a collection of 2 artifacts") {
		t.Errorf("%s", v)
	}
	l.withdraw(l.member, tuesday.ref("scans/day", "2"), statement.TargetLocation, "s3://bucket/tuesday")
	l.withdraw(l.member, tuesday.ref("scans/day", "2"), statement.TargetBinding, "")
	want(t, verdict(), Verified) // the name was a mistake, the bytes were not
	w := l.withdraw(l.member, tuesday.ref("scans/day", "2"), statement.TargetContents, "")
	v = verdict()
	want(t, v, Withdrawn, CheckNotWithdrawn, CheckNotTainted)
	if len(v.Withdrawals) != 2 || !strings.Contains(v.String(), "scans/day@2") {
		t.Errorf("%+v\n%s", v.Withdrawals, v)
	}
	l.reinstate(l.member, tuesday.ref("scans/day", "2"), w.Index)
	want(t, verdict(), Verified)
}

// Entries of an audit go along in evidence like others: signed, in the log, by
// somebody who may.
func TestEvidenceOfAnAudit(t *testing.T) {
	l := newLedger(t, "audit")
	d := testData(t, 1)
	e := l.stamp(l.admin, d, "models/a", "1") // a name that the member may not write
	doc := must((&statement.Details{Salt: [32]byte{1}, Locations: []string{"s3://bucket/scans"}}).Marshal())
	nonce := [32]byte{7}
	details := statement.AttachmentOf(doc)
	announced := l.say(l.member, &statement.Statement{Kind: statement.KindAudit, Subject: []statement.Subject{d.ref("models/a", "1").Subject()},
		Audit: &statement.Audit{Details: &details, Announcement: &statement.AuditAnnouncement{
			Altered: 5_000_000, Confidence: 990_000_000, Chunks: 919, NonceSHA256: sha256.Sum256(nonce[:])}}})
	cp := Checkpoint{Size: l.size, Root: l.root(l.size)}
	ended := l.say(l.member, &statement.Statement{Kind: statement.KindAudit, Subject: []statement.Subject{d.ref("models/a", "1").Subject()},
		Audit: &statement.Audit{Result: &statement.AuditResult{Announcement: announced.Index, Nonce: nonce,
			Checkpoint: statement.AuditCheckpoint{Size: cp.Size, Root: cp.Root},
			Seed:       statement.AuditSeed(announced.LeafHash(), nonce, cp.Size, cp.Root),
			Outcome:    statement.OutcomeHeld, ChunksAsked: 5, ChunksRead: 5, BytesRead: d.sum.Bytes, FilesCompared: 5}}})
	claim := Claim{Entry: e.Index, Name: "models/a", Version: "1", Fingerprint: d.fp}
	f, err := Collect(l, l.checkpoint(), claim, [][]byte{doc}, announced.Index, ended.Index)
	if err != nil {
		t.Fatal(err)
	}
	v := VerifyBytes(must(f.Marshal()), l.policy(), Options{})
	want(t, v, Verified)
	if v.Result(CheckAttachments) != Passed {
		t.Errorf("%s", v)
	}
	f.Claim.Entry = announced.Index
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckClaim)
}
