package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// localOrigin begins the origin of a ledger whose maker named no address.
const localOrigin = "stele.local"

type initOrder struct {
	dir         string
	hash        string
	origin      string
	handle      string
	recoveryOut string
}

func (a *app) initCommand() *cobra.Command {
	var o initOrder
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a ledger here, with you as its first administrator",
		Long: `Makes .stele in this folder (or DIR), with a log key of its own, and you as its
first administrator. Makes your signing key if you have none. The log's key is
pinned as trusted, for you.

The recovery key is shown once and kept nowhere: write it down, away from this
machine. It can only register and retire keys, for the day on which the
administrators' keys are lost.`,
		Example: "  stele init --handle ada\n  stele init --origin example.com/ml --recovery-out /media/usb/recovery.pem",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.dir = "."
			if len(args) == 1 {
				o.dir = args[0]
			} else if a.ledgerFlag != "" {
				o.dir = strings.TrimSuffix(strings.TrimRight(a.ledgerFlag, "/"), ledgerName)
				if o.dir == "" {
					o.dir = "."
				}
			}
			dir, err := a.initLedger(c.Context(), &o)
			if named := a.getenv("STELE_LEDGER"); err == nil && a.ledgerFlag == "" && named != "" && named != dir {
				a.term.Notef("$STELE_LEDGER names %s, and commands go there and not here", source.Show(named))
			}
			return err
		},
	}
	c.Flags().StringVar(&o.hash, "hash", "sha256", "sha256 or blake3, of every fingerprint on this ledger, for ever")
	c.Flags().StringVar(&o.origin, "origin", localOrigin, "how the log's name begins: an address you own; random bits follow")
	c.Flags().StringVar(&o.handle, "handle", "admin", "your pseudonym on this ledger, public and for ever: no personal data")
	c.Flags().StringVar(&o.recoveryOut, "recovery-out", "", "write the recovery key to this `file` instead of showing it")
	return c
}

// initHere makes a ledger in this folder for a stamp that found none.
func (a *app) initHere(ctx context.Context) (string, error) {
	a.term.Notef("no ledger in sight: making one in this folder")
	return a.initLedger(ctx, &initOrder{dir: ".", hash: "sha256", origin: localOrigin, handle: "admin"})
}

func (a *app) initLedger(ctx context.Context, o *initOrder) (dir string, err error) {
	algorithm, err := fingerprint.ParseAlgorithm(o.hash)
	if err != nil {
		return "", usagef("--hash: %v", err)
	}
	if err := statement.CheckHandle(o.handle); err != nil {
		return "", usagef("--handle: %v", err)
	}
	if o.handle == statement.RecoveryHandle {
		return "", usagef("--handle: %q is the recovery key's", o.handle)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	origin := strings.TrimRight(o.origin, "/") + "/" + hex.EncodeToString(random[:])
	if err := statement.CheckOrigin(origin); err != nil {
		return "", usagef("--origin: %v", err)
	}
	if isAddress(o.dir) {
		return "", usagef("init makes a ledger in a folder of this machine, and %s is an address", source.Show(o.dir))
	}
	if dir, err = filepath.Abs(filepath.Join(o.dir, ledgerName)); err != nil {
		return "", err
	}
	if _, err := solo.ReadInfo(dir); err == nil {
		return "", failf(exitError, "%s is a ledger already", dir).withPath(dir).withHint("`stele log` shows it")
	}
	if err := exists(o.dir); errors.Is(err, fs.ErrNotExist) {
		return "", failf(exitNotFound, "there is no folder %s", source.Show(o.dir)).withPath(o.dir).withHint("make the folder first, then the ledger in it")
	} else if err != nil {
		return "", err
	} else if info, err := os.Stat(o.dir); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", usagef("%s is not a folder", o.dir)
	}
	signer, made, err := a.signerOrNew(ctx)
	if err != nil {
		return "", err
	}
	out, err := a.createLedger(ctx, o, dir, origin, algorithm, signer)
	if err != nil {
		return "", err
	}
	return dir, a.printInit(o, out, made)
}

// signerOrNew is the person's key, made now where they have none and asked
// for none in particular.
func (a *app) signerOrNew(ctx context.Context) (s statement.Signer, made string, err error) {
	s, closer, err := a.signer(ctx)
	if err == nil {
		closer() // a genesis is signed at once, below; an agent is asked again
		if a.keyFlag == "" && a.getenv("STELE_KEY") == "" {
			return s, "", nil
		}
		s, _, err = a.signer(ctx)
		return s, "", err
	}
	if a.keyFlag != "" || a.getenv("STELE_KEY") != "" || !errors.Is(err, errNoKey) {
		return nil, "", err
	}
	path, err := a.dirs.KeyPath(home.DefaultKey)
	if err != nil {
		return nil, "", err
	}
	s, err = newKeyAt(path)
	return s, path, err
}

