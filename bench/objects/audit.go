package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/internal/audit"
)

// auditAltered is the share of the bytes that the audits look for.
const auditAltered = "0.005"

var auditConfidences = []string{"0.95", "0.99", "0.999"}

// audit measures audits of the sets that scan reads.
func (b *bench) audit(ctx context.Context) error {
	for _, s := range []*set{b.large, b.small} {
		ok, err := b.need(ctx, s)
		if err == nil && ok {
			err = b.auditSet(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) auditSet(ctx context.Context, s *set) error {
	say("audit: %s", s.name)
	stamp, err := b.stamp(ctx, s.bucket)
	if err != nil {
		return err
	}
	readers := []*reader{{name: "scan of every byte", args: b.child("scan", s.bucket)}}
	for _, c := range auditConfidences {
		draws, err := drawsFor(c)
		if err != nil {
			return err
		}
		readers = append(readers, &reader{
			name: fmt.Sprintf("audit at %s, %d draws", c, draws),
			args: b.child("-stamped", stamp, "-confidence", c, "audit", s.bucket),
		})
	}
	if err := b.take(ctx, readers, false); err != nil {
		return err
	}
	table("audit: "+s.name+", "+auditAltered+" altered", s.bytes(), readers)
	return nil
}

func drawsFor(confidence string) (uint64, error) {
	altered, err := audit.ParseShare(auditAltered)
	if err != nil {
		return 0, err
	}
	c, err := audit.ParseShare(confidence)
	if err != nil {
		return 0, err
	}
	return audit.DrawsFor(altered, c)
}

// runAudit is the measured process: an audit by a fresh seed, which begins with
// the manifest.
func (o *order) runAudit(ctx context.Context, place string) (rep report, err error) {
	draws, err := drawsFor(o.confidence)
	if err != nil {
		return rep, err
	}
	st, err := openStamped(o.stamped)
	if err != nil {
		return rep, err
	}
	var seed audit.Seed
	if _, err := rand.Read(seed[:]); err != nil {
		return rep, err
	}
	total, err := st.bytes()
	if err != nil {
		return rep, err
	}
	plan, err := audit.Draw(st.files(), total, seed, draws)
	if err != nil {
		return rep, err
	}
	src, n, err := o.open(ctx, place)
	if err != nil {
		return rep, err
	}
	defer src.Close()
	res, err := audit.Run(ctx, src, st.files(), plan, audit.Options{Algorithm: st.fp.Algorithm}, nil)
	if err != nil {
		return rep, err
	}
	if !res.Held() || res.ChunksRead != plan.ToRead {
		return rep, errors.New("the audit did not hold")
	}
	return report{Files: plan.Files, Bytes: plan.Bytes, Read: n.bytes.Load(), Requests: n.requests.Load()}, nil
}
