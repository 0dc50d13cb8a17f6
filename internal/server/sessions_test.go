package server

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/statement"
)

// A job's token lets it in as long as its delegation is valid, with the scopes that
// jobs have, and nobody else's token is one.
func TestJobsToken(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	jobs := NewSessions(ScopeEntries | ScopeSubmit)
	jobs.now = func() time.Time { return now }
	token, err := jobs.open("fraud main", statement.KeyID{1}, now.Add(time.Minute))
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
		if who, denied := ask(wrong); denied == nil || denied.problem.Status != 401 || !strings.Contains(denied.problem.Hint, "stele login") {
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
	key := func(i int) statement.KeyID { return statement.KeyID{byte(i), byte(i >> 8), 1} }
	for i := range maxSessions {
		if _, err := jobs.open("x", key(i), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := jobs.open("x", key(maxSessions), now.Add(time.Minute)); err == nil {
		t.Error("one more than there may be")
	}
	now = now.Add(time.Minute)
	if _, err := jobs.open("x", key(maxSessions), now.Add(time.Minute)); err != nil || len(jobs.all) != 1 {
		t.Errorf("once the others are over: %v, %d", err, len(jobs.all))
	}
}

// A job asks again and again with one token, so that no other job is let in.
func TestAttackOneJobManyTimes(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	jobs := NewSessions(ScopeEntries)
	jobs.now = func() time.Time { return now }
	job := statement.KeyID{1}
	first, err := jobs.open("x", job, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxSessions {
		if again, err := jobs.open("x", job, now.Add(time.Minute+time.Duration(i))); err != nil || again != first {
			t.Fatalf("%q, %v", again, err)
		}
	}
	other, err := jobs.open("x", statement.KeyID{2}, now.Add(time.Minute))
	if err != nil || other == first || len(jobs.all) != 2 {
		t.Errorf("another job: %q, %v; %d are logged in", other, err, len(jobs.all))
	}
	if stranger, err := NewSessions(ScopeEntries).open("x", job, now.Add(time.Minute)); err != nil || stranger == first {
		t.Errorf("another server gives the same token: %v", err)
	}
	now = now.Add(time.Minute)
	if who, ok := jobs.check(first); !ok {
		t.Errorf("its delegation is good for a moment more: %+v", who)
	}
}
