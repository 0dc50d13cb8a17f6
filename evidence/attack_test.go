package evidence

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/statement"
)

// Somebody alters an evidence file on its way: any one bit of it.
func TestAttackFlippedEvidence(t *testing.T) {
	l, f, p, d := sample(t)
	data := must(f.Marshal())
	opts := options(l, d)
	want(t, VerifyBytes(data, p, opts), Verified)
	for i := 0; i < len(data); i += flipStride {
		for bit := range 8 {
			data[i] ^= 1 << bit
			if v := VerifyBytes(data, p, opts); v.Verdict == Verified {
				t.Fatalf("bit %d of byte %d flipped, and it is verified: …%s…", bit, i, data[max(0, i-20):min(len(data), i+20)])
			}
			data[i] ^= 1 << bit
		}
	}
}

// The same, by somebody who knows to compute the sum anew: every field is
// bound by a check of its own.
func TestAttackFlippedAndSummedEvidence(t *testing.T) {
	l, f, p, d := sample(t)
	data := must(f.Marshal())
	opts := options(l, d)
	if parsed := flipped(t, data, p, opts, flipStride); parsed < 1000/flipStride {
		t.Fatalf("only %d of the altered files got past their format: a test that tells nothing", parsed)
	}
}

// The same of a lineage, of which every entry counts.
func TestAttackFlippedAndSummedLineage(t *testing.T) {
	family, f := sampleLineage(t)
	const stride = 11 // not a whole number of bytes in base64, nor of bits
	if parsed := flipped(t, must(f.Marshal()), family.policy(), Options{}, stride*flipStride); parsed < 300/flipStride {
		t.Fatalf("only %d of the altered files got past their format: a test that tells nothing", parsed)
	}
}

// flipped alters one bit of a file after another, sums it anew, and returns how
// many of the altered files got past their format. None may be verified.
func flipped(t *testing.T, data []byte, p *Policy, opts Options, stride int) (parsed int) {
	t.Helper()
	const tail = len(`"}`) + 64 + 1
	body := append(bytes.Clone(data[:len(data)-tail]), `"}`...)
	resum := func() []byte {
		return append(bytes.Clone(body[:len(body)-2]), fileSum(body)+"\"}\n"...)
	}
	if !bytes.Equal(resum(), data) {
		t.Fatal("this test cannot sum")
	}
	for i := 0; i < len(body)-2; i += stride {
		bit := byte(1) << (i % 8)
		body[i] ^= bit
		b := resum()
		if v := VerifyBytes(b, p, opts); v.Verdict == Verified {
			t.Fatalf("byte %d altered, the sum computed anew, and it is verified: …%s…", i, body[max(0, i-20):min(len(body), i+20)])
		} else if v.Result(CheckFormat) == Passed {
			parsed++
		}
		body[i] ^= bit
	}
	return parsed
}

