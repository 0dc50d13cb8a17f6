package main

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/provenance"
	"github.com/stele-ml/stele/internal/source"
)

// foreignTrust is whom a person trusts to have signed a foreign file. It comes
// from the command line alone: never from the file, nor from what lies beside.
type foreignTrust struct {
	publicKey string // a file
	chain     []string
	at        string
}

func (t *foreignTrust) register(c *cobra.Command, certificates bool) {
	c.Flags().StringVar(&t.publicKey, "public-key", "", "the signer's public key, a PEM `file`")
	if certificates {
		c.Flags().StringArrayVar(&t.chain, "certificate-chain", nil, "certificates that you trust to vouch for the signer, a PEM `file` (repeatable)")
		c.Flags().StringVar(&t.at, "certificates-at", "", "judge the certificates as of this `time` (default now)")
	}
}

// check refuses what does not go together.
func (t *foreignTrust) check(certificates bool) error {
	switch {
	case t.publicKey != "" && len(t.chain) > 0:
		return usagef("--public-key and --certificate-chain are two ways: give one")
	case t.publicKey == "" && len(t.chain) == 0 && certificates:
		return usagef("whom do you trust to have signed it? Give --public-key FILE or --certificate-chain FILE")
	case t.publicKey == "" && len(t.chain) == 0:
		return usagef("whom do you trust to have signed it? Give --public-key FILE")
	case t.at != "" && len(t.chain) == 0:
		return usagef("--certificates-at goes with --certificate-chain")
	}
	return nil
}

// maxTrustFile bounds a file with a key or certificates, in bytes.
const maxTrustFile = 2 << 20

// readTrust reads a file that the person trusts.
func readTrust(path string) ([]byte, error) {
	if err := exists(path); err != nil {
		return nil, err
	}
	return readSmall(path, maxTrustFile)
}

// verifyOMS checks who signed a model signature. judged is as of when the
// certificates were judged; the zero time where there are none.
func (t *foreignTrust) verifyOMS(a *app, s *oms.Signature) (v *oms.Verified, judged time.Time, err error) {
	if t.publicKey != "" {
		text, err := readTrust(t.publicKey)
		if err != nil {
			return nil, judged, err
		}
		key, err := oms.ParsePublicKey(text)
		if err != nil {
			return nil, judged, failf(exitError, "%s: %w", t.publicKey, err).withPath(t.publicKey)
		}
		v, err = s.VerifyKey(key)
		return v, judged, err
	}
	judged = a.now()
	if t.at != "" {
		ms, err := a.when("--certificates-at", t.at)
		if err != nil {
			return nil, judged, err
		}
		judged = time.UnixMilli(ms)
	}
	var texts []byte
	for _, path := range t.chain {
		text, err := readTrust(path)
		if err != nil {
			return nil, judged, err
		}
		texts = append(append(texts, text...), '\n')
	}
	trusted, err := oms.ParseCertificates(texts)
	if err != nil {
		return nil, judged, failf(exitError, "%s: %w", t.chain[0], err).withPath(t.chain[0])
	}
	v, err = s.VerifyCertificate(trusted, judged)
	return v, judged, err
}

// foreignStatus is the exit status for an error of checking a foreign file.
func foreignStatus(err error) int {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.status
	case errors.Is(err, oms.ErrOtherKey), errors.Is(err, provenance.ErrSignature):
		return exitUntrusted
	case errors.Is(err, oms.ErrSignature), errors.Is(err, oms.ErrFormat), errors.Is(err, provenance.ErrFormat):
		return exitTampered
	}
	return exitError
}

// foreignFailure is such an error, told with the file that it is of.
func foreignFailure(path string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	f = failf(foreignStatus(err), "%s: %w", source.Show(path), err).withPath(path)
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		f.hint = hinted.Hint()
	}
	return f
}

// readForeign reads a foreign file, from here or from a bucket.
func readForeign(ctx context.Context, text string, reach place.Options, limit int64) (place.Place, []byte, error) {
	p, err := parsePlace(text)
	if err != nil {
		return p, nil, err
	}
	r, _, err := p.Read(ctx, reach, limit)
	if err != nil {
		return p, nil, notThere(p, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return p, nil, at(p, err)
	}
	return p, data, nil
}

// foreignKey is a signer in --json.
func foreignKey(v *oms.Verified, judged time.Time) jsonv1.ForeignKey {
	id := v.Key.ID()
	k := jsonv1.ForeignKey{Method: string(v.Method), Key: hex.EncodeToString(id[:]), Algorithm: v.Key.Algorithm(), Subject: v.Subject}
	if !judged.IsZero() {
		k.At = jsonv1.At(judged.UnixMilli())
	}
	return k
}

// foreignSigner writes a signer for a person.
func foreignSigner(k jsonv1.ForeignKey) string {
	text := "the key " + shortKey(k.Key)
	if k.Algorithm != "" {
		text += " (" + k.Algorithm + ")"
	}
	if k.Subject != "" {
		text = k.Subject + ", " + text
	}
	return text
}
