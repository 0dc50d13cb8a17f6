package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
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
	random io.Reader

	mu  sync.Mutex
	all map[[32]byte]session // by the SHA-256 of the token
}

type session struct {
	name  string
	until time.Time
}

// NewSessions returns none so far; each that is opened has these scopes.
func NewSessions(scopes Scope) *Sessions {
	return &Sessions{scopes: scopes, now: time.Now, random: rand.Reader, all: make(map[[32]byte]session)}
}

// open makes a session. Where there are too many it is an error; those that are over
// are forgotten first.
func (s *Sessions) open(name string, until time.Time) (string, error) {
	var secret [tokenBytes]byte
	if _, err := io.ReadFull(s.random, secret[:]); err != nil {
		return "", fmt.Errorf("make a job's token: %w", err)
	}
	text := sessionPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= maxSessions {
		now := s.now()
		for hash, session := range s.all {
			if !now.Before(session.until) {
				delete(s.all, hash)
			}
		}
		if len(s.all) >= maxSessions {
			return "", fmt.Errorf("%d jobs are logged in; no more can be", maxSessions)
		}
	}
	s.all[sha256.Sum256([]byte(text))] = session{name, until}
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