// An operator rewrites the log, or somebody edits the evidence of it: an entry
// is edited, reordered, dropped or inserted.
func TestAttackRewrittenLog(t *testing.T) {
	build := func(change func(l *testLedger, i int) bool) (*testLedger, *Entry) {
		l := newLedger(t, "rewritten")
		var proved *Entry
		for i := range 6 {
			if change != nil && change(l, i) {
				continue
			}
			e := l.stamp(l.member, testData(t, byte(i)), "scans/"+string(rune('a'+i)), "1")
			if i == 2 {
				proved = e
			}
		}
		return l, proved
	}
	honest, e := build(nil)
	signed := honest.checkpoint()
	d := testData(t, 2)
	good := honest.prove(signed, e, d, "scans/c", "1")
	want(t, Verify(good, honest.policy(), Options{}), Verified)

	for name, change := range map[string]func(l *testLedger, i int) bool{
		"edited": func(l *testLedger, i int) bool {
			return i == 4 && l.stamp(l.member, testData(t, 99), "scans/e", "1") != nil
		},
		"dropped": func(l *testLedger, i int) bool { return i == 4 },
		"inserted": func(l *testLedger, i int) bool {
			return i == 4 && l.stamp(l.member, testData(t, 77), "scans/x", "1") == nil
		},
		"reordered": func(l *testLedger, i int) bool {
			switch i {
			case 4:
				l.stamp(l.member, testData(t, 5), "scans/f", "1")
			case 5:
				l.stamp(l.member, testData(t, 4), "scans/e", "1")
			}
			return i >= 4
		},
	} {
		t.Run(name, func(t *testing.T) {
			other, e := build(change)
			f := other.prove(other.checkpoint(), e, d, "scans/c", "1")
			// Under the checkpoint that the log signed before, nothing fits.
			g := *f
			g.Checkpoint = signed
			want(t, Verify(&g, other.policy(), Options{}), Tampered, CheckControl)
			// Under a checkpoint signed anew, only memory tells.
			want(t, Verify(f, other.policy(), Options{}), Verified)
			proof := tlog.TreeProof(nil)
			if other.size > honest.size {
				proof = must(ProveConsistency(honest.size, other.size, other))
			} else if other.size < honest.size {
				proof = must(ProveConsistency(other.size, honest.size, honest))
			}
			want(t, Verify(f, other.policy(), Options{Remembered: Remembered{Signed: signed}, Proof: proof}), Untrusted, CheckHistory)
		})
	}

	t.Run("an entry edited in the evidence", func(t *testing.T) {
		g := must(Parse(must(good.Marshal())))
		leaf := g.Entries[0].Leaf
		i := bytes.Index(leaf, []byte("scans/c@1"))
		leaf[i+6] = 'd'
		want(t, Verify(g, honest.policy(), Options{}), Tampered, CheckIncluded, CheckSignature, CheckClaim)
	})
	t.Run("another entry of the log in its place", func(t *testing.T) {
		g := must(Parse(must(good.Marshal())))
		g.Entries[0].Leaf = honest.leaves[e.Index+1]
		g.Claim.Entry++
		want(t, Verify(g, honest.policy(), Options{}), Tampered, CheckIncluded, CheckClaim)
	})
	t.Run("a leaf that says another index", func(t *testing.T) {
		g := must(Parse(must(good.Marshal())))
		g.Entries[0].Leaf[len(entryDomain)+7]++
		g.Claim.Entry++
		want(t, Verify(g, honest.policy(), Options{}), Tampered, CheckIncluded)
	})
}

// A dishonest log holds, at one index, a leaf that says another.
func TestAttackSwappedIndex(t *testing.T) {
	l := newLedger(t, "index")
	d := testData(t, 1)
	e := &Entry{Index: 3, Time: l.now + 1000, ControlCount: 2, ControlRoot: l.control.Root(), Envelope: l.sign(l.member, d.stamping("scans/train", "1"))}
	l.put(e) // it is leaf 2
	l.now += 1000
	l.stamp(l.member, testData(t, 2), "scans/b", "1")
	l.stamp(l.member, testData(t, 3), "scans/c", "1")
	proven := func(at uint64) []Proven { return []Proven{{l.leaves[2], must(ProveInclusion(5, at, l))}} }
	f := &File{Ledger: l.id, Checkpoint: l.checkpoint(), Control: l.leaves[:2],
		Last:    Proven{l.leaves[4], must(ProveInclusion(5, 4, l))},
		Entries: proven(2),
		Claim:   Claim{Entry: 3, Name: "scans/train", Version: "1", Fingerprint: d.fp}}
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckIncluded)
	f.Entries = proven(3)
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckIncluded)
	f.Claim.Entry = 2
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckIncluded, CheckClaim)
}

// A withdrawal is left out of evidence.
func TestAttackWithdrawalLeftOut(t *testing.T) {
	l := newLedger(t, "left out")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	l.withdraw(l.member, d.ref("scans/train", "1"), statement.TargetContents, "")
	l.stamp(l.member, testData(t, 2), "scans/train", "2")
	f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, l.policy(), Options{}), Withdrawn, CheckNotWithdrawn)

	f.Control = f.Control[:2]
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckControl)

	// An earlier leaf, from before the withdrawal, in place of the last.
	f.Last = Proven{Leaf: l.leaves[2], Proof: must(ProveInclusion(l.size, 2, l))}
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckControl)
	f.Last = Proven{Leaf: l.leaves[2], Proof: must(ProveInclusion(l.size, l.size-1, l))}
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckControl)

	// The withdrawal is the very last leaf: it needs no place in the list.
	l.withdraw(l.member, d.ref("scans/train", "1"), statement.TargetBinding, "")
	f = l.prove(l.checkpoint(), e, d, "scans/train", "1")
	v := Verify(f, l.policy(), Options{})
	want(t, v, Withdrawn, CheckNotWithdrawn)
	if len(v.Withdrawals) != 2 {
		t.Fatalf("%d withdrawals", len(v.Withdrawals))
	}

	// Control entries reordered, or one twice.
	slices.Reverse(f.Control[1:])
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckControl)
	slices.Reverse(f.Control[1:])
	f.Control = append(f.Control, f.Control[2])
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckControl)
	f.Control = [][]byte{l.leaves[1]}
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckLedger)
	f.Control = nil
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckLedger)
}

