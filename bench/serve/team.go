package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// inForce are the contracts in force, as they come with stele. Those of onStamps judge
// every entry that is submitted; the others are asked whether they are about it.
var (
	inForce  = append(onStamps, "inputs-clean", "metrics-floor", "separation-of-duty", "two-approvals")
	onStamps = []string{"capped-ignore", "licence"}
)

// perSecondBound is how many envelopes are signed beforehand for a second of a run.
const perSecondBound = 12_000

// artifact is what all stamps are of: each of another version.
const artifact = "team/data"

// team is a ledger with its owner's key, as it is before every run: each run has a
// copy, so that all take the same envelopes.
type team struct {
	bin    programs
	home   home
	key    string // of the log
	bodies [][]byte
	leaf   int    // bytes of an entry
	judges string // what judges each, in words
}

// home is somebody's folder: the ledger, its state and its owner's configuration.
type home string

func (h home) ledger() string { return filepath.Join(string(h), ".stele") }
func (h home) state() string  { return filepath.Join(string(h), "state") }

// options are how this program itself opens the ledger.
func (h home) options() solo.Options {
	return solo.Options{Dir: h.ledger(), State: filepath.Join(h.state(), "ledgers")}
}

func (h home) env() []string {
	return []string{"STELE_CONFIG=" + filepath.Join(string(h), "config"), "STELE_STATE=" + h.state(), "STELE_LEDGER=" + h.ledger()}
}

// run runs a program to its end.
func (h home) run(ctx context.Context, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = string(h), append(os.Environ(), h.env()...)
	out, err := c.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, ended.Stderr)
	}
	return string(out), err
}

func newTeam(ctx context.Context, bin programs, dir string, envelopes int) (*team, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	t := &team{bin: bin, home: home(dir)}
	if _, err := t.home.run(ctx, bin.stele, "init", dir, "--handle", "ada", "--recovery-out", filepath.Join(dir, "recovery.pem")); err != nil {
		return nil, err
	}
	rules := 0
	for _, name := range inForce {
		file := name + ".yaml"
		if _, err := t.home.run(ctx, bin.stele, "contract", "new", name, "-o", file); err != nil {
			return nil, err
		}
		if _, err := t.home.run(ctx, bin.stele, "contract", "put", file, "--yes"); err != nil {
			return nil, err
		}
	}
	for _, name := range onStamps {
		yaml, _, err := contracts.Read(name)
		if err != nil {
			return nil, err
		}
		doc, err := contract.ParseDocument(ledgertest.Document(string(yaml)))
		if err != nil {
			return nil, err
		}
		rules += len(doc.Validations)
	}
	t.judges = fmt.Sprintf("%d rules of %s; %d contracts are in force", rules, strings.Join(onStamps, " and "), len(inForce))
	policy, err := t.home.run(ctx, bin.stele, "trust", "export")
	if err != nil {
		return nil, err
	}
	trust, err := evidence.ParsePolicy([]byte(policy))
	if err != nil {
		return nil, err
	}
	t.key = trust.Logs[0].Key.String()
	return t, t.sign(envelopes)
}

