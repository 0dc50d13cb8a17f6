package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, next: 2}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issue makes a certificate as a template asks.
func (a *authority) issue(template x509.Certificate) tls.Certificate {
	a.t.Helper()
	a.next++
	template.SerialNumber = big.NewInt(a.next)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	k := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// keep writes a certificate and its key into dir.
func keep(t *testing.T, dir string, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put(t, cert, certPEM(c.Certificate[0]))
	put(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return cert, key
}

// put replaces a file with another.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func serverTemplate() x509.Certificate {
	return x509.Certificate{DNSNames: []string{"ledger.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
}

func clientTemplate(dns string) x509.Certificate {
	return x509.Certificate{DNSNames: []string{dns}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

// tlsStanding serves with TLS, and says how a client with a certificate fares.
type tlsStanding struct {
	*testClock
	t       *testing.T
	address string
	roots   *x509.CertPool
	files   *TLSFiles
}

func standTLS(t *testing.T, ca, clients *authority, rules ...string) *tlsStanding {
	t.Helper()
	s := &tlsStanding{testClock: newTestClock(), t: t, roots: x509.NewCertPool()}
	s.roots.AddCert(ca.cert)
	s.now = time.Now() // as the handshakes have it
	dir := t.TempDir()
	s.files = &TLSFiles{ClientCA: filepath.Join(dir, "clients.pem")}
	s.files.Cert, s.files.Key = keep(t, dir, ca.issue(serverTemplate()))
	put(t, s.files.ClientCA, certPEM(clients.cert.Raw))
	config, err := OpenTLS(s.files, s.Now, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var access Access
	for _, text := range rules {
		rule, err := ParseCertRule(text)
		if err != nil {
			t.Fatal(err)
		}
		access.Certs = append(access.Certs, rule)
	}
	front := NewFront(FrontOptions{Access: access})
	mux := http.NewServeMux()
	for _, r := range testRules {
		mux.Handle(r.pattern, front.Route(r.rule, http.HandlerFunc(echo)))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- OpenDoors(ctx, []Door{{Listener: l, Handler: front.Handler(mux), TLS: config, Files: s.files}}, DoorOptions{Stop: time.Second})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// get returns the status, or why there is none.
func (s *tlsStanding) get(path string, config *tls.Config) (int, string, error) {
	s.t.Helper()
	config.RootCAs, config.ServerName = s.roots, "ledger.example"
	tr := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("https://" + s.address + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func (s *tlsStanding) expect(what string, status int, path string, with ...tls.Certificate) string {
	s.t.Helper()
	got, body, err := s.get(path, &tls.Config{Certificates: with})
	if err != nil || got != status {
		s.t.Errorf("%s: %s: status %d (%v), want %d: %s", what, path, got, err, status, body)
	}
	return body
}

// TestClientCertificates: who shows one of the CA has what the rules give, and nobody
// else has anything.
func TestClientCertificates(t *testing.T) {
	ca, clients, strangers := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "clients")
	s := standTLS(t, ca, clients, "dns:*.ci.example=entries,submit", "uri:spiffe://ci.example/*=submit", "cn:reader=entries")
	body := s.expect("a runner", 200, "/entries", clients.issue(clientTemplate("a.ci.example")))
	if !strings.HasPrefix(body, "dns:a.ci.example ") {
		t.Errorf("its name is %q", body)
	}
	s.expect("nobody", 401, "/entries")
	s.expect("nobody, who asks whether it lives", 200, "/none")
	for _, name := range []string{"ci.example", "a.b.ci.example", "xci.example", "*.ci.example", "a.ci.example.evil.example"} {
		s.expect(name, 403, "/entries", clients.issue(clientTemplate(name)))
	}
	spiffe := func(text string) tls.Certificate {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c := clientTemplate("other.example")
		c.URIs = []*url.URL{u}
		return clients.issue(c)
	}
	s.expect("a workload that may only submit", 403, "/entries", spiffe("spiffe://ci.example/job"))
	s.expect("a workload of another domain", 403, "/entries", spiffe("spiffe://ci.example.evil/job"))
	reader := clientTemplate("other.example")
	reader.Subject.CommonName = "reader"
	s.expect("by common name", 200, "/entries", clients.issue(reader))

	// A certificate that is not the CA's, has ended, or is for something else, does
	// not come as far as a request.
	ended := clientTemplate("a.ci.example")
	ended.NotBefore, ended.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	for what, c := range map[string]tls.Certificate{
		"another CA of the same name": strangers.issue(clientTemplate("a.ci.example")),
		"one that has ended":          clients.issue(ended),
		"a server's":                  clients.issue(x509.Certificate{DNSNames: []string{"a.ci.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
	} {
		// Go's client would send none that the server's list does not name: it is made to.
		forced := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }}
		if status, body, err := s.get("/none", forced); err == nil {
			t.Errorf("%s: status %d: %s", what, status, body)
		}
	}
	if _, _, err := s.get("/none", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
}

// TestFilesAreReadAgain: a new certificate is shown, an unreadable one leaves the old;
// a CA that was taken out lets nobody in, and neither does a list that is broken.
func TestFilesAreReadAgain(t *testing.T) {
	ca, clients, others := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "others")
	s := standTLS(t, ca, clients, "dns:a.example=entries")
	mine, theirs := clients.issue(clientTemplate("a.example")), others.issue(clientTemplate("a.example"))
	s.expect("the CA's", 200, "/entries", mine)

	put(t, s.files.ClientCA, certPEM(others.cert.Raw))
	s.advance(reloadEvery)
	s.expect("the new CA's", 200, "/entries", theirs)
	forced := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &mine, nil }}
	if status, _, err := s.get("/entries", forced); err == nil {
		t.Errorf("the CA that was taken out: status %d", status)
	}
	put(t, s.files.ClientCA, []byte("nothing"))
	s.advance(reloadEvery)
	forced = &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &theirs, nil }}
	if status, _, err := s.get("/entries", forced); err == nil {
		t.Errorf("a list that is broken: status %d", status)
	}
	s.expect("nobody", 200, "/none")

	serial := func() string {
		c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, ServerName: "ledger.example"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	next := ca.issue(serverTemplate())
	keep(t, filepath.Dir(s.files.Cert), next)
	s.advance(reloadEvery)
	after := serial()
	if before == after {
		t.Error("the new certificate is not shown")
	}
	put(t, s.files.Cert, []byte("nothing"))
	s.advance(reloadEvery)
	if serial() != after {
		t.Error("a certificate that cannot be read is not the one before")
	}
}

// TestConnectionOutlivesItsCertificate: a connection that stays open is no better than
// a new one, once its certificate's CA was taken out, or its time is over.
func TestConnectionOutlivesItsCertificate(t *testing.T) {
	for _, over2 := range []bool{false, true} {
		for what, change := range map[string]func(*tlsStanding){
			"its CA was taken out": func(s *tlsStanding) {
				put(t, s.files.ClientCA, certPEM(newAuthority(t, "others").cert.Raw))
				s.advance(reloadEvery)
			},
			"the list of CAs is broken": func(s *tlsStanding) {
				put(t, s.files.ClientCA, []byte("nothing"))
				s.advance(reloadEvery)
			},
			"it is over": func(s *tlsStanding) { s.advance(2 * time.Hour) },
		} {
			ca, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
			s := standTLS(t, ca, clients, "dns:a.example=entries")
			tr := &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs: s.roots, ServerName: "ledger.example", Certificates: []tls.Certificate{clients.issue(clientTemplate("a.example"))},
			}, ForceAttemptHTTP2: over2}
			defer tr.CloseIdleConnections()
			ask := func(want int, reused bool) {
				t.Helper()
				var kept bool
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { kept = i.Reused }})
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+"/entries", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := tr.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, _ = io.Copy(io.Discard, resp.Body)
				if resp.StatusCode != want || kept != reused || resp.ProtoMajor == 2 != over2 {
					t.Errorf("%s: %s %d, on an open connection: %v; want %d", what, resp.Proto, resp.StatusCode, kept, want)
				}
			}
			ask(http.StatusOK, false)
			for range 3 {
				ask(http.StatusOK, true)
			}
			change(s)
			ask(http.StatusUnauthorized, true)
		}
	}
}

// TestReadableKeyRefused: a private key that strangers can read is none.
func TestReadableKeyRefused(t *testing.T) {
	dir := t.TempDir()
	files := new(TLSFiles)
	files.Cert, files.Key = keep(t, dir, newAuthority(t, "servers").issue(serverTemplate()))
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o604: false, 0o660: false, 0o777: false} {
		if err := os.Chmod(files.Key, mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenTLS(&TLSFiles{Cert: files.Cert, Key: files.Key}, time.Now, t.Logf)
		if (err == nil) != want || err != nil && !errors.Is(err, ErrTLSFile) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestCertRules(t *testing.T) {
	for _, good := range []string{"dns:*.ci.example=entries,submit", "uri:spiffe://a/*=none", "email:a=b@x.example=proofs", "cn:A B=entries", "spki:" + strings.Repeat("0a", 32) + "=submit"} {
		r, err := ParseCertRule(good)
		if err != nil || r.String() != good {
			t.Errorf("%q: %v, %v", good, r, err)
		}
	}
	for _, bad := range []string{"", "=", "dns", "dns:a", "dns:=entries", "dns:*=entries", "dns:a.*=entries", "dns:*.*.x=entries", "uri:*=entries", "cn:*=entries", "any:x=entries", "spki:00=entries", "dns:a=all", "dns:a=entries,entries"} {
		if r, err := ParseCertRule(bad); err == nil {
			t.Errorf("%q is %v", bad, r)
		}
	}
}
