package statement

type wireWithdrawal struct {
	wireCommon
	Target   string `json:"target"`
	Location string `json:"location,omitzero"`
	Effect   string `json:"effect"`
	Reason   string `json:"reason"`
	After    uint64 `json:"after"`
}

func (w *wireWithdrawal) decode(st *Statement) error {
	st.setCommon(w.wireCommon)
	st.Withdrawal = &Withdrawal{Target: w.Target, Location: w.Location, Effect: w.Effect, Reason: w.Reason, After: w.After}
	return nil
}

func (w *Withdrawal) subject(*Statement) []Subject { return nil }

func (w *Withdrawal) check(st *Statement) error {
	if _, err := st.Ref(); err != nil {
		return err
	}
	if err := oneOf("withdrawal: target", w.Target, TargetBinding, TargetContents, TargetLocation); err != nil {
		return err
	}
	if w.Target == TargetLocation {
		if err := CheckText("withdrawal: location", w.Location, MaxLocation); err != nil {
			return err
		}
	} else if w.Location != "" {
		return malformed("withdrawal: the target %s has no location", w.Target)
	}
	if err := oneOf("withdrawal: effect", w.Effect, EffectAdvise, EffectNoNewUse, EffectStop); err != nil {
		return err
	}
	if err := CheckText("withdrawal: reason", w.Reason, MaxReason); err != nil {
		return err
	}
	return checkInteger("withdrawal: after", w.After, 1)
}

func (w *Withdrawal) wire(st *Statement) any {
	return wireWithdrawal{st.common(), w.Target, w.Location, w.Effect, w.Reason, w.After}
}

type wireReinstatement struct {
	wireCommon
	Withdrawal uint64 `json:"withdrawal"`
	Reason     string `json:"reason"`
	After      uint64 `json:"after"`
}

func (w *wireReinstatement) decode(st *Statement) error {
	st.setCommon(w.wireCommon)
	st.Reinstatement = &Reinstatement{Withdrawal: w.Withdrawal, Reason: w.Reason, After: w.After}
	return nil
}

func (r *Reinstatement) subject(*Statement) []Subject { return nil }

func (r *Reinstatement) check(st *Statement) error {
	if _, err := st.Ref(); err != nil {
		return err
	}
	if err := checkInteger("reinstatement: withdrawal", r.Withdrawal, 1); err != nil {
		return err
	}
	if err := CheckText("reinstatement: reason", r.Reason, MaxReason); err != nil {
		return err
	}
	// Its author saw the withdrawal, which is an entry on the same artifact.
	return checkInteger("reinstatement: after", r.After, r.Withdrawal)
}

func (r *Reinstatement) wire(st *Statement) any {
	return wireReinstatement{st.common(), r.Withdrawal, r.Reason, r.After}
}
