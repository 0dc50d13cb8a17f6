package main

import (
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/server"
)

// serveSettings are what `stele serve` can be told: as flags, in the environment and
// in the file. docs/operating.md has them in a table.
type serveSettings struct {
	listen        config.Text
	hosts         *config.List
	anyHost       config.Switch
	tlsCert       config.Text
	tlsKey        config.Text
	plainHTTP     config.Switch
	access        *config.List
	anonymous     config.Text
	tokens        config.Text
	clientCA      config.Text
	clientRules   *config.List
	proxies       *config.List
	readOnly      config.Switch
	socket        config.Word
	attachments   config.Text
	metricsListen config.Text
	rateAddress   config.Number
	rateIdentity  config.Number
	burst         config.Number
	connections   config.Number
	perAddress    config.Number
	reads         config.Number
	submissions   config.Number
	stopTimeout   config.Length
	cosignedAge   config.Length
	logFormat     config.Word
	logLevel      config.Word
	ciKey         config.Text
	ciRules       config.Text
	ciScopes      config.Text
}

// The words of some settings.
const (
	accessPublic = "public"
	accessTokens = "tokens"
	accessMTLS   = "mtls"

	socketAuto = "auto"
	socketOff  = "off"
)

func newServeSettings() *serveSettings {
	return &serveSettings{
		listen:       "127.0.0.1:7777",
		hosts:        config.NewList(nil),
		access:       config.NewList(func(word string) error { return oneOf("access", word, accessPublic, accessTokens, accessMTLS) }, accessPublic),
		clientRules:  config.NewList(func(text string) error { _, err := server.ParseCertRule(text); return err }),
		proxies:      config.NewList(func(text string) error { _, err := server.ParseProxies([]string{text}); return err }),
		socket:       config.Word{Value: socketAuto, Words: []string{socketAuto, socketOff}},
		rateAddress:  server.DefaultAddressRate,
		rateIdentity: server.DefaultIdentityRate,
		burst:        server.DefaultBurst,
		connections:  server.DefaultConnections,
		perAddress:   server.DefaultAddressConnections,
		reads:        server.DefaultReads,
		submissions:  server.DefaultSubmissions,
		stopTimeout:  config.Length(10 * time.Second),
		cosignedAge:  config.Length(server.DefaultCosignedAge),
		ciScopes:     "entries,submit",
		logFormat:    config.Word{Value: "text", Words: []string{"text", "json"}},
		logLevel:     config.Word{Value: "info", Words: []string{"debug", "info", "warn", "error"}},
	}
}

// section lists the settings by the names they have everywhere.
func (s *serveSettings) section() *config.Section {
	c := &config.Section{Name: "serve"}
	c.Add("listen", &s.listen, "the `address` to listen on; port 0 takes a free one")
	c.Add("host", s.hosts, "a `name` that it answers to; may be repeated")
	c.Add("any-host", &s.anyHost, "answer to any Host name, behind a public address")
	c.Add("tls-cert", &s.tlsCert, "`file` of the certificate and its chain; read again when it changes")
	c.Add("tls-key", &s.tlsKey, "`file` of its private key, which strangers cannot read")
	c.Add("plain-http", &s.plainHTTP, "take tokens without TLS: a proxy in front ends it")
	c.Add("access", s.access, "`who` may come: public, tokens, mtls, or the last two")
	c.Add("anonymous", &s.anonymous, "`scopes` of who shows nothing (public: entries,submit; else none)")
	c.Add("tokens", &s.tokens, "`file` of the tokens (default: with your own files, by ledger)")
	c.Add("client-ca", &s.clientCA, "`file` of the CAs of client certificates")
	c.Add("client-rule", s.clientRules, "`rule` like dns:*.ci.example=submit; may be repeated")
	c.Add("proxy", s.proxies, "`network` of proxies whose X-Forwarded-For counts, for limits alone")
	c.Add("read-only", &s.readOnly, "take no entries")
	c.Add("socket", &s.socket, "auto or off: `whether` commands here find it by the ledger's directory")
	c.Add("attachments", &s.attachments, "`place` of attachments: a folder or a bucket (default: the ledger's)")
	c.Add("metrics-listen", &s.metricsListen, "`address` for Prometheus; empty: none")
	c.Add("rate-address", &s.rateAddress, "`requests` a second of one address; 0: any")
	c.Add("rate-identity", &s.rateIdentity, "`requests` a second of one token or certificate; 0: any")
	c.Add("burst", &s.burst, "`requests` at once of either, before its rate counts")
	c.Add("max-connections", &s.connections, "`connections` at once")
	c.Add("max-address-connections", &s.perAddress, "`connections` at once of one address")
	c.Add("max-reads", &s.reads, "`requests` that read, answered at once")
	c.Add("max-submissions", &s.submissions, "`requests` that submit, at once")
	c.Add("stop-timeout", &s.stopTimeout, "how `long` requests under way may take when it stops")
	c.Add("cosigned-age", &s.cosignedAge, "after how `long` without a quorum health says so")
	c.Add("log-format", &s.logFormat, "`form` of the log: text or json")
	c.Add("log-level", &s.logLevel, "the least `level` that is logged: debug, info, warn, error")
	c.Add("ci-key", &s.ciKey, "`key` of the issuer that signs for CI jobs")
	c.Add("ci-rules", &s.ciRules, "`file` of the rules for the tokens of CI jobs")
	c.Add("ci-scopes", &s.ciScopes, "`scopes` of the bearer token that a job gets with its delegation")
	return c
}

