package model

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// survey looks at files given as name, bytes, name, bytes.
func survey(t testing.TB, files ...any) *Summary {
	t.Helper()
	s := NewSurvey()
	for i := 0; i < len(files); i += 2 {
		var data []byte
		switch d := files[i+1].(type) {
		case []byte:
			data = d
		case string:
			data = []byte(d)
		}
		f, err := Look(files[i].(string), uint64(len(data)), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		s.Add(f)
	}
	return s.Summary()
}

// words are what the warnings are about.
func words(s *Summary) string {
	var out []string
	for _, w := range s.Warnings {
		out = append(out, w.What)
	}
	return strings.Join(out, " ")
}

func TestSurveyOfShards(t *testing.T) {
	var files []any
	for _, name := range []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"} {
		files = append(files, "net/"+name, vector(t, "sharded/"+name))
	}
	files = append(files, "net/config.json", `{"hidden_size": 2}`)
	want := &Weights{Files: 2, Tensors: 3, Parameters: 9, Bytes: 24, Metadata: []string{"format"},
		Types: []TypeCount{{"F16", 2, 8, 16}, {"I64", 1, 1, 8}}}
	got := survey(t, files...)
	if !reflect.DeepEqual(got.Weights, want) || got.Looked != 4 || len(got.Warnings) > 0 || len(got.Formats) > 0 {
		t.Errorf("got %+v, %+v", got, got.Weights)
	}
}

func TestAttackIndexOfOtherShards(t *testing.T) {
	one, two := vector(t, "sharded/model-00001-of-00002.safetensors"), vector(t, "sharded/model-00002-of-00002.safetensors")
	index := string(vector(t, "sharded/model.safetensors.index.json"))
	const a, b, i = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"
	for name, c := range map[string]struct {
		files []any
		want  string // in the text of the first warning; empty: none
	}{
		"as it is":            {[]any{a, one, b, two, i, index}, ""},
		"before its shards":   {[]any{i, index, a, one, b, two}, ""},
		"a shard is missing":  {[]any{a, one, i, index}, "is not a safetensors file of this model"},
		"a shard is a pickle": {[]any{a, one, b, vector(t, "call-4.pkl"), i, index}, "is not what its name says"},
		"shards are swapped":  {[]any{a, two, b, one, i, index}, "it is not"},
		"a tensor unlisted":   {[]any{a, one, b, two, i, strings.Replace(index, `"c"`, `"d"`, 1)}, "it is not"},
		"one too many":        {[]any{a, one, b, two, i, strings.Replace(index, `"c": "model-00002-of-00002.safetensors"`, `"b2": "model-00002-of-00002.safetensors"`, 1)}, "it is not"},
		"another folder":      {[]any{"x/" + a, one, b, two, i, index}, "is not a safetensors file of this model"},
		"leaves the model":    {[]any{i, strings.Replace(index, `"`+a, `"../`+a, 1)}, "no file of this model"},
		"a tensor twice":      {[]any{i, strings.Replace(index, `"b"`, `"\u0061"`, 1)}, "twice"},
		"a map twice":         {[]any{i, strings.Replace(index, `"metadata"`, `"weight_map": {}, "metadata"`, 1)}, "twice"},
		"no map":              {[]any{i, `{"metadata": {}}`}, "no weight_map"},
		"more than one value": {[]any{i, index + "{}"}, "more than one value"},
		"cut":                 {[]any{i, index[:len(index)-4]}, "malformed"},
		"deep":                {[]any{i, `{"metadata": ` + strings.Repeat("[", 1<<20)}, "malformed"},
		"too long":            {[]any{i, `{"metadata": "` + strings.Repeat("x", MaxIndex) + `"}`}, "too large"},
	} {
		got := survey(t, c.files...)
		switch {
		case c.want == "" && len(got.Warnings) > 0:
			t.Errorf("%s: %+v", name, got.Warnings)
		case c.want != "" && !slices.ContainsFunc(got.Warnings, func(w Warning) bool { return strings.Contains(w.Text, c.want) }):
			t.Errorf("%s: %+v", name, got.Warnings)
		}
	}
	// A tensor that the index leaves out.
	left := strings.Replace(index, `,
    "c": "model-00002-of-00002.safetensors"`, "", 1)
	if got := survey(t, a, one, b, two, i, left); words(got) != IndexDiffer || !strings.Contains(got.Warnings[0].Text, `tensor "c" is in`) {
		t.Errorf("%+v", got.Warnings)
	}
}

