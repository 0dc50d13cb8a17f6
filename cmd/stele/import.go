package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) importCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "import",
		Short: "Record what other tools signed about an artifact, as their claim",
		Long: `Checks a file that other people's tools signed, that it is about these bytes,
and records it on the ledger:

  oms      an OpenSSF model signature
  intoto   an in-toto statement in a DSSE envelope: SLSA provenance, and others

It is recorded as a claim of the key that signed it. What it says the artifact
was made of is shown, and carries no taint.`,
	}, a.importOMS(), a.importInToto())
}

// importing is one foreign file on its way to the ledger.
type importing struct {
	name, version string
	document      []byte
	key           jsonv1.ForeignKey
	statement     statement.Import // but for the document
	out           *jsonv1.Import
}

// importAllowed says beforehand what admission would refuse for certain.
func (a *app) importAllowed(r *reading, signer statement.Signer) error {
	return r.maySign(authorOf(signer), a.now().UnixMilli())
}

// record keeps the foreign file on the ledger's shelf and puts it on the ledger.
func (a *app) recordImport(ctx context.Context, dir string, signer statement.Signer, m *importing) error {
	if len(m.document) > solo.MaxAttachment {
		return failf(exitRefused, "it has %s, and a ledger keeps documents of at most %s", terminal.Bytes(uint64(len(m.document))), terminal.Bytes(solo.MaxAttachment)).
			withHint("check it with `stele verify --oms` where it is")
	}
	st := m.statement
	if before, err := a.importedBefore(ctx, dir, signer, m); err != nil || before != nil {
		if err == nil {
			err = a.printImported(m, &st, before.proof, before.origin, before.who)
		}
		return err
	}
	var err error
	if st.Document, err = a.keepDocument(ctx, dir, m.document); err != nil {
		return fmt.Errorf("keep the document: %w", err)
	}
	var origin string
	who := jsonv1.Signer{Key: statement.By(signer).String()}
	var ref statement.Ref
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) {
		origin, who = r.Origin(), r.signerBy(authorOf(signer))
		var err error
		if ref, err = r.ref(m.name+"@"+m.version, "NAME@VERSION"); err != nil {
			return nil, err
		}
		if ref.Fingerprint.String() != m.out.Fingerprint {
			return nil, failf(exitTampered, "%s is %s now, and was %s", ref, ref.Fingerprint, m.out.Fingerprint) // names are bound for ever
		}
		return &statement.Statement{Kind: statement.KindImport, Subject: []statement.Subject{ref.Subject()}, Import: &st}, nil
	})
	if err != nil {
		return err
	}
	return a.printImported(m, &st, proof, origin, who)
}

// recordedImport is the receipt of an import that was made before.
type recordedImport struct {
	proof  *solo.Proof
	origin string
	who    jsonv1.Signer
}

// importedBefore finds what the same key recorded of the same file and artifact:
// said again, it is answered with that.
func (a *app) importedBefore(ctx context.Context, dir string, signer statement.Signer, m *importing) (*recordedImport, error) {
	var found *recordedImport
	sum := sha256.Sum256(m.document)
	err := a.readAt(ctx, dir, func(r *reading) error {
		b, err := r.binding(m.name, m.version)
		if err != nil {
			return err
		}
		list, err := r.Said(b.Ref(), statement.KindImport)
		if err != nil {
			return err
		}
		for _, s := range list {
			if !authorOf(signer).signed(s.Entry) || s.Statement.Import.Document.SHA256 != sum || s.Statement.Import.Key.SHA256 != m.statement.Key.SHA256 || !r.Standing(s.Entry).OK {
				continue
			}
			checkpoint, err := r.LatestCheckpoint()
			if err != nil {
				return err
			}
			found = &recordedImport{
				proof:  &solo.Proof{Receipt: ledger.Receipt{Index: s.Index, Time: s.Time, Existed: true}, Checkpoint: checkpoint},
				origin: r.Origin(), who: r.Signer(s.Entry),
			}
			return nil
		}
		return nil
	})
	return found, err
}

func (a *app) printImported(m *importing, st *statement.Import, proof *solo.Proof, origin string, who jsonv1.Signer) error {
	var err error
	out := m.out
	if out.Written, err = writtenJSON(proof, statement.KindImport, origin, who); err != nil {
		return err
	}
	out.Name, out.Version, out.Format, out.PredicateType = m.name, m.version, st.Format, st.PredicateType
	out.By, out.Hash, out.Resources, out.Builder = m.key, st.Hash, st.Resources, st.Builder
	sum := sha256.Sum256(m.document)
	out.Document = hex.EncodeToString(sum[:])
	for _, ref := range st.Inputs {
		out.Inputs = append(out.Inputs, jsonv1.Ref{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String()})
	}
	if a.json {
		a.printJSON(out)
		return nil
	}
	if a.quiet {
		return nil
	}
	said := "imported"
	if out.Existed {
		said = "imported before"
	}
	a.term.Printf("%s as a claim about %s\n", said, a.term.Style(terminal.Good, m.name+"@"+m.version))
	pairs := []terminal.Pair{
		{Key: "says", Value: st.PredicateType},
		{Key: "signed by", Value: foreignSigner(m.key)},
		{Key: "checked", Value: map[string]string{
			againstData: "against the data, every byte", againstManifest: "against the stamp's manifest, which has the plain digests", againstFingerprint: "it names the fingerprint",
		}[out.Against]},
	}
	if st.Builder != "" {
		pairs = append(pairs, terminal.Pair{Key: "builder", Value: st.Builder})
	}
	if st.Format == statement.ImportInToto {
		pairs = append(pairs, terminal.Pair{Key: "made of", Value: inputsText(out)})
	}
	pairs = append(pairs, receiptPairs(a, out.Written)...)
	for i := range pairs {
		if pairs[i].Key == "signed by" && i > 2 {
			pairs[i].Key = "imported by"
		}
	}
	a.term.KeyValues(pairs)
	return nil
}

// inputsText says how much of what a claim names is on the ledger.
func inputsText(out *jsonv1.Import) string {
	if out.Dependencies == 0 {
		return "it does not say"
	}
	text := fmt.Sprintf("%s, as it claims", terminal.Plural(out.Dependencies, "thing"))
	var names []string
	for _, ref := range out.Inputs {
		names = append(names, ref.Name+"@"+ref.Version)
	}
	if len(names) == 0 {
		return text + "; none of them is on this ledger"
	}
	return text + "; on this ledger: " + terminal.Some(names, 4)
}

// How an import was found to be about the artifact, in the words of --json.
const (
	againstData        = "data"
	againstManifest    = "manifest"
	againstFingerprint = "fingerprint"
)
