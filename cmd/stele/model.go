package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/model"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

const (
	// maxModelFiles is how many files of a model are looked at, and
	// maxNamedFiles how many of something that may be one.
	maxModelFiles, maxNamedFiles = 4096, 256
	// modelWhole is up to which size, in bytes, a file is fetched whole rather
	// than in ranges.
	modelWhole = 64 << 10
	// modelWorkers is how many files are looked at at once: of a bucket, each
	// takes a request or a few.
	modelWorkers = 16
	// modelWarnings is how many warnings a person is shown.
	modelWarnings = 8
)

// modelFiles are the files of an artifact that are to be looked at as a
// model's, gathered while they are fingerprinted. A nil one gathers none.
type modelFiles struct {
	all   bool // whatever their names
	most  int
	files []fingerprint.File
	more  uint64
}

// newModelFiles gathers what an artifact of this kind asks for: nil for one
// that is no model. An empty kind is not known: then names decide.
func newModelFiles(kind string) *modelFiles {
	switch kind {
	case "":
		return &modelFiles{most: maxNamedFiles}
	case statement.ArtifactModel:
		return &modelFiles{all: true, most: maxModelFiles}
	}
	return nil
}

// add takes a file that was read. It has the form that scans and [watched] call.
func (m *modelFiles) add(f fingerprint.File) error {
	switch {
	case m == nil || !m.all && !model.Named(f.Path):
	case len(m.files) == m.most:
		m.more++
	default:
		m.files = append(m.files, fingerprint.File{Path: f.Path, Size: f.Size})
	}
	return nil
}

// modelFound is what looking at a model found. A nil one found nothing.
type modelFound struct {
	*model.Summary
	unlooked uint64
	why      error // the first reason, or nil: they were too many
}

// lookAtModel reads the headers of a model's files where they lie. It rests on
// nothing and nothing rests on it: what cannot be read is counted, and never
// ends a command.
func (a *app) lookAtModel(ctx context.Context, src source.Source, m *modelFiles) *modelFound {
	if m == nil || len(m.files) == 0 {
		return nil
	}
	type looked struct {
		finding *model.Finding
		err     error
	}
	results := make([]looked, len(m.files))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(modelWorkers, len(m.files)) {
		wait.Go(func() {
			buf := make([]byte, modelWhole)
			for i := next.Add(1) - 1; i < int64(len(m.files)); i = next.Add(1) - 1 {
				r := &results[i]
				r.finding, r.err = lookAtFile(ctx, src, m.files[i], buf)
			}
		})
	}
	wait.Wait()
	survey := model.NewSurvey()
	found := &modelFound{unlooked: m.more}
	for i, r := range results {
		switch {
		case r.err == nil:
			survey.Add(r.finding)
			continue
		case found.why == nil:
			found.why = fmt.Errorf("%s: %w", source.Show(m.files[i].Path), r.err)
		}
		found.unlooked++
	}
	found.Summary = survey.Summary()
	if found.Empty() && (found.unlooked == 0 || !m.all) {
		return nil
	}
	return found
}

// lookAtFile looks at one file, if it is still of the size that was stamped.
func lookAtFile(ctx context.Context, src source.Source, f fingerprint.File, buf []byte) (*model.Finding, error) {
	o, err := src.Lookup(ctx, f.Path)
	if err != nil {
		return nil, err
	}
	got, err := src.Fetch(ctx, o, buf)
	if err != nil {
		return nil, err
	}
	if got.Reader == nil {
		if uint64(got.N) != f.Size {
			return nil, source.ErrChanged
		}
		return model.Look(f.Path, f.Size, bytes.NewReader(buf[:got.N]))
	}
	defer got.Reader.Close()
	if got.Reader.Size() != f.Size {
		return nil, source.ErrChanged
	}
	return model.Look(f.Path, f.Size, &rangeReader{ctx: ctx, r: got.Reader})
}

// rangeReader reads a pinned object at any offset: of one in a bucket, no more
// is asked for than is read.
type rangeReader struct {
	ctx context.Context
	r   source.Reader
	buf []byte
}