// What runs code when it is loaded is known by its bytes, under any name; what
// does not is not called so.
func TestPicklesByContent(t *testing.T) {
	yes := map[string]string{
		"zip.pt": "PyTorch archive", "legacy.pt": "a pickle", "script.pt": "PyTorch archive",
		"plain.joblib": "a pickle", "zlib.joblib": "with zlib", "gzip.joblib": "with gzip", "bz2.joblib": "with bzip2",
		"objects.npy": "Python objects", "record-objects.npy": "Python objects", "objects.npz": "b.npy",
	}
	for p := range 6 {
		yes[fmt.Sprintf("call-%d.pkl", p)] = "a pickle"
		yes[fmt.Sprintf("thing-%d.pkl", p)] = "a pickle"
		if p >= 1 { // 1 names the codec of its bytes
			yes[fmt.Sprintf("values-%d.pkl", p)] = "a pickle"
		}
	}
	for name, want := range yes {
		for _, as := range []string{name, "weights.bin", "data.csv", "noname"} {
			got := survey(t, as, vector(t, name))
			if words(got) != RunsCode || !strings.Contains(got.Warnings[0].Text, want) || !got.RunsCode() {
				t.Errorf("%s as %s: %+v, want %s", name, as, got.Warnings, want)
			}
		}
	}
	for _, name := range []string{"numbers.npy", "record.npy", "numbers.npz", "plain.zip", "notes.gz", "notes.bz2", "notes.z", "two.safetensors", "half-bytes.safetensors", "sharded/model.safetensors.index.json"} {
		if got := survey(t, "weights.bin", vector(t, name)); got.RunsCode() {
			t.Errorf("%s: %+v", name, got.Warnings)
		}
	}
	for _, text := range []string{
		"", "a", ".", "N.", "I am a text.\n", "class,x\n1,2\n", "country\nDE\nFrance\n", "cos\nsystem\n", "Value\nFoo\n.", "(c) 2026\n",
		"S'quoted'\n", "0.5,1.5\n", "}", "{}", "[]\n", "id,radius\n1,5.9\n", "# README\n", "\x80", "\x80\x02", "\x80\x09abc", "GGUF\x03\x00\x00\x00",
		"NNNN\n", "]]]]", strings.Repeat("(", 1<<16), "\x00\x00\x00\x00",
	} {
		if got := survey(t, "noname", text); got.RunsCode() {
			t.Errorf("%.20q: %+v", text, got.Warnings)
		}
	}
}

// A name alone is warned of, too.
func TestNamedAsAPickle(t *testing.T) {
	for _, name := range []string{"a.pt", "b.PTH", "c.ckpt", "d.pkl", "e.pickle", "f.joblib", "g.dill"} {
		if got := survey(t, name, "who knows"); words(got) != RunsCode || !strings.Contains(got.Warnings[0].Text, "not recognised") {
			t.Errorf("%s: %+v", name, got.Warnings)
		}
	}
	if got := survey(t, "values.pkl", vector(t, "values-0.pkl")); words(got) != RunsCode {
		t.Errorf("%+v", got.Warnings)
	}
}

func TestAttackPickleNamedSafetensors(t *testing.T) {
	for _, name := range []string{"call-0.pkl", "call-4.pkl", "zip.pt", "legacy.pt", "zlib.joblib", "objects.npy"} {
		got := survey(t, "model.safetensors", vector(t, name))
		if words(got) != NotAsNamed+" "+RunsCode || got.Weights != nil {
			t.Errorf("%s: %+v", name, got.Warnings)
		}
	}
}

// A file can be both. The length of a safetensors header may begin with the
// instruction that steps over as many bytes as the next four say, into a text
// of the metadata; from there, instructions that step over up to 126 bytes each
// lead to the tensor, where anything may stand.
func TestAttackPickleWithinATensor(t *testing.T) {
	const code = "cos\nsystem\n(S'true'\ntR."
	const k = 100
	n := int('X') + k<<8 // of the header
	header := fmt.Sprintf(`{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]},"__metadata__":{"x":"`, len(code), len(code))
	header += strings.Repeat(".", 5+k-headerStart-len(header)) // where it lands
	for {
		rest := n - len(header)
		step := min(128, rest)
		if 128 < rest && rest < 256 {
			step = rest / 2
		}
		header += "U" + string(rune(step-2))
		if step == rest {
			header += strings.Repeat(".", step-5) + `"}}`
			break
		}
		header += strings.Repeat(".", step-2)
	}
	data := append(file(header, 0), code...)
	if len(header) != n {
		t.Fatalf("a header of %d bytes, not %d", len(header), n)
	}
	if _, err := readBytes(data); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", "model.bin"} {
		got := survey(t, name, data)
		if words(got) != RunsCode || got.Weights == nil {
			t.Errorf("%s: %+v, %+v", name, got.Warnings, got.Weights)
		}
	}
}

// An archive is listed, never unpacked.
func TestAttackZipBomb(t *testing.T) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range []string{"a.npy", "b.npy"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got := survey(t, "bomb.npz", buf.Bytes()); got.RunsCode() {
		t.Errorf("%+v", got.Warnings)
	}
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	if _, err := io.CopyN(g, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	g.Close()
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			survey(b, "bomb.npz", buf.Bytes(), "bomb.joblib", packed.Bytes())
		}
	}).AllocedBytesPerOp()
	if allocated > 4<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Archives with directories that are broken, or longer than is read, are known
