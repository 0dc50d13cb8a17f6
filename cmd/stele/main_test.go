package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test binary double as the command: scripts, and
// programs that they start, find it in PATH as "stele".
func TestMain(m *testing.M) {
	testscript.Main(interruptible{m}, map[string]func(){"stele": mainServed})
}

// interruptible are tests whose commands can be interrupted, also under nohup or as
// a shell's job in the background: what is ignored there would be by all that is
// started here. What is caught is not inherited.
type interruptible struct{ *testing.M }

func (m interruptible) Run() int {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	return m.M.Run()
}

// scriptsTake bounds all scripts together, so that one that hangs is named.
const scriptsTake = 15 * time.Minute

// underRace are the scripts that the race detector sees.
var underRace = []string{"story", "evidence", "serve", "busy", "fsck", "ssh", "buckets"}

// TestScripts runs testdata/script: one file a theme, each a terminal session
// of people (and attackers) with homes of their own.
func TestScripts(t *testing.T) {
	const dir = "testdata/script"
	underScripts = t
	var files []string // empty: all of dir
	if raceDetector {
		// Each command takes ten times as long to start. These are the scripts
		// whose commands do several things at once; the others would find no race
		// that these do not.
		for _, name := range underRace {
			files = append(files, filepath.Join(dir, name+".txtar"))
		}
		t.Logf("with the race detector, only %v of the scripts are run", underRace)
	}
	testscript.Run(t, testscript.Params{
		Dir:                map[bool]string{false: dir}[raceDetector],
		Files:              files,
		Setup:              setUpScript,
		Cmds:               scriptCommands,
		Condition:          scriptCondition,
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(scriptsTake),
	})
}

// setUpScript gives a script the home of ada, an address that is $FREE for a server
// that is to come back, and nothing of whoever runs the tests: no ledger, no key, no
// trust, no agent, no colours.
func setUpScript(env *testscript.Env) error {
	env.Setenv("TZ", "UTC")
	env.Setenv("LANG", "C.UTF-8")
	env.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	env.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	for _, name := range []string{"STELE_LEDGER", "STELE_KEY", "STELE_TRUST", "SSH_AUTH_SOCK", "NO_COLOR",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} { // to loopback there is none
		env.Setenv(name, "")
	}
	for name, folder := range map[string]string{"EXAMPLES": "examples", "DOCS": "docs", "MODELS": "internal/model/testdata/vectors"} {
		at, err := filepath.Abs(filepath.Join("..", "..", folder))
		if err != nil {
			return err
		}
		env.Setenv(name, at)
	}
	env.Setenv("FREE", freeAddress(env.T()))
	home := filepath.Join(env.WorkDir, ".home", "ada")
	for name, value := range homeOf(home) {
		env.Setenv(name, value)
	}
	return os.MkdirAll(home, 0o755)
}

// homeOf is the environment of a person whose home is dir.
func homeOf(dir string) map[string]string {
	return map[string]string{
		"HOME":         dir,
		"STELE_CONFIG": filepath.Join(dir, "config"),
		"STELE_STATE":  filepath.Join(dir, "state"),
		// A program under the race detector sleeps for a second before it ends.
		"GORACE": "atexit_sleep_ms=0",
	}
}

// servedScripts are run once more with a server on every ledger: see mainServed.
// The others do something to the ledger's own files, or are about something else.
var servedScripts = []string{
	"approve", "contract", "contractattack", "contractimport", "contractrun", "contractverbs", "contractwrong", "diff",
	"evaluation", "evidence", "excuses", "gate", "gateformats", "guide", "identities", "intoto", "narrow", "oms", "oneword",
	"pipeline", "provenrun", "recordrun", "release", "released", "renamed", "rollback", "run", "shows", "ssh", "status", "story",
	"taint", "trace", "traceruns", "verbs", "withdraw",
}

// TestScriptsServed runs scripts over a server that nobody told them of: what every
// verb prints, and how it ends, is as on the directory.
func TestScriptsServed(t *testing.T) {
	if raceDetector {
		t.Skip("each command takes ten times as long to start")
	}
	underScripts = t
	var files []string
	for _, name := range servedScripts {
		files = append(files, filepath.Join("testdata/script", name+".txtar"))
	}
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(env *testscript.Env) error {
			pids := filepath.Join(env.WorkDir, ".served")
			if err := os.MkdirAll(pids, 0o755); err != nil {
				return err
			}
			env.Setenv(servedEnv, pids)
			env.Defer(func() {
				if _, err := endServed(pids); err != nil {
					t.Error(err)
				}
			})
			return setUpScript(env)
		},
		Cmds:               scriptCommands,
		Condition:          scriptCondition,
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(scriptsTake),
	})
}
