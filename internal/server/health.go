package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/strictjson"
)

// The names of the routes of health.
const (
	routeLive  = "GET /health/live"
	routeReady = "GET /health/ready"
	routeLog   = "GET /health/log"
)

const (
	// standsStill is after how long a submission that waits says that the log does
	// not advance.
	standsStill = 30 * time.Second
	// clockSlack is how far the clock may be behind the last entry: what the engine
	// itself allows.
	clockSlack = time.Minute
	// DefaultCosignedAge is how far the cosigned checkpoint may be behind, in time,
	// before health says that the witnesses are.
	DefaultCosignedAge = 10 * time.Minute
	// DefaultContactAge is how long a mirror may hear nothing from what it copies
	// before health says so.
	DefaultContactAge = 10 * time.Minute
)

// Condition is how a ledger is, as its server knows it.
type Condition struct {
	Failed    error  // the engine cannot go on; nil: it can
	ReadOnly  bool   // it takes nothing, on purpose
	Size      uint64 // entries that the newest checkpoint covers
	Time      int64  // of the last of them, Unix ms, by the ledger's clock
	Witnesses *WitnessCondition
	Mirror    *MirrorCondition // of a mirror alone
}

// WitnessCondition is how far a log's witnesses are.
type WitnessCondition struct {
	Size uint64 // of the newest checkpoint that reached the quorum; 0: none has
	Time int64  // when it did, Unix seconds
	Each []WitnessState
}

// WitnessState is one witness.
type WitnessState struct {
	Name     string
	State    string // "ok", or how it failed last
	Size     uint64
	Failures int  // in a row
	Forgot   bool // it told a smaller size than it had cosigned, since the server was started
}

// MirrorCondition is how far a mirror is behind what it knows of.
type MirrorCondition struct {
	Known uint64    // entries of the newest verified checkpoint of the log it copies
	Since time.Time // when it last heard from it; when it was started, if it has not
	Heard bool      // it has heard from it since it was started
}

// HealthOptions are what a [Health] is made of.
type HealthOptions struct {
	Condition   func() Condition
	CosignedAge time.Duration    // 0: DefaultCosignedAge
	ContactAge  time.Duration    // of a mirror; 0: DefaultContactAge
	Now         func() time.Time // nil: time.Now
}

// Health answers how a server is.
type Health struct {
	o     HealthOptions
	front *Front
}

// NewHealth returns the health of what stands behind a front.
func NewHealth(f *Front, o HealthOptions) *Health {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.CosignedAge == 0 {
		o.CosignedAge = DefaultCosignedAge
	}
	if o.ContactAge == 0 {
		o.ContactAge = DefaultContactAge
	}
	return &Health{o, f}
}

// State is the answer of the health routes.
type State struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitzero"` // why not; of words that are ours

	// Of /health/log alone.
	Size      uint64         `json:"size,omitzero"`
	Time      int64          `json:"time,omitzero"`    // of the last entry, Unix ms
	Age       int64          `json:"age,omitzero"`     // since then, in seconds
	Waiting   int            `json:"waiting,omitzero"` // submissions
	Oldest    int64          `json:"oldest,omitzero"`  // of them: how long it waits, in seconds
	Cosigned  *CosignedState `json:"cosigned,omitzero"`
	Witnesses []OneWitness   `json:"witnesses,omitzero"`
	Mirror    *MirrorState   `json:"mirror,omitzero"`
}

// MirrorState is how far a mirror is behind what it knows of.
type MirrorState struct {
	Known   uint64 `json:"known"`            // entries of the log, by its newest verified checkpoint
	Behind  uint64 `json:"behind"`           // of these, not here
	Contact int64  `json:"contact,omitzero"` // when it last heard from the log, Unix ms; absent: not since it was started
	Age     int64  `json:"age"`              // seconds since then, or since it was started
}

// CosignedState is the newest checkpoint that reached the quorum.
type CosignedState struct {
	Size   uint64 `json:"size"`
	Time   int64  `json:"time"`   // Unix seconds, by the witnesses' clocks
	Age    int64  `json:"age"`    // seconds
	Behind uint64 `json:"behind"` // entries that it does not cover
}

// OneWitness is how a witness answered last.
type OneWitness struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Size     uint64 `json:"size"`
	Failures int    `json:"failures,omitzero"`
	Forgot   bool   `json:"forgot,omitzero"` // it has lost its memory, or was put back from a copy
}

