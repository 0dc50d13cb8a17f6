package main

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/statement"
)

// What an audit looks for, unless it is told otherwise.
const (
	usualAltered    = "0.005"
	usualConfidence = "0.99"
)

// auditOrder is one call of `stele audit`.
type auditOrder struct {
	name, version       string
	place               string
	altered, confidence audit.Share
	draws               uint64 // that the two ask for
	seed                *audit.Seed
	manifest            string
	maxAge              time.Duration
	all, checks         bool
	announce, noDetails bool
	resume, check       *uint64 // entries
	list                bool
	flags               scanFlags
}

func (a *app) auditCommand() *cobra.Command {
	var o auditOrder
	var altered, confidence, seed, resume, check string
	c := &cobra.Command{
		Use:   "audit NAME@VERSION [PLACE]",
		Short: "Check random chunks of data against its stamp, with stated odds",
		Long: `Compares all names and sizes with the stamp's manifest, reads as many random
chunks as the odds ask for, and says what it read, of how much, and what it
would have found with which probability. What was not read was not checked: the
verdict is "sampled", never "verified".

The chunks follow from 32 random bytes, the seed, which is printed. To convince
others, --announce puts on the ledger first what will be looked for; the seed
then follows from that entry, a nonce that it binds, and the first checkpoint
over it. An audit that was announced and never ended is shown as such.

  --list [NAME@VERSION]   the announced audits, and what came of them
  --resume ENTRY          go on with an announced audit that was interrupted
  --check ENTRY [PLACE]   recompute which chunks an ended audit drew, and with
                          PLACE read the very same ones again`,
		Example: `  stele audit clinic/scans@2026-11-01
  stele audit clinic/scans@2026-11-01 s3://clinic/scans --altered 0.001
  stele audit clinic/scans@2026-11-01 --announce`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.altered, o.confidence, o.draws, err = parseOdds(altered, confidence); err != nil {
				return err
			}
			if o.seed, err = parseSeed(seed); err != nil {
				return err
			}
			if o.resume, err = entryFlag("--resume", resume); err != nil {
				return err
			}
			if o.check, err = entryFlag("--check", check); err != nil {
				return err
			}
			if err := o.parse(args); err != nil {
				return err
			}
			return a.auditAs(c.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringVar(&altered, "altered", usualAltered, "find it if this `share` of the bytes lies in altered chunks")
	f.StringVar(&confidence, "confidence", usualConfidence, "with this `probability`")
	f.StringVar(&seed, "seed", "", "repeat the draw of this seed, 64 `hex` digits (default random)")
	f.BoolVar(&o.announce, "announce", false, "announce it on the ledger, and put the result there")
	f.StringVar(&resume, "resume", "", "go on with the audit that this `entry` announces")
	f.StringVar(&check, "check", "", "check the ended audit of this `entry`")
	f.BoolVar(&o.list, "list", false, "list announced audits")
	f.StringVar(&o.manifest, "manifest", "", "the manifest, a `file` or an address (default where the stamp says)")
	maxAgeFlag(f, &o.maxAge, "how old the newest cosignature may be, for example 24h; needs witnesses")
	f.BoolVar(&o.all, "all", false, "show everything that differs")
	f.BoolVar(&o.checks, "checks", false, "show what each check found")
	f.BoolVar(&o.noDetails, "no-details", false, "with --announce: keep no details document (location, host)")
	o.flags.registerReading(c)
	return c
}

func parseOdds(alteredText, confidenceText string) (altered, confidence audit.Share, draws uint64, err error) {
	if altered, err = audit.ParseShare(alteredText); err != nil {
		return 0, 0, 0, usagef("--altered %v", err)
	}
	if confidence, err = audit.ParseShare(confidenceText); err != nil {
		return 0, 0, 0, usagef("--confidence %v", err)
	}
	if draws, err = audit.DrawsFor(altered, confidence); err != nil {
		return 0, 0, 0, err
	}
	if draws > audit.MaxDraws {
		return 0, 0, 0, usagef("--altered %s with --confidence %s takes %d chunks; at most %d are drawn", altered, confidence, draws, uint64(audit.MaxDraws)).
			withHint("`stele verify` reads every byte")
	}
	return altered, confidence, draws, nil
}

func parseSeed(text string) (*audit.Seed, error) {
	if text == "" {
		return nil, nil
	}
	seed := new(audit.Seed)
	if n, err := hex.Decode(seed[:min(len(text)/2, len(seed))], []byte(text[:min(len(text), 2*len(seed))])); err != nil || n != len(seed) || len(text) != 2*len(seed) {
		return nil, usagef("--seed: want %d hexadecimal digits, as an earlier audit printed them", 2*len(seed))
	}
	return seed, nil
}

func entryFlag(flag, text string) (*uint64, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, usagef("%s %q: want the number of an entry", flag, text).withHint("`stele audit --list` shows them")
	}
	return &n, nil
}

// parse reads the arguments, and refuses flags that cannot go together.
func (o *auditOrder) parse(args []string) error {
	ways := 0
	for _, given := range []bool{o.announce, o.resume != nil, o.check != nil, o.list} {
		if given {
			ways++
		}
	}
	byEntry := o.resume != nil || o.check != nil
	switch {
	case ways > 1:
		return usagef("--announce, --resume, --check and --list are four ways to go: choose one")
	case o.seed != nil && ways > 0:
		return usagef("--seed repeats an audit for oneself; an announced one has its seed from the ledger")
	case byEntry && len(args) > 1:
		return usagef("%q: the entry says which artifact; give the PLACE alone", args[0])
	case byEntry:
		if len(args) == 1 {
			o.place = args[0]
		}
		return nil
	case len(args) == 0 && !o.list:
		return usagef("audit needs NAME@VERSION").withHint("usage: stele audit NAME@VERSION [PLACE]")
	case len(args) == 0:
		return nil
	}
	var err error
	if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
		return usagef("%v", err)
	}
	if len(args) == 2 {
		if o.list {
			return usagef("--list reads no data: leave out %q", args[1])
		}
		o.place = args[1]
	}
	return nil
}

// auditAs goes the way that was chosen.
func (a *app) auditAs(ctx context.Context, o *auditOrder) error {
	switch {
	case o.list:
		return a.listAudits(ctx, o)
	case o.check != nil:
		return a.checkAudit(ctx, o)
	case o.resume != nil:
		return a.resumeAudit(ctx, o)
	case o.announce:
		return a.announceAudit(ctx, o)
	}
	return a.auditAlone(ctx, o)
}
