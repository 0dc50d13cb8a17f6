package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// file makes a safetensors file of a header's text and so many bytes after it.
func file(header string, after int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, after)...)
}

func readBytes(data []byte) (*Header, error) {
	return ReadHeader(bytes.NewReader(data), uint64(len(data)))
}

func TestReadHeader(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "two.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := readBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	base := uint64(len(data)) - 24 - 6 - 8
	want := &Header{
		Metadata: map[string]string{"format": "pt", "author": "somebody"},
		Tensors: []Tensor{
			{Name: "layer.weight", Type: "F32", Shape: []uint64{2, 3}, Offset: base, Size: 24, Count: 6},
			{Name: "layer.bias", Type: "BF16", Shape: []uint64{3}, Offset: base + 24, Size: 6, Count: 3},
			{Name: "scale", Type: "F64", Shape: []uint64{}, Offset: base + 30, Size: 8, Count: 1},
			{Name: "none", Type: "I8", Shape: []uint64{0, 7}, Offset: base + 38},
		},
	}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %+v\nwant %+v", h, want)
	}
	types := []TypeCount{{"F32", 1, 6, 24}, {"BF16", 1, 3, 6}, {"F64", 1, 1, 8}, {"I8", 1, 0, 0}}
	if got := h.Types(); !reflect.DeepEqual(got, types) {
		t.Errorf("types %+v", got)
	}
	for _, name := range []string{"half-bytes", "unpadded"} {
		data, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readBytes(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever was read, a file is refused unless its header accounts for each of
// its bytes exactly once.
func TestReadHeaderRefuses(t *testing.T) {
	one := func(info string) string { return `{"a":` + info + `}` }
	for name, c := range map[string]struct {
		header string
		after  int
	}{
		"nothing":                       {``, 0},
		"white space first":             {` {}`, 0},
		"no object":                     {`[]`, 0},
		"two values":                    {`{}{}`, 0},
		"not UTF-8":                     {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1},
		"null":                          {`{"a":null}`, 0},
		"no tensor":                     {`{"a":1}`, 0},
		"metadata that is no text":      {`{"__metadata__":{"a":1}}`, 0},
		"metadata twice":                {`{"__metadata__":{},"__metadata__":{}}`, 0},
		"metadata twice, escaped":       {`{"__metadata__":{},"\u005f_metadata__":{}}`, 0},
		"bytes that no tensor has":      {`{}`, 1},
		"no type":                       {one(`{"shape":[1],"data_offsets":[0,1]}`), 1},
		"an unknown type":               {one(`{"dtype":"F7","shape":[1],"data_offsets":[0,1]}`), 1},
		"a type in small letters":       {one(`{"dtype":"u8","shape":[1],"data_offsets":[0,1]}`), 1},
		"no shape":                      {one(`{"dtype":"U8","data_offsets":[0,1]}`), 1},
		"no offsets":                    {one(`{"dtype":"U8","shape":[1]}`), 1},
		"three offsets":                 {one(`{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}`), 1},
		"something besides":             {one(`{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}`), 1},
		"a negative size":               {one(`{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}`), 1},
		"a fraction":                    {one(`{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}`), 1},
		"offsets in disorder":           {one(`{"dtype":"U8","shape":[1],"data_offsets":[1,0]}`), 1},
		"a shape that is smaller":       {one(`{"dtype":"U8","shape":[1],"data_offsets":[0,2]}`), 2},
		"a shape that is larger":        {one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`), 4},
		"a shape that ends half-way":    {one(`{"dtype":"F4","shape":[3],"data_offsets":[0,1]}`), 1},
		"a beginning that is not first": {one(`{"dtype":"U8","shape":[1],"data_offsets":[1,2]}`), 2},
	} {
		if h, err := readBytes(file(c.header, c.after)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func TestAttackHeaderLength(t *testing.T) {
	for name, c := range map[string]struct {
		length, size uint64
		want         error
	}{
		"longer than the file":            {100, 50, ErrMalformed},
		"one byte longer":                 {11, 18, ErrMalformed},
		"past the format's limit":         {MaxFormatHeader + 1, 1 << 40, ErrMalformed},
		"the largest number":              {math.MaxUint64, 1 << 40, ErrMalformed},
		"wraps to the beginning":          {math.MaxUint64 - 7, 1 << 40, ErrMalformed},
		"past the limit of reading":       {MaxHeader + 1, 1 << 40, ErrTooLarge},
		"a file larger than any":          {2, math.MaxUint64, ErrTooLarge},
		"nothing but a piece of a length": {0, 7, ErrMalformed},
	} {
		reader := &counting{data: binary.LittleEndian.AppendUint64(nil, c.length)}
		if _, err := ReadHeader(reader, c.size); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if reader.read > headerStart {
			t.Errorf("%s: %d bytes were read", name, reader.read)
		}
	}
}

// counting counts what is read.
type counting struct {
	data []byte
	read int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.read += len(p)
	return bytes.NewReader(c.data).ReadAt(p, off)
}

func TestAttackOverlappingTensors(t *testing.T) {
	for name, header := range map[string]string{
		"the same bytes twice": `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`,
		"one within another":   `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`,
		"a gap":                `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`,
		"past the file":        `{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}`,
		"short of the file":    `{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`,
	} {
		if _, err := readBytes(file(header, 4)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttackTensorTwice(t *testing.T) {
	for _, name := range []string{`"a"`, `"\u0061"`} {
		header := `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},` + name + `:{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`
		if _, err := readBytes(file(header, 2)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "twice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttackTensorSizesRunOver(t *testing.T) {
	const big = 1 << 53
	for _, shape := range []string{
		"4294967296,4294967296",            // 2^64
		"4294967296,4294967296,0",          // as the reference implementation: each step
		"4611686018427387904,4",            // 2^62 · 4, and past what JSON holds exactly
		fmt.Sprint(uint64(big)),            // the same
		"9007199254740991,2048",            // fits 64 bits, its bytes do not
		"65536,65536,65536,65536",          // 2^64 in four
		"18446744073709551615",             // 2^64−1
		strings.Repeat("2,", 70) + "2",     // many
		"1" + strings.Repeat("0", 400),     // a number of 400 digits
		strings.Repeat("1,", 100000) + "9", // long, and wrong by its last
	} {
		header := `{"a":{"dtype":"F64","shape":[` + shape + `],"data_offsets":[0,0]}}`
		if _, err := readBytes(file(header, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40s: %v", shape, err)
		}
	}
	for _, offsets := range []string{"0,9007199254740991", "0,18446744073709551615", "9007199254740991,9007199254740991"} {
		header := `{"a":{"dtype":"U8","shape":[0],"data_offsets":[` + offsets + `]}}`
		if _, err := readBytes(file(header, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", offsets, err)
		}
	}
}

func TestAttackDeepHeader(t *testing.T) {
	for _, header := range []string{
		strings.Repeat(`{"a":`, 1<<20) + "{}" + strings.Repeat("}", 1<<20),
		`{"a":` + strings.Repeat("[", 1<<20),
		`{"__metadata__":{"a":{"b":{}}}}`,
	} {
		if _, err := readBytes(file(header, 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.20s: %v", header, err)
		}
	}
}

// The file that the reference implementation's own tests write of these
// tensors (safetensors 0.4, tensor.rs, test_serialization and others).
func TestWriteAsTheReference(t *testing.T) {
	var six []byte
	for i := range 6 {
		six = binary.LittleEndian.AppendUint32(six, math.Float32bits(float32(i)))
	}
	pad := func(header string, n int) string { return header + strings.Repeat(" ", n-len(header)) }
	for _, c := range []struct {
		metadata map[string]string
		tensors  []Data
		header   string
	}{
		{nil, nil, pad(`{}`, 8)},
		{map[string]string{"framework": "pt"}, nil, pad(`{"__metadata__":{"framework":"pt"}}`, 40)},
		{nil, []Data{{"attn.0", "F32", []uint64{1, 2, 3}, six}}, `{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}`},
		{nil, []Data{{"attn0", "F32", []uint64{1, 1, 2, 3}, six}}, pad(`{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}`, 72)},
		{nil, []Data{{"b", "U8", nil, []byte{7}}, {"z", "F64", nil, six[:8]}, {"a", "U8", []uint64{1}, []byte{8}}},
			pad(`{"z":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},"b":{"dtype":"U8","shape":[],"data_offsets":[9,10]}}`, 160)},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.metadata, c.tensors); err != nil {
			t.Fatal(err)
		}
		want := binary.LittleEndian.AppendUint64(nil, uint64(len(c.header)))
		want = append(want, c.header...)
		for _, d := range c.tensors { // sorted by now
			want = append(want, d.Bytes...)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("got  %q\nwant %q", out.Bytes(), want)
		}
		h, err := readBytes(out.Bytes())
		if err != nil || len(h.Tensors) != len(c.tensors) {
			t.Errorf("%+v, %v", h, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, d := range map[string][]Data{
		"an unknown type":      {{"a", "F7", nil, []byte{1}}},
		"another size":         {{"a", "F32", []uint64{2}, make([]byte, 4)}},
		"one name twice":       {{"a", "U8", nil, []byte{1}}, {"a", "U8", nil, []byte{1}}},
		"the metadata's name":  {{"__metadata__", "U8", nil, []byte{1}}},
		"a name that is bytes": {{"\xff", "U8", nil, []byte{1}}},
	} {
		var out bytes.Buffer
		if err := Write(&out, nil, d); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, out.Len())
		}
	}
}

// A file that ends before the size that it was listed with is not taken for
// one whose header is short.
func TestFileThatEndsEarly(t *testing.T) {
	data := file(`{"a":{"dtype":"U8","shape":[100],"data_offsets":[0,100]}}`, 100)
	if _, err := ReadHeader(bytes.NewReader(data[:20]), uint64(len(data))); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := ReadHeader(broken{}, 100); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

// Whatever is accepted accounts for every byte, and is written again as it was
// but for order and padding.
func FuzzReadHeader(f *testing.F) {
	for _, name := range []string{"two", "half-bytes", "unpadded"} {
		data, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(file(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := readBytes(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Fatal(err)
			}
			return
		}
		var tensors []Data
		var total uint64
		for _, x := range h.Tensors {
			total += x.Size
			tensors = append(tensors, Data{x.Name, x.Type, x.Shape, data[x.Offset : x.Offset+x.Size]})
		}
		n := binary.LittleEndian.Uint64(data)
		if headerStart+n+total != uint64(len(data)) {
			t.Fatalf("%d bytes after a header of %d in %d", total, n, len(data))
		}
		var out bytes.Buffer
		if err := Write(&out, h.Metadata, tensors); err != nil {
			t.Fatal(err)
		}
		again, err := readBytes(out.Bytes())
		if err != nil || !reflect.DeepEqual(again.Types(), h.Types()) || !reflect.DeepEqual(again.Metadata, h.Metadata) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}
