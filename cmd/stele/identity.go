package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// agentPrefix chooses a key of the running ssh-agent: ssh-agent, or
// ssh-agent:COMMENT.
const agentPrefix = "ssh-agent"

// writer finds the ledger here and the key that signs what is written to it.
func (a *app) writer(ctx context.Context) (dir string, s statement.Signer, closer func(), err error) {
	if dir, err = a.findLedger(); err == nil {
		s, closer, err = a.signer(ctx)
	}
	return dir, s, closer, err
}

// signer finds the key that signs: --key, $STELE_KEY, the default one. Close
// ends the connection to an agent, where there is one.
func (a *app) signer(ctx context.Context) (s statement.Signer, closer func(), err error) {
	choice, from := a.keyFlag, "--key"
	if choice == "" {
		choice, from = a.getenv("STELE_KEY"), "$STELE_KEY"
	}
	if choice == "" {
		choice, from = home.DefaultKey, ""
	}
	return a.signerOf(ctx, choice, from)
}

// signerOf finds a key by what was chosen and where: "" where nobody chose.
func (a *app) signerOf(ctx context.Context, choice, from string) (s statement.Signer, closer func(), err error) {
	nothing := func() {}
	if comment, ok := strings.CutPrefix(choice, agentPrefix); ok && (comment == "" || comment[0] == ':') {
		return a.agentSigner(strings.TrimPrefix(comment, ":"))
	}
	path := choice
	if !strings.ContainsAny(choice, `/\`) {
		named, err := a.dirs.KeyPath(choice)
		if err == nil {
			if _, serr := os.Stat(named); serr == nil || from == "" {
				path = named
			}
		}
	}
	data, err := home.ReadSecret(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && from == "":
		return nil, nil, failf(exitNotFound, "%w: there is no key named %q", errNoKey, home.DefaultKey).withPath(path).
			withHint("`stele key new` makes one; --key and $STELE_KEY choose another, for example --key ~/.ssh/id_ed25519 or --key ssh-agent")
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, failf(exitNotFound, "no key %q (from %s): neither a key kept here nor a file", choice, from).withPath(path).
			withHint("`stele key list` shows the keys kept here")
	case errors.Is(err, home.ErrPermissions):
		return nil, nil, failf(exitError, "%w", err).withPath(path).
			withHint("chmod 600 " + path + "; where that does nothing, as on a USB stick, copy it first: `install -m 600 " + path + " key.pem`")
	case err != nil:
		return nil, nil, fmt.Errorf("read the signing key: %w", err)
	}
	s, err = statement.ParsePrivateKey(data, rand.Reader, func() ([]byte, error) {
		return a.term.Passphrase(ctx, "passphrase of "+path+": ")
	})
	if errors.Is(err, terminal.ErrNoTerminal) {
		return nil, nil, failf(exitError, "signing key %s: %w", path, err).withPath(path).withHint("`ssh-add " + path + "`, then --key ssh-agent")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("signing key %s: %w", path, err)
	}
	return s, nothing, nil
}

// agentSigner finds a key of the running ssh-agent.
func (a *app) agentSigner(comment string) (statement.Signer, func(), error) {
	socket := a.getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, failf(exitUnreachable, "no ssh-agent: $SSH_AUTH_SOCK is not set").withHint("start one with `eval $(ssh-agent)` and `ssh-add`")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, nil, failf(exitUnreachable, "reach the ssh-agent: %w", err).withHint("is the agent behind $SSH_AUTH_SOCK still running?")
	}
	closer := func() { conn.Close() }
	client := agent.NewClient(conn)
	keys, err := client.List()
	if err != nil {
		closer()
		return nil, nil, failf(exitUnreachable, "ask the ssh-agent for its keys: %w", err)
	}
	var found []*agent.Key
	for _, k := range keys {
		if _, _, isCert := strings.Cut(k.Format, "-cert-v01"); isCert {
			continue // a certificate stands beside the key it is for
		}
		if comment == "" || k.Comment == comment {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 0:
		closer()
		return nil, nil, failf(exitNotFound, "the ssh-agent holds no key%s", commented(comment)).withHint("`ssh-add -l` lists what it holds")
	case 1:
	default:
		closer()
		var names []string
		for _, k := range found {
			names = append(names, k.Comment)
		}
		return nil, nil, usagef("the ssh-agent holds %d keys%s: %s", len(found), commented(comment), strings.Join(names, ", ")).
			withHint("choose one with --key ssh-agent:COMMENT")
	}
	signers, err := client.Signers()
	if err != nil {
		closer()
		return nil, nil, failf(exitUnreachable, "ask the ssh-agent for its keys: %w", err)
	}
	for _, s := range signers {
		if string(s.PublicKey().Marshal()) == string(found[0].Blob) {
			signer, err := statement.NewSSH(s, rand.Reader)
			if err != nil {
				closer()
				return nil, nil, err
			}
			return signer, closer, nil
		}
	}
	closer()
	return nil, nil, failf(exitNotFound, "the ssh-agent no longer holds the key %s", ssh.FingerprintSHA256(found[0]))
}

func commented(comment string) string {
	if comment == "" {
		return ""
	}
	return fmt.Sprintf(" with the comment %q", comment)
}
