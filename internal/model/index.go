package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// MaxIndex is the longest index of a sharded model that is read, in bytes.
	MaxIndex = 32 << 20
	// indexSuffix ends the name of an index: model.safetensors.index.json.
	indexSuffix = ".safetensors.index.json"
)

// readIndex reads which file of a sharded model holds which tensor. Only the
// member weight_map is looked at: what else libraries put beside it varies.
func readIndex(r io.ReaderAt, size uint64) (map[string]string, error) {
	if size > MaxIndex {
		return nil, fmt.Errorf("%w: %d bytes; at most %d are read", ErrTooLarge, size, MaxIndex)
	}
	text := make([]byte, size)
	if err := readFull(r, text, 0); err != nil {
		return nil, err
	}
	weights, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return weights, nil
}

// parseIndex goes through the tokens, so that a name that stands twice shows.
// Unlike a safetensors header, an index may hold any number and null.
func parseIndex(text []byte) (weights map[string]string, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if err := delimiter(d, '{'); err != nil {
		return nil, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		if name != "weight_map" {
			if err := pass(d); err != nil {
				return nil, err
			}
			continue
		}
		if weights != nil {
			return nil, errors.New("weight_map twice")
		}
		if weights, err = weightMap(d); err != nil {
			return nil, err
		}
	}
	if err := delimiter(d, '}'); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	if weights == nil {
		return nil, errors.New("no weight_map")
	}
	return weights, nil
}

func weightMap(d *json.Decoder) (map[string]string, error) {
	if err := delimiter(d, '{'); err != nil {
		return nil, err
	}
	weights := map[string]string{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		file, err := d.Token()
		if err != nil {
			return nil, err
		}
		tensor := name.(string) // a member's name is nothing else
		shard, ok := file.(string)
		if !ok || shard == "" || strings.Contains(shard, "..") || strings.HasPrefix(shard, "/") {
			return nil, fmt.Errorf("weight_map: tensor %s: no file of this model", quote(tensor))
		}
		if _, twice := weights[tensor]; twice {
			return nil, fmt.Errorf("weight_map: tensor %s twice", quote(tensor))
		}
		weights[tensor] = shard
	}
	return weights, delimiter(d, '}')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = fmt.Errorf("no %q where one must be", want)
	}
	return err
}

// pass goes over one value, however deep, without recursion.
func pass(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