// An operator who leaves a withdrawal out of the control root of later leaves
// is found by any entry that counts it.
func TestAttackControlRootForgets(t *testing.T) {
	l := newLedger(t, "forgets")
	d := testData(t, 1)
	l.withdraw(l.admin, d.ref("scans/train", "1"), statement.TargetContents, "")
	e := l.stamp(l.member, d, "scans/train", "1") // counts three
	forgetful := NewControl()
	for _, i := range l.listed[:2] {
		if err := forgetful.Add(must(ParseEntry(l.leaves[i]))); err != nil {
			t.Fatal(err)
		}
	}
	l.control, l.listed = forgetful, l.listed[:2]
	l.stamp(l.member, testData(t, 2), "scans/b", "1") // counts two
	f := l.prove(l.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, l.policy(), Options{}), Tampered, CheckIncluded)
}

// The log shows one history to one reader and another to another.
func TestAttackTwoHistories(t *testing.T) {
	a, b := newLedger(t, "two"), newLedger(t, "two")
	d := testData(t, 1)
	ea := a.stamp(a.member, d, "scans/train", "1")
	b.stamp(b.member, testData(t, 2), "scans/train", "1")
	f := a.prove(a.checkpoint(), ea, d, "scans/train", "1")
	v := Verify(f, a.policy(), Options{Remembered: Remembered{Signed: b.checkpoint()}})
	want(t, v, Untrusted, CheckHistory)
	if v.Exit() != 6 {
		t.Fatal(v.Exit())
	}
	// Evidence older than the memory is no fork by itself.
	b2 := a.checkpoint()
	a.stamp(a.member, testData(t, 3), "scans/x", "1")
	old := a.prove(b2, ea, d, "scans/train", "1")
	mem := Remembered{Signed: a.checkpoint()}
	v = Verify(old, a.policy(), Options{Remembered: mem})
	want(t, v, Verified)
	if v.Result(CheckHistory) != NotMade {
		t.Fatal("no proof was given")
	}
	v = Verify(old, a.policy(), Options{Remembered: mem, Proof: must(ProveConsistency(a.size-1, a.size, a))})
	want(t, v, Verified)
	if v.Result(CheckHistory) != Passed {
		t.Fatal("a proof was given")
	}
}

// Data is shipped with a ledger of its own, and with the trust to go with it.
func TestAttackOwnLedger(t *testing.T) {
	victim, attacker := newLedger(t, "victim"), newLedger(t, "attacker")
	d := testData(t, 66)
	e := attacker.stamp(attacker.member, d, "scans/train", "1")
	f := attacker.prove(attacker.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, victim.policy(), Options{}), Untrusted, CheckTrustedLog)
	want(t, Verify(f, nil, Options{}), Untrusted, CheckTrustedLog)

	// It names the victim's log key in its genesis, which it cannot sign with.
	imp := emptyLedger(t, "impostor")
	imp.logKey = victim.logKey
	imp.genesis("impostor")
	imp.register("mara", imp.member, "scans/*")
	e = imp.stamp(imp.member, d, "scans/train", "1")
	f = imp.prove(imp.checkpoint(), e, d, "scans/train", "1")
	want(t, Verify(f, victim.policy(), Options{}), Untrusted, CheckCheckpoint)
	// It puts the victim's signature, of another text, on the checkpoint.
	text, theirs := Checkpoint{imp.origin, imp.size, imp.root(imp.size)}.Text(), victim.checkpoint()
	f.Checkpoint = append([]byte(text+"\n"), theirs[bytes.Index(theirs, []byte("—")):]...)
	want(t, Verify(f, victim.policy(), Options{}), Tampered, CheckCheckpoint)
	// It rotates away from the victim's key, with its own key alone.
	forged, key := logKey(t, imp.origin, "impostor second")
	imp.log, imp.logKey = forged, victim.logKey
	st := imp.rotation(forged, key)
	if _, err := st.Marshal(); err == nil {
		t.Fatal("a rotation that the current key did not sign was written")
	}
}

