package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/strictjson"
)

// TestOperatingNamesEveryMetric: docs/operating.md has every metric of ours.
func TestOperatingNamesEveryMetric(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := NewMetrics()
	f := NewFront(FrontOptions{Metrics: m})
	m.Watch(NewHealth(f, HealthOptions{Condition: func() Condition {
		return Condition{Witnesses: &WitnessCondition{Each: []WitnessState{{Name: "w"}}}, Mirror: &MirrorCondition{}}
	}}), "test")
	m.count("GET", "r", 200, time.Second)
	m.refused.WithLabelValues("x").Inc()
	m.turnedAway.WithLabelValues("x").Inc()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, family := range families {
		if name := family.GetName(); strings.HasPrefix(name, "stele_") {
			n++
			if !strings.Contains(string(page), "`"+name) {
				t.Errorf("docs/operating.md does not name %s", name)
			}
		}
	}
	if n < 18 {
		t.Errorf("%d metrics, 18 at least were there", n)
	}
}

// TestHealth: alive is not ready, and a log that rests is well.
func TestHealth(t *testing.T) {
	clock := newTestClock()
	now := clock.Now()
	for _, c := range []struct {
		what       string
		condition  Condition
		waits      time.Duration // a submission; 0: none
		ready, log int
	}{
		{"nothing so far", Condition{}, 0, 200, 200},
		{"it rests for a year", Condition{Size: 5, Time: now.AddDate(-1, 0, 0).UnixMilli()}, 0, 200, 200},
		{"it failed", Condition{Failed: errors.New("no space left"), Size: 5}, 0, 503, 503},
		{"two histories", Condition{Failed: fmt.Errorf("%w: at 5", evidence.ErrFork), Size: 5}, 0, 503, 503},
		{"the clock is a little behind", Condition{Size: 5, Time: now.Add(clockSlack).UnixMilli()}, 0, 200, 200},
		{"the clock is behind", Condition{Size: 5, Time: now.Add(clockSlack + time.Second).UnixMilli()}, 0, 503, 503},
		{"of one that only reads", Condition{ReadOnly: true, Size: 5, Time: now.Add(time.Hour).UnixMilli()}, 0, 200, 200},
		{"somebody waits", Condition{Size: 5}, standsStill, 200, 200},
		{"somebody waits too long", Condition{Size: 5}, standsStill + time.Second, 200, 503},
		{"witnesses are with it", Condition{Size: 5, Witnesses: &WitnessCondition{Size: 5, Time: now.AddDate(-1, 0, 0).Unix()}}, 0, 200, 200},
		{"witnesses are a little behind", Condition{Size: 5, Witnesses: &WitnessCondition{Size: 4, Time: now.Add(-DefaultCosignedAge).Unix()}}, 0, 200, 200},
		{"witnesses are behind", Condition{Size: 5, Witnesses: &WitnessCondition{Size: 4, Time: now.Add(-DefaultCosignedAge - time.Second).Unix()}}, 0, 200, 503},
		{"no quorum ever", Condition{Size: 5, Witnesses: &WitnessCondition{}}, 0, 200, 503},
	} {
		f := NewFront(FrontOptions{Now: clock.Now, Access: Access{Anonymous: ScopeProofs}})
		if c.waits > 0 {
			f.waiting.begin(now.Add(-c.waits))
		}
		h := NewHealth(f, HealthOptions{Condition: func() Condition { return c.condition }, Now: clock.Now})
		want := map[string]int{"/health/live": 200, "/health/ready": c.ready, "/health/log": c.log}
		mux := http.NewServeMux()
		h.Mount(mux)
		for path, status := range want {
			w := httptest.NewRecorder()
			f.Handler(mux).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			var s State
			if err := strictjson.Unmarshal(w.Body.Bytes(), &s, 1<<16, 4); err != nil {
				t.Fatalf("%s: %v", w.Body, err)
			}
			if w.Code != status || s.OK != (w.Code == 200) || (s.Reason == "") != s.OK || strings.Contains(w.Body.String(), "no space") {
				t.Errorf("%s: %s: status %d, want %d: %s", c.what, path, w.Code, status, w.Body)
			}
			if never := strings.HasSuffix(s.Reason, "not been reached so far"); never != (c.what == "no quorum ever" && path == "/health/log") {
				t.Errorf("%s: %s: %q", c.what, path, s.Reason)
			}
		}
	}
}
