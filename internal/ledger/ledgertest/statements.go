package ledgertest

import (
	"github.com/stele-ml/stele/statement"
)

// Made is an output of a run that the run stamps.
func (m *Maker) Made(name, version, contents string) statement.Output {
	return statement.Output{Ref: m.Ref(name, version, contents), Stamp: &statement.Stamp{
		Kind: statement.ArtifactModel, Files: 1, Bytes: 7, Basis: statement.Basis{Read: 7}}}
}

// Old is an output of a run that another entry stamped before.
func Old(ref statement.Ref) statement.Output { return statement.Output{Ref: ref} }

// Run makes a wrapped run that succeeded; more may change it before it is
// signed.
func (m *Maker) Run(by statement.Signer, inputs []statement.Ref, outputs []statement.Output, more ...func(*statement.Run)) *statement.Envelope {
	zero := uint64(0)
	r := &statement.Run{
		Observation: statement.ObservationWrapped, Exit: &zero, Inputs: inputs, Outputs: outputs,
		Started: 1_700_000_000_000, Finished: 1_700_000_060_000,
	}
	for _, f := range more {
		f(r)
	}
	return m.Sign(by, &statement.Statement{Kind: statement.KindRun, Run: r})
}

// Evaluate makes an evaluation with one metric.
func (m *Maker) Evaluate(by statement.Signer, ref statement.Ref, metric string, value statement.Decimal, datasets ...statement.Ref) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindEvaluation, Evaluation: &statement.Evaluation{
		Metrics: map[string]statement.Decimal{metric: value}, Datasets: datasets}})
}

// Approve makes an approval.
func (m *Maker) Approve(by statement.Signer, ref statement.Ref, stage string, after uint64) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindApproval, Approval: &statement.Approval{
		Stage: stage, Decision: statement.DecisionApprove, After: after}})
}

// Reject makes an approval that rejects.
func (m *Maker) Reject(by statement.Signer, ref statement.Ref, stage string, after uint64) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindApproval, Approval: &statement.Approval{
		Stage: stage, Decision: statement.DecisionReject, Reason: "a test", After: after}})
}

// Release makes a release that joins a stage.
func (m *Maker) Release(by statement.Signer, ref statement.Ref, stage string, after uint64, replaces ...statement.Ref) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindRelease, Release: &statement.Release{
		Stage: stage, Action: statement.ActionJoin, Replaces: replaces, After: after}})
}

// Leave makes a release that leaves a stage.
func (m *Maker) Leave(by statement.Signer, ref statement.Ref, stage string, after uint64) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindRelease, Release: &statement.Release{
		Stage: stage, Action: statement.ActionLeave, After: after}})
}

// Import makes an import of in-toto provenance.
func (m *Maker) Import(by statement.Signer, ref statement.Ref, inputs ...statement.Ref) *statement.Envelope {
	return m.on(by, ref, &statement.Statement{Kind: statement.KindImport, Import: &statement.Import{
		Format: statement.ImportInToto, PredicateType: "https://slsa.dev/provenance/v1",
		Document: statement.AttachmentOf([]byte("a foreign file")), Inputs: inputs, Builder: "https://builder.example",
		Key: statement.ImportKey{Method: statement.ImportByKey, SHA256: [32]byte(Seed("foreign"))},
	}})
}

func (m *Maker) on(by statement.Signer, ref statement.Ref, st *statement.Statement) *statement.Envelope {
	st.Subject = []statement.Subject{ref.Subject()}
	return m.Sign(by, st)
}