// ReadAt is io.ReaderAt's.
func (r *rangeReader) ReadAt(p []byte, off int64) (n int, err error) {
	size := r.r.Size()
	if off < 0 || uint64(off) >= size {
		return 0, io.EOF
	}
	want := min(uint64(len(p)), size-uint64(off))
	if r.buf == nil {
		r.buf = make([]byte, modelWhole)
	}
	if err := r.r.Range(r.ctx, uint64(off), want, r.buf, func(piece []byte) { n += copy(p[n:want], piece) }); err != nil {
		return n, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// modelPairs are the lines of a receipt that say what a model is; none where
// nothing was found.
func modelPairs(m *jsonv1.Model) []terminal.Pair {
	if m == nil {
		return nil
	}
	var pairs []terminal.Pair
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	if w := m.Weights; w != nil {
		add("weights", fmt.Sprintf("%s parameters in %s, %s in %s", terminal.Count(w.Parameters), terminal.Plural(w.Tensors, "tensor"),
			terminal.Bytes(w.Bytes), terminal.Plural(w.Files, "safetensors file")))
		add("data types", typesText(w.Types))
		add("metadata", strings.Join(w.Metadata, "  "))
	}
	for _, x := range m.Formats {
		add("format", fmt.Sprintf("%s in %s: named, not read", x.Format, terminal.Plural(x.Files, "file")))
	}
	return pairs
}

// typesText says how many parameters are of each type.
func typesText(types []jsonv1.ModelType) string {
	if len(types) == 1 {
		return types[0].Type
	}
	var parts []string
	for _, t := range types {
		parts = append(parts, fmt.Sprintf("%s (%s)", t.Type, terminal.Count(t.Parameters)))
	}
	return strings.Join(parts, ", ")
}

// noteModel tells what a model is where there is no receipt.
func (a *app) noteModel(f *modelFound) {
	for _, p := range modelPairs(modelJSON(f)) {
		if p.Value != "" {
			a.term.Notef("%s: %s", p.Key, p.Value)
		}
	}
}

// warnModel tells what whoever loads the model should know.
func (a *app) warnModel(f *modelFound) {
	if f == nil {
		return
	}
	for i, w := range f.Warnings {
		if i == modelWarnings {
			a.term.Warnf("… and %s more of its files", terminal.Count(uint64(len(f.Warnings)-i)+f.More))
			break
		}
		a.term.Warnf("%s %s", source.Show(w.Path), w.Text)
	}
	switch {
	case f.why != nil && !errors.Is(f.why, context.Canceled):
		a.term.Notef("%s not looked at, as a model: %v", terminal.Plural(f.unlooked, "file"), f.why)
	case f.unlooked > 0:
		a.term.Notef("%s not looked at, as a model: they are too many", terminal.Plural(f.unlooked, "file"))
	}
}

func modelJSON(f *modelFound) *jsonv1.Model {
	if f == nil {
		return nil
	}
	out := &jsonv1.Model{Looked: f.Looked, Unlooked: f.unlooked, RunsCode: f.RunsCode(), More: f.More}
	if w := f.Weights; w != nil {
		out.Weights = &jsonv1.ModelWeights{Files: w.Files, Tensors: w.Tensors, Parameters: w.Parameters, Bytes: w.Bytes, Types: []jsonv1.ModelType{}, Metadata: nonNil(w.Metadata)}
		for _, t := range w.Types {
			out.Weights.Types = append(out.Weights.Types, jsonv1.ModelType{Type: t.Type, Tensors: t.Tensors, Parameters: t.Parameters, Bytes: t.Bytes})
		}
	}
	for _, x := range f.Formats {
		out.Formats = append(out.Formats, jsonv1.ModelFormat{Format: x.Name, Files: x.Files})
	}
	for _, w := range f.Warnings {
		out.Warnings = append(out.Warnings, jsonv1.ModelWarning{Path: w.Path, What: w.What, Text: w.Text})
	}
	return out
}
