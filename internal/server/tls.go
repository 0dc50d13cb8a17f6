package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// maxPEM is the longest file of certificates or keys, in bytes.
const maxPEM = 1 << 20

// ErrTLSFile says that a file of certificates or keys cannot be used.
var ErrTLSFile = errors.New("no file for TLS")

// TLSFiles are the files of a server's certificate, and of the CAs whose client
// certificates it looks at. They are read again when they change.
type TLSFiles struct {
	Cert, Key string
	ClientCA  string // empty: client certificates are not asked for

	now  func() time.Time
	warn func(format string, args ...any)

	mu     sync.Mutex
	looked time.Time
	stamps [3]fileStamp
	cert   *tls.Certificate
	pool   *x509.CertPool
	told   string
	held   map[[32]byte]time.Time // client certificates that hold by the pool, by their SHA-256: until when
}

// maxHeld is how many client certificates are remembered to hold.
const maxHeld = 4096

// holds reports whether the certificate of an open connection is still good by today's
// CAs and today's clock: the handshake may have been long ago.
func (t *TLSFiles) holds(c *tls.ConnectionState) bool {
	_, pool := t.current()
	leaf := c.PeerCertificates[0]
	name, now := sha256.Sum256(leaf.Raw), t.now()
	t.mu.Lock()
	until, known := t.held[name]
	known = known && t.pool == pool
	t.mu.Unlock()
	if known && now.Before(until) {
		return true
	}
	between := x509.NewCertPool()
	for _, one := range c.PeerCertificates[1:] {
		between.AddCert(one)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return false
	}
	until = leaf.NotAfter
	for _, one := range chains[0] {
		if one.NotAfter.Before(until) {
			until = one.NotAfter
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pool == pool {
		if t.held == nil || len(t.held) >= maxHeld {
			t.held = make(map[[32]byte]time.Time)
		}
		t.held[name] = until
	}
	return true
}

// OpenTLS reads the files and returns the configuration that follows them: TLS 1.2 at
// least. A certificate that cannot be read again is used as long as it was; a list of
// CAs that cannot be read lets no client certificate in, for the last one may have
// held what was just taken out.
func OpenTLS(t *TLSFiles, now func() time.Time, warn func(format string, args ...any)) (*tls.Config, error) {
	t.now, t.warn = now, warn
	if err := t.load(); err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, _ := t.current()
			return cert, nil
		},
	}
	if t.ClientCA == "" {
		return c, nil
	}
	// A resumed session would carry a certificate that today's CAs may not know.
	c.SessionTicketsDisabled = true
	c.ClientAuth = tls.VerifyClientCertIfGiven
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := c.Clone()
		now.GetConfigForClient = nil
		_, now.ClientCAs = t.current()
		return now, nil
	}
	return c, nil
}

// current returns what the files say, looked at once a second at most.
func (t *TLSFiles) current() (*tls.Certificate, *x509.CertPool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := t.now().Sub(t.looked); age >= reloadEvery || age < 0 {
		if err := t.read(); err != nil && err.Error() != t.told {
			t.told = err.Error()
			t.warn("TLS files: %v", err)
		} else if err == nil {
			t.told = ""
		}
	}
	return t.cert, t.pool
}

func (t *TLSFiles) load() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read()
}

// read reads what changed. mu is held.
func (t *TLSFiles) read() error {
	t.looked = t.now()
	return errors.Join(t.readCert(), t.readCA())
}

func (t *TLSFiles) readCert() error {
	cert, err := os.Stat(t.Cert)
	if err != nil {
		return err
	}
	key, err := os.Stat(t.Key)
	if err != nil {
		return err
	}
	if t.stamps[0].same(cert) && t.stamps[1].same(key) {
		return nil
	}
	if err := checkPrivate(t.Key, key); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return fmt.Errorf("%w: %s, %s: %w", ErrTLSFile, t.Cert, t.Key, err)
	}
	t.cert, t.stamps[0], t.stamps[1] = &pair, fileStamp{cert}, fileStamp{key}
	return nil
}

// checkPrivate refuses a private key that strangers could read. Its group may: that is
// how a secret is mounted for a service that is not root.
func checkPrivate(name string, info os.FileInfo) error {
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o037 != 0 {
		return fmt.Errorf("%w: others can read the private key %s (mode %04o); chmod 0600 it", ErrTLSFile, name, info.Mode().Perm())
	}
	return nil
}

func (t *TLSFiles) readCA() error {
	if t.ClientCA == "" {
		return nil
	}
	info, err := os.Stat(t.ClientCA)
	if err == nil && t.pool != nil && t.stamps[2].same(info) {
		return nil
	}
	var data []byte
	if err == nil && info.Size() > maxPEM {
		err = fmt.Errorf("%w: %s: more than %d bytes", ErrTLSFile, t.ClientCA, maxPEM)
	}
	if err == nil {
		data, err = os.ReadFile(t.ClientCA)
	}
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(bytes.TrimSpace(data)) {
		err = fmt.Errorf("%w: %s holds no certificate", ErrTLSFile, t.ClientCA)
	}
	if err != nil {
		t.pool, t.stamps[2], t.held = x509.NewCertPool(), fileStamp{}, nil // nobody's
		return err
	}
	t.pool, t.stamps[2], t.held = pool, fileStamp{info}, nil
	return nil
}
