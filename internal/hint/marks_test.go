package hint

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

type vector struct {
	Name, Fingerprint, Marks string
	Records                  []struct {
		Version, ETag string
		MTime, CTime  int64
		Inode, Device uint64
		Entry         uint64
	}
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Marks []vector }
	if err := json.Unmarshal(data, &v); err != nil || len(v.Marks) == 0 {
		t.Fatalf("vectors: %v", err)
	}
	return v.Marks
}

func (v *vector) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Marks)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (v *vector) fingerprint(t testing.TB) fingerprint.Fingerprint {
	t.Helper()
	fp, err := fingerprint.Parse(v.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return fp
}

// marked is a mark and its entry.
type marked struct {
	mark  source.Mark
	entry uint64
}

func readMarks(r io.Reader, want fingerprint.Fingerprint) (all []marked, err error) {
	m, err := NewMarksReader(r, want)
	if err != nil {
		return nil, err
	}
	for {
		mark, entry, err := m.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			if _, _, again := m.Next(); again != err {
				return nil, fmt.Errorf("an error that does not stay: %v, then %v", err, again)
			}
			return nil, err
		}
		all = append(all, marked{mark, entry})
	}
}

func writeMarks(t testing.TB, all []marked, fp fingerprint.Fingerprint) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewMarksWriter(&out)
	for _, m := range all {
		if err := w.Add(m.mark, m.entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(fp); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestVectors(t *testing.T) {
	for _, v := range readVectors(t) {
		var want []marked
		for _, r := range v.Records {
			want = append(want, marked{source.Mark{Version: r.Version, ETag: r.ETag, MTime: r.MTime, CTime: r.CTime, Inode: r.Inode, Device: r.Device}, r.Entry})
		}
		data := v.bytes(t)
		if got := writeMarks(t, want, v.fingerprint(t)); !bytes.Equal(got, data) {
			t.Errorf("%s: wrote %x, want %x", v.Name, got, data)
		}
		got, err := readMarks(iotest.OneByteReader(bytes.NewReader(data)), v.fingerprint(t))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: read %+v, %v; want %+v", v.Name, got, err, want)
		}
	}
}

// TestDamaged flips every bit and cuts at every length.
func TestDamaged(t *testing.T) {
	for _, v := range readVectors(t) {
		data, fp := v.bytes(t), v.fingerprint(t)
		if len(data) > 1000 {
			continue
		}
		for i := range data {
			for bit := range 8 {
				bad := bytes.Clone(data)
				bad[i] ^= 1 << bit
				if _, err := readMarks(bytes.NewReader(bad), fp); err == nil {
					t.Fatalf("%s: read with bit %d of byte %d flipped", v.Name, bit, i)
				}
			}
			if _, err := readMarks(bytes.NewReader(data[:i]), fp); !errors.Is(err, fingerprint.ErrTruncated) {
				t.Errorf("%s: cut at %d: %v, want ErrTruncated", v.Name, i, err)
			}
		}
		if _, err := readMarks(bytes.NewReader(append(bytes.Clone(data), 0)), fp); !errors.Is(err, fingerprint.ErrFormat) {
			t.Errorf("%s: with a byte more: %v, want ErrFormat", v.Name, err)
		}
		boom := errors.New("boom")
		if _, err := readMarks(io.MultiReader(bytes.NewReader(data[:len(data)-5]), iotest.ErrReader(boom)), fp); !errors.Is(err, boom) {
			t.Errorf("%s: a reader that fails: %v", v.Name, err)
		}
	}
}

// record begins a marks file with one record, rightly ended.
func oneRecord(t *testing.T, record []byte, fp fingerprint.Fingerprint) []byte {
	t.Helper()
	m := NewMarksWriter(io.Discard)
	m.buf, m.count = append(m.buf, record...), 1
	var out bytes.Buffer
	m.w = &out
	if err := m.Close(fp); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAttackMarksEncoding: each mark has one form, and every other is refused,
// even where the file's check was computed over it.
func TestAttackMarksEncoding(t *testing.T) {
	fp := readVectors(t)[0].fingerprint(t)
	times := func(mtime, ctime int64) []byte {
		b := binary.AppendVarint([]byte{9, 0}, mtime)
		return append(binary.AppendVarint(b, ctime-mtime), 2, 2)
	}
	good := [][]byte{{1, 0}, {1, 5}, {3, 0, 1, 'v'}, {5, 0, 1, 'e'}, {7, 0, 1, 'v', 1, 'e'}, times(1, 2), times(-1, 7)}
	for _, r := range good {
		if _, err := readMarks(bytes.NewReader(oneRecord(t, r, fp)), fp); err != nil {
			t.Errorf("% x: %v", r, err)
		}
	}
	for name, r := range map[string][]byte{
		"a tag without a file":      {2, 0, 1, 'v'},
		"an unknown tag":            {17, 0},
		"a version with times":      append([]byte{11, 0, 1, 'v'}, times(1, 2)[2:]...),
		"an empty version":          {3, 0, 0},
		"a long version":            append([]byte{3, 0, 0x81, 0x08}, strings.Repeat("v", 1025)...),
		"a long number":             {1, 0x80, 0},
		"a number over 64 bits":     append([]byte{1}, bytes.Repeat([]byte{0xff}, 10)...),
		"an entry over 63 bits":     append(append([]byte{1}, bytes.Repeat([]byte{0xff}, 9)...), 1),
		"no modification time":      times(0, 2),
		"no change time":            times(2, 0),
		"a long difference of time": {9, 0, 0x82, 0, 2, 2, 2},
	} {
		if _, err := readMarks(bytes.NewReader(oneRecord(t, r, fp)), fp); !errors.Is(err, fingerprint.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

// TestMarksWithoutForm: what cannot be written is left out, and never makes a
// file known again.
func TestMarksWithoutForm(t *testing.T) {
	fp := readVectors(t)[0].fingerprint(t)
	long := strings.Repeat("x", MaxOpaque+1)
	for _, c := range []struct{ in, out source.Mark }{
		{source.Mark{Size: 9}, source.Mark{}},
		{source.Mark{Version: long}, source.Mark{}},
		{source.Mark{Version: long, ETag: "e"}, source.Mark{ETag: "e"}},
		{source.Mark{Version: "v", ETag: long}, source.Mark{Version: "v"}},
		{source.Mark{MTime: 5}, source.Mark{}},
		{source.Mark{CTime: 5, Inode: 1}, source.Mark{}},
		{source.Mark{Version: long, MTime: 5, CTime: 5}, source.Mark{}},
		{source.Mark{Version: "v", MTime: 5, CTime: 5}, source.Mark{Version: "v"}},
	} {
		got, err := readMarks(bytes.NewReader(writeMarks(t, []marked{{c.in, 0}}, fp)), fp)
		if err != nil || len(got) != 1 || got[0].mark != c.out {
			t.Errorf("%.40v: %.40v, %v; want %.40v", c.in, got, err, c.out)
		}
	}
}

func TestMarksWriterErrors(t *testing.T) {
	fp := readVectors(t)[0].fingerprint(t)
	w := NewMarksWriter(io.Discard)
	if err := w.Add(source.Mark{}, math.MaxInt64+1); err == nil {
		t.Error("an entry over 63 bits was taken")
	}
	if err := w.Close(fp); err == nil {
		t.Error("it was closed after an error")
	}
	if err := NewMarksWriter(io.Discard).Close(fingerprint.Fingerprint{}); err == nil {
		t.Error("it was closed without a fingerprint")
	}
	w = NewMarksWriter(io.Discard)
	if err := w.Close(fp); err != nil {
		t.Error(err)
	}
	if err := w.Add(source.Mark{}, 0); err == nil {
		t.Error("something was added behind the end")
	}
	boom := errors.New("boom")
	w = NewMarksWriter(failing{boom})
	var err error
	for range 100_000 {
		if err = w.Add(source.Mark{ETag: "e"}, 0); err != nil {
			break
		}
	}
	if !errors.Is(err, boom) {
		t.Errorf("a full disk: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func seq(files []fingerprint.File, end error) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
		if end != nil {
			yield(fingerprint.File{}, end)
		}
	}
}

func joined(files []fingerprint.File, end error, data []byte, fp fingerprint.Fingerprint, entry uint64) (all []Hint, err error) {
	m, err := NewMarksReader(bytes.NewReader(data), fp)
	if err != nil {
		return nil, err
	}
	for h, err := range Join(seq(files, end), m, entry) {
		if err != nil {
			return all, err
		}
		all = append(all, h)
	}
	return all, nil
}

func TestJoin(t *testing.T) {
	fp := readVectors(t)[0].fingerprint(t)
	files := []fingerprint.File{{Path: "a", Size: 1}, {Path: "b"}, {Path: "c", Size: 1 << 40}}
	data := writeMarks(t, []marked{{source.Mark{Version: "1"}, 0}, {source.Mark{}, 3}, {source.Mark{MTime: 1, CTime: 2, Inode: 3, Device: 4}, 11}}, fp)
	got, err := joined(files, nil, data, fp, 12)
	want := []Hint{
		{files[0], source.Mark{Size: 1, Version: "1"}, 12},
		{files[1], source.Mark{}, 3},
		{files[2], source.Mark{Size: 1 << 40, MTime: 1, CTime: 2, Inode: 3, Device: 4}, 11},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := joined(nil, nil, writeMarks(t, nil, fp), fp, 1); err != nil {
		t.Errorf("nothing: %v", err)
	}
	m, err := NewMarksReader(bytes.NewReader(data), fp)
	if err != nil {
		t.Fatal(err)
	}
	for range Join(seq(files, nil), m, 12) {
		break // whoever wants no more gets no more
	}
}

// TestAttackMarks: a marks file that is not this manifest's, or not whole, is an
// error at its end at the latest.
func TestAttackMarks(t *testing.T) {
	fp := readVectors(t)[0].fingerprint(t)
	other := fingerprint.Fingerprint{Algorithm: fp.Algorithm, Sum: fingerprint.Digest{1}}
	blake := fingerprint.Fingerprint{Algorithm: fingerprint.BLAKE3, Sum: fp.Sum}
	boom := errors.New("boom")
	files := []fingerprint.File{{Path: "a", Size: 1}, {Path: "b", Size: 2}}
	marks := []marked{{source.Mark{Version: "1"}, 0}, {source.Mark{Version: "2"}, 0}}
	for _, c := range []struct {
		name  string
		files []fingerprint.File
		end   error
		data  []byte
		entry uint64
		want  error
	}{
		{"of another tree", files, nil, writeMarks(t, marks, other), 5, fingerprint.ErrMismatch},
		{"of another hash", files, nil, writeMarks(t, marks, blake), 5, fingerprint.ErrMismatch},
		{"one mark too few", files, nil, writeMarks(t, marks[:1], fp), 5, fingerprint.ErrMismatch},
		{"one mark too many", files[:1], nil, writeMarks(t, marks, fp), 5, fingerprint.ErrMismatch},
		{"cut off behind the last mark", files, nil, writeMarks(t, marks, fp)[:len(marksMagic)+8], 5, fingerprint.ErrTruncated},
		{"from the future", files, nil, writeMarks(t, []marked{{source.Mark{}, 5}, {}}, fp), 5, fingerprint.ErrFormat},
		{"of no stamp", files, nil, writeMarks(t, marks, fp), 0, nil},
		{"beside a manifest that is not whole", files, boom, writeMarks(t, marks, fp), 5, boom},
	} {
		_, err := joined(c.files, c.end, c.data, fp, c.entry)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzMarks(f *testing.F) {
	for _, v := range readVectors(f) {
		f.Add(v.bytes(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Whatever is a marks file of some fingerprint is written again alike.
		if len(data) < trailer {
			return
		}
		end := data[len(data)-trailer:]
		fp := fingerprint.Fingerprint{Algorithm: fingerprint.Algorithm(end[9]), Sum: fingerprint.Digest(end[10:42])}
		if all, err := readMarks(bytes.NewReader(data), fp); err == nil {
			if again := writeMarks(t, all, fp); !bytes.Equal(again, data) {
				t.Errorf("%x is written again as %x", data, again)
			}
		}
		// So are its records, whatever the check says.
		d := decoder{data: data}
		var c, back coder
		var out []byte
		for len(d.data) > 0 {
			tag, before := d.byte(), len(d.data)+1
			m := c.read(&d, tag)
			if d.err != nil {
				break
			}
			out = back.append(append(out[:0], tag), tag, &m)
			if was := data[len(data)-before : len(data)-len(d.data)]; !bytes.Equal(out, was) {
				t.Fatalf("%x is written again as %x", was, out)
			}
		}
	})
}