// The log's key is changed with the signature of only one of the two keys.
func TestAttackRotationByOneKey(t *testing.T) {
	for name, forge := range map[string]func(k *statement.LogKeySignatures, other []byte){
		"the next key alone":    func(k *statement.LogKeySignatures, other []byte) { k.Current = other },
		"the current key alone": func(k *statement.LogKeySignatures, other []byte) { k.Next = other },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, "one key")
			d := testData(t, 1)
			e := l.stamp(l.member, d, "scans/train", "1")
			pinned := l.policy()
			next, key := logKey(t, l.origin, "one key second")
			st := l.rotation(next, key)
			honest := must(st.Marshal())
			mallory, _ := logKey(t, l.origin, "mallory")
			forged := st.LogKey.Signatures
			forge(&forged, must(mallory.Sign(statement.LogKeyMessage(l.id, st.LogKey.Current, st.LogKey.Next, st.Nonce))))
			payload := honest
			payload = bytes.Replace(payload, []byte(b64(st.LogKey.Signatures.Current)), []byte(b64(forged.Current)), 1)
			payload = bytes.Replace(payload, []byte(b64(st.LogKey.Signatures.Next)), []byte(b64(forged.Next)), 1)
			if bytes.Equal(payload, honest) {
				t.Fatal("nothing was forged")
			}
			env := &statement.Envelope{PayloadType: statement.PayloadType, Payload: payload, KeyID: l.admin.PublicKey().ID()}
			env.Signature = must(l.admin.Sign(env.Message()))
			count, root := l.control.Count(), l.control.Root()
			entry := l.append(env, false)
			if err := l.control.Add(entry); err == nil {
				t.Fatal("the fold took it")
			}
			// A log that admits it anyway.
			l.listed = append(l.listed, entry.Index)
			acc := accumulator{}
			for _, i := range l.listed {
				acc.add(LeafHash(l.leaves[i]))
			}
			l.now += 1000
			l.put(&Entry{Index: l.size, Time: l.now, ControlCount: count + 1, ControlRoot: acc.root(), Envelope: l.sign(l.member, testData(t, 2).stamping("scans/b", "1"))})
			if acc.root() == root {
				t.Fatal("the root did not change")
			}
			l.log = next
			want(t, Verify(l.prove(l.checkpoint(), e, d, "scans/train", "1"), pinned, Options{}), Tampered, CheckFormat)
		})
	}
}

// An envelope is replayed: from another ledger, and from another entry.
func TestAttackReplay(t *testing.T) {
	a, b := newLedger(t, "replay"), emptyLedger(t, "replay")
	b.now++ // another genesis, so another id; the same people
	b.nonce = 1000
	b.genesis("replay")
	b.register("mara", b.member, "scans/*")
	d := testData(t, 1)
	env := a.sign(a.member, d.stamping("scans/train", "1"))
	e := b.append(env, false)
	v := Verify(b.prove(b.checkpoint(), e, d, "scans/train", "1"), b.policy(), Options{})
	want(t, v, Tampered, CheckClaim)
	if a.id == b.id || !strings.Contains(v.String(), a.id.String()) {
		t.Fatalf("the ledger it was signed for is not named:\n%s", v)
	}
}