// sign signs the envelopes on all processors.
func (t *team) sign(n int) error {
	info, err := solo.ReadInfo(t.home.ledger())
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(string(t.home), "config", "keys", "default.pem"))
	if err != nil {
		return err
	}
	signer, err := statement.ParsePrivateKey(text, rand.Reader, nil)
	if err != nil {
		return err
	}
	t.bodies = make([][]byte, n)
	errs := make([]error, runtime.NumCPU())
	var all sync.WaitGroup
	for part := range errs {
		all.Go(func() {
			maker := ledgertest.Maker{Ledger: info.ID}
			maker.Skip(uint64(part+1) << 40)
			for i := part; i < n && errs[part] == nil; i += len(errs) {
				v := fmt.Sprint(i)
				env := maker.Stamp(signer, maker.Ref(artifact, v, artifact+v), func(s *statement.Stamp) {
					s.Annotations = map[string]string{"licence": "MIT"}
					s.Ignore = []string{".git/", ".ipynb_checkpoints/"}
				})
				t.bodies[i], errs[part] = json.Marshal(env)
				if i == 0 {
					t.leaf = len((&evidence.Entry{Index: 1, ControlCount: 1, Envelope: env}).Leaf())
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// copy puts the ledger, as it is before every run, into a directory.
func (t *team) copy(ctx context.Context, dir string) (home, error) {
	_, err := t.home.run(ctx, "cp", "-a", string(t.home)+"/.", dir) // os.CopyFS drops the modes
	return home(dir), err
}

var errUsedUp = errors.New("all envelopes are used up: raise perSecondBound")

// body is an envelope's.
func (t *team) body(n int) ([]byte, error) {
	if n >= len(t.bodies) {
		return nil, errUsedUp
	}
	return t.bodies[n], nil
}

// serve serves a ledger, with flags besides those that lift the limits for the load,
// which comes from one address. It logs each request, as it does by default.
func (t *team) serve(ctx context.Context, h home, env ...string) (*process, error) {
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	p, err := start(string(h), append(h.env(), env...), t.bin.stele, "serve", "--listen", address, "--rate-address", "0",
		"--max-address-connections", "4096", "--max-reads", "2048")
	if err != nil {
		return nil, err
	}
	p.address = address
	return p, p.ready(ctx, "/health/ready")
}

// submitted measures submissions, without witnesses or with so many, until the receipt
// or until it is cosigned.
func (t *team) submitted(witnesses int, cosigned bool) func(context.Context, string, int) (figure, error) {
	return func(ctx context.Context, dir string, writers int) (f figure, err error) {
		h, err := t.copy(ctx, dir)
		if err != nil {
			return f, err
		}
		var env []string
		if witnesses > 0 {
			trust, stop, err := t.witnesses(ctx, h, witnesses)
			if err != nil {
				return f, err
			}
			defer stop()
			env = append(env, "STELE_TRUST="+trust)
		}
		p, err := t.serve(ctx, h, env...)
		if err != nil {
			return f, err
		}
		defer p.stop()
		conns, err := dialAll(ctx, p.address, writers)
		if err != nil {
			return f, err
		}
		defer hangUp(conns)
		path := "/v1/entries"
		if cosigned {
			path += "?wait=cosigned"
		}
		receipts := make([][]byte, 100) // the first, to be checked afterwards
		m := &meter{server: p}
		if err := load(m, conns, *duration, func(c *conn, n int) error {
			body, err := t.body(n)
			if err != nil {
				return err
			}
			// 202 is one that was not cosigned in time: no answer.
			receipt, err := c.post(path, wire.EnvelopeType, 201, body)
			if n < len(receipts) {
				receipts[n] = receipt
			}
			return err
		}); err != nil {
			return f, fmt.Errorf("%w: %s", err, p.said())
		}
		for _, receipt := range receipts {
			if err := t.checkReceipt(receipt, cosigned, witnesses); err != nil {
				return f, err
			}
		}
		return m.figure, m.err
	}
}

// checkReceipt holds a receipt to what is said of it: the entry is under a checkpoint
// that the log signed, and the witnesses too where that was waited for.
func (t *team) checkReceipt(body []byte, cosigned bool, witnesses int) error {
	if body == nil {
		return nil // fewer than that many were submitted
	}
	r, err := wire.ParseReceipt(body)
	if err != nil {
		return err
	}
	log, err := note.NewVerifier(t.key)
	if err != nil {
		return err
	}
	cp, opened, err := evidence.OpenCheckpoint([]byte(r.Checkpoint), note.VerifierList(log))
	if err != nil {
		return err
	}
	if n := len(opened.UnverifiedSigs); cosigned && n != witnesses {
		return fmt.Errorf("a receipt with the cosignatures of %d witnesses", n)
	}
	proof := make(tlog.RecordProof, len(r.Inclusion))
	for i, h := range r.Inclusion {
		proof[i] = tlog.Hash(h)
	}
	return evidence.CheckInclusion(cp, r.Index, evidence.LeafHash(r.Leaf), proof)
}

// witnesses runs witnesses of the log until stop, and writes a trust file that asks
// for all of them.
func (t *team) witnesses(ctx context.Context, h home, n int) (trust string, stop func(), err error) {
	var running []*process
	stop = func() {
		for _, p := range running {
			p.stop()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	var text strings.Builder
	fmt.Fprintf(&text, "log %s\n", t.key)
	group := fmt.Sprintf("group all %d", n)
	for i := range n {
		state := filepath.Join(string(h), fmt.Sprintf("witness%d", i))
		key, err := h.run(ctx, t.bin.stele, "witness", "--state", state, "--name", fmt.Sprintf("witness.example/%d", i))
		if err != nil {
			return "", stop, err
		}
		address, err := freePort()
		if err != nil {
			return "", stop, err
		}
		p, err := start(string(h), h.env(), t.bin.stele, "witness", "--state", state, "--log", t.key, "--listen", address)
		if err != nil {
			return "", stop, err
		}
		p.address = address
		running = append(running, p)
		if err := p.listening(ctx); err != nil {
			return "", stop, err
		}
		fmt.Fprintf(&text, "witness w%d %s http://%s\n", i, strings.TrimSpace(key), address)
		group += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&text, "%s\nquorum all\n", group)
	trust = filepath.Join(string(h), "trust")
	return trust, stop, os.WriteFile(trust, []byte(text.String()), 0o600)
}
