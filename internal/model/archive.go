package model

import (
	"archive/zip"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
)

const (
	// maxInflated is how many bytes are decompressed of anything.
	maxInflated = 64 << 10
	// maxMembers is how many members of an archive are looked into.
	maxMembers = 64
	// maxArrayHeader is the longest NumPy header that is read, in bytes; NumPy
	// itself warns beyond 10,000.
	maxArrayHeader = 10_000
)

var (
	zipStart   = []byte("PK\x03\x04")
	numpyStart = []byte("\x93NUMPY")
	// objectType is NumPy's data type of Python objects in an array's header,
	// alone or as the second part of a record's field (numpy.lib.format).
	objectType = regexp.MustCompile(`['"][|<>=]O[0-9]*['"]|[:,]\s*['"](O[0-9]*|object_?)['"]`)
)

// pickleInZip names what is a pickle in a zip archive, which is what PyTorch
// writes and NumPy's .npz are; empty: nothing that was found.
func pickleInZip(p *probe) string {
	z, err := zip.NewReader(p, int64(p.size))
	if err != nil {
		// Its directory is broken or too long; its first member stands at its start.
		if name := firstMember(p); pickleName(name) {
			return zipWords(name)
		}
		return ""
	}
	looked := 0
	for _, f := range z.File {
		switch {
		case pickleName(f.Name):
			return zipWords(f.Name)
		case !strings.HasSuffix(strings.ToLower(f.Name), ".npy") || looked == maxMembers:
			continue
		}
		looked++
		if r, err := f.Open(); err == nil {
			head, _ := io.ReadAll(io.LimitReader(r, maxArrayHeader+64))
			r.Close()
			if holdsObjects(head) {
				return "a NumPy archive with an array of Python objects, which is a pickle: " + quote(f.Name)
			}
		}
	}
	return ""
}

func zipWords(member string) string {
	if path.Base(member) == "data.pkl" {
		return "a PyTorch archive, with a pickle in it"
	}
	return "a zip archive with a pickle in it: " + quote(member)
}

// pickleName reports whether a file is named as a pickle and nothing else.
func pickleName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".pkl", ".pickle", ".joblib", ".dill":
		return true
	}
	return false
}

// firstMember is the name in the first header of a zip archive (APPNOTE 4.3.7).
func firstMember(p *probe) string {
	const fixed = 30
	h, err := p.head(fixed)
	if err != nil || len(h) < fixed {
		return ""
	}
	name := make([]byte, binary.LittleEndian.Uint16(h[26:]))
	if n, _ := p.ReadAt(name, fixed); n < len(name) {
		return ""
	}
	return string(name)
}

// holdsObjects reports whether a NumPy array holds Python objects, which are
// stored as a pickle.
func holdsObjects(head []byte) bool {
	rest, ok := bytes.CutPrefix(head, numpyStart)
	if !ok || len(rest) < 6 {
		return false
	}
	version, rest := rest[0], rest[2:]
	n := uint64(binary.LittleEndian.Uint16(rest))
	if version > 1 {
		n, rest = uint64(binary.LittleEndian.Uint32(rest)), rest[2:]
	}
	rest = rest[2:]
	return objectType.Match(rest[:min(n, uint64(len(rest)), maxArrayHeader)])
}

// pickleInStream names a compressed pickle, as joblib writes them; empty: none
// that was found. Only the beginning is decompressed.
func pickleInStream(p *probe, head []byte) string {
	in := io.NewSectionReader(p, 0, int64(p.size))
	var r io.Reader
	var err error
	var how string
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		how = "gzip"
		r, err = gzip.NewReader(in)
	case len(head) > 2 && head[0] == 0x78 && (uint(head[0])<<8|uint(head[1]))%31 == 0: // RFC 1950, section 2.2
		how = "zlib"
		r, err = zlib.NewReader(in)
	case bytes.HasPrefix(head, []byte("BZh")):
		how = "bzip2"
		r = bzip2.NewReader(in)
	default:
		return ""
	}
	if err != nil {
		return ""
	}
	start, _ := io.ReadAll(io.LimitReader(r, maxInflated))
	if lookForPickle(bytes.NewReader(start)) != isPickle {
		return ""
	}
	return fmt.Sprintf("a pickle, compressed with %s", how)
}