// A checkpoint of long ago is shown as if the log had stopped there.
func TestAttackFrozenLog(t *testing.T) {
	l := newLedger(t, "frozen")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	w, k := witnessKey(t, "w.example", "w", l.now/1000+10)
	eager, ek := witnessKey(t, "eager.example", "eager", l.now/1000+10*24*3600)
	old := l.checkpoint(w, eager)
	f := l.prove(old, e, d, "scans/train", "1")
	l.withdraw(l.admin, d.ref("scans/train", "1"), statement.TargetContents, "")

	p := l.policy()
	p.Witnesses = []PolicyWitness{{Name: "w", Key: k}, {Name: "eager", Key: ek}}
	p.Groups = []PolicyGroup{{Name: "both", K: 2, Members: []string{"w", "eager"}}}
	p.Quorum = "both"
	tenDays := Options{Now: l.now + 10*24*3600_000, MaxAge: 24 * 3600_000}
	// One witness who cosigns an old checkpoint again does not make it fresh
	// where two are asked for.
	want(t, Verify(f, p, tenDays), Untrusted, CheckFresh)
	p.Quorum = "eager"
	p.Groups = nil
	want(t, Verify(f, p, tenDays), Verified)
}

// The policy's quorum is not met, or met by keys that do not count.
func TestAttackQuorum(t *testing.T) {
	l := newLedger(t, "quorum")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	seconds := l.now/1000 + 10
	w1, k1 := witnessKey(t, "w1.example", "w1", seconds)
	_, k2 := witnessKey(t, "w2.example", "w2", seconds)
	mallory, _ := witnessKey(t, "w2.example", "mallory", seconds)
	p := l.policy()
	p.Witnesses = []PolicyWitness{{Name: "a", Key: k1}, {Name: "b", Key: k2}}
	p.Groups = []PolicyGroup{{Name: "both", K: 2, Members: []string{"a", "b"}}}
	p.Quorum = "both"
	verify := func(p *Policy, also ...note.Signer) *Verdict {
		return Verify(l.prove(l.checkpoint(also...), e, d, "scans/train", "1"), p, Options{})
	}
	want(t, verify(p, w1), Untrusted, CheckWitnesses)
	want(t, verify(p), Untrusted, CheckWitnesses)
	want(t, verify(p, w1, mallory), Untrusted, CheckWitnesses) // another key under the witness's name

	// A cosignature that its witness did not make, under its key id.
	signed := l.checkpoint(w1)
	other := must(SignCheckpoint(Checkpoint{l.origin, 1, l.root(1)}, w1))
	i, j := bytes.LastIndex(signed, []byte("— w1.example")), bytes.LastIndex(other, []byte("— w1.example"))
	f := l.prove(append(bytes.Clone(signed[:i]), other[j:]...), e, d, "scans/train", "1")
	p.Quorum, p.Groups = "a", nil
	want(t, Verify(f, p, Options{}), Tampered, CheckWitnesses)

	// The log cosigns with the key that it changes to.
	next, nextKey := logKey(t, l.origin, "w1") // the witness's own key
	before := l.policy()
	before.Witnesses, before.Quorum = []PolicyWitness{{Name: "a", Key: k1}}, "a"
	old := l.log
	l.say(l.admin, l.rotation(next, nextKey))
	l.log, l.logKey = next, nextKey
	want(t, verify(before, old, w1), Untrusted, CheckWitnesses)
}

// The times of the log and of its witnesses contradict each other.
func TestAttackTimes(t *testing.T) {
	l := newLedger(t, "times")
	d := testData(t, 1)
	e := l.stamp(l.member, d, "scans/train", "1")
	early, k := witnessKey(t, "w.example", "w", l.now/1000-3600)
	p := l.policy()
	p.Witnesses, p.Quorum = []PolicyWitness{{Name: "w", Key: k}}, "w"
	want(t, Verify(l.prove(l.checkpoint(early), e, d, "scans/train", "1"), p, Options{}), Untrusted, CheckTime)

	// Back-dated: the ledger's time goes back.
	l.now -= 3600_000
	e = l.stamp(l.member, testData(t, 2), "scans/b", "1")
	l.now += 7200_000
	l.stamp(l.member, testData(t, 3), "scans/c", "1")
	want(t, Verify(l.prove(l.checkpoint(), e, testData(t, 2), "scans/b", "1"), l.policy(), Options{}), Untrusted, CheckTime)

	far, fk := witnessKey(t, "far.example", "far", 1<<62)
	p.Witnesses, p.Quorum = []PolicyWitness{{Name: "w", Key: fk}}, "w"
	f := l.prove(l.checkpoint(far), must(ParseEntry(l.leaves[2])), d, "scans/train", "1")
	want(t, Verify(f, p, Options{Now: l.now, MaxAge: 1000}), Untrusted, CheckFresh)
}
