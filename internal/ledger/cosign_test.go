package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// cosigned is a checkpoint with a witness's line.
func cosigned(t *testing.T, signed []byte, name string, seconds int64) ([]byte, evidence.VKey) {
	t.Helper()
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	signer, vkey, err := evidence.NewCosigner(name, ledgertest.LogPrivateKey(name), seconds)
	if err != nil {
		t.Fatal(err)
	}
	out, err := evidence.SignCheckpoint(cp, signer)
	if err != nil {
		t.Fatal(err)
	}
	return out, vkey
}

func TestCosign(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "a", "1", "1")
	two, err := l.View().LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.Stamped(l.Ada, "a", "2", "2")
	three, _ := l.View().LatestCheckpoint()
	if _, err := l.View().Cosigned(); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	note, key := cosigned(t, three, "w1", 100)
	stored, err := l.Cosign(note, false, key)
	if err != nil {
		t.Fatal(err)
	}
	if latest, _ := l.View().LatestCheckpoint(); !bytes.Equal(latest, stored) || bytes.Equal(latest, three) {
		t.Fatalf("%s", latest)
	}
	if _, err := l.View().Cosigned(); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal("no quorum was reached", err)
	}
	// Another witness, an older size that reaches the quorum, then this one.
	note2, key2 := cosigned(t, two, "w2", 100)
	if _, err := l.Cosign(note2, true, key2); err != nil {
		t.Fatal(err)
	}
	c, err := l.View().Cosigned()
	if cp, _, _ := evidence.ReadCheckpoint(c); err != nil || cp.Size != 2 {
		t.Fatalf("%v %v", cp, err)
	}
	if _, err := l.Cosign(note, true, key); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Cosign(note2, true, key2); err != nil { // which takes nothing back
		t.Fatal(err)
	}
	c, _ = l.View().Cosigned()
	if cp, _, _ := evidence.ReadCheckpoint(c); cp.Size != 3 {
		t.Fatal(cp)
	}
	// A newer line takes the older one's place, an older one does not.
	for _, at := range []int64{200, 150} {
		again, _ := cosigned(t, three, "w1", at)
		if stored, err = l.Cosign(again, false, key); err != nil {
			t.Fatal(err)
		}
	}
	p := evidence.NewPolicy(logKey(t), "")
	p.Witnesses, p.Quorum = []evidence.PolicyWitness{{Name: "w", Key: key}}, "w"
	control, err := l.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	o, err := control.Judge(p, stored)
	if err != nil || !o.Quorum || len(o.Cosignatures) != 1 || o.Cosignatures[0].Time != 200 {
		t.Fatalf("%+v %v", o, err)
	}
	// Evidence made now has it; and so has the store when it is opened again, and
	// checked, and rebuilt.
	again, err := ledger.Open(l.DB, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if have, err := again.View().Cosigned(); err != nil || !bytes.Equal(have, stored) {
		t.Fatalf("%s %v", have, err)
	}
	check := func() {
		t.Helper()
		r, err := ledger.Check(context.Background(), l.DB, nil)
		if err != nil || !r.OK() {
			t.Fatalf("%v %v", r, err)
		}
	}
	check()
	if err := ledger.Rebuild(context.Background(), l.DB, nil); err != nil {
		t.Fatal(err)
	}
	check()
	if have, err := again.View().Cosigned(); err != nil || !bytes.Equal(have, stored) {
		t.Fatalf("%s %v", have, err)
	}
	if err := l.DB.Set([]byte("mcosigned"), []byte{0, 0, 0, 0, 0, 0, 0, 9}, nil); err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.Check(context.Background(), l.DB, nil); err != nil || r.OK() {
		t.Fatalf("a size that is not there is sound: %v %v", r, err)
	}
}

func logKey(t *testing.T) evidence.VKey {
	t.Helper()
	_, k := ledgertest.LogKey("1")
	return k
}

// TestWitnessLies: nothing that does not verify is stored.
func TestWitnessLies(t *testing.T) {
	l := ledgertest.New(t)
	one, _ := l.View().LatestCheckpoint()
	l.Stamped(l.Ada, "a", "1", "1")
	two, _ := l.View().LatestCheckpoint()
	other := ledgertest.New(t)
	other.Stamped(other.Ada, "a", "1", "other")
	fork, _ := other.View().LatestCheckpoint()
	good, key := cosigned(t, two, "w1", 100)
	of1, _ := cosigned(t, one, "w1", 100)
	ofFork, _ := cosigned(t, fork, "w1", 100)
	_, stranger := cosigned(t, two, "w2", 100)
	cp, _, _ := evidence.ReadCheckpoint(two)
	_, sigs1, _ := bytes.Cut(of1, []byte("\n\n"))
	for name, test := range map[string]struct {
		signed []byte
		keys   []evidence.VKey
		want   error
	}{
		"another size's line":  {append([]byte(cp.Text()+"\n"), sigs1...), []evidence.VKey{key}, evidence.ErrTampered},
		"another tree":         {ofFork, []evidence.VKey{key}, evidence.ErrFork},
		"a size that is not":   {bytes.Replace(good, []byte("\n2\n"), []byte("\n7\n"), 1), []evidence.VKey{key}, ledger.ErrNotFound},
		"nonsense":             {[]byte("hello"), []evidence.VKey{key}, evidence.ErrFormat},
		"nobody who was asked": {good, []evidence.VKey{stranger}, nil}, // left out
		"the log's own key":    {two, []evidence.VKey{logKey(t)}, evidence.ErrTampered},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := l.Cosign(test.signed, true, test.keys...); !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if have, _ := l.View().LatestCheckpoint(); !bytes.Equal(have, two) {
				t.Fatalf("stored:\n%s", have)
			}
		})
	}
}

// TestManyWitnesses: a checkpoint has room for as many as a note.
func TestManyWitnesses(t *testing.T) {
	l := ledgertest.New(t)
	signed, _ := l.View().LatestCheckpoint()
	for i := range evidence.MaxSignatures {
		note, key := cosigned(t, signed, fmt.Sprintf("w%d", i), 1)
		_, err := l.Cosign(note, false, key)
		if full := i == evidence.MaxSignatures-1; full != errors.Is(err, evidence.ErrFormat) || !full && err != nil {
			t.Fatal(i, err)
		}
	}
}

// TestCosignBesideWriter: cosignatures and commits at once lose neither.
func TestCosignBesideWriter(t *testing.T) {
	l := ledgertest.New(t)
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			signed, err := l.View().LatestCheckpoint()
			if err == nil {
				note, key := cosigned(t, signed, "w1", 1)
				_, err = l.Cosign(note, true, key)
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 200 {
		l.Stamped(l.Ada, "a", fmt.Sprint(i), fmt.Sprint(i))
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.Check(context.Background(), l.DB, nil); err != nil || !r.OK() || r.Entries != 201 {
		t.Fatalf("%v %v", r, err)
	}
}