// newKeyAt makes a P-256 key and keeps it in a file of its own, 0600.
func newKeyAt(path string) (statement.Signer, error) {
	key, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := statement.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := home.WriteSecret(path, text); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, failf(exitError, "%s is there already, and a key is never overwritten", path).withPath(path)
		}
		return nil, fmt.Errorf("keep the new key: %w", err)
	}
	return statement.NewP256(key, rand.Reader)
}

func (a *app) createLedger(ctx context.Context, o *initOrder, dir, origin string, algorithm fingerprint.Algorithm, signer statement.Signer) (*jsonv1.Init, error) {
	logKey, err := solo.GenerateLogKey(origin, rand.Reader)
	if err != nil {
		return nil, err
	}
	recoveryKey, err := statement.GenerateEd25519(rand.Reader)
	if err != nil {
		return nil, err
	}
	recovery, err := statement.NewEd25519(recoveryKey)
	if err != nil {
		return nil, err
	}
	recoveryText, err := statement.MarshalPrivateKey(recoveryKey)
	if err != nil {
		return nil, err
	}
	// Written before the ledger exists: a ledger whose recovery key could not
	// be kept must not come to be.
	if o.recoveryOut != "" {
		if err := home.WriteSecret(o.recoveryOut, recoveryText); err != nil {
			return nil, fmt.Errorf("keep the recovery key: %w", err)
		}
	}
	nonce, err := statement.NewNonce(rand.Reader)
	if err != nil {
		return nil, err
	}
	genesis, err := statement.Sign(&statement.Statement{Kind: statement.KindGenesis, Nonce: nonce, Genesis: &statement.Genesis{
		Origin: origin, Hash: algorithm, Rules: statement.Rules, LogKey: logKey.VKey().String(),
		Administrators: []statement.Administrator{{Handle: o.handle, Key: signer.PublicKey()}},
		Recovery:       recovery.PublicKey(),
	}}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign the genesis: %w", err)
	}
	if o.recoveryOut == "" && !a.json {
		a.showRecovery(recoveryText)
	}
	// Pinned first: a pin for a log that never came to be is harmless, a ledger
	// that its own maker does not trust is not.
	if err := a.dirs.PinTrust(origin, []byte(evidence.NewPolicy(logKey.VKey(), "").String()), false); err != nil {
		return nil, fmt.Errorf("pin the log's key: %w", err)
	}
	e, err := solo.Create(ctx, a.options(dir), genesis, logKey)
	if err != nil {
		return nil, err
	}
	defer a.close(e)
	signed, err := e.View().LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	checkpoint, err := checkpointJSON(signed)
	if err != nil {
		return nil, err
	}
	return &jsonv1.Init{
		Ledger: e.Info().ID.String(), Origin: origin, Directory: dir, Hash: algorithm.String(), LogKey: logKey.VKey().String(),
		Signer:     jsonv1.Signer{Handle: o.handle, Key: signer.PublicKey().ID().String()},
		Checkpoint: checkpoint, RecoveryKey: string(recoveryText), Trust: a.dirs.TrustPath(origin),
	}, nil
}

func (a *app) printInit(o *initOrder, out *jsonv1.Init, made string) error {
	if o.recoveryOut != "" {
		out.RecoveryKey = ""
	}
	if a.json {
		a.printJSON(out)
		return nil
	}
	if a.quiet { // the recovery key was shown, or kept
		return nil
	}
	a.term.Printf("made a ledger in %s\n", a.term.Style(terminal.Good, out.Directory))
	if made == "" {
		made = "yours, as before"
	}
	a.term.KeyValues([]terminal.Pair{
		{Key: "ledger", Value: out.Ledger},
		{Key: "origin", Value: out.Origin},
		{Key: "hash", Value: out.Hash},
		{Key: "administrator", Value: signedBy(out.Signer)},
		{Key: "signing key", Value: made},
		{Key: "trust", Value: out.Trust},
	})
	if o.recoveryOut != "" {
		a.term.Printf("recovery key   %s\n", o.recoveryOut)
		a.term.Notef("keep it away from this machine: it registers keys when the administrators' are lost")
	}
	return nil
}

// showRecovery prints the recovery key, before the ledger is made: a ledger
// must not come to be whose recovery key nobody saw.
func (a *app) showRecovery(text []byte) {
	a.term.Printf("The recovery key, shown this once and kept nowhere. Write it down, away from\nthis machine; it registers keys when the administrators' are lost.\n")
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		a.term.Printf("  %s\n", line)
	}
	a.term.Printf("\n")
}
