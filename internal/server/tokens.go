package server

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Limits of the token file: docs/formats/tokens.md.
const (
	// MaxTokens is how many tokens a file may hold.
	MaxTokens = 4096
	// MaxTokenFile is the longest token file, in bytes.
	MaxTokenFile = 1 << 20

	tokenPrefix = "stele_" // so that those who look for secrets in code find it
	tokenBytes  = 32
	tokenLength = len(tokenPrefix) + 43
	tokenHead   = "stele tokens v1\n"

	// reloadEvery is how often a file is looked at for a change, at most. A token that
	// is revoked may work for as long.
	reloadEvery = time.Second
)

// The classes of error of token files.
var (
	// ErrTokenFile: the file is not one, or can be changed by others.
	ErrTokenFile = errors.New("no token file")
	// ErrTokenName: the name is taken, unknown, or none.
	ErrTokenName = errors.New("no name for a token")
)

var tokenName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// Token is what the server knows of a bearer token: never the token itself.
type Token struct {
	Hash    [32]byte // SHA-256 of the token's text
	Name    string
	Scopes  Scope
	Created time.Time // whole seconds, UTC, as the others
	Expires time.Time // zero: never
	Revoked time.Time // zero: it is not
}

// NewToken makes a token from 256 random bits, and what the server is to know of it.
func NewToken(random io.Reader, name string, scopes Scope, now, expires time.Time) (text string, t Token, err error) {
	if !tokenName.MatchString(name) {
		return "", t, fmt.Errorf("%w: %.80q; use a-z 0-9 . _ -, at most 64", ErrTokenName, name)
	}
	var secret [tokenBytes]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", t, fmt.Errorf("make token: %w", err)
	}
	text = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	return text, Token{Hash: sha256.Sum256([]byte(text)), Name: name, Scopes: scopes, Created: whole(now), Expires: whole(expires)}, nil
}

func whole(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

// State says in a word whether a token is good: "active", "expired" or "revoked".
func (t Token) State(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	}
	return "active"
}

func (t Token) line() string {
	return fmt.Sprintf("%x %s %s %s %s %s\n", t.Hash, t.Name, t.Scopes, moment(t.Created), moment(t.Expires), moment(t.Revoked))
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func parseMoment(text string) (time.Time, error) {
	if text == "-" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// FormatTokens writes a token file.
func FormatTokens(tokens []Token) []byte {
	var b bytes.Buffer
	b.WriteString(tokenHead)
	for _, t := range tokens {
		b.WriteString(t.line())
	}
	return b.Bytes()
}

// ParseTokens reads a token file. Comments and blank lines are not kept by
// FormatTokens, so there are none.
func ParseTokens(data []byte) ([]Token, error) {
	if len(data) > MaxTokenFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTokenFile, MaxTokenFile)
	}
	rest, ok := strings.CutPrefix(string(data), tokenHead)
	if !ok {
		return nil, fmt.Errorf("%w: line 1 is not %q", ErrTokenFile, strings.TrimSpace(tokenHead))
	}
	var tokens []Token
	names, hashes := map[string]bool{}, map[[32]byte]bool{}
	number := 1
	for line := range strings.Lines(rest) {
		number++
		t, err := parseTokenLine(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: line %d: %w", ErrTokenFile, number, err)
		case names[t.Name] || hashes[t.Hash]:
			return nil, fmt.Errorf("%w: line %d: %s stands there twice", ErrTokenFile, number, t.Name)
		case len(tokens) == MaxTokens:
			return nil, fmt.Errorf("%w: more than %d tokens", ErrTokenFile, MaxTokens)
		}
		names[t.Name], hashes[t.Hash] = true, true
		tokens = append(tokens, t)
	}
	return tokens, nil
}

