package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Data is a tensor to be written, with its bytes: little-endian, row by row.
type Data struct {
	Name  string
	Type  string
	Shape []uint64
	Bytes []byte
}

// Write writes a safetensors file, byte for byte as the reference
// implementation does: the widest types first, then by name, the header filled
// up with spaces to a multiple of 8. The tensors are sorted in place.
// Tensors that [ReadHeader] would refuse are [ErrMalformed].
func Write(w io.Writer, metadata map[string]string, tensors []Data) error {
	slices.SortFunc(tensors, func(a, b Data) int {
		return cmp.Or(cmp.Compare(typeRank(b.Type), typeRank(a.Type)), cmp.Compare(a.Name, b.Name))
	})
	var header bytes.Buffer
	member := func(name string, value any) error {
		text, err := strictjson.Marshal(value)
		if err != nil {
			return err
		}
		key, err := strictjson.Marshal(name)
		if err != nil {
			return err
		}
		if header.Len() > 1 {
			header.WriteByte(',')
		}
		header.Write(key)
		header.WriteByte(':')
		header.Write(text)
		return nil
	}
	header.WriteByte('{')
	if metadata != nil {
		if err := member(metadataName, metadata); err != nil {
			return err
		}
	}
	var at uint64
	for _, t := range tensors {
		end := at + uint64(len(t.Bytes))
		shape := t.Shape
		if shape == nil {
			shape = []uint64{}
		}
		if err := member(t.Name, headerTensor{Type: t.Type, Shape: shape, Offsets: []uint64{at, end}}); err != nil {
			return fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		}
		at = end
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	if _, err := parseHeader(header.Bytes(), at); err != nil {
		return err // nothing is written that nobody reads
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(header.Len())); err != nil {
		return err
	}
	if _, err := w.Write(header.Bytes()); err != nil {
		return err
	}
	for _, t := range tensors {
		if _, err := w.Write(t.Bytes); err != nil {
			return err
		}
	}
	return nil
}
