package account

import (
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/lineage"
)

// FallenJSON is why an artifact is untrusted in --json, with all paths; nil where
// it is not.
func FallenJSON(j *lineage.Judgement) *jsonv1.Fallen {
	out := FallenBrief(j)
	if out == nil {
		return nil
	}
	for i := range j.Fallen {
		out.Causes[i].Path = stepsJSON(j.Fallen[i].Path())
	}
	return out
}

// FallenBrief is FallenJSON without the paths, which of a chain are as long as it.
func FallenBrief(j *lineage.Judgement) *jsonv1.Fallen {
	if len(j.Fallen) == 0 {
		return nil
	}
	out := &jsonv1.Fallen{More: j.MoreFallen}
	for i := range j.Fallen {
		f := &j.Fallen[i]
		a := f.Artifact
		out.Causes = append(out.Causes, jsonv1.FallenCause{
			Name: a.Ref.Name, Version: a.Ref.Version, Fingerprint: a.Ref.Fingerprint.String(), Entry: a.Entry, Time: jsonv1.At(a.Time),
			Signer: jsonv1.Signer{Handle: a.Handle, Key: a.Signer.String()}, State: a.Standing.State, Detail: a.Standing.Detail, Steps: f.Distance(), Next: f.Next().String(),
		})
	}
	return out
}

// TaintJSON is a taint in --json, with all paths; nil for none.
func TaintJSON(t *lineage.Taint) *jsonv1.Taint {
	out := TaintBrief(t)
	if t == nil {
		return out
	}
	for i := range t.Causes {
		out.Causes[i].Path = stepsJSON(t.Causes[i].Path())
	}
	return out
}

// TaintBrief is TaintJSON without the paths, which of a chain are as long as it.
func TaintBrief(t *lineage.Taint) *jsonv1.Taint {
	if t == nil {
		return nil
	}
	out := &jsonv1.Taint{Effect: t.Effect(), More: t.More}
	for _, c := range t.Causes {
		w := c.Withdrawal
		out.Causes = append(out.Causes, jsonv1.TaintCause{
			Name: w.Ref.Name, Version: w.Ref.Version, Fingerprint: w.Ref.Fingerprint.String(), Entry: w.Entry, Time: jsonv1.At(w.Time),
			Effect: w.Effect, Reason: w.Reason, Handle: w.Handle, At: c.At().String(), Steps: c.Distance(), Next: c.Next().String(),
		})
	}
	return out
}

func stepsJSON(path []lineage.Step) []jsonv1.TaintStep {
	var list []jsonv1.TaintStep
	for _, s := range path {
		step := jsonv1.TaintStep{Name: s.Ref.Name, Version: s.Ref.Version, Way: s.Way}
		if s.Way != "" {
			step.Entry = &s.Entry
		}
		list = append(list, step)
	}
	return list
}

// WithdrawalsJSON are the withdrawals in force of an artifact, then those of its
// members, in --json.
func WithdrawalsJSON(j *lineage.Judgement) (out []jsonv1.TraceWithdrawal) {
	add := func(w *lineage.Withdrawal, of string) {
		out = append(out, jsonv1.TraceWithdrawal{
			Entry: w.Entry, Time: jsonv1.At(w.Time), Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle, Of: of,
		})
	}
	for i := range j.Artifact.Withdrawals {
		add(&j.Artifact.Withdrawals[i], "")
	}
	for i := range j.Members {
		add(&j.Members[i].Withdrawal, j.Members[i].At().String())
	}
	return out
}
