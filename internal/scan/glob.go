package scan

import (
	"math/bits"
	"strings"
)

// A glob is a pattern of gitignore (git's wildmatch.c) made into a list of
// steps. Git's own matcher tries one way after the other, which a hostile
// pattern makes take exponential time; and a stamp's rules come from others.
// This one goes through the name once, with the set of all steps it may be at,
// so that a match costs at most pattern times name. It works on bytes, as git
// does: '?' is one byte.
//
// It is not a library's, because the rules that a stamp binds have to mean the
// same for ever.
type glob struct {
	steps []step
}

// step matches one byte, or is one of the stars.
type step struct {
	kind stepKind
	lit  byte     // stepByte
	set  *byteSet // stepSet
}

type stepKind uint8

const (
	stepByte     stepKind = iota
	stepAny               // '?': any byte but '/'
	stepSet               // '[...]': never '/'
	stepStar              // '*': any bytes but '/', or none
	stepAll               // "**" at an end: any bytes, or none
	stepDirs              // "**/": nothing at all, or what stepDirsRest is
	stepDirsRest          // after stepDirs: any bytes, or none, and then a '/'
)

// compileGlob takes a pattern apart. In a path "**" may be special; in a single
// segment it is '*'. It returns nil for a pattern that is never right, such as
// one whose '[' has no end: it matches nothing, as in git.
func compileGlob(p string, path bool) *glob {
	g := new(glob)
	add := func(s ...step) { g.steps = append(g.steps, s...) }
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '\\':
			if i++; i == len(p) {
				return nil
			}
			add(step{lit: p[i]})
		case '?':
			add(step{kind: stepAny})
		case '[':
			set, n := compileSet(p[i:])
			if n == 0 {
				return nil
			}
			set.remove('/')
			add(step{kind: stepSet, set: &set})
			i += n - 1
		case '*':
			end := i + len(p[i:]) - len(strings.TrimLeft(p[i:], "*"))
			special := path && end-i > 1 && (i == 0 || p[i-1] == '/')
			switch {
			case special && (end == len(p) || strings.HasPrefix(p[end:], `\/`)):
				add(step{kind: stepAll})
			case special && p[end] == '/':
				add(step{kind: stepDirs}, step{kind: stepDirsRest})
				end++
			default:
				add(step{kind: stepStar})
			}
			i = end - 1
		default:
			add(step{lit: c})
		}
	}
	return g
}

// states is a set of steps that a match may be at; the one after the last step
// is the end.
type states [(MaxRule+1)/64 + 1]uint64

func (s *states) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// enter adds a step, and those that it may be left for at once.
func (g *glob) enter(s *states, i int) {
	for {
		s[i/64] |= 1 << (i % 64)
		if i == len(g.steps) {
			return
		}
		switch g.steps[i].kind {
		case stepStar, stepAll:
			i++
		case stepDirs:
			s[(i+1)/64] |= 1 << ((i + 1) % 64)
			i += 2
		default:
			return
		}
	}
}

// match reports whether the whole of name matches.
func (g *glob) match(name string) bool {
	words := len(g.steps)/64 + 1
	var now, next states
	g.enter(&now, 0)
	for k := 0; k < len(name); k++ {
		c := name[k]
		alive := uint64(0)
		for w := range words {
			for set := now[w]; set != 0; set &= set - 1 {
				if i := w*64 + bits.TrailingZeros64(set); i < len(g.steps) {
					g.step(&next, i, c)
				}
			}
		}
		for w := range words {
			alive |= next[w]
			now[w], next[w] = next[w], 0
		}
		if alive == 0 {
			return false
		}
	}
	return now.has(len(g.steps))
}

// step adds to next what step i goes on to with byte c.
func (g *glob) step(next *states, i int, c byte) {
	switch s := &g.steps[i]; s.kind {
	case stepByte:
		if c == s.lit {
			g.enter(next, i+1)
		}
	case stepAny:
		if c != '/' {
			g.enter(next, i+1)
		}
	case stepSet:
		if s.set.has(c) {
			g.enter(next, i+1)
		}
	case stepStar:
		if c != '/' {
			g.enter(next, i)
		}
	case stepAll, stepDirsRest:
		g.enter(next, i)
		if s.kind == stepDirsRest && c == '/' {
			g.enter(next, i+1)
		}
	}
}

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(c byte)      { s[c/64] |= 1 << (c % 64) }
func (s *byteSet) remove(c byte)   { s[c/64] &^= 1 << (c % 64) }
func (s *byteSet) has(c byte) bool { return s[c/64]&(1<<(c%64)) != 0 }

// compileSet reads a bracket expression at the beginning of p and returns how
// long it is; 0 if it has no end or names a class that there is not.
func compileSet(p string) (set byteSet, n int) {
	i := 1
	negated := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negated {
		i++
	}
	before := byte(0) // what a range begins with; 0 after a range or a class
	for first := true; ; first = false {
		if i >= len(p) {
			return set, 0
		}
		c := p[i]
		if c == ']' && !first {
			break
		}
		switch {
		case c == '\\':
			if i++; i == len(p) {
				return set, 0
			}
			c = p[i]
			set.add(c)
		case c == '-' && before != 0 && i+1 < len(p) && p[i+1] != ']':
			if i++; p[i] == '\\' {
				if i++; i == len(p) {
					return set, 0
				}
			}
			for b := int(before); b <= int(p[i]); b++ {
				set.add(byte(b))
			}
			c = 0
		case c == '[' && strings.HasPrefix(p[i+1:], ":"):
			end := strings.IndexByte(p[i+2:], ']')
			if end < 0 {
				return set, 0
			}
			name, ok := strings.CutSuffix(p[i+2:i+2+end], ":")
			if !ok {
				set.add(c) // no class after all: '[' is itself
				break
			}
			in := classes[name]
			if in == nil {
				return set, 0
			}
			for b := range 128 {
				if in(byte(b)) {
					set.add(byte(b))
				}
			}
			i += 2 + end
			c = 0
		default:
			set.add(c)
		}
		before = c
		i++
	}
	if negated {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return set, i + 1
}

func between(lo, hi byte) func(byte) bool { return func(c byte) bool { return lo <= c && c <= hi } }

func either(fs ...func(byte) bool) func(byte) bool {
	return func(c byte) bool {
		for _, f := range fs {
			if f(c) {
				return true
			}
		}
		return false
	}
}

func oneOf(s string) func(byte) bool {
	return func(c byte) bool { return strings.IndexByte(s, c) >= 0 }
}

// classes are the POSIX classes in ASCII, as git has them: its space is four
// characters.
var classes = map[string]func(byte) bool{
	"alnum":  either(between('0', '9'), between('A', 'Z'), between('a', 'z')),
	"alpha":  either(between('A', 'Z'), between('a', 'z')),
	"blank":  oneOf(" \t"),
	"cntrl":  either(between(0, 0x1f), between(0x7f, 0x7f)),
	"digit":  between('0', '9'),
	"graph":  between(0x21, 0x7e),
	"lower":  between('a', 'z'),
	"print":  between(0x20, 0x7e),
	"punct":  either(between('!', '/'), between(':', '@'), between('[', '`'), between('{', '~')),
	"space":  oneOf(" \t\n\r"),
	"upper":  between('A', 'Z'),
	"xdigit": either(between('0', '9'), between('A', 'F'), between('a', 'f')),
}
