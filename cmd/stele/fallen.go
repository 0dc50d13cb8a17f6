package main

import (
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
)

// fallenJSON is why an artifact is untrusted in --json, with all paths; nil where
// it is not.
func fallenJSON(j *lineage.Judgement) *jsonv1.Fallen {
	out := fallenBrief(j)
	if out == nil {
		return nil
	}
	for i := range j.Fallen {
		out.Causes[i].Path = stepsJSON(j.Fallen[i].Path())
	}
	return out
}

// fallenBrief is fallenJSON without the paths, which of a chain are as long as it.
func fallenBrief(j *lineage.Judgement) *jsonv1.Fallen {
	if len(j.Fallen) == 0 {
		return nil
	}
	out := &jsonv1.Fallen{More: j.MoreFallen}
	for i := range j.Fallen {
		out.Causes = append(out.Causes, fallenCause(&j.Fallen[i]))
	}
	return out
}

// nearestFallen is fallenBrief with the first cause alone: of a thief's thousand
// stamps each would be told of eight.
func nearestFallen(j *lineage.Judgement) *jsonv1.Fallen {
	out := fallenBrief(j)
	if out != nil && len(out.Causes) > 1 {
		out.Causes, out.More = out.Causes[:1], true
	}
	return out
}

func fallenCause(f *lineage.Fall) jsonv1.FallenCause {
	a := f.Artifact
	return jsonv1.FallenCause{
		Name: a.Ref.Name, Version: a.Ref.Version, Fingerprint: a.Ref.Fingerprint.String(), Entry: a.Entry, Time: jsonv1.At(a.Time),
		Signer: signerJSON(a.Handle, a.Signer), State: a.Standing.State, Detail: a.Standing.Detail, Steps: f.Distance(), Next: f.Next().String(),
	}
}

// exitOf is how a command ends that stands on an artifact of that standing.
func exitOf(standing string) int {
	switch standing {
	case standingGood:
		return exitHolds
	case standingUntrusted:
		return exitUntrusted
	case standingWithdrawn, standingTainted:
		return exitRefused
	}
	return exitError // its lineage is too large: never 0 when unsure
}

// withdrawalsInForce are those of an artifact, then those of its members.
func withdrawalsInForce(j *lineage.Judgement) (out []jsonv1.TraceWithdrawal) {
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

// fallenText says what fell, and why: of the artifact itself, or of one that it
// was made of.
func fallenText(c jsonv1.FallenCause) string {
	return account.FallenText(c.Name+"@"+c.Version, c.Steps, c.Entry, c.Detail)
}
