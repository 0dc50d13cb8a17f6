package main

import (
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/server"
)

// serveSettings are what `stele serve` can be told: as flags, in the environment and
// in the file. docs/operating.md has them in a table.
type serveSettings struct {
	doorSettings
	readOnly    config.Switch
	attachments config.Text
	documents   byteSize
	cosignedAge config.Length
	ciKey       config.Text
	ciRules     config.Text
	ciScopes    config.Text
}

func newServeSettings() *serveSettings {
	return &serveSettings{
		// Submitting is open, too: the ledger takes what is signed by who may sign it,
		// whoever brings it.
		doorSettings: newDoorSettings(server.ScopeEntries | server.ScopeSubmit),
		documents:    api.DefaultMaxDocuments,
		cosignedAge:  config.Length(server.DefaultCosignedAge),
		ciScopes:     "entries,submit",
	}
}

// section lists the settings by the names they have everywhere.
func (s *serveSettings) section() *config.Section {
	c := &config.Section{Name: "serve"}
	s.add(c)
	c.Add("read-only", &s.readOnly, "take no entries")
	c.Add("attachments", &s.attachments, "`place` of attachments: a folder or a bucket (default: the ledger's)")
	c.Add("max-documents", &s.documents, "`size` of all attachments and manifests that are kept")
	c.Add("cosigned-age", &s.cosignedAge, "after how `long` without a quorum health says so")
	c.Add("ci-key", &s.ciKey, "`key` of the issuer that signs for CI jobs")
	c.Add("ci-rules", &s.ciRules, "`file` of the rules for the tokens of CI jobs")
	c.Add("ci-scopes", &s.ciScopes, "`scopes` of the bearer token that a job gets with its delegation")
	return c
}

func (s *serveSettings) check() error {
	switch {
	case (s.ciKey == "") != (s.ciRules == ""):
		return usagef("ci-key and ci-rules go together")
	case s.ciRules != "" && !s.tls() && !s.near() && !bool(s.plainHTTP):
		return usagef("the tokens of CI jobs would travel without TLS").withHint("give tls-cert and tls-key; if a proxy in front ends TLS, say plain-http")
	}
	return s.doorSettings.check()
}