// Mount puts the routes of health behind their front. That a server lives, and is
// ready, everybody may ask; how its log goes on, those who may see proofs.
func (h *Health) Mount(mux *http.ServeMux) {
	for _, r := range []struct {
		path, name string
		scope      Scope
		answer     http.HandlerFunc
	}{
		{"/health/live", routeLive, ScopeNone, h.live},
		{"/health/ready", routeReady, ScopeNone, h.ready},
		{"/health/log", routeLog, ScopeProofs, h.log},
	} {
		mux.Handle(r.path, h.front.Route(Rule{Name: r.name, Scope: r.scope, Read: true}, r.answer))
	}
}

// live: the process answers. One that is not ready does, too: to start it again is
// for whoever reads why.
func (h *Health) live(w http.ResponseWriter, _ *http.Request) { tellState(w, State{OK: true}) }

func (h *Health) ready(w http.ResponseWriter, _ *http.Request) {
	why := h.notReady(h.o.Condition())
	tellState(w, State{OK: why == "", Reason: why})
}

// notReady says why a server cannot take what it is for, or "".
func (h *Health) notReady(c Condition) string {
	switch {
	case errors.Is(c.Failed, evidence.ErrFork):
		return "the log shows two histories; the server's log says which"
	case c.Failed != nil:
		return "the ledger stopped after a failure; its log says which"
	case !c.ReadOnly && time.UnixMilli(c.Time).Sub(h.o.Now()) > clockSlack:
		return "the clock is behind the ledger's last entry"
	}
	return ""
}

// log: does the log go on? A log to which nobody writes rests, and is well: what
// counts is whether somebody waits, and how far behind the witnesses are.
func (h *Health) log(w http.ResponseWriter, _ *http.Request) {
	c, now := h.o.Condition(), h.o.Now()
	s := State{Size: c.Size, Time: c.Time, Reason: h.notReady(c)}
	if c.Size > 0 {
		s.Age = seconds(now.Sub(time.UnixMilli(c.Time)))
	}
	var since time.Time
	if s.Waiting, since = h.front.waiting.oldest(); s.Waiting > 0 {
		s.Oldest = seconds(now.Sub(since))
	}
	if s.Reason == "" && s.Waiting > 0 && now.Sub(since) > standsStill {
		s.Reason = fmt.Sprintf("a submission has waited for more than %s", standsStill)
	}
	if x := c.Witnesses; x != nil {
		h.witnesses(&s, c, now)
	}
	if c.Mirror != nil {
		h.mirror(&s, c, now)
	}
	s.OK = s.Reason == ""
	tellState(w, s)
}

func (h *Health) witnesses(s *State, c Condition, now time.Time) {
	x := c.Witnesses
	age := now.Sub(time.Unix(x.Time, 0))
	s.Cosigned = &CosignedState{Size: x.Size, Time: x.Time, Behind: c.Size - min(x.Size, c.Size)}
	if x.Time > 0 {
		s.Cosigned.Age = seconds(age)
	}
	for _, one := range x.Each {
		s.Witnesses = append(s.Witnesses, OneWitness(one))
	}
	if s.Reason == "" && s.Cosigned.Behind > 0 && age > h.o.CosignedAge {
		s.Reason = "the quorum of witnesses has not been reached for more than " + h.o.CosignedAge.String()
		if x.Size == 0 {
			s.Reason = "the quorum of witnesses has not been reached so far"
		}
	}
}

func (h *Health) mirror(s *State, c Condition, now time.Time) {
	x := c.Mirror
	age := now.Sub(x.Since)
	s.Mirror = &MirrorState{Known: x.Known, Behind: x.Known - min(c.Size, x.Known), Age: seconds(age)}
	if x.Heard {
		s.Mirror.Contact = x.Since.UnixMilli()
	}
	if s.Reason == "" && age > h.o.ContactAge {
		s.Reason = "nothing was heard from what it copies for more than " + h.o.ContactAge.String()
	}
}

func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }

func tellState(w http.ResponseWriter, s State) {
	body, err := strictjson.Marshal(s)
	if err != nil {
		panic(err) // numbers and text
	}
	h := w.Header()
	h.Set("Cache-Control", cacheNever)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	status := http.StatusOK
	if !s.OK {
		status = http.StatusServiceUnavailable
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
