package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

type proveOrder struct {
	name, version   string
	present, absent []string
	ranges          []string
	data            string
	withhold        []string
	manifest, out   string
	tlogProof       bool
	noLineage       bool
	anonymous       bool
	stage           string // of which it proves the release; empty: of none
}

func (a *app) proveCommand() *cobra.Command {
	var o proveOrder
	c := &cobra.Command{
		Use:   "prove NAME@VERSION -o FILE",
		Short: "Write a file that proves offline what an artifact was made of",
		Long: `Writes an evidence file: the entry that stamped the artifact and those of all
that it was made of, with who signed them and when; how it was evaluated,
approved and released; their inclusion in the log, the signed checkpoint, the
standing of the signers, and every withdrawal there is. Leaving out an ancestor
or a withdrawal shows. Whoever gets it checks it with

  stele verify --evidence FILE --trust TRUSTFILE [PATH]

--path proves that a file was among the data: of the artifact, or of the nearest
that it was made of and that has it; NAME@VERSION:FILE names which. --absent
proves that no file of that path is in the artifact, nor in anything that it was
made of. --range proves that bytes of a file are these. Such proofs make a few
neighbouring paths known; they are listed.

--stage proves besides that the artifact is in that stage, for a server that
` + "`stele guard --evidence`" + ` starts without the ledger. Where it is not, that is
refused.

The details of the entries go along: where data lay, on which host, with which
command and parameters. --withhold details leaves them out.

--no-lineage leaves out what it was made of: the file proves the stamp, and
nothing about taint. Whoever checks it has to say --no-lineage as well.`,
		Example: `  stele prove fraud/model@3 -o evidence.json
  stele prove fraud/model@3 -o evidence.json \
      --path part-03.csv --absent patients.csv
  stele prove clinic/wdbc@2026-11-01 -o evidence.json --no-lineage \
      --range big.bin:0:4096 --data training`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			if o.out == "" {
				return usagef("prove needs -o FILE")
			}
			if err := a.checkOut(o.out); err != nil {
				return err
			}
			if len(o.ranges) > 0 && o.data == "" {
				return usagef("--range needs --data: the bytes are read there and carried in the file")
			}
			if o.tlogProof && len(o.present)+len(o.absent)+len(o.ranges) > 0 {
				return usagef("a .tlog-proof carries no path proofs; leave out --tlog-proof")
			}
			if o.stage != "" && (o.noLineage || o.tlogProof) {
				return usagef("--stage proves that it may be served, which takes what it was made of: leave out --no-lineage and --tlog-proof")
			}
			if err := statement.CheckStage(o.stage); o.stage != "" && err != nil {
				return usagef("--stage: %v", err)
			}
			for _, w := range o.withhold {
				if w != "details" {
					return usagef("--withhold %q: only details can be left out", w)
				}
			}
			return a.prove(c.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.present, "path", nil, "prove that this `file`, or NAME@VERSION:FILE, is among the data (repeatable)")
	f.StringArrayVar(&o.absent, "absent", nil, "prove that no `file` of this path is among any of the data, or that of NAME@VERSION:FILE (repeatable)")
	f.StringArrayVar(&o.ranges, "range", nil, "prove the bytes of `file:start:end`, end exclusive (repeatable)")
	f.StringVar(&o.data, "data", "", "where the data for --range lies, a `path` or a URL")
	f.StringVar(&o.stage, "stage", "", "prove besides that it is in this `stage`, for `stele guard`")
	f.BoolVar(&o.noLineage, "no-lineage", false, "of the stamp alone: nothing about what it was made of, or what became of it")
	f.StringArrayVar(&o.withhold, "withhold", nil, "leave out: `details`")
	f.StringVar(&o.manifest, "manifest", "", "the manifest, a `path` or a URL (default where it is found)")
	f.BoolVar(&o.anonymous, "anonymous", false, "read a public bucket without credentials")
	f.BoolVar(&o.tlogProof, "tlog-proof", false, "write a C2SP .tlog-proof of the entry instead")
	f.StringVarP(&o.out, "output", "o", "", "the `file` to write, - for standard output; required")
	return c
}

func (a *app) prove(ctx context.Context, o *proveOrder) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	result := jsonv1.Prove{Name: o.name, Version: o.version, File: o.out, Present: o.present, Absent: o.absent}
	var data []byte
	err = a.readAt(ctx, dir, func(r *reading) error {
		b, err := r.binding(o.name, o.version)
		if err != nil {
			return err
		}
		result.Fingerprint, result.Entry = b.Fingerprint.String(), b.Entry
		judged, err := r.Judgement(b.Ref())
		if err != nil {
			return err
		}
		result.Standing, result.Against = judged.Word(), account.WrongText(judged)
		file, err := a.evidenceOf(ctx, dir, r, o, b, &result)
		if err != nil {
			return err
		}
		if o.tlogProof {
			proof, err := file.TLogProof()
			if err != nil {
				return err
			}
			data = proof.Marshal()
			return nil
		}
		if data, err = file.Marshal(); err != nil {
			return failf(exitError, "%w", err).withHint("--withhold details makes it smaller; --no-lineage makes it about the stamp alone")
		}
		policy, _, err := a.policyFor(r.Origin())
		if err != nil {
			return err
		}
		v := evidence.Verify(file, policy, evidence.Options{Each: eachCore, Stage: o.stage})
		if v.Verdict == evidence.Unknown && !o.tlogProof { // for want of what it was made of
			result.StampOnly = true
			v = evidence.Verify(file, policy, evidence.Options{Each: eachCore, StampOnly: true})
		}
		result.Verdict = string(v.Verdict)
		return nil
	})
	if err != nil {
		return err
	}
	if err := a.writeOut(o.out, data); err != nil {
		return err
	}
	result.Bytes = int64(len(data))
	a.printProve(o, &result)
	return nil
}

