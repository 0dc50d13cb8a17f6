package server

import (
	"bytes"
	"net/http/httptest"
	"testing"
	"time"
)

// A job's token lets it in as long as its delegation is valid, with the scopes that
// jobs have, and nobody else's token is one.
func TestJobsToken(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	jobs := NewSessions(ScopeEntries | ScopeSubmit)
	jobs.now = func() time.Time { return now }
	jobs.random = bytes.NewReader(bytes.Repeat([]byte{7}, 64))
	token, err := jobs.open("fraud main", now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	a := &Access{Jobs: jobs, Realm: "x"}
	ask := func(header string) (Identity, *denial) {
		r := httptest.NewRequest("GET", "/", nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		return a.identify(r)
	}
	who, denied := ask("Bearer " + token)
	if denied != nil || who.Name != "job:fraud main" || who.Scopes != ScopeEntries|ScopeSubmit {
		t.Errorf("%+v, %+v", who, denied)
	}
	for _, wrong := range []string{"Bearer " + token + "x", "Bearer " + token[:len(token)-1], "Bearer stelejob_", "Bearer x", "Basic " + token} {
		if who, denied := ask(wrong); denied == nil || denied.problem.Status != 401 {
			t.Errorf("%q: %+v", wrong, who)
		}
	}
	if who, denied := ask(""); denied != nil || who.Scopes != ScopeNone {
		t.Errorf("without one: %+v, %+v", who, denied)
	}
	now = now.Add(time.Minute)
	if who, denied := ask("Bearer " + token); denied == nil {
		t.Errorf("when its delegation is over: %+v", who)
	}
}

func TestJobsAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	jobs := NewSessions(ScopeEntries)
	jobs.now = func() time.Time { return now }
	for range maxSessions {
		if _, err := jobs.open("x", now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := jobs.open("x", now.Add(time.Minute)); err == nil {
		t.Error("one more than there may be")
	}
	now = now.Add(time.Minute)
	if _, err := jobs.open("x", now.Add(time.Minute)); err != nil || len(jobs.all) != 1 {
		t.Errorf("once the others are over: %v, %d", err, len(jobs.all))
	}
}