func parseTokenLine(line string) (Token, error) {
	var t Token
	fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(fields) != 6 {
		return t, fmt.Errorf("%d fields; 6 are wanted: hash, name, scopes, created, expires, revoked", len(fields))
	}
	hash, err := hex.DecodeString(fields[0])
	if err != nil || len(hash) != len(t.Hash) {
		return t, errors.New("the hash is not 64 hexadecimal digits")
	}
	t.Hash, t.Name = [32]byte(hash), fields[1]
	if t.Scopes, err = ParseScopes(fields[2]); err != nil {
		return t, err
	}
	for i, to := range []*time.Time{&t.Created, &t.Expires, &t.Revoked} {
		if *to, err = parseMoment(fields[3+i]); err != nil {
			return t, fmt.Errorf("%.40q is no time", fields[3+i])
		}
	}
	if !tokenName.MatchString(t.Name) || t.line() != line {
		return t, errors.New("not as this program writes it")
	}
	return t, nil
}

// Tokens are the tokens of a file, which is read again when it changes.
type Tokens struct {
	path string
	now  func() time.Time
	warn func(format string, args ...any)
	salt [32]byte // of this process

	mu     sync.Mutex
	looked time.Time
	stamp  fileStamp
	byHash map[[32]byte]Token
	broken error // why nobody gets in
}

// OpenTokens reads a token file. A file that is not there, or is broken, is an
// error here; one that breaks later lets nobody in until it is whole again, for
// what it last said may be what was just revoked.
func OpenTokens(path string, now func() time.Time, warn func(format string, args ...any)) (*Tokens, error) {
	t := &Tokens{path: path, now: now, warn: func(string, ...any) {}} // the first error is the caller's
	if _, err := io.ReadFull(rand.Reader, t.salt[:]); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.load()
	t.warn = warn
	return t, t.broken
}

// fileStamp tells that a file is another than it was.
type fileStamp struct {
	info fs.FileInfo
}

func (s fileStamp) same(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime()) && s.info.Mode() == info.Mode()
}

// load reads the file if it changed. mu is held.
func (t *Tokens) load() {
	t.looked = t.now()
	info, err := os.Stat(t.path)
	if err == nil && t.broken == nil && t.stamp.same(info) {
		return
	}
	before := t.broken
	var tokens []Token
	if err == nil {
		tokens, err = ReadTokens(t.path)
	}
	if t.broken = err; err != nil {
		t.byHash, t.stamp = nil, fileStamp{}
		if before == nil || before.Error() != err.Error() {
			t.warn("no token is taken until this is put right: %v", err)
		}
		return
	}
	t.stamp = fileStamp{info}
	t.byHash = make(map[[32]byte]Token, len(tokens))
	for _, token := range tokens {
		t.byHash[t.place(token.Hash)] = token
	}
}

// place is where a hash lies in the map: under a secret of this process, so that how
// long a search takes tells nothing about the file.
func (t *Tokens) place(hash [32]byte) [32]byte {
	return sha256.Sum256(append(t.salt[:], hash[:]...))
}

// ReadTokens reads a token file that nobody else can change.
func ReadTokens(path string) ([]Token, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%w: others may write to %s (mode %04o)", ErrTokenFile, path, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxTokenFile+1))
	if err != nil {
		return nil, err
	}
	tokens, err := ParseTokens(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tokens, nil
}

// The reasons why a token is not taken. Whoever shows one that has expired holds it,
// and may be told.
var (
	errTokenUnknown = errors.New("this token is not known here")
	errTokenExpired = errors.New("this token has expired")
	errTokenRevoked = errors.New("this token was revoked")
)

// check finds a token by its text. The error is one of the three, or why the file
// cannot be read.
func (t *Tokens) check(text string) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if age := now.Sub(t.looked); age >= reloadEvery || age < 0 {
		t.load()
	}
	if t.broken != nil {
		return Token{}, t.broken
	}
	if len(text) != tokenLength || !strings.HasPrefix(text, tokenPrefix) {
		return Token{}, errTokenUnknown
	}
	hash := sha256.Sum256([]byte(text))
	token, ok := t.byHash[t.place(hash)]
	if subtle.ConstantTimeCompare(token.Hash[:], hash[:]) != 1 || !ok {
		return Token{}, errTokenUnknown
	}
	switch token.State(now) {
	case "revoked":
		return token, errTokenRevoked
	case "expired":
		return token, errTokenExpired
	}
	return token, nil
}
