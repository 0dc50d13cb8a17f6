package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// What a [Warning] is about.
const (
	RunsCode    = "runs-code"    // loading the file runs code that is in it
	NotAsNamed  = "not-as-named" // the file is not what its name says
	IndexDiffer = "index"        // a sharded model's index and its shards differ
)

// MaxWarnings is how many warnings a summary carries; the others are counted.
const MaxWarnings = 100

// maxNames is how many names of tensors are kept, to compare with an index.
const maxNames = 1 << 20

// Warning is something that whoever loads the model should know.
type Warning struct {
	Path string // of the file, in the model
	What string // RunsCode, …
	Text string // a sentence without its subject; names of others in it are quoted
}

// Format counts the files of one format.
type Format struct {
	Name  string
	Files uint64
}

// Weights is what the safetensors files of a model hold together.
type Weights struct {
	Files      uint64
	Tensors    uint64
	Parameters uint64 // elements
	Bytes      uint64 // of the tensors
	Types      []TypeCount
	Metadata   []string // keys, sorted; their values are free text
}

// Summary is what was found in a model's files.
type Summary struct {
	Looked   uint64   // files
	Weights  *Weights // nil: there is no safetensors file
	Formats  []Format // besides safetensors, sorted by name
	Warnings []Warning
	More     uint64 // warnings beyond MaxWarnings
}

// RunsCode reports whether a file was found that runs code when it is loaded.
func (s *Summary) RunsCode() bool {
	return slices.ContainsFunc(s.Warnings, func(w Warning) bool { return w.What == RunsCode })
}

// Empty reports whether there is nothing to say.
func (s *Summary) Empty() bool {
	return s.Weights == nil && len(s.Formats) == 0 && len(s.Warnings) == 0
}

// Finding is what looking at one file found.
type Finding struct {
	path     string
	header   *Header           // of a safetensors file, or nil
	index    map[string]string // of an index: tensor → file beside it, or nil
	format   string            // another format that is named, or empty
	warnings []Warning
}

// Look looks at one file of a model. It returns an error of reading only:
// whatever the bytes are is a finding. It may be called for several files at
// once.
func Look(name string, size uint64, r io.ReaderAt) (*Finding, error) {
	f := &Finding{path: name}
	if strings.HasSuffix(name, indexSuffix) {
		var err error
		if f.index, err = readIndex(r, size); finding(err) {
			f.warn(IndexDiffer, "is no index of a sharded model: "+err.Error())
		}
		return f, reading(err)
	}
	p := newProbe(r, size)
	head, err := p.head(64)
	if err != nil {
		return nil, err
	}
	if err := f.lookForWeights(p, head); err != nil {
		return nil, err
	}
	if f.header != nil && isNamedWeights(name) {
		p.left = min(p.left, fewBlocks) // whoever loads it by its name loads no pickle
	}
	if found := findPickle(p, head); found != "" {
		f.warn(RunsCode, "is "+found+": loading it runs code")
	} else if f.header == nil {
		f.lookForFormat(head)
	}
	return f, p.err
}

func (f *Finding) warn(what, text string) {
	f.warnings = append(f.warnings, Warning{Path: f.path, What: what, Text: text})
}

// lookForWeights reads the header of a safetensors file, where it is one.
func (f *Finding) lookForWeights(p *probe, head []byte) (err error) {
	named := isNamedWeights(f.path)
	if !named && !weightsStart(head, p.size) {
		return nil
	}
	if f.header, err = ReadHeader(p.r, p.size); named && finding(err) {
		f.warn(NotAsNamed, "is not what its name says: "+err.Error())
	}
	return reading(err)
}

func isNamedWeights(name string) bool { return strings.EqualFold(path.Ext(name), ".safetensors") }

// weightsStart reports whether a file begins as a safetensors file does,
// whatever its name.
func weightsStart(head []byte, size uint64) bool {
	return len(head) > headerStart && head[headerStart] == '{' &&
		binary.LittleEndian.Uint64(head) <= min(MaxFormatHeader, size-headerStart)
}

// findPickle says in which way a file is a pickle, or holds one; empty: none
// that was found.
func findPickle(p *probe, head []byte) string {
	switch {
	case bytes.HasPrefix(head, zipStart):
		return pickleInZip(p)
	case bytes.HasPrefix(head, numpyStart):
		long, _ := p.head(maxArrayHeader)
		if holdsObjects(long) {
			return "a NumPy array of Python objects, which is a pickle"
		}
		return ""
	}
	if found := pickleInStream(p, head); found != "" {
		return found
	}
	if lookForPickle(p) == isPickle {
		return "a pickle"
	}
	return ""
}

// lookForFormat names what else a file is, or is named as.
func (f *Finding) lookForFormat(head []byte) {
	ext := strings.ToLower(path.Ext(f.path))
	switch {
	case bytes.HasPrefix(head, []byte("GGUF")) && len(head) >= 8:
		f.format = "GGUF"
	case ext == ".onnx" && len(head) > 2 && head[0] == 0x08: // ModelProto's first field, ir_version
		f.format = "ONNX"
	case bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n")):
		f.format = "HDF5"
	case pickleName(f.path), ext == ".pt", ext == ".pth", ext == ".ckpt":
		f.warn(RunsCode, "is named as a pickle, and not recognised: loading it as one runs code")
	}
}

