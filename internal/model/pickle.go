package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// A pickle is a program for a small stack machine (Python's pickletools lists
// its instructions). It can import any name and call it, so that loading one
// runs whatever its author wrote. Here its instructions are stepped over, never
// carried out.

// pickled is how sure it is that a file is a pickle.
type pickled uint8

const (
	notPickle   pickled = iota
	maybePickle         // as text it could be one, and would call nothing
	isPickle
)

const (
	// maxLine is the longest number or name that ends with its line, in bytes.
	maxLine = 4 << 10
	// maxMarks is how many marks may lie on the stack: far more than nested
	// values have.
	maxMarks = 1 << 12
	// fewSteps is how many instructions are enough to know a pickle that is
	// announced by PROTO.
	fewSteps = 2
	// lastProtocol is the newest that is known (Python 3.8 and later).
	lastProtocol = 5
)

// walker steps through a pickle's instructions.
type walker struct {
	r     io.ReaderAt
	off   int64
	depth int   // of the stack
	marks []int // depths at which marks lie
	names bool  // something was imported
	calls bool  // something was called
	cut   bool  // it goes on, and no more is looked at
}

// lookForPickle steps through what begins at the reader's start.
//
// A pickle of protocol 2 or later announces itself. An older one is a text that
// could be many things: it is one if it imports and calls something, or goes on
// as one for as long as is looked at. Whatever follows the first call is too
// late: a loader has then made it.
func lookForPickle(r io.ReaderAt) pickled {
	w := &walker{r: r}
	announced := w.announced()
	for steps := 1; ; steps++ {
		stop, ok := w.step()
		switch {
		case ok && announced && (stop || steps == fewSteps), w.names && w.calls, w.cut, stop && ok && w.names:
			return isPickle
		case !ok:
			return notPickle
		case stop && steps > fewSteps:
			return maybePickle
		case stop:
			return notPickle // a number, a word and a full stop are anything
		}
	}
}

// announced steps over PROTO at the beginning.
func (w *walker) announced() bool {
	var b [2]byte
	if n, _ := w.r.ReadAt(b[:], 0); n < len(b) || b[0] != 0x80 || b[1] > lastProtocol {
		return false
	}
	w.off = int64(len(b))
	return true
}

// step steps over one instruction. stop: it was the last. ok is false where
// there is none, or one that cannot stand here.
func (w *walker) step() (stop, ok bool) {
	op, ok := w.byte()
	if !ok {
		return false, false
	}
	switch op {
	case '.':
		return true, w.pop(1)
	case '(':
		w.marks = append(w.marks, w.depth)
		return false, len(w.marks) <= maxMarks
	case 'N', ')', ']', '}', 0x88, 0x89, 0x8f, 0x97:
		return false, w.push()
	case 'J', 'j', 0x84: // 4 bytes
		w.names = w.names || op == 0x84 // a name from a registry
		return false, w.skip(4) && w.push()
	case 'K', 'h', 0x82:
		w.names = w.names || op == 0x82
		return false, w.skip(1) && w.push()
	case 'M', 0x83:
		w.names = w.names || op == 0x83
		return false, w.skip(2) && w.push()
	case 'G':
		return false, w.skip(8) && w.push()
	case 'q':
		return false, w.skip(1) && w.depth > 0
	case 'r':
		return false, w.skip(4) && w.depth > 0
	case 0x80: // PROTO again, or late
		return false, w.skip(1)
	case 0x95: // FRAME
		return false, w.skip(8)
	case 'U', 'C', 0x8a, 0x8c:
		return false, w.counted(1) && w.push()
	case 'T', 'B', 'X', 0x8b:
		return false, w.counted(4) && w.push()
	case 0x8d, 0x8e, 0x96:
		return false, w.counted(8) && w.push()
	}
	return false, w.stepText(op) || w.stepStack(op)
}

