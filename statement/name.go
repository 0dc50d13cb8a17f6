package statement

import (
	"strings"

	"github.com/stele-ml/stele/fingerprint"
)

// Ref is an artifact as a statement names it.
type Ref struct {
	Name, Version string
	Fingerprint   fingerprint.Fingerprint
}

// String returns name@version.
func (r Ref) String() string { return r.Name + "@" + r.Version }

// Subject returns the in-toto subject that stands for r.
func (r Ref) Subject() Subject {
	return Subject{Name: r.String(), Digest: map[string]string{r.Fingerprint.Key(): r.Fingerprint.Sum.String()}}
}

// is reports whether both have the same name and version.
func (r Ref) is(other Ref) bool { return r.Name == other.Name && r.Version == other.Version }

// check checks a reference that a caller made.
func (r Ref) check() error {
	if err := CheckName(r.Name); err != nil {
		return err
	}
	if err := CheckVersion(r.Version); err != nil {
		return err
	}
	if !r.Fingerprint.Algorithm.Valid() {
		return malformed("%s: the fingerprint is not set", r)
	}
	return nil
}

// ParseRef is the reverse of [Ref.Subject].
func ParseRef(s Subject) (Ref, error) {
	name, version, err := ParseNameVersion(s.Name)
	if err != nil {
		return Ref{}, err
	}
	if len(s.Digest) != 1 {
		return Ref{}, malformed("subject %s: want exactly one digest, found %d", quote(s.Name), len(s.Digest))
	}
	var f fingerprint.Fingerprint
	for key, hex := range s.Digest {
		if f, err = fingerprint.Parse(key + ":" + hex); err != nil {
			return Ref{}, malformed("subject %s: %w", quote(s.Name), err)
		}
	}
	return Ref{Name: name, Version: version, Fingerprint: f}, nil
}

// ParseNameVersion splits and checks name@version.
func ParseNameVersion(text string) (name, version string, err error) {
	name, version, ok := strings.Cut(text, "@")
	if !ok {
		return "", "", malformed("%s: want name@version", quote(text))
	}
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	return name, version, CheckVersion(version)
}

// CheckName checks the name of an artifact: segments of [a-z0-9._-], each
// beginning with a letter or a digit, joined by "/", at most MaxName bytes.
func CheckName(name string) error {
	if len(name) > MaxName {
		return malformed("name %s: %d bytes, at most %d are allowed", quote(name), len(name), MaxName)
	}
	for segment := range strings.SplitSeq(name, "/") {
		if !isWord(segment, "._-", false) {
			return malformed("name %s: want segments of a-z 0-9 . _ - that begin with a letter or digit, joined by /", quote(name))
		}
	}
	return nil
}

// CheckVersion checks a version: [A-Za-z0-9._+-], beginning with a letter or a
// digit, at most MaxVersion bytes.
func CheckVersion(version string) error {
	if len(version) > MaxVersion {
		return malformed("version %s: %d bytes, at most %d are allowed", quote(version), len(version), MaxVersion)
	}
	if !isWord(version, "._+-", true) {
		return malformed("version %s: want A-Z a-z 0-9 . _ + - beginning with a letter or digit", quote(version))
	}
	return nil
}

// CheckHandle checks a handle: [a-z0-9._-], beginning with a letter or a digit,
// at most MaxHandle bytes. The handle "recovery" is well formed, but only the
// recovery key has it.
func CheckHandle(handle string) error {
	if len(handle) > MaxHandle {
		return malformed("handle %s: %d bytes, at most %d are allowed", quote(handle), len(handle), MaxHandle)
	}
	if !isWord(handle, "._-", false) {
		return malformed("handle %s: want a-z 0-9 . _ - beginning with a letter or digit", quote(handle))
	}
	return nil
}

// CheckOrigin checks the origin of a log, which is also the name of its key:
// [A-Za-z0-9._~:/-], beginning with a letter or a digit, at most MaxOrigin bytes.
// That is narrower than C2SP signed notes allow (no spaces, no "+").
func CheckOrigin(origin string) error {
	if len(origin) > MaxOrigin {
		return malformed("origin %s: %d bytes, at most %d are allowed", quote(origin), len(origin), MaxOrigin)
	}
	if !isWord(origin, "._~:/-", true) {
		return malformed("origin %s: want A-Z a-z 0-9 . _ ~ : / - beginning with a letter or digit", quote(origin))
	}
	return nil
}

// CheckPattern checks a name pattern: a name, or the beginning of one followed
// by a final "*", or "*" alone.
func CheckPattern(pattern string) error {
	prefix, star := strings.CutSuffix(pattern, "*")
	if !star {
		return CheckName(pattern)
	}
	// Whatever name the pattern could match begins so; an "x" completes the last
	// segment where it is empty.
	if prefix != "" && (CheckName(prefix+"x") != nil) {
		return malformed("name pattern %s: want a name, or the beginning of one and a final *", quote(pattern))
	}
	return nil
}

// MatchName reports whether the pattern covers the name: it is the name, or it
// ends in "*" and what is before that begins the name.
func MatchName(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// isWord reports whether s is not empty, begins with a letter or digit and goes
// on with letters, digits and the other characters.
func isWord(s, others string, upper bool) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', upper && 'A' <= c && c <= 'Z':
		case i > 0 && strings.IndexByte(others, c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
