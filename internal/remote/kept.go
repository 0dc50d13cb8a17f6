package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/internal/wire"
)

// What a server answered when its ledger was opened last is kept beside the control
// entries: with it the ledger can be opened while the server is away. It is verified
// as if the server had just sent it.
const (
	keptName  = "opened"
	maxKept   = 4 << 20 // bytes
	keptDepth = 8
)

// ErrNotKept says that nothing is kept of a ledger with which it can be opened
// without its server.
var ErrNotKept = errors.New("nothing is kept of the ledger")

// kept is an answer, and the checkpoint that it is as of.
type kept struct {
	Checkpoint string          `json:"checkpoint"`
	Answer     wire.ReadAnswer `json:"answer"`
}

// OpenKept opens a ledger as it was when it was opened last by [OpenCached] with the
// same folder, and asks no server. It has the genesis, the control entries and the
// last entry; every other read fails with away, the reason for which the server is
// not asked. The checkpoint is the caller's to verify, as with [Open].
func OpenKept(ctx context.Context, dir string, away error) (*Ledger, error) {
	text, err := readKept(filepath.Join(dir, keptName))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	k := new(kept)
	if err = strictjson.Unmarshal(text, k, maxKept, keptDepth); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	m := newMemory()
	m.takeControl(readCache(filepath.Join(dir, cacheName)))
	l, err := open(ctx, &absent{&k.Answer, away}, []byte(k.Checkpoint), m)
	if errors.Is(err, evidence.ErrTampered) || errors.Is(err, away) {
		return nil, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return l, err
}

// absent is a server that is away, and whose last answer is known.
type absent struct {
	answer *wire.ReadAnswer
	away   error
}

// Read implements Server.
func (s *absent) Read(context.Context, *wire.ReadRequest) (*wire.ReadAnswer, error) {
	return nil, s.away
}

// Trace implements Server.
func (s *absent) Trace(_ context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error) {
	a := s.answer
	s.answer = nil
	if a == nil || r.Lookup.Kind != string(ledger.LookupOpen) || len(r.Ops) > len(a.Answers) {
		return nil, s.away
	}
	for i, op := range r.Ops {
		if !a.Answers[i].Op.Same(op) {
			return nil, s.away
		}
	}
	return a, nil
}

// recorder is a server whose answers are kept.
type recorder struct {
	Server
	answers []*wire.ReadAnswer
}

// Trace implements Server.
func (s *recorder) Trace(ctx context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error) {
	a, err := s.Server.Trace(ctx, r)
	if err == nil {
		s.answers = append(s.answers, a)
	}
	return a, err
}

// keep writes down what opened a ledger, where one answer did: it takes several only
// where many control entries were new.
func (s *recorder) keep(name string, signed []byte) {
	if len(s.answers) != 1 {
		return
	}
	text, err := strictjson.Marshal(&kept{string(signed), *s.answers[0]})
	if err == nil && len(text) <= maxKept {
		replace(name, text)
	}
}

func readKept(name string) ([]byte, error) {
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() || info.Size() > maxKept {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxKept)
	}
	return os.ReadFile(name)
}
