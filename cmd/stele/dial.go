package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/source"
)

// maxCertificates bounds a file of certificates, in bytes.
const maxCertificates = 1 << 20

// silence is how long a server may keep a person waiting before that is said.
const silence = time.Second

// dial returns a client of a server, with this person's token and certificate.
func (a *app) dial(address string) (*client.Client, error) {
	token, err := a.tokenFor(address)
	if err != nil {
		return nil, err
	}
	return a.dialWith(address, token)
}

// dialWith is dial with that token.
func (a *app) dialWith(address, token string) (*client.Client, error) {
	config, err := a.clientTLS()
	if err != nil {
		return nil, err
	}
	var told atomic.Bool
	c, err := client.New(client.Options{
		URL: address, Token: token, Renew: a.renewedToken(address), TLS: config, UserAgent: "stele/" + version,
		Retrying: func(elapsed time.Duration, _ error) { // why, the error says if it stays so
			if elapsed >= silence && !told.Swap(true) {
				a.term.Notef("%s does not answer; trying again", address)
			}
		},
	})
	if err != nil {
		return nil, usagef("%v", err)
	}
	return c, nil
}

// tokenFor returns the token for a server; empty where there is none: that of
// --token-file, $STELE_TOKEN, or what is kept for its host. The first two are sent
// only where the person named the server: a .stele file may come with data, and
// whoever wrote it would get the token.
func (a *app) tokenFor(address string) (string, error) {
	if strings.HasPrefix(address, socketScheme) {
		return "", nil // it opens by the file's permissions
	}
	named := !a.servers.fromFile[address]
	if named && a.tokenFlag != "" {
		text, err := home.ReadSecret(a.tokenFlag)
		if errors.Is(err, fs.ErrNotExist) {
			return "", failf(exitNotFound, "there is no %s", source.Show(a.tokenFlag)).withPath(a.tokenFlag)
		}
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	if env := strings.TrimSpace(a.getenv("STELE_TOKEN")); named && env != "" { // a secret of CI often ends with a line end
		return env, nil
	}
	path, err := a.serverTokenPath(address)
	if err != nil {
		return "", err
	}
	text, err := home.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !named && (a.tokenFlag != "" || a.getenv("STELE_TOKEN") != "") {
			a.servers.unsentToken[address] = true
		}
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// clientTLS is how servers are spoken to: $STELE_TLS_CA are the authorities that
// theirs must be of, instead of the system's; $STELE_TLS_CERT and $STELE_TLS_KEY are
// this person's certificate.
func (a *app) clientTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := a.getenv("STELE_TLS_CA"); ca != "" {
		text, err := readSmall(ca, maxCertificates)
		if err != nil {
			return nil, fmt.Errorf("read $STELE_TLS_CA: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, usagef("$STELE_TLS_CA: %s holds no certificate", ca)
		}
	}
	cert, key := a.getenv("STELE_TLS_CERT"), a.getenv("STELE_TLS_KEY")
	if cert == "" && key == "" {
		return config, nil
	}
	if cert == "" || key == "" {
		return nil, usagef("of $STELE_TLS_CERT and $STELE_TLS_KEY one is missing")
	}
	secret, err := home.ReadSecret(key)
	if err != nil {
		return nil, fmt.Errorf("read $STELE_TLS_KEY: %w", err)
	}
	public, err := readSmall(cert, maxCertificates)
	if err != nil {
		return nil, fmt.Errorf("read $STELE_TLS_CERT: %w", err)
	}
	pair, err := tls.X509KeyPair(public, secret)
	if err != nil {
		return nil, failf(exitError, "$STELE_TLS_CERT and $STELE_TLS_KEY: %w", err).withPath(cert)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