// evidenceOf collects the evidence that was asked for.
func (a *app) evidenceOf(ctx context.Context, dir string, r *reading, o *proveOrder, b ledger.Binding, result *jsonv1.Prove) (*evidence.File, error) {
	claim := evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
	alone := o.noLineage || o.tlogProof
	p, err := r.lineageOf(b, alone)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, failf(exitError, "%s was made of more than %s artifacts: too many for one file", b.Ref(), terminal.Count(maxProven)).
			withHint("--no-lineage proves the stamp alone; evidence of what it was made of can be had one by one")
	}
	claim.Lineage = !alone
	if len(o.present)+len(o.absent)+len(o.ranges) > 0 {
		proofs := a.prover(ctx, dir, o, p, &claim, result)
		defer proofs.close()
		if err := proofs.paths(); err != nil {
			return nil, err
		}
	}
	entries := []uint64{b.Entry}
	if !alone {
		beside, left, err := r.beside(b.Ref())
		if err != nil {
			return nil, err
		}
		entries, result.LeftOut = append(slices.Clone(p.entries), beside...), left
		if o.stage != "" {
			release, err := r.releaseTo(b.Ref(), o.stage)
			if err != nil {
				return nil, err
			}
			entries, result.Stage, result.Release = append(entries, release), o.stage, &release
			result.LeftOut = slices.DeleteFunc(result.LeftOut, func(l jsonv1.LeftOut) bool { return l.Entry == release })
		}
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	attached, runs, err := a.attached(ctx, dir, r, o, entries, result)
	if err != nil {
		return nil, err
	}
	file, err := r.Evidence(claim, attached, entries...)
	if err != nil {
		return nil, err
	}
	if !alone {
		result.Lineage = &jsonv1.ProvedLineage{
			Artifacts: len(p.graph.Nodes), OfFiles: p.ofFiles(), Runs: runs, Entries: len(file.Entries), Control: int(r.Control.Count()),
		}
	}
	return file, nil
}

// attached reads the documents that the entries name, to carry them along
// unless they are withheld. It counts the runs among the entries by the way.
func (a *app) attached(ctx context.Context, dir string, r *reading, o *proveOrder, entries []uint64, result *jsonv1.Prove) (documents [][]byte, runs int, err error) {
	have := map[[32]byte]bool{}
	missing := 0
	var why error
	for _, index := range entries {
		_, st, err := r.Statement(index)
		if err != nil {
			return nil, 0, err
		}
		if st.Run != nil {
			runs++
		}
		if o.tlogProof {
			continue
		}
		for _, at := range evidence.Documents(st) {
			if have[at.SHA256] {
				continue
			}
			have[at.SHA256] = true
			if slices.Contains(o.withhold, "details") {
				result.Withheld = o.withhold
				continue
			}
			data, err := a.documentOf(ctx, dir, *at)
			if err != nil {
				missing++
				if why == nil {
					why = err
				}
				continue
			}
			documents = append(documents, data)
		}
	}
	if missing > 0 {
		a.term.Warnf("%s left out: %v", terminal.Plural(uint64(missing), "details document is", "details documents are"), why)
		result.Withheld = []string{"details"}
	}
	if len(documents) > 0 {
		result.Carries, result.Documents = []string{"details"}, len(documents)
	}
	return documents, runs, nil
}