// Survey sums up what was found in the files of one model.
type Survey struct {
	sum     Summary
	formats map[string]uint64
	shards  map[string]map[string]bool   // the tensors of each safetensors file
	names   int                          // of tensors, in shards
	cut     bool                         // there are more than maxNames
	indexes map[string]map[string]string // of each index: tensor → file beside it
}

// NewSurvey begins a survey.
func NewSurvey() *Survey {
	return &Survey{formats: map[string]uint64{}, shards: map[string]map[string]bool{}, indexes: map[string]map[string]string{}}
}

// Add adds what was found in one file. The order decides which warnings come
// first.
func (s *Survey) Add(f *Finding) {
	s.sum.Looked++
	for _, w := range f.warnings {
		s.warn(w)
	}
	if f.format != "" {
		s.formats[f.format]++
	}
	if f.index != nil {
		s.indexes[f.path] = f.index
	}
	if f.header != nil {
		s.addWeights(f.path, f.header)
	}
}

func (s *Survey) addWeights(name string, h *Header) {
	w := s.sum.Weights
	if w == nil {
		w = new(Weights)
		s.sum.Weights = w
	}
	w.Files++
	keep := s.names+len(h.Tensors) <= maxNames
	names := map[string]bool{}
	for _, t := range h.Tensors {
		w.Tensors++
		w.Parameters = sum(w.Parameters, t.Count)
		w.Bytes = sum(w.Bytes, t.Size)
		if keep {
			names[t.Name] = true
		}
	}
	w.Types = addTypes(w.Types, h.Types())
	for _, k := range slices.Sorted(maps.Keys(h.Metadata)) {
		if i, found := slices.BinarySearch(w.Metadata, k); !found {
			w.Metadata = slices.Insert(w.Metadata, i, k)
		}
	}
	s.cut = s.cut || !keep
	if keep {
		s.shards[name] = names
		s.names += len(names)
	}
}

func (s *Survey) warn(w Warning) {
	if len(s.sum.Warnings) == MaxWarnings {
		s.sum.More++
		return
	}
	s.sum.Warnings = append(s.sum.Warnings, w)
}

// Summary ends the survey: the indexes of sharded models are compared with
// their shards.
func (s *Survey) Summary() *Summary {
	for _, name := range slices.Sorted(maps.Keys(s.indexes)) {
		s.compareIndex(name, s.indexes[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.formats)) {
		s.sum.Formats = append(s.sum.Formats, Format{Name: name, Files: s.formats[name]})
	}
	s.indexes, s.formats, s.shards = nil, nil, nil
	return &s.sum
}

// compareIndex says the first difference of each kind: a file that is not
// there, a tensor that is not where the index says, one that the index has not.
func (s *Survey) compareIndex(name string, weights map[string]string) {
	if s.cut {
		return
	}
	said := map[string]bool{}
	say := func(kind, text string) {
		if !said[kind] {
			said[kind] = true
			s.warn(Warning{Path: name, What: IndexDiffer, Text: text})
		}
	}
	folder := path.Dir(name)
	used := map[string]bool{}
	for _, tensor := range slices.Sorted(maps.Keys(weights)) {
		file := path.Join(folder, weights[tensor])
		used[file] = true
		switch names, there := s.shards[file]; {
		case !there:
			say("missing "+file, fmt.Sprintf("names %s, which is not a safetensors file of this model", quote(weights[tensor])))
		case !names[tensor]:
			say("absent", fmt.Sprintf("says that tensor %s is in %s; it is not", quote(tensor), quote(weights[tensor])))
		}
	}
	for _, file := range slices.Sorted(maps.Keys(used)) {
		for _, tensor := range slices.Sorted(maps.Keys(s.shards[file])) {
			if path.Join(folder, weights[tensor]) != file || weights[tensor] == "" {
				say("unlisted", fmt.Sprintf("does not say that tensor %s is in %s; it is", quote(tensor), quote(path.Base(file))))
			}
		}
	}
}

// Types counts the tensors of each data type, largest share of the parameters
// first.
func (h *Header) Types() []TypeCount {
	byType := map[string]TypeCount{}
	for _, t := range h.Tensors {
		c := byType[t.Type]
		byType[t.Type] = TypeCount{
			Type: t.Type, Tensors: c.Tensors + 1,
			Parameters: sum(c.Parameters, t.Count), Bytes: sum(c.Bytes, t.Size),
		}
	}
	return addTypes(nil, slices.Collect(maps.Values(byType)))
}

// Named reports whether a file is named as one of a model's weights, or their
// index, and not as data are as well (.npy, .h5, most of .bin).
func Named(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".safetensors", ".gguf", ".onnx", ".pt", ".pth", ".ckpt":
		return true
	case ".bin":
		return strings.HasPrefix(path.Base(name), "pytorch_model")
	}
	return pickleName(name) || strings.HasSuffix(name, indexSuffix)
}

// finding reports whether an error is of the bytes rather than of reading them.
func finding(err error) bool { return errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) }

// reading is an error of reading, or nil.
func reading(err error) error {
	if finding(err) {
		return nil
	}
	return err
}
