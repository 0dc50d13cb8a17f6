package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// bringDocuments copies the manifest, the details and the evidence of an artifact:
// what was erased is not there, and not missed.
func (w *adopting) bringDocuments(ctx context.Context, to shelf, b ledger.Binding, made *statement.Stamp) error {
	from, err := w.a.shelfOf(ctx, w.from)
	if err != nil {
		return err
	}
	if err := bringManifest(from, to, b); err != nil {
		return fmt.Errorf("bring the manifest: %w", err)
	}
	_, st, err := w.old.StampAt(b)
	if err != nil {
		return err
	}
	if at := st.Stamp.Details; at != nil {
		data, err := from.Get(*at)
		switch {
		case errors.Is(err, solo.ErrWithheld):
		case err != nil:
			return fmt.Errorf("bring the details: %w", err)
		default:
			if _, err := to.Put(data); err != nil {
				return fmt.Errorf("bring the details: %w", err)
			}
			made.Details = at
			if err := bringMarks(from, to, data); err != nil {
				return fmt.Errorf("bring the marks: %w", err)
			}
		}
	}
	var told jsonv1.Prove
	file, err := w.a.evidenceOf(ctx, w.from, w.old, &proveOrder{noLineage: true}, b, &told)
	if err != nil {
		return err
	}
	data, err := file.Marshal()
	if err != nil {
		return err
	}
	at, err := to.Copy(strings.NewReader(string(data)))
	if err != nil {
		return fmt.Errorf("bring the evidence: %w", err)
	}
	made.Annotations[adoptedEvidence] = fmt.Sprintf("%x", at.SHA256)
	return w.checkEvidence(file)
}

// checkEvidence sees to it that what is cited holds, by this person's trust.
func (w *adopting) checkEvidence(file *evidence.File) error {
	policy, _, err := w.a.policyFor(w.old.Origin())
	if err != nil {
		return err
	}
	v := evidence.Verify(file, policy, evidence.Options{Each: eachCore, StampOnly: true})
	switch v.Verdict {
	case evidence.Tampered:
		return failf(exitTampered, "its evidence is %s", v.Verdict).withHint("`stele verify` on the old ledger says why")
	case evidence.Untrusted:
		return failf(exitUntrusted, "its evidence is %s", v.Verdict).withHint("`stele verify` on the old ledger says why")
	}
	return nil
}

func bringManifest(from, to shelf, b ledger.Binding) error {
	_, closer, err := from.Manifest(b.Fingerprint)
	if errors.Is(err, solo.ErrWithheld) {
		return nil // a collection has none; or it was erased
	}
	if err != nil {
		return err
	}
	closer.Close()
	path := from.ManifestPath(b.Fingerprint)
	if err := (&manifest.Found{Name: path, Path: path, Fingerprint: b.Fingerprint}).Check(); err != nil {
		return err
	}
	if kept(to, b.Fingerprint) {
		return to.Offer(b.Fingerprint)
	}
	f, err := source.OpenRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := to.NewManifest()
	if err != nil {
		return err
	}
	defer p.Discard()
	if _, err := io.Copy(p, f); err != nil {
		return err
	}
	if err := p.Keep(b.Fingerprint); err != nil {
		return err
	}
	return to.Offer(b.Fingerprint)
}

// bringMarks copies the marks that details name.
func bringMarks(from, to shelf, details []byte) error {
	d, err := statement.ParseDetails(details)
	if err != nil || d.Marks == nil {
		return nil
	}
	f, err := from.Open(*d.Marks)
	if errors.Is(err, solo.ErrWithheld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = to.Copy(f)
	return err
}
