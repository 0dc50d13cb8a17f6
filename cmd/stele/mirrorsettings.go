package main

import (
	"time"

	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/server"
)

// The least and the usual time between two looks at the primary.
const (
	leastEvery   = 100 * time.Millisecond
	defaultEvery = 2 * time.Second
)

// mirrorSettings are what `stele mirror` can be told: as flags, in the environment and
// in the file. docs/operating.md has them.
type mirrorSettings struct {
	doorSettings
	primary    config.Text
	dir        config.Text
	every      config.Length
	documents  config.Switch
	contactAge config.Length
}

func newMirrorSettings() *mirrorSettings {
	return &mirrorSettings{
		doorSettings: newDoorSettings(server.ScopeEntries | server.ScopeSubmit),
		dir:          ".",
		every:        config.Length(defaultEvery),
		contactAge:   config.Length(server.DefaultContactAge),
	}
}

func (s *mirrorSettings) section() *config.Section {
	c := &config.Section{Name: "mirror"}
	s.add(c)
	c.Add("primary", &s.primary, "the `address` that is followed, where the command names none")
	c.Add("dir", &s.dir, "the `directory` in which .stele is kept")
	c.Add("every", &s.every, "how `long` between two looks at the primary")
	c.Add("attachments", &s.documents, "copy attachments and manifests too, as far as they are there")
	c.Add("contact-age", &s.contactAge, "after how `long` without its primary health says so")
	return c
}

func (s *mirrorSettings) check() error {
	if time.Duration(s.every) < leastEvery {
		return usagef("every %s: at least %s", s.every.String(), leastEvery)
	}
	return s.doorSettings.check()
}
