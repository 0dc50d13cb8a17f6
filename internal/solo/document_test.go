package solo

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// A document larger than what is held in memory is kept, found by its digest,
// and its end is told only where it is the right one.
func TestDocument(t *testing.T) {
	h := newHome(t)
	closed(t, h.create())
	s := OpenShelf(h.opts.Dir)
	text := bytes.Repeat([]byte("0123456789abcdef"), MaxAttachment/8)
	a, err := s.Copy(bytes.NewReader(text))
	if err != nil || a.Size != uint64(len(text)) {
		t.Fatal(a, err)
	}
	if b, err := s.Copy(bytes.NewReader(text)); err != nil || b != a {
		t.Fatal(b, err)
	}
	read := func(a statement.Attachment) ([]byte, error) {
		f, err := s.Open(a)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	if got, err := read(a); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	h.sound()
	other := a
	other.SHA256[0] ^= 1
	if _, err := read(other); !errors.Is(err, ErrWithheld) {
		t.Fatal(err)
	}
	for _, size := range []uint64{0, a.Size - 1, a.Size + 1} {
		if _, err := read(statement.Attachment{SHA256: a.SHA256, Size: size}); !errors.Is(err, ErrTampered) {
			t.Fatalf("of %d bytes: %v", size, err)
		}
	}
	empty, err := s.Copy(strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(empty); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	for _, name := range []string{s.path(a.SHA256), s.path(empty.SHA256)} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, append(data[:len(data)/2:len(data)/2], append([]byte{7}, data[len(data)/2:]...)...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []statement.Attachment{a, empty} {
		if _, err := read(a); !errors.Is(err, ErrTampered) {
			t.Fatal(err)
		}
	}
	if r, err := Fsck(t.Context(), h.opts, FsckOptions{}); err != nil || len(r.Problems) != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	// Whoever has the document mends it.
	if _, err := s.Copy(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := read(a); err != nil {
		t.Fatal(err)
	}
	// What a crash left is no attachment.
	if err := os.WriteFile(h.opts.Dir+"/attachments/new.tmp-1", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Fsck(t.Context(), h.opts, FsckOptions{}); err != nil || len(r.Problems) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	failing := io.MultiReader(strings.NewReader("x"), errReader{})
	if _, err := s.Copy(failing); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
}

var errBroken = errors.New("broken")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }
