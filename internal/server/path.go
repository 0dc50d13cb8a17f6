package server

import (
	"errors"
	"strconv"
	"strings"
)

const (
	// FullWidth is the number of hashes in a full tile and of entries in a
	// full bundle (C2SP tlog-tiles).
	FullWidth = 256
	// MaxLevel is the highest tile level that a path may name (C2SP
	// tlog-tiles). A log of 64-bit size has none above 7.
	MaxLevel = 63
	// MaxIndex is the highest tile index: that of a log's last possible tile
	// at level 0, where sizes stay below 2^63.
	MaxIndex = 1<<55 - 1
	// MaxSize is the largest log size that a path may name.
	MaxSize = 1<<63 - 1
)

// maxPath bounds a path before it is looked at: the longest valid one is
// shorter, /tile/entries/ and six groups and a width.
const maxPath = 64

// A Kind is what a path names.
type Kind uint8

// The kinds of resource.
const (
	KindCheckpoint   Kind = iota + 1 // /checkpoint: the newest
	KindCheckpointAt                 // /checkpoint/<size>: the one of that size, for ever (not in C2SP)
	KindTile                         // /tile/<L>/<N>[.p/<W>]
	KindBundle                       // /tile/entries/<N>[.p/<W>]
)

// A Resource is a parsed path.
type Resource struct {
	Kind  Kind
	Size  uint64 // KindCheckpointAt: the log size
	Level int    // KindTile: 0 is the level just above the leaves
	N     uint64 // KindTile, KindBundle: the index of the tile in its level
	Width int    // KindTile, KindBundle: 1..256; 256 is a full tile
}

// errPath is returned for every path that names no resource.
var errPath = errors.New("no such resource")

// ParsePath parses a URL path. There is exactly one path for each resource:
// what it accepts is what Resource.Path writes, byte for byte.
func ParsePath(path string) (Resource, error) {
	if len(path) > maxPath {
		return Resource{}, errPath
	}
	r, err := parsePath(path)
	if err != nil || r.Path() != path {
		return Resource{}, errPath
	}
	return r, nil
}

func parsePath(path string) (Resource, error) {
	if path == "/checkpoint" {
		return Resource{Kind: KindCheckpoint}, nil
	}
	if size, ok := strings.CutPrefix(path, "/checkpoint/"); ok {
		n, err := strconv.ParseUint(size, 10, 64)
		if err != nil || n > MaxSize {
			return Resource{}, errPath
		}
		return Resource{Kind: KindCheckpointAt, Size: n}, nil
	}
	rest, ok := strings.CutPrefix(path, "/tile/")
	if !ok {
		return Resource{}, errPath
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return Resource{}, errPath
	}
	r := Resource{Kind: KindBundle, Width: FullWidth}
	if level != "entries" {
		l, err := strconv.ParseUint(level, 10, 8)
		if err != nil || l > MaxLevel {
			return Resource{}, errPath
		}
		r.Kind, r.Level = KindTile, int(l)
	}
	index, width, partial := strings.Cut(rest, ".p/")
	if partial {
		w, err := strconv.ParseUint(width, 10, 16)
		if err != nil || w < 1 || w >= FullWidth {
			return Resource{}, errPath
		}
		r.Width = int(w)
	}
	for i, group := range strings.Split(index, "/") {
		if i > 0 && len(group) > 0 && r.N > MaxIndex/1000 {
			return Resource{}, errPath
		}
		group = strings.TrimPrefix(group, "x")
		n, err := strconv.ParseUint(group, 10, 16)
		if err != nil || len(group) != 3 {
			return Resource{}, errPath
		}
		r.N = r.N*1000 + n
	}
	if r.N > MaxIndex {
		return Resource{}, errPath
	}
	return r, nil
}

// Path returns the one path of a resource; "" for the zero Resource.
func (r Resource) Path() string {
	var b strings.Builder
	switch r.Kind {
	case KindCheckpoint:
		return "/checkpoint"
	case KindCheckpointAt:
		return "/checkpoint/" + strconv.FormatUint(r.Size, 10)
	case KindTile:
		b.WriteString("/tile/" + strconv.Itoa(r.Level) + "/")
	case KindBundle:
		b.WriteString("/tile/entries/")
	default:
		return ""
	}
	// Groups of three digits, all but the last marked with an x.
	digits := strconv.FormatUint(r.N, 10)
	digits = strings.Repeat("0", (3-len(digits)%3)%3) + digits
	for len(digits) > 3 {
		b.WriteString("x" + digits[:3] + "/")
		digits = digits[3:]
	}
	b.WriteString(digits)
	if r.Width != FullWidth {
		b.WriteString(".p/" + strconv.Itoa(r.Width))
	}
	return b.String()
}

// available returns how many hashes (or, for a bundle, entries) of the
// resource's tile a log of a size has: 0 to 256.
func (r Resource) available(size uint64) int {
	if r.Level >= 8 {
		return 0 // 256^8 entries are more than a 64-bit size can count
	}
	atLevel := size >> (8 * r.Level) // partial subtrees are never hashed upward
	first := r.N * FullWidth
	if first >= atLevel {
		return 0
	}
	return int(min(atLevel-first, FullWidth))
}
