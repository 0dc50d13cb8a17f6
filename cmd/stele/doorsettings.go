package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/server"
)

// doorSettings are what `stele serve` and `stele mirror` can both be told, by the same
// names: where they listen, who may come in, and what they bear. docs/operating.md has
// them in a table.
type doorSettings struct {
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
	socket        config.Word
	metricsListen config.Text
	rateAddress   config.Number
	rateIdentity  config.Number
	burst         config.Number
	connections   config.Number
	perAddress    config.Number
	reads         config.Number
	submissions   config.Number
	stopTimeout   config.Length
	logFormat     config.Word
	logLevel      config.Word

	public server.Scope // of access public, where anonymous is not set
}

// The words of some settings.
const (
	accessPublic = "public"
	accessTokens = "tokens"
	accessMTLS   = "mtls"

	socketAuto = "auto"
	socketOff  = "off"
)

func newDoorSettings(public server.Scope) doorSettings {
	return doorSettings{
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
		logFormat:    config.Word{Value: "text", Words: []string{"text", "json"}},
		logLevel:     config.Word{Value: "info", Words: []string{"debug", "info", "warn", "error"}},
		public:       public,
	}
}

// add lists the settings by the names they have everywhere.
func (s *doorSettings) add(c *config.Section) {
	c.Add("listen", &s.listen, "the `address` to listen on; port 0 takes a free one")
	c.Add("host", s.hosts, "a `name` that it answers to; may be repeated")
	c.Add("any-host", &s.anyHost, "answer to any Host name, behind a public address")
	c.Add("tls-cert", &s.tlsCert, "`file` of the certificate and its chain; read again when it changes")
	c.Add("tls-key", &s.tlsKey, "`file` of its private key, which strangers cannot read")
	c.Add("plain-http", &s.plainHTTP, "take tokens without TLS: a proxy in front ends it")
	c.Add("access", s.access, "`who` may come: public, tokens, mtls, or the last two")
	c.Add("anonymous", &s.anonymous, "`scopes` of who shows nothing (public: "+s.public.String()+"; else none)")
	c.Add("tokens", &s.tokens, "`file` of the tokens (default: with your own files, by ledger)")
	c.Add("client-ca", &s.clientCA, "`file` of the CAs of client certificates")
	c.Add("client-rule", s.clientRules, "`rule` like dns:*.ci.example=submit; may be repeated")
	c.Add("proxy", s.proxies, "`network` of proxies whose X-Forwarded-For counts, for limits alone")
	c.Add("socket", &s.socket, "auto or off: `whether` commands here find it by the ledger's directory")
	c.Add("metrics-listen", &s.metricsListen, "`address` for Prometheus; empty: none")
	c.Add("rate-address", &s.rateAddress, "`requests` a second of one address; 0: any")
	c.Add("rate-identity", &s.rateIdentity, "`requests` a second of one token or certificate; 0: any")
	c.Add("burst", &s.burst, "`requests` at once of either, before its rate counts")
	c.Add("max-connections", &s.connections, "`connections` at once")
	c.Add("max-address-connections", &s.perAddress, "`connections` at once of one address")
	c.Add("max-reads", &s.reads, "`requests` that read, answered at once")
	c.Add("max-submissions", &s.submissions, "`requests` that submit, at once")
	c.Add("stop-timeout", &s.stopTimeout, "how `long` requests under way may take when it stops")
	c.Add("log-format", &s.logFormat, "`form` of the log: text or json")
	c.Add("log-level", &s.logLevel, "the least `level` that is logged: debug, info, warn, error")
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

// settingsFlags are the flags of a command that has settings, besides these.
type settingsFlags struct {
	file  string
	print bool
}

func (f *settingsFlags) add(c *cobra.Command, s *config.Section) {
	c.Flags().StringVar(&f.file, "config", "", "a `file` of settings (default $STELE_CONFIG_FILE)")
	c.Flags().BoolVar(&f.print, "print-config", false, "print every setting, with where it was set, and end")
	addFlags(c, s)
}

// load sets what flags did not; done says that the settings were printed, and no more
// was asked for.
func (f *settingsFlags) load(a *app, c *cobra.Command, s *config.Section) (done bool, err error) {
	if f.file == "" {
		f.file = a.getenv("STELE_CONFIG_FILE")
	}
	from, err := s.Load(f.file, a.getenv, c.Flags().Changed)
	var wrong *config.Error
	if errors.As(err, &wrong) {
		return false, usagef("%v", err).withPath(f.file).withHint("docs/operating.md has the settings; `stele " + s.Name + " --print-config` shows what holds")
	}
	if errors.Is(err, os.ErrNotExist) {
		return false, failf(exitNotFound, "%s is not there", f.file).withPath(f.file)
	}
	if err != nil || !f.print {
		return false, err
	}
	return true, s.Print(a.stdout, from)
}

func (s *doorSettings) hasAccess(word string) bool { return slices.Contains(s.access.Items(), word) }

// tls reports whether it speaks TLS; near whether nobody but this machine hears it.
func (s *doorSettings) tls() bool  { return s.tlsCert != "" || s.tlsKey != "" }
func (s *doorSettings) near() bool { return server.LoopbackAddress(string(s.listen)) }

// check refuses settings that do not go together, and those that would let a secret
// out.
func (s *doorSettings) check() error {
	switch {
	case s.hasAccess(accessPublic) && len(s.access.Items()) > 1:
		return usagef("access: public stands alone").withHint("anonymous says what is open to everybody besides tokens and certificates")
	case s.tls() && (s.tlsCert == "" || s.tlsKey == ""):
		return usagef("tls-cert and tls-key go together")
	case s.hasAccess(accessMTLS) && (!s.tls() || s.clientCA == "" || len(s.clientRules.Items()) == 0):
		return usagef("access mtls needs tls-cert, tls-key, client-ca and a client-rule")
	case !s.hasAccess(accessMTLS) && (s.clientCA != "" || len(s.clientRules.Items()) > 0):
		return usagef("client-ca and client-rule are for access mtls")
	case s.hasAccess(accessTokens) && !s.tls() && !s.near() && !bool(s.plainHTTP):
		return usagef("tokens would travel without TLS").withHint("give tls-cert and tls-key; if a proxy in front ends TLS, say plain-http")
	case !s.hasAccess(accessTokens) && s.tokens != "":
		return usagef("tokens are for access tokens")
	}
	_, err := s.anonymousScopes()
	return err
}

// exposed is what somebody may not know who opens a server beyond this machine.
func (s *doorSettings) exposed(anonymous server.Scope) (warnings []string) {
	if s.near() {
		return nil
	}
	if anonymous.Allows(server.ScopeEntries) {
		warnings = append(warnings, "everybody who reaches this address can read every entry")
	}
	if !s.tls() && !bool(s.plainHTTP) {
		warnings = append(warnings, "commands on other machines take https alone: give tls-cert and tls-key; if a proxy in front ends TLS, say plain-http")
	}
	return warnings
}

// anonymousScopes are those of who shows nothing.
func (s *doorSettings) anonymousScopes() (server.Scope, error) {
	switch {
	case s.anonymous != "":
		scopes, err := server.ParseScopes(string(s.anonymous))
		if err != nil {
			return 0, usagef("anonymous: %v", err)
		}
		return scopes, nil
	case s.hasAccess(accessPublic):
		return s.public, nil
	}
	return server.ScopeNone, nil
}

func (s *doorSettings) limits() server.Limits {
	return server.Limits{
		AddressRate: float64(s.rateAddress), IdentityRate: float64(s.rateIdentity), Burst: int(s.burst),
		Connections: int(s.connections), AddressConnections: int(s.perAddress), Reads: int(s.reads), Submissions: int(s.submissions),
	}
}

// logger writes to w, as the settings say.
func (s *doorSettings) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.logLevel.Value)) // one of its four words
	o := &slog.HandlerOptions{Level: level}
	if s.logFormat.Value == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