// by their first member; a member behind many others is found.
func TestAttackZipDirectory(t *testing.T) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for i := range 5000 {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("archive/data/%d", i), Method: zip.Store}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.Create("archive/data.pkl"); err != nil {
		t.Fatal(err)
	}
	z.Close()
	if got := survey(t, "a.bin", buf.Bytes()); !got.RunsCode() {
		t.Error("the last member was not found")
	}
	whole := vector(t, "zip.pt")
	for n := 64; n < len(whole); n += 7 {
		if got := survey(t, "a.bin", whole[:n]); !got.RunsCode() {
			t.Errorf("cut at %d: not recognised", n)
		}
	}
}

// However long a pickle puts off what it calls, it is found, or not taken for
// something else.
func TestAttackPickleThatWaits(t *testing.T) {
	const code = "cos\nsystem\n(S'true'\ntR."
	long := strings.Repeat("x", 1<<20)
	for name, text := range map[string]string{
		"at once":               code,
		"after values":          strings.Repeat("N0", 100_000) + code,
		"after a long line":     "V" + long + "\n0" + code,
		"after a long string":   "S'" + long + "'\n0" + code,
		"after counted bytes":   "X" + string(binary.LittleEndian.AppendUint32(nil, 1<<20)) + long + "0" + code,
		"after a mark":          "(1" + code,
		"and then breaks":       "cos\nsystem\n(S'true'\ntR\x00\x00",
		"with INST":             "(S'true'\nios\nsystem\n.",
		"with OBJ":              "(cos\nsystem\nS'true'\no.",
		"with an old PROTO":     "\x80\x00" + code,
		"goes on for ever":      strings.Repeat("N0", 4<<20),
		"imports alone":         "cevil\nmodule\n.",
		"a length out of range": "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		got := survey(t, "noname", text)
		if want := name != "a length out of range"; got.RunsCode() != want {
			t.Errorf("%s: %+v", name, got.Warnings)
		}
	}
}

func TestFormats(t *testing.T) {
	got := survey(t, "a.gguf", "GGUF\x03\x00\x00\x00rest", "b", "GGUF\x03\x00\x00\x00rest", "c.onnx", "\x08\x07\x12\x07pytorch", "d.h5", "\x89HDF\r\n\x1a\nrest", "e.txt", "text")
	want := []Format{{"GGUF", 2}, {"HDF5", 1}, {"ONNX", 1}}
	if !reflect.DeepEqual(got.Formats, want) || got.Empty() || !survey(t, "e.txt", "text").Empty() {
		t.Errorf("%+v", got)
	}
	// Safetensors under another name.
	if got := survey(t, "pytorch_model.bin", vector(t, "two.safetensors")); got.Weights == nil || got.Weights.Tensors != 4 || len(got.Warnings) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{
		"a.safetensors": true, "x/A.SAFETENSORS": true, "model.safetensors.index.json": true, "m.gguf": true, "m.onnx": true, "a.pt": true,
		"pytorch_model-00001-of-00002.bin": true, "a.pkl": true, "a.joblib": true,
		"a.bin": false, "a.npy": false, "a.csv": false, "index.json": false, "safetensors": false, "": false,
	} {
		if Named(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestManyWarnings(t *testing.T) {
	s := NewSurvey()
	for i := range MaxWarnings + 7 {
		f, err := Look(fmt.Sprintf("%d.pkl", i), 1, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		s.Add(f)
	}
	if got := s.Summary(); len(got.Warnings) != MaxWarnings || got.More != 7 || got.Looked != MaxWarnings+7 {
		t.Errorf("%d, %d more", len(got.Warnings), got.More)
	}
}

// Little of a large file is asked for, and what cannot be read is an error and
// no finding.
func TestLooksAtLittle(t *testing.T) {
	const size = 10 << 30
	header := fmt.Sprintf(`{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}`, size, size)
	large := &counting{data: file(header, 0)}
	f, err := Look("model.safetensors", uint64(len(large.data))+size, zeroTail{large})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSurvey()
	s.Add(f)
	if got := s.Summary(); got.Weights == nil || got.Weights.Parameters != size {
		t.Errorf("%+v", got)
	}
	if large.read > (1+fewBlocks)*blockSize+2*len(large.data) {
		t.Errorf("%d bytes were read", large.read)
	}
	for _, name := range []string{"a.safetensors", "model.safetensors.index.json", "a.pt"} {
		if _, err := Look(name, 100, broken{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// zeroTail goes on with zeros.
type zeroTail struct{ *counting }

func (z zeroTail) ReadAt(p []byte, off int64) (int, error) {
	n, err := z.counting.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		clear(p[n:])
		return len(p), nil
	}
	return n, err
}

// Nothing that anybody can put into a file makes the survey fail, or read more
// than its share.
func FuzzSurvey(f *testing.F) {
	for _, name := range []string{"zip.pt", "legacy.pt", "zlib.joblib", "objects.npy", "objects.npz", "call-0.pkl", "thing-1.pkl", "values-5.pkl", "two.safetensors", "sharded/model.safetensors.index.json", "notes.bz2"} {
		f.Add(filepath.Base(name), vector(f, name))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		f, err := Look(name, uint64(len(data)), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		s := NewSurvey()
		s.Add(f)
		for _, w := range s.Summary().Warnings {
			if w.Text == "" || w.What == "" {
				t.Fatalf("%+v", w)
			}
		}
	})
}
