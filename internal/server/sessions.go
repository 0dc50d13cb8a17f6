package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/stele-ml/stele/statement"
)

const (
	sessionPrefix = "stelejob_" // another than a token's, which is kept in a file
	maxSessions   = 1 << 14     // at a time
)

// Sessions are bearer tokens of CI jobs: given out with a delegation, good as long
// as it is, kept in memory alone. So a ledger that is not open to everybody needs no
// secret in a pipeline either. A server that starts again has forgotten them; a job
// then logs in once more.
type Sessions struct {
	scopes Scope
	now    func() time.Time
	secret [tokenBytes]byte // of which each key's token is made

	mu  sync.Mutex
	all map[[32]byte]session // by the SHA-256 of the token
}

type session struct {
	name  string
	until time.Time
}

// NewSessions returns none so far; each that is opened has these scopes.
func NewSessions(scopes Scope) *Sessions {
	s := &Sessions{scopes: scopes, now: time.Now, all: make(map[[32]byte]session)}
	_, _ = rand.Read(s.secret[:]) // never fails since Go 1.24
	return s
}

// open opens the session of a job's key, or prolongs it: a job that asks as often as it
// likes has one. Where there are too many it is an error; those that are over are
// forgotten first.
func (s *Sessions) open(name string, key statement.KeyID, until time.Time) (string, error) {
	mac := hmac.New(sha256.New, s.secret[:])
	mac.Write(key[:])
	text := sessionPrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	hash := sha256.Sum256([]byte(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.all[hash]; !ok && len(s.all) >= maxSessions {
		now := s.now()
		maps.DeleteFunc(s.all, func(_ [32]byte, x session) bool { return !now.Before(x.until) })
		if len(s.all) >= maxSessions {
			return "", fmt.Errorf("%d jobs are logged in; no more can be", maxSessions)
		}
	}
	s.all[hash] = session{name, until}
	return text, nil
}

// check returns whose job it is. Looking a hash up tells nothing of other tokens by
// the time it takes.
func (s *Sessions) check(text string) (Identity, bool) {
	if s == nil || !strings.HasPrefix(text, sessionPrefix) {
		return Identity{}, false
	}
	hash := sha256.Sum256([]byte(text))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[hash]
	if !ok || !s.now().Before(found.until) {
		delete(s.all, hash)
		return Identity{}, false
	}
	return Identity{Name: "job:" + found.name, Scopes: s.scopes}, true
}
