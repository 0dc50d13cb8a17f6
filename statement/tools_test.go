package statement

import (
	"bufio"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// tool finds a program of the system, or skips the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t *testing.T, stdin []byte, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sshKeygenAgrees checks an envelope with ssh-keygen -Y verify, and that it
// refuses another message and another namespace.
func sshKeygenAgrees(t *testing.T, e *Envelope, key *PublicKey) {
	t.Helper()
	keygen := tool(t, "ssh-keygen")
	allowed := writeFile(t, "allowed_signers", []byte("carol "+key.AuthorizedKey()))
	sig := writeFile(t, "sig", ArmorSSHSIG(e.Signature))
	out, err := run(t, e.Message(), keygen, "-Y", "verify", "-f", allowed, "-I", "carol", "-n", SSHNamespace, "-s", sig)
	if err != nil || !strings.Contains(out, "Good \"stele\" signature for carol") {
		t.Errorf("ssh-keygen: %s %v", out, err)
	}
	if out, err := run(t, append(e.Message(), ' '), keygen, "-Y", "verify", "-f", allowed, "-I", "carol", "-n", SSHNamespace, "-s", sig); err == nil {
		t.Errorf("ssh-keygen accepts another message: %s", out)
	}
	if out, err := run(t, e.Message(), keygen, "-Y", "verify", "-f", allowed, "-I", "carol", "-n", "git", "-s", sig); err == nil {
		t.Errorf("ssh-keygen accepts another namespace: %s", out)
	}
}

// Keys that ssh-keygen makes, read from their files, sign what ssh-keygen verifies.
func TestSSHKeygenVerifiesKeyFile(t *testing.T) {
	keygen := tool(t, "ssh-keygen")
	for _, test := range []struct{ kind, bits, passphrase string }{{"ed25519", "256", ""}, {"ecdsa", "256", "correct horse"}, {"rsa", "3072", ""}} {
		t.Run(test.kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "id")
			if out, err := run(t, nil, keygen, "-q", "-t", test.kind, "-b", test.bits, "-N", test.passphrase, "-C", "carol@work", "-f", path); err != nil {
				t.Fatalf("%s %v", out, err)
			}
			signer, err := ParsePrivateKey(must(os.ReadFile(path)), nil, func() ([]byte, error) { return []byte(test.passphrase), nil })
			if err != nil {
				t.Fatal(err)
			}
			public, err := ParsePublicKey(must(os.ReadFile(path + ".pub")))
			if err != nil || !public.Equal(signer.PublicKey()) {
				t.Fatalf("the .pub file: %v, %v", public, err)
			}
			sshKeygenAgrees(t, must(Sign(fullStamp(), signer)), public)
		})
	}
}

// What ssh-keygen -Y sign makes is accepted, where it is the one encoding: that
// is Ed25519's always.
func TestSSHKeygenSigns(t *testing.T) {
	keygen := tool(t, "ssh-keygen")
	path := writeFile(t, "id", pem.EncodeToMemory(must(ssh.MarshalPrivateKey(edKey("carol"), ""))))
	payload := must(fullStamp().Marshal())
	cmd := exec.Command(keygen, "-q", "-Y", "sign", "-f", path, "-n", SSHNamespace)
	cmd.Stdin = bytes.NewReader(PAE(PayloadType, payload))
	armored, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(armored)
	if block == nil || block.Type != "SSH SIGNATURE" {
		t.Fatalf("ssh-keygen wrote %s", armored)
	}
	e := &Envelope{PayloadType: PayloadType, Payload: payload, KeyID: sshEd("carol").PublicKey().ID(), Signature: block.Bytes}
	if err := e.Verify(sshEd("carol").PublicKey()); err != nil {
		t.Error(err)
	}
	if got := ArmorSSHSIG(e.Signature); !bytes.Equal(got, armored) {
		t.Errorf("armored\n got %s\nwant %s", got, armored)
	}
	if ours := must(Sign(fullStamp(), sshEd("carol"))); !bytes.Equal(ours.Signature, e.Signature) {
		t.Error("ssh-keygen and Stele make two signatures of one message")
	}
}

// startAgent runs a real ssh-agent for the test and connects to it.
func startAgent(t *testing.T) agent.ExtendedAgent {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("ssh-agent listens on a named pipe there")
	}
	// A socket's path has to be short, which a test's own directory may not be.
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command(tool(t, "ssh-agent"), "-D", "-a", socket)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	// It prints where it listens once it does.
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("ssh-agent: %q, %v", line, err)
	}
	go io.Copy(io.Discard, out)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return agent.NewClient(conn)
}

// Keys that only a running ssh-agent holds sign what ssh-keygen verifies.
func TestSSHAgent(t *testing.T) {
	client := startAgent(t)
	for _, key := range []any{ptr(edKey("carol")), p256Key("carol"), rsaKey()} {
		if err := client.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	signers, err := client.Signers()
	if err != nil || len(signers) != 3 {
		t.Fatalf("%d keys in the agent, %v", len(signers), err)
	}
	for _, inner := range signers {
		t.Run(inner.PublicKey().Type(), func(t *testing.T) {
			signer, err := NewSSH(inner, nil)
			if err != nil {
				t.Fatal(err)
			}
			// OpenSSH signs ECDSA with random nonces: half are high-S and put right.
			var e *Envelope
			for i := range 12 {
				st := fullStamp()
				st.Nonce[0] = byte(i)
				e = must(Sign(st, signer))
				if err := e.Verify(signer.PublicKey()); err != nil {
					t.Fatal(err)
				}
			}
			sshKeygenAgrees(t, e, signer.PublicKey())
		})
	}
	if err := client.RemoveAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(fullStamp(), must(NewSSH(signers[0], nil))); !errors.Is(err, ErrSignature) {
		t.Errorf("a key that the agent no longer holds: %v", err)
	}
}

// openssl verifies the signature of an envelope, and signs one.
func TestOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	e := must(Sign(fullStamp(), p256("alice")))
	public := writeFile(t, "public.pem", p256("alice").PublicKey().PEM())
	sig := writeFile(t, "sig", e.Signature)
	out, err := run(t, e.Message(), openssl, "dgst", "-sha256", "-verify", public, "-signature", sig)
	if err != nil || !strings.Contains(out, "Verified OK") {
		t.Errorf("openssl: %s %v", out, err)
	}
	if out, err := run(t, append(e.Message(), ' '), openssl, "dgst", "-sha256", "-verify", public, "-signature", sig); err == nil {
		t.Errorf("openssl accepts another message: %s", out)
	}
	for _, kind := range [][]string{{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, {"-algorithm", "ED25519"}} {
		made, err := exec.Command(openssl, append([]string{"genpkey"}, kind...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		signer, err := ParsePrivateKey(made, nil, nil)
		if err != nil {
			t.Fatalf("a key that openssl made: %v", err)
		}
		text, err := run(t, made, openssl, "pkey", "-pubout")
		if err != nil {
			t.Fatal(err)
		}
		if public, err := ParsePublicKey([]byte(text)); err != nil || !public.Equal(signer.PublicKey()) || string(public.PEM()) != text {
			t.Errorf("openssl writes the public key as %s, %v", text, err)
		}
	}
}

// The vectors are read by a second implementation, in Python with openssl, from
// what the pages say.
func TestSecondReader(t *testing.T) {
	tool(t, "openssl")
	out, err := run(t, nil, tool(t, "python3"), filepath.Join("testdata", "check.py"))
	if err != nil || !strings.HasSuffix(out, "ok\n") {
		t.Errorf("%s %v", out, err)
	}
}