func (a *app) printProve(o *proveOrder, p *jsonv1.Prove) {
	if a.json {
		a.printJSON(p)
		return
	}
	self := p.Name + "@" + p.Version
	if p.Standing != "" && p.Standing != standingGood && p.Lineage == nil && p.Standing != p.Verdict {
		a.term.Warnf("this ledger knows, and the file does not say, that %s is %s: %s", self, account.OutcomeText(evidence.Outcome(p.Standing)), p.Against)
	}
	if a.quiet || p.File == "-" {
		return
	}
	a.term.Printf("wrote %s, %s\n", p.File, terminal.Bytes(uint64(p.Bytes)))
	pairs := []terminal.Pair{
		{Key: "proves", Value: fmt.Sprintf("%s@%s, stamped in entry %d", p.Name, p.Version, p.Entry)},
		{Key: "fingerprint", Value: p.Fingerprint},
	}
	if p.Release != nil {
		pairs = append(pairs, terminal.Pair{Key: "released", Value: fmt.Sprintf("to %s, in entry %d", p.Stage, *p.Release)})
	}
	if l := p.Lineage; l != nil {
		made := terminal.Plural(uint64(l.Artifacts), "artifact")
		if l.Runs > 0 {
			made += ", " + terminal.Plural(uint64(l.Runs), "run")
		}
		pairs = append(pairs, terminal.Pair{Key: "lineage", Value: fmt.Sprintf("%s; %s and %s", made,
			terminal.Plural(uint64(l.Entries), "entry", "entries"), terminal.Plural(uint64(l.Control), "control entry", "control entries"))})
	}
	pairs = append(pairs, provedPaths(o, p)...)
	carries := ""
	if p.Documents > 0 {
		carries = terminal.Plural(uint64(p.Documents), "document") + " of details: locations, hosts, commands (--withhold details leaves them out)"
	}
	pairs = append(pairs, terminal.Pair{Key: "carries", Value: carries}, terminal.Pair{Key: "leaves out", Value: strings.Join(p.Withheld, ", ")})
	for _, l := range p.LeftOut {
		pairs = append(pairs, terminal.Pair{Key: "leaves out", Value: fmt.Sprintf("entry %d (%s): %s", l.Entry, l.Kind, l.Why)})
	}
	a.term.KeyValues(pairs)
	if p.Verdict != "" && p.Verdict != string(evidence.Verified) {
		verdict := evidence.Outcome(p.Verdict)
		a.term.Printf("who checks it now finds %s to be %s\n", self, a.term.Style(verdictStyle(verdict), account.OutcomeText(verdict)))
	}
	if !o.tlogProof {
		alone := ""
		if p.StampOnly {
			alone = " --no-lineage"
		}
		a.term.Notef("to check it: stele verify --evidence %s%s --trust TRUSTFILE (`stele trust export` writes one)", p.File, alone)
	}
	if p.StampOnly {
		a.term.Notef("it proves the stamp alone: without --no-lineage, who checks it finds %s to be %s", self, account.OutcomeText(evidence.Unknown))
	}
}

// provedPaths are the lines about files.
func provedPaths(o *proveOrder, p *jsonv1.Prove) (pairs []terminal.Pair) {
	self := p.Name + "@" + p.Version
	of := func(artifact string) string {
		if artifact == self {
			return ""
		}
		return ", of " + artifact
	}
	for _, proof := range p.Proofs {
		if proof.Present {
			pairs = append(pairs, terminal.Pair{Key: "present", Value: proof.Path + of(proof.Artifact)})
		}
	}
	for _, r := range o.ranges {
		pairs = append(pairs, terminal.Pair{Key: "bytes", Value: r})
	}
	for _, path := range p.Absent {
		if p.Lineage != nil && p.Lineage.Artifacts > 1 && slices.Contains(p.AbsentFromAll, path) {
			path += ", from it and all that it was made of: " + terminal.Plural(uint64(p.Lineage.OfFiles), "artifact of files", "artifacts of files")
		}
		pairs = append(pairs, terminal.Pair{Key: "absent", Value: path})
	}
	const most = 20
	for i, d := range p.Disclosed {
		if i == most {
			pairs = append(pairs, terminal.Pair{Key: "discloses", Value: fmt.Sprintf("paths of %d more artifacts; --json lists them", len(p.Disclosed)-most)})
			break
		}
		if len(d.Paths) > 0 {
			pairs = append(pairs, terminal.Pair{Key: "discloses", Value: strings.Join(d.Paths, ", ") + of(d.Artifact)})
		}
	}
	return pairs
}
