package statement

// The actions of a release.
const (
	ActionJoin  = "join"
	ActionLeave = "leave"
)

// Release says that an artifact joins a stage or leaves it. A stage is a set: a
// canary stands beside the one it may replace.
type Release struct {
	Stage    string // see [CheckStage]
	Action   string // join or leave
	Replaces []Ref  // what leaves with the same entry; of a join, at most MaxReplaces, not the artifact itself
	Reason   string // one line of text, or empty
	After    uint64 // the last entry on that artifact, and on it and its name in that stage, its author saw
}

type wireRelease struct {
	wireCommon
	Stage    string    `json:"stage"`
	Action   string    `json:"action"`
	Replaces []wireRef `json:"replaces,omitzero"`
	Reason   string    `json:"reason,omitzero"`
	After    uint64    `json:"after"`
}

func (w *wireRelease) decode(st *Statement) error {
	replaces, err := parseRefs("release: replaces", w.Replaces, MaxReplaces)
	if err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.Release = &Release{w.Stage, w.Action, replaces, w.Reason, w.After}
	return nil
}

func (r *Release) subject(*Statement) []Subject { return nil }

func (r *Release) check(st *Statement) error {
	self, err := st.Ref()
	if err != nil {
		return err
	}
	if err := CheckStage(r.Stage); err != nil {
		return err
	}
	if err := oneOf("release: action", r.Action, ActionJoin, ActionLeave); err != nil {
		return err
	}
	if r.Action == ActionLeave && len(r.Replaces) > 0 {
		return malformed("release: what leaves a stage replaces nothing")
	}
	if err := checkRefs("release: replaces", r.Replaces, MaxReplaces, self.Fingerprint.Algorithm); err != nil {
		return err
	}
	for _, ref := range r.Replaces {
		if ref.is(self) {
			return malformed("release: %s replaces itself", self)
		}
	}
	if r.Reason != "" {
		if err := CheckText("release: reason", r.Reason, MaxReason); err != nil {
			return err
		}
	}
	return checkInteger("release: after", r.After, 1)
}

func (r *Release) wire(st *Statement) any {
	return wireRelease{st.common(), r.Stage, r.Action, wireRefs(r.Replaces), r.Reason, r.After}
}
