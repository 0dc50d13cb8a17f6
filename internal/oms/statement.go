package oms

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
)

// Resource is what a signature says of a file, or of a shard of one.
type Resource struct {
	Path string
	// Start and End are the shard's bytes, End exclusive; both 0 for a file.
	Start, End uint64
	Digest     []byte
}

// Statement is what a key signed: the files of a model. Its slices are not to
// be changed.
type Statement struct {
	PredicateType string
	Name          string   // the model's name, for information; of PredicateTypeDigests empty
	Root          [32]byte // over the digests in the order of Resources; it does not bind names
	Hash          Hash
	ShardSize     uint64 // in bytes; 0: each resource is a whole file
	AllowSymlinks bool
	Resources     []Resource // in the payload's order
	// Ignored are the paths that the signer left out: a file, or a folder with all
	// in it. Void are those that are no path of anything in a model, and so leave
	// out nothing. Both are sorted.
	Ignored, Void []string

	files map[string]*signed
	paths []string // of files, sorted
}

// signed is a file that is listed.
type signed struct {
	digests [][]byte // of the whole, or of each shard in order
	size    uint64   // in bytes, of shards; else not known
}

// Files is how many files are listed.
func (st *Statement) Files() int { return len(st.files) }

// Paths are the files that are listed, sorted. It is not to be changed.
func (st *Statement) Paths() []string { return st.paths }

// Digest is the digest of a whole file that is listed, or nil.
func (st *Statement) Digest(path string) []byte {
	if f := st.files[path]; f != nil && st.ShardSize == 0 {
		return f.digests[0]
	}
	return nil
}

// wirePredicate is in the order in which it is written.
type wirePredicate struct {
	Resources     []wireResource    `json:"resources"`
	Serialization wireSerialization `json:"serialization"`
}

type wireResource struct {
	Name      string `json:"name"`
	Digest    string `json:"digest"`
	Algorithm string `json:"algorithm"`
}

type wireSerialization struct {
	Method        string         `json:"method"`
	HashType      string         `json:"hash_type"`
	ShardSize     strictjson.Raw `json:"shard_size,omitzero"`
	AllowSymlinks *bool          `json:"allow_symlinks"`
	IgnorePaths   []string       `json:"ignore_paths,omitzero"`
}

type wireStatement struct {
	Type          string         `json:"_type"`
	Subject       []wireSubject  `json:"subject"`
	PredicateType string         `json:"predicateType"`
	Predicate     strictjson.Raw `json:"predicate"`
}

type wireSubject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// The words of serialization.method.
const (
	methodFiles  = "files"
	methodShards = "shards"
)

