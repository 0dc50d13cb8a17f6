package statement

// The decisions of an approval.
const (
	DecisionApprove = "approve"
	DecisionReject  = "reject"
)

// Approval says that an artifact is fit for a stage, or that it is not: a
// rejection, which is a control entry.
type Approval struct {
	Stage    string // see [CheckStage]
	Decision string // approve or reject
	Reason   string // one line of text; of an approval it may be empty
	After    uint64 // the last entry on that artifact, and on it in that stage, its author saw
}

// CheckStage checks the name of a stage: [a-z0-9._-], beginning with a letter or
// a digit, at most MaxStage bytes.
func CheckStage(stage string) error {
	if len(stage) > MaxStage || !isWord(stage, "._-", false) {
		return malformed("stage %s: want a-z 0-9 . _ - beginning with a letter or digit, at most %d bytes", quote(stage), MaxStage)
	}
	return nil
}

type wireApproval struct {
	wireCommon
	Stage    string `json:"stage"`
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitzero"`
	After    uint64 `json:"after"`
}

func (w *wireApproval) decode(st *Statement) error {
	st.setCommon(w.wireCommon)
	st.Approval = &Approval{w.Stage, w.Decision, w.Reason, w.After}
	return nil
}

func (a *Approval) subject(*Statement) []Subject { return nil }

func (a *Approval) check(st *Statement) error {
	if _, err := st.Ref(); err != nil {
		return err
	}
	if err := CheckStage(a.Stage); err != nil {
		return err
	}
	if err := oneOf("approval: decision", a.Decision, DecisionApprove, DecisionReject); err != nil {
		return err
	}
	if a.Reason != "" || a.Decision == DecisionReject {
		if err := CheckText("approval: reason", a.Reason, MaxReason); err != nil {
			return err
		}
	}
	return checkInteger("approval: after", a.After, 1)
}

func (a *Approval) wire(st *Statement) any {
	return wireApproval{st.common(), a.Stage, a.Decision, a.Reason, a.After}
}
