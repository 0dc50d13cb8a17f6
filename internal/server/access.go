package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/stele-ml/stele/internal/wire"
)

// Identity is who asks, as far as access is concerned. It signs nothing: what the
// ledger admits depends on the envelope's signature alone.
type Identity struct {
	Name   string // "token:ci", "dns:runner.ci.example", "socket"; empty: anonymous
	Scopes Scope
}

// Access decides who may come in. Nothing that a proxy writes into a header counts.
type Access struct {
	Tokens    *Tokens    // nil: no bearer token is looked at
	Jobs      *Sessions  // nil: CI jobs get none
	Certs     []CertRule // for certificates that the TLS configuration has verified
	Anonymous Scope      // of everybody who shows nothing
	Realm     string     // what a client is told that it needs a token for
}

// socketKey marks the context of connections over the server's own socket.
type socketKey struct{}

// filesKey has the files that a connection's client certificate is held to.
type filesKey struct{}

// onSocket says that a connection came through the server's own socket, which only
// its owner can open.
func onSocket(ctx context.Context) context.Context {
	return context.WithValue(ctx, socketKey{}, true)
}

// identify finds out who asks. A credential that is not good is refused, whatever
// would be open without one: who holds a token that was revoked is to hear it.
func (a *Access) identify(r *http.Request) (Identity, *denial) {
	if r.Context().Value(socketKey{}) != nil {
		return Identity{Name: "socket", Scopes: ScopeAll}, nil
	}
	if shown := r.Header.Values("Authorization"); len(shown) > 0 && (a.Tokens != nil || a.Jobs != nil) {
		return a.byToken(shown)
	}
	if len(a.Certs) > 0 && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if files, ok := r.Context().Value(filesKey{}).(*TLSFiles); ok && !files.holds(r.TLS) {
			return Identity{}, hangUp(a.unauthorized("invalid_token", "the certificate of this connection does not hold any more"))
		}
		who := ofCertificate(a.Certs, r.TLS.VerifiedChains[0][0])
		who.Scopes |= a.Anonymous
		return who, nil
	}
	return Identity{Scopes: a.Anonymous}, nil
}

func (a *Access) byToken(shown []string) (Identity, *denial) {
	scheme, text, _ := strings.Cut(shown[0], " ")
	if len(shown) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, a.unauthorized("invalid_request", "this server takes one Authorization header, with a bearer token")
	}
	if who, ok := a.Jobs.check(strings.TrimSpace(text)); ok {
		who.Scopes |= a.Anonymous
		return who, nil
	}
	if a.Tokens == nil {
		return Identity{}, a.unauthorized("invalid_token", "a job's token that is over, or none of this server's")
	}
	token, err := a.Tokens.check(strings.TrimSpace(text))
	switch {
	case err == nil:
		return Identity{Name: "token:" + token.Name, Scopes: token.Scopes | a.Anonymous}, nil
	case errors.Is(err, errTokenUnknown), errors.Is(err, errTokenExpired), errors.Is(err, errTokenRevoked):
		d := a.unauthorized("invalid_token", err.Error())
		if token.Name != "" {
			d.who = "token:" + token.Name
		}
		return Identity{}, d
	}
	return Identity{}, deny(http.StatusServiceUnavailable, wire.CodeUnavailable, "tokens",
		"the server cannot read its tokens", "whoever runs the server finds the reason in its log")
}

// may refuses who lacks a route's scope.
func (a *Access) may(who Identity, need Scope) *denial {
	switch {
	case who.Scopes.Allows(need):
		return nil
	case who.Name == "" && a.Tokens == nil && a.Jobs == nil && len(a.Certs) == 0: // nothing that could be shown would help
		return deny(http.StatusForbidden, wire.CodeForbidden, "scope", "nobody has the scope "+need.String()+" at this address",
			"ask whoever runs the server which address is for that")
	case who.Name == "":
		return a.unauthorized("", "no token and no certificate was shown, and this needs the scope "+need.String())
	}
	d := deny(http.StatusForbidden, wire.CodeForbidden, "scope",
		"this needs the scope "+need.String()+"; "+who.Name+" has "+who.Scopes.String(), "ask whoever runs the server for that scope")
	d.challenge = a.challenge("insufficient_scope", need)
	return d
}

func (a *Access) unauthorized(class, detail string) *denial {
	hint := "get a token from whoever runs the server, and give it in $STELE_TOKEN"
	switch {
	case a.Tokens == nil && len(a.Certs) == 0:
		hint = "a CI job gets another: `stele login`"
	case a.Tokens == nil:
		hint = "show a client certificate: $STELE_TLS_CERT and $STELE_TLS_KEY"
	}
	d := deny(http.StatusUnauthorized, wire.CodeUnauthorized, "credentials", detail, hint)
	d.challenge = a.challenge(class, ScopeNone)
	return d
}

// challenge is the WWW-Authenticate header (RFC 6750, section 3). A certificate has
// no challenge of its own, but RFC 9110 wants one with every 401.
func (a *Access) challenge(class string, need Scope) string {
	text := `Bearer realm="` + quotable(a.Realm) + `"`
	if class != "" {
		text += `, error="` + class + `"`
	}
	if need != ScopeNone {
		text += `, scope="` + strings.ReplaceAll(need.String(), ",", " ") + `"`
	}
	return text
}

// quotable is a text without what would end a quoted string of a header.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}