// parseStatement reads what is signed.
func parseStatement(payload []byte) (*Statement, error) {
	if err := members("statement", payload, "_type", "subject", "predicateType", "predicate"); err != nil {
		return nil, err
	}
	var w wireStatement
	if err := strictjson.UnmarshalForeign(payload, &w, MaxFile, maxPayloadDepth); err != nil {
		return nil, malformed("statement: %w", err)
	}
	if w.Type != statementType {
		return nil, malformed("statement: _type %s, want %s", quote(w.Type), statementType)
	}
	st := &Statement{PredicateType: w.PredicateType, files: map[string]*signed{}}
	var err error
	switch w.PredicateType {
	case PredicateType:
		err = st.read(&w)
	case PredicateTypeDigests:
		err = st.readDigests(&w)
	default:
		err = malformed("predicateType %s, want %s", quote(w.PredicateType), PredicateType)
	}
	if err == nil {
		err = st.index()
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// members checks that a JSON object has no members but those.
func members(what string, object []byte, names ...string) error {
	var m map[string]strictjson.Raw
	if err := strictjson.UnmarshalForeign(object, &m, MaxFile, maxPayloadDepth); err != nil {
		return malformed("%s: %w", what, err)
	}
	for _, name := range sortedNames(m) {
		if !slices.Contains(names, name) {
			return malformed("%s: unknown member %s", what, quote(name))
		}
	}
	return nil
}

// read takes the predicate that the specification describes.
func (st *Statement) read(w *wireStatement) error {
	if len(w.Subject) != 1 {
		return malformed("%d subjects, want exactly one", len(w.Subject))
	}
	subject := w.Subject[0]
	if subject.Name == "" || len(subject.Name) > maxSubject {
		return malformed("the subject's name has %d bytes, 1 to %d are possible", len(subject.Name), maxSubject)
	}
	st.Name = subject.Name
	if err := members("predicate", w.Predicate, "resources", "serialization"); err != nil {
		return err
	}
	var p struct {
		Resources     []wireResource `json:"resources"`
		Serialization strictjson.Raw `json:"serialization"`
	}
	if err := strictjson.UnmarshalForeign(w.Predicate, &p, MaxFile, maxPayloadDepth); err != nil {
		return malformed("predicate: %w", err)
	}
	if err := st.readSerialization(p.Serialization); err != nil {
		return err
	}
	if len(p.Resources) == 0 || len(p.Resources) > MaxResources {
		return malformed("%d resources, 1 to %d are read", len(p.Resources), MaxResources)
	}
	root := SHA256.New()
	for i := range p.Resources {
		r, err := st.resource(&p.Resources[i])
		if err != nil {
			return err
		}
		root.Write(r.Digest)
		st.Resources = append(st.Resources, r)
	}
	root.Sum(st.Root[:0])
	if len(subject.Digest) != 1 || subject.Digest["sha256"] != hex.EncodeToString(st.Root[:]) {
		return malformed("the subject's digest is not the one sha256 over those of its resources")
	}
	return nil
}

func (st *Statement) readSerialization(raw strictjson.Raw) error {
	if raw == nil {
		return malformed("predicate: there is no serialization")
	}
	if err := members("serialization", raw, "method", "hash_type", "shard_size", "allow_symlinks", "ignore_paths"); err != nil {
		return err
	}
	var s wireSerialization
	if err := strictjson.UnmarshalForeign(raw, &s, MaxFile, maxPayloadDepth); err != nil {
		return malformed("serialization: %w", err)
	}
	st.Hash = Hash(s.HashType)
	switch {
	case st.Hash.Size() == 0:
		return malformed("hash_type %s, want sha256, blake2b or blake3", quote(s.HashType))
	case s.AllowSymlinks == nil:
		return malformed("serialization: there is no allow_symlinks")
	}
	st.AllowSymlinks = *s.AllowSymlinks
	switch {
	case s.Method == methodFiles && s.ShardSize == nil:
	case s.Method == methodFiles:
		return malformed("a shard_size, and the method is files")
	case s.Method == methodShards:
		var err error
		if st.ShardSize, err = parseShardSize(string(s.ShardSize)); err != nil {
			return err
		}
	default:
		return malformed("method %s, want files or shards", quote(s.Method))
	}
	return st.ignore(s.IgnorePaths)
}

// parseShardSize reads a positive integer. The reference implementation writes
// it with a point: in protobuf's Struct every number is a double.
func parseShardSize(text string) (uint64, error) {
	const longest = 24
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > longest || !(f >= 1 && f <= fingerprint.MaxFileSize) || f != float64(uint64(f)) {
		return 0, malformed("shard_size %s, want a whole number of bytes from 1 to %d", quote(text), uint64(fingerprint.MaxFileSize))
	}
	return uint64(f), nil
}

// ignore takes the paths that the signer left out.
func (st *Statement) ignore(paths []string) error {
	if len(paths) > MaxIgnored {
		return malformed("%d ignore_paths, at most %d are read", len(paths), MaxIgnored)
	}
	for _, p := range paths {
		trimmed := strings.TrimSuffix(p, "/") // as some write a folder
		switch {
		case !utf8.ValidString(p) || len(p) > fingerprint.MaxPath:
			return malformed("ignore_paths: %s is no path", quote(p))
		case trimmed == "" || trimmed == "." || strings.HasPrefix(p, "./"):
			return malformed("ignore_paths: %s leaves out the whole model, or may be read so", quote(p))
		case fingerprint.CheckPath(trimmed) != nil:
			st.Void = append(st.Void, p)
		default:
			st.Ignored = append(st.Ignored, trimmed)
		}
	}
	slices.Sort(st.Ignored)
	slices.Sort(st.Void)
	st.Ignored, st.Void = slices.Compact(st.Ignored), slices.Compact(st.Void)
	return nil
}

// resource reads one of the list.
func (st *Statement) resource(w *wireResource) (r Resource, err error) {
	if Hash(w.Algorithm) != st.Hash {
		return r, malformed("resource %s: algorithm %s, and hash_type is %s", quote(w.Name), quote(w.Algorithm), st.Hash)
	}
	if r.Digest, err = parseDigest(w.Name, w.Digest, st.Hash); err != nil {
		return r, err
	}
	r.Path = w.Name
	if st.ShardSize > 0 {
		if r.Path, r.Start, r.End, err = parseShard(w.Name); err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseDigest(name, text string, h Hash) ([]byte, error) {
	digest, err := hex.DecodeString(text)
	if err != nil || len(digest) != h.Size() || hex.EncodeToString(digest) != text {
		return nil, malformed("resource %s: the digest is not %d lower-case hexadecimal digits", quote(name), 2*h.Size())
	}
	return digest, nil
}

// parseShard splits a shard's name at its last two colons: a path may have
// colons of its own.
func parseShard(name string) (path string, start, end uint64, err error) {
	rest, last, ok := cutLast(name)
	path, first, ok2 := cutLast(rest)
	if ok && ok2 {
		start, ok = parseOffset(first)
		end, ok2 = parseOffset(last)
	}
	if !ok || !ok2 || start >= end || end > fingerprint.MaxFileSize {
		return "", 0, 0, malformed("resource %s: want PATH:START:END of a shard", quote(name))
	}
	return path, start, end, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parseOffset(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == text
}

// readDigests takes the layout of v0.2.0: a subject for each file, and nothing
// in the predicate that counts.
func (st *Statement) readDigests(w *wireStatement) error {
	if len(w.Subject) == 0 || len(w.Subject) > MaxResources {
		return malformed("%d subjects, 1 to %d are read", len(w.Subject), MaxResources)
	}
	st.Hash = SHA256
	root := sha256.New()
	for _, s := range w.Subject {
		digest, err := parseDigest(s.Name, s.Digest["sha256"], SHA256)
		if err != nil {
			return err
		}
		if len(s.Digest) != 1 {
			return malformed("subject %s has %d digests, want one", quote(s.Name), len(s.Digest))
		}
		root.Write(digest)
		st.Resources = append(st.Resources, Resource{Path: s.Name, Digest: digest})
	}
	root.Sum(st.Root[:0]) // nothing to compare it with
	return nil
}

// index puts the resources together as files, and refuses lists that no model
// can have.
func (st *Statement) index() error {
	shards := map[string][]*Resource{}
	for i := range st.Resources {
		r := &st.Resources[i]
		// Older versions of the reference implementation call a model that is one
		// file "." in its own list.
		alone := len(st.Resources) == 1 && r.Path == "."
		if err := fingerprint.CheckPath(r.Path); err != nil && !alone {
			return malformed("resource: %w", err)
		}
		if st.ShardSize == 0 && shards[r.Path] != nil {
			return malformed("resource %s is listed twice", quote(r.Path))
		}
		shards[r.Path] = append(shards[r.Path], r)
	}
	st.paths = sortedNames(shards)
	for _, path := range st.paths {
		f := new(signed)
		if st.ShardSize > 0 {
			if err := st.join(path, shards[path]); err != nil {
				return err
			}
			f.size = shards[path][len(shards[path])-1].End
		}
		for _, r := range shards[path] {
			f.digests = append(f.digests, r.Digest)
		}
		st.files[path] = f
	}
	return nil
}

// join sorts a file's shards and checks that they are the file: from its first
// byte on, each of the shard size but the last, without gap or overlap.
func (st *Statement) join(path string, shards []*Resource) error {
	slices.SortFunc(shards, func(a, b *Resource) int { return compareUint(a.Start, b.Start) })
	at := uint64(0)
	for i, r := range shards {
		size := r.End - r.Start
		switch {
		case r.Start < at && i > 0 && r.Start == shards[i-1].Start && r.End == shards[i-1].End:
			return malformed("resource %s:%d:%d is listed twice", quote(path), r.Start, r.End)
		case r.Start < at:
			return malformed("the shards of %s overlap at byte %d", quote(path), r.Start)
		case r.Start > at:
			return malformed("the shards of %s have a gap from byte %d to %d", quote(path), at, r.Start)
		case size > st.ShardSize, size < st.ShardSize && i < len(shards)-1:
			return malformed("shard %s:%d:%d has %d bytes, and shard_size is %d", quote(path), r.Start, r.End, size, st.ShardSize)
		}
		at = r.End
	}
	return nil
}

func compareUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// marshal writes a statement over whole files, its resources sorted.
func (st *Statement) marshal() ([]byte, error) {
	p := wirePredicate{Serialization: wireSerialization{Method: methodFiles, HashType: string(st.Hash), AllowSymlinks: &st.AllowSymlinks, IgnorePaths: st.Ignored}}
	for _, r := range st.Resources {
		p.Resources = append(p.Resources, wireResource{r.Path, hex.EncodeToString(r.Digest), string(st.Hash)})
	}
	predicate, err := strictjson.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("model signature: %w", err)
	}
	payload, err := strictjson.Marshal(wireStatement{
		Type:          statementType,
		Subject:       []wireSubject{{st.Name, map[string]string{"sha256": hex.EncodeToString(st.Root[:])}}},
		PredicateType: PredicateType, Predicate: predicate,
	})
	if err != nil {
		return nil, fmt.Errorf("model signature: %w", err)
	}
	return payload, nil
}

// ignores reports whether a path is left out, or lies in a folder that is, by
// the signer or by the format's own rule.
func (st *Statement) ignores(path string) bool {
	for p := path; ; {
		if _, found := slices.BinarySearch(st.Ignored, p); found {
			return true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return slices.Contains(leftOut, p)
		}
		p = p[:i]
	}
}

// below reports whether a listed file lies in a folder.
func (st *Statement) below(folder string) bool {
	folder += "/"
	i, _ := slices.BinarySearch(st.paths, folder)
	return i < len(st.paths) && strings.HasPrefix(st.paths[i], folder)
}

// leftOut is what every signature leaves out at the top of a model, unless it
// lists it (specification 6.2).
var leftOut = []string{".git", ".gitattributes", ".github", ".gitignore"}

// LeftOut are the names that the format leaves out at the top of every model.
func LeftOut() []string { return slices.Clone(leftOut) }

// same reports whether two digests are one.
func same(a, b []byte) bool { return bytes.Equal(a, b) }