// stepText steps over the instructions whose arguments end with their lines.
func (w *walker) stepText(op byte) bool {
	if !strings.ContainsRune("ILFSVgpPci", rune(op)) {
		return false
	}
	most := maxLine
	if op == 'S' || op == 'V' { // texts: as long as the file is looked at
		most = maxBlocks * blockSize
	}
	line, ok := w.line(most)
	if !ok {
		return false
	}
	switch op {
	case 'I', 'L', 'g', 'p':
		digits := strings.TrimSuffix(strings.TrimPrefix(line, "-"), "L")
		if digits == "" || strings.Trim(digits, "0123456789") != "" {
			return false
		}
		if op == 'p' {
			return w.depth > 0
		}
	case 'F':
		if line == "" || strings.Trim(strings.ToLower(line), "0123456789.e+-infa") != "" {
			return false
		}
	case 'S':
		if n := len(line); n < 2 || line[0] != line[n-1] || line[0] != '\'' && line[0] != '"' {
			return false
		}
	case 'P': // an object that the loader finds by this name, by code of its own
		w.names = true
	case 'c', 'i':
		attribute, ok := w.line(maxLine)
		if !ok || !isName(line) || !isName(attribute) {
			return false
		}
		w.names = true
		if op == 'i' {
			w.calls = w.popMark(0)
			return w.calls && w.push()
		}
	}
	return w.push()
}

// stepStack steps over the instructions without arguments that take from the
// stack.
func (w *walker) stepStack(op byte) bool {
	switch op {
	case 'a', 0x86:
		return w.pop(2) && w.push()
	case 's', 0x87:
		return w.pop(3) && w.push()
	case 0x85, 0x94, 0x98, 'Q':
		w.names = w.names || op == 'Q'
		return w.pop(1) && w.push()
	case '0':
		return w.pop(1)
	case '2':
		return w.depth > 0 && w.push()
	case '1':
		return w.popMark(0)
	case 't', 'l', 'd', 0x91:
		return w.popMark(0) && w.push()
	case 'e', 'u', 0x90:
		return w.popMark(0) && w.depth > 0
	case 0x93: // STACK_GLOBAL
		w.names = true
		return w.pop(2) && w.push()
	case 'R', 'b', 0x81:
		w.calls = w.pop(2)
		return w.calls && w.push()
	case 0x92:
		w.calls = w.pop(3)
		return w.calls && w.push()
	case 'o':
		w.calls = w.popMark(1)
		return w.calls && w.push()
	}
	return false
}

func (w *walker) push() bool { w.depth++; return true }

func (w *walker) pop(n int) bool {
	least := 0
	if len(w.marks) > 0 {
		least = w.marks[len(w.marks)-1]
	}
	if w.depth-n < least {
		return false
	}
	w.depth -= n
	return true
}

// popMark takes everything above the last mark, at least so many.
func (w *walker) popMark(least int) bool {
	last := len(w.marks) - 1
	if last < 0 || w.depth-w.marks[last] < least {
		return false
	}
	w.depth, w.marks = w.marks[last], w.marks[:last]
	return true
}

func (w *walker) byte() (byte, bool) {
	var b [1]byte
	n, err := w.r.ReadAt(b[:], w.off)
	w.cut = errors.Is(err, errEnough)
	w.off++
	return b[0], n == 1
}

func (w *walker) skip(n uint64) bool {
	if n > sizeLimit-uint64(w.off) {
		return false
	}
	w.off += int64(n)
	return true
}

// counted steps over an argument after its length, little-endian. One that
// lies past the end of the file shows when the next instruction is read.
func (w *walker) counted(width int) bool {
	var b [8]byte
	if n, _ := w.r.ReadAt(b[:width], w.off); n < width {
		return false
	}
	return w.skip(uint64(width)) && w.skip(binary.LittleEndian.Uint64(b[:]))
}

// line reads up to the end of a line that has at most so many bytes.
func (w *walker) line(most int) (string, bool) {
	var out []byte
	var b [128]byte
	for len(out) < most {
		n, _ := w.r.ReadAt(b[:], w.off+int64(len(out)))
		if n == 0 {
			return "", false
		}
		if i := bytes.IndexByte(b[:n], '\n'); i >= 0 {
			out = append(out, b[:i]...)
			w.off += int64(len(out)) + 1
			return strings.TrimSuffix(string(out), "\r"), true
		}
		out = append(out, b[:n]...)
	}
	return "", false
}

// isName reports whether this may be a Python module or name in one.
func isName(s string) bool {
	for i, c := range s {
		if c != '_' && c != '.' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') && c < 0x80 {
			return false
		}
	}
	return s != "" && s[0] != '.'
}
