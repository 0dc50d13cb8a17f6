package fingerprint

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
)

func TestNewFile(t *testing.T) {
	for _, a := range []Algorithm{SHA256, BLAKE3} {
		for _, size := range []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2 * ChunkSize, 2*ChunkSize + 1} {
			p := bytes.Repeat([]byte("stele"), size/5+1)[:size]
			want := fileOf(a, "f", p)
			want.SHA256 = nil
			for name, r := range map[string]io.Reader{
				"at once": bytes.NewReader(p), "by halves": iotest.HalfReader(bytes.NewReader(p)), "with its end": iotest.DataErrReader(bytes.NewReader(p)),
			} {
				if got, err := a.NewFile("f", r); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%v, %d bytes, %s: %v", a, size, name, err)
				}
			}
		}
	}
	// What cannot be read to its end is no file, whatever the reader calls that.
	for _, broken := range []error{errors.New("broken"), io.ErrUnexpectedEOF} {
		if f, err := SHA256.NewFile("f", io.MultiReader(bytes.NewReader(make([]byte, 10)), iotest.ErrReader(broken))); !errors.Is(err, broken) || f.Size != 0 {
			t.Errorf("%v: %+v, %v", broken, f, err)
		}
	}
}
