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

// Survey looks at the files of one model, one after another.
type Survey struct {
	sum     Summary
	formats map[string]uint64
	shards  map[string]map[string]bool   // the tensors of each safetensors file
	names   int                          // of tensors, in shards
	indexes map[string]map[string]string // of each index: tensor → file beside it
}

// NewSurvey begins a survey.
func NewSurvey() *Survey {
	return &Survey{formats: map[string]uint64{}, shards: map[string]map[string]bool{}, indexes: map[string]map[string]string{}}
}

// Look looks at one file. It returns an error of reading only: whatever the
// bytes are is a finding.
func (s *Survey) Look(name string, size uint64, r io.ReaderAt) error {
	s.sum.Looked++
	if strings.HasSuffix(name, indexSuffix) {
		weights, err := readIndex(r, size)
		switch {
		case err == nil:
			s.indexes[name] = weights
		case finding(err):
			s.warn(name, IndexDiffer, "is no index of a sharded model: "+err.Error())
		}
		return reading(err)
	}
	p := newProbe(r, size)
	head, err := p.head(64)
	if err != nil {
		return err
	}
	weights, err := s.lookForWeights(name, p, head)
	if err != nil {
		return err
	}
	if weights && isNamedWeights(name) {
		p.left = min(p.left, fewBlocks) // whoever loads it by its name loads no pickle
	}
	found := findPickle(p, head)
	switch {
	case found != "":
		s.warn(name, RunsCode, "is "+found+": loading it runs code")
	case !weights:
		s.lookForFormat(name, head)
	}
	return p.err
}

// lookForWeights reads the header of a safetensors file, and reports whether it
// is one.
func (s *Survey) lookForWeights(name string, p *probe, head []byte) (bool, error) {
	named := isNamedWeights(name)
	if !named && !weightsStart(head, p.size) {
		return false, nil
	}
	h, err := ReadHeader(p.r, p.size)
	if err != nil {
		if named && finding(err) {
			s.warn(name, NotAsNamed, "is not what its name says: "+err.Error())
		}
		return false, reading(err)
	}
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
	if keep {
		s.shards[name] = names
		s.names += len(names)
	}
	return true, nil
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
func (s *Survey) lookForFormat(name string, head []byte) {
	ext := strings.ToLower(path.Ext(name))
	switch {
	case bytes.HasPrefix(head, []byte("GGUF")) && len(head) >= 8:
		s.formats["GGUF"]++
	case ext == ".onnx" && len(head) > 2 && head[0] == 0x08: // ModelProto's first field, ir_version
		s.formats["ONNX"]++
	case bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n")):
		s.formats["HDF5"]++
	case pickleName(name), ext == ".pt", ext == ".pth", ext == ".ckpt":
		s.warn(name, RunsCode, "is named as a pickle, and not recognised: loading it as one runs code")
	}
}

func (s *Survey) warn(name, what, text string) {
	if len(s.sum.Warnings) == MaxWarnings {
		s.sum.More++
		return
	}
	s.sum.Warnings = append(s.sum.Warnings, Warning{Path: name, What: what, Text: text})
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
	if s.names >= maxNames {
		return // not all of them were kept
	}
	said := map[string]bool{}
	say := func(kind, text string) {
		if !said[kind] {
			said[kind] = true
			s.warn(name, IndexDiffer, text)
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
// index.
func Named(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".safetensors", ".gguf", ".onnx", ".pt", ".pth", ".ckpt", ".bin", ".npz", ".npy", ".h5":
		return true
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