// addFlags makes a flag of each setting.
func addFlags(c *cobra.Command, s *config.Section) {
	for _, x := range s.Settings {
		c.Flags().Var(x.Value, x.Name, x.Usage)
		if _, ok := x.Value.(*config.Switch); ok {
			c.Flags().Lookup(x.Name).NoOptDefVal = "true"
		}
	}
}

// check refuses settings that do not go together, and those that would let a secret
// out.
func (s *serveSettings) check() error {
	has := func(word string) bool { return slices.Contains(s.access.Items(), word) }
	tls := s.tlsCert != "" || s.tlsKey != ""
	near := server.LoopbackAddress(string(s.listen))
	switch {
	case has(accessPublic) && len(s.access.Items()) > 1:
		return usagef("access: public stands alone").withHint("anonymous says what is open to everybody besides tokens and certificates")
	case tls && (s.tlsCert == "" || s.tlsKey == ""):
		return usagef("tls-cert and tls-key go together")
	case has(accessMTLS) && (!tls || s.clientCA == "" || len(s.clientRules.Items()) == 0):
		return usagef("access mtls needs tls-cert, tls-key, client-ca and a client-rule")
	case !has(accessMTLS) && (s.clientCA != "" || len(s.clientRules.Items()) > 0):
		return usagef("client-ca and client-rule are for access mtls")
	case has(accessTokens) && !tls && !near && !bool(s.plainHTTP):
		return usagef("tokens would travel without TLS").withHint("give tls-cert and tls-key; if a proxy in front ends TLS, say plain-http")
	case !has(accessTokens) && s.tokens != "":
		return usagef("tokens are for access tokens")
	case (s.ciKey == "") != (s.ciRules == ""):
		return usagef("ci-key and ci-rules go together")
	case s.ciRules != "" && !tls && !near && !bool(s.plainHTTP):
		return usagef("the tokens of CI jobs would travel without TLS").withHint("give tls-cert and tls-key; if a proxy in front ends TLS, say plain-http")
	}
	_, err := s.anonymousScopes()
	return err
}

// anonymousScopes are those of who shows nothing. Under public, submitting is open,
// too: the ledger takes what is signed by who may sign it, whoever brings it.
func (s *serveSettings) anonymousScopes() (server.Scope, error) {
	switch {
	case s.anonymous != "":
		scopes, err := server.ParseScopes(string(s.anonymous))
		if err != nil {
			return 0, usagef("anonymous: %v", err)
		}
		return scopes, nil
	case slices.Contains(s.access.Items(), accessPublic):
		return server.ScopeEntries | server.ScopeSubmit, nil
	}
	return server.ScopeNone, nil
}

func (s *serveSettings) limits() server.Limits {
	return server.Limits{
		AddressRate: float64(s.rateAddress), IdentityRate: float64(s.rateIdentity), Burst: int(s.burst),
		Connections: int(s.connections), AddressConnections: int(s.perAddress), Reads: int(s.reads), Submissions: int(s.submissions),
	}
}

// logger writes to w, as the settings say.
func (s *serveSettings) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.logLevel.Value)) // one of its four words
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat.Value == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
