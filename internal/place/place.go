// Package place is where bytes lie, as a person writes it: a path on this
// machine, or the address of a bucket. It is the only package that knows every
// kind of source.
package place

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// ErrAddress says that a text is no address of a place. What carries it says
// what would be.
var ErrAddress = errors.New("no address that can be read")

// scheme is how an address begins.
type scheme string

// The kinds of place behind a network.
const (
	schemeS3    scheme = "s3"
	schemeGCS   scheme = "gs"
	schemeAzure scheme = "azblob"
)

// The schemes, as a message lists them.
const known = "s3://BUCKET/KEY, gs://BUCKET/KEY and azblob://CONTAINER/KEY"

// Limits of an address, in bytes: what the stores allow for names and keys is
// less, or as much.
const (
	maxBucket = 255
	maxKey    = 4096
)

// Place is a folder or a file on this machine, or in a bucket. The zero Place
// is none. Places may be compared with ==.
type Place struct {
	scheme scheme // empty: this machine
	bucket string
	key    string // as it stands in the store, never decoded; may end in '/'
	path   string // on this machine, as it was given
}

// Parse reads s3://BUCKET/KEY, gs://BUCKET/KEY or azblob://CONTAINER/KEY. Keys
// are taken as they are: nothing is decoded, and '?' and '#' are characters
// like others. An address without a key is the whole bucket. Any other text
// without a scheme is a path on this machine (./ makes one of a path that
// begins like an address).
func Parse(text string) (Place, error) {
	if text == "" {
		return Place{}, fmt.Errorf("%w: it is empty", ErrAddress)
	}
	word, rest, ok := strings.Cut(text, "://")
	if !ok || !isScheme(word) {
		return Place{path: text}, nil
	}
	p := Place{scheme: scheme(word)}
	switch p.scheme {
	case schemeS3, schemeGCS, schemeAzure:
	default:
		return Place{}, fmt.Errorf("%w: %s:// is none of %s", ErrAddress, word, known)
	}
	p.bucket, p.key, _ = strings.Cut(rest, "/")
	if why := checkBucket(p.bucket); why != "" {
		return Place{}, fmt.Errorf("%w: %s", ErrAddress, why)
	}
	switch {
	case len(p.key) > maxKey:
		return Place{}, fmt.Errorf("%w: the key has %d bytes, at most %d are possible", ErrAddress, len(p.key), maxKey)
	case !utf8.ValidString(p.key) || strings.ContainsRune(p.key, 0):
		return Place{}, fmt.Errorf("%w: the key is not UTF-8 without NUL", ErrAddress)
	}
	return p, nil
}

// isScheme reports whether a word is a URL's scheme (RFC 3986, section 3.1).
func isScheme(word string) bool {
	for i, c := range []byte(word) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+.-", rune(c))) {
			return false
		}
	}
	return word != ""
}

// checkBucket keeps user names, ports and queries, which other addresses have
// and which may be secrets, from being taken for a bucket.
func checkBucket(name string) string {
	switch {
	case name == "":
		return "the bucket is missing"
	case len(name) > maxBucket:
		return fmt.Sprintf("the bucket's name has %d bytes", len(name))
	}
	for _, c := range name {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".-_$", c) {
			return fmt.Sprintf("a bucket's name has no %q", c)
		}
	}
	return ""
}

// String is the place as a person writes it.
func (p Place) String() string {
	switch {
	case !p.Remote():
		return p.path
	case p.key == "":
		return string(p.scheme) + "://" + p.bucket
	}
	return string(p.scheme) + "://" + p.bucket + "/" + p.key
}

// Remote reports whether the place is behind a network.
func (p Place) Remote() bool { return p.scheme != "" }

// Path is the path of a place on this machine, as it was given.
func (p Place) Path() string { return p.path }

// Key is the key of a place in a bucket: empty for all of it.
func (p Place) Key() string { return p.key }

// UniqueETags reports whether the store gives no ETag twice: Azure makes them of
// the time of each write, and not of the bytes.
func (p Place) UniqueETags() bool { return p.scheme == schemeAzure }

// Join is the place of a file below a folder; rel has '/' between segments.
func (p Place) Join(rel string) Place {
	if !p.Remote() {
		p.path = filepath.Join(p.path, filepath.FromSlash(rel))
		return p
	}
	if p.key != "" && !strings.HasSuffix(p.key, "/") {
		p.key += "/"
	}
	p.key += rel
	return p
}

// Base is the last name in the place: of the file, the folder or the bucket.
func (p Place) Base() string {
	switch {
	case !p.Remote():
		return filepath.Base(p.path)
	case strings.Trim(p.key, "/") == "":
		return p.bucket
	}
	return path.Base(p.key)
}

// Absolute is the place as it is written down, to be found again from another
// folder.
func (p Place) Absolute() (Place, error) {
	if p.Remote() {
		return p, nil
	}
	abs, err := filepath.Abs(p.path)
	return Place{path: abs}, err
}

// Same reports whether two places, made Absolute, are one: a folder is the
// same with and without a slash at its end.
func (p Place) Same(q Place) bool {
	p.key, q.key = strings.TrimSuffix(p.key, "/"), strings.TrimSuffix(q.key, "/")
	if !p.Remote() && !q.Remote() {
		return filepath.Clean(p.path) == filepath.Clean(q.path)
	}
	return p == q
}

// aliases are schemes by which Hadoop's table formats name the same buckets.
var aliases = map[string]string{"s3a://": "s3://", "s3n://": "s3://"}

// Rel is the path below a folder that a line of a list names: a path relative
// to it, or the whole address or absolute path of something below it.
func (p Place) Rel(line string) (string, error) {
	for from, to := range aliases {
		if rest, ok := strings.CutPrefix(line, from); ok {
			line = to + rest
		}
	}
	q, err := Parse(line)
	if err != nil {
		return "", err
	}
	outside := fmt.Errorf("%s is not below %s", line, p)
	if q.Remote() {
		folder := p.Join("").key
		rel, below := strings.CutPrefix(q.key, folder)
		if q.scheme != p.scheme || q.bucket != p.bucket || !below || rel == "" {
			return "", outside
		}
		return rel, nil
	}
	if p.Remote() {
		return line, nil
	}
	if !filepath.IsAbs(q.path) {
		return strings.TrimPrefix(filepath.ToSlash(q.path), "./"), nil
	}
	folder, err := p.Absolute()
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(folder.path, q.path)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return "", outside
	}
	return filepath.ToSlash(rel), nil
}
