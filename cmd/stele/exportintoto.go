package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// exportInTotoOrder is one call of `stele export intoto`.
type exportInTotoOrder struct {
	args    []string
	out     string
	lineage bool
}

// maxExported is how many artifacts of a lineage are gone through.
const maxExported = 10_000

func (a *app) exportInToto() *cobra.Command {
	var o exportInTotoOrder
	c := &cobra.Command{
		Use:   "intoto NAME@VERSION|RUN… -o FILE",
		Short: "Write the signed runs behind an artifact as in-toto statements",
		Long: `Writes the runs that made an artifact, or those that are named by their ids, as
they were signed: SLSA provenance v1 in DSSE envelopes, one a line, the exact
bytes. With --lineage, all runs that count in the lineage of the artifact.

Other tools check the signatures of ECDSA P-256 and Ed25519 keys; those of SSH
keys are in a form of SSH's own (` + "`ssh-keygen -Y verify`" + `), and are told.

Only runs go along. That they are on a ledger, since when, and that nothing was
withdrawn is in the evidence that ` + "`stele prove`" + ` writes.`,
		Example: `  stele export intoto clinic/net@1.0 -o net.intoto.jsonl
  stele export intoto clinic/net@1.0 --lineage -o all.intoto.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			if o.out == "" {
				return usagef("export intoto needs -o FILE").withHint("for example -o model.intoto.jsonl")
			}
			if err := a.checkOut(o.out); err != nil {
				return err
			}
			return a.read(c.Context(), func(r *reading) error { return a.exportRuns(r, &o) })
		},
	}
	c.Flags().StringVarP(&o.out, "output", "o", "", "the `file` to write, - for standard output; required")
	c.Flags().BoolVar(&o.lineage, "lineage", false, "all runs in the lineage of the artifact, however far back")
	return c
}

func (a *app) exportRuns(r *reading, o *exportInTotoOrder) error {
	entries := map[uint64]bool{}
	for _, arg := range o.args {
		found, err := r.runsOf(arg, o.lineage)
		if err != nil {
			return err
		}
		for _, index := range found {
			entries[index] = true
		}
	}
	out := &jsonv1.ExportInToto{File: o.out, Runs: []jsonv1.ExportedRun{}}
	var file bytes.Buffer
	for _, index := range sortedEntries(entries) {
		e, st, err := r.Statement(index)
		if err != nil {
			return err
		}
		if err := r.proveIncluded(e); err != nil {
			return err
		}
		line, err := json.Marshal(exportedEnvelope(e.Envelope))
		if err != nil {
			return err
		}
		file.Write(append(line, '\n'))
		run, err := r.exportedRun(e, st)
		if err != nil {
			return err
		}
		if out.Runs = append(out.Runs, run); run.Algorithm == statement.AlgorithmSSH {
			out.Unchecked++
		}
	}
	if err := a.writeOut(o.out, file.Bytes()); err != nil {
		return err
	}
	a.printExportedRuns(out)
	return nil
}

// dsseEnvelope is a DSSE envelope in JSON, as other tools read it.
type dsseEnvelope struct {
	Payload     []byte          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []dsseSignature `json:"signatures"`
}

type dsseSignature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// exportedEnvelope is an envelope with the bytes that were signed, and without
// the ledger's id of the key: that is nobody else's way to name one, and some
// tools pass over a signature whose keyid is not as they would have made it.
func exportedEnvelope(e *statement.Envelope) dsseEnvelope {
	return dsseEnvelope{Payload: e.Payload, PayloadType: e.PayloadType, Signatures: []dsseSignature{{Sig: e.Signature}}}
}

// runsOf are the entries of the runs that an argument means.
func (r *reading) runsOf(arg string, whole bool) ([]uint64, error) {
	w, err := parseWanted(arg)
	if err != nil {
		return nil, err
	}
	if w.by == byPlace || w.by == byFingerprint {
		return nil, usagef("%q: give NAME@VERSION, or the id of a run", arg).withHint(fmt.Sprintf("`stele trace %s` finds what is on the ledger of data", arg))
	}
	found, err := r.lookUp(w)
	if err != nil {
		return nil, err
	}
	if found.run != nil {
		if whole {
			return nil, usagef("--lineage goes with NAME@VERSION: %s is a run", arg)
		}
		return []uint64{found.run.Index}, nil
	}
	made, err := r.Lineage()
	if err != nil {
		return nil, err
	}
	var entries []uint64
	for _, b := range found.bindings {
		root, err := made.Artifact(b.Name, b.Version)
		if err != nil {
			return nil, err
		}
		limit := 1
		if whole {
			limit = maxExported
		}
		graph, err := lineage.Up(made, root, limit)
		if err != nil {
			return nil, err
		}
		if graph.Cut && whole {
			return nil, failf(exitRefused, "%s was made of more than %s artifacts", b.Ref(), terminal.Count(maxExported)).withHint("export without --lineage, and of each artifact by itself")
		}
		for _, n := range graph.Nodes {
			for _, origin := range n.Origins {
				if origin.Counts && origin.Way == lineage.WayRun {
					entries = append(entries, origin.Entry)
				}
			}
		}
		if len(entries) == 0 {
			return nil, failf(exitNotFound, "no run on this ledger says how %s was made", b.Ref()).withEntry(b.Entry).
				withHint(fmt.Sprintf("`stele trace %s` shows what is known of it", b.Ref()))
		}
	}
	return entries, nil
}

func sortedEntries(set map[uint64]bool) []uint64 {
	list := make([]uint64, 0, len(set))
	for i := range set {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

func (r *reading) exportedRun(e *evidence.Entry, st *statement.Statement) (jsonv1.ExportedRun, error) {
	run := jsonv1.ExportedRun{Run: st.Nonce.String(), Entry: e.Index, Signer: r.Signer(e), Standing: r.Standing(e).State, Outputs: []string{}}
	key, _, ok := r.Control.Roster().Key(e.Envelope.By())
	if !ok {
		return run, fmt.Errorf("entry %d: its key is not on the ledger", e.Index) // it was admitted
	}
	if d, _ := e.Envelope.Delegated(); d != nil {
		key = d.Key
	}
	run.Algorithm = key.Algorithm()
	for _, o := range st.Run.Outputs {
		run.Outputs = append(run.Outputs, o.Ref.String())
	}
	return run, nil
}

func (a *app) printExportedRuns(out *jsonv1.ExportInToto) {
	if a.json {
		a.printJSON(out)
		return
	}
	for _, run := range out.Runs {
		if run.Standing != standingGood {
			a.term.Warnf("entry %d counts for nothing: its signer is %s, which the file does not say", run.Entry, run.Standing)
		}
	}
	if out.Unchecked > 0 {
		a.term.Warnf("%s signed by SSH keys: other tools for in-toto cannot check those signatures", terminal.Plural(out.Unchecked, "run is", "runs are"))
	}
	if a.quiet || out.File == "-" {
		return
	}
	a.term.Printf("wrote %s: %s, as signed\n", a.term.Style(terminal.Good, out.File), terminal.Plural(uint64(len(out.Runs)), "run"))
	var rows [][]terminal.Cell
	for i, run := range out.Runs {
		if i == changesShown {
			break
		}
		rows = append(rows, []terminal.Cell{{Text: entryText(run.Entry)}, {Text: account.ShortRun(run.Run)}, {Text: signerHandle(run.Signer)}, {Text: run.Algorithm}, {Text: terminal.Some(run.Outputs, 2)}})
	}
	a.term.Table([]terminal.Column{{Title: "ENTRY", Right: true}, {Title: "RUN"}, {Title: "SIGNER"}, {Title: "KEY"}, {Title: "MADE", Trim: terminal.TrimEnd}}, rows)
	if rest := len(out.Runs) - len(rows); rest > 0 {
		a.term.Notef("… and %s more", terminal.Count(uint64(rest)))
	}
}

// signerHandle is a signer in a table.
func signerHandle(s jsonv1.Signer) string {
	if s.Handle == "" {
		return shortKey(s.Key)
	}
	return s.Handle
}
