package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

func TestIgnore(t *testing.T) {
	dir := folder(t, map[string]string{
		".steleignore": "*.tmp\n# comment\n!keep.tmp\nlogs/\n*.csv\n",
		"a.tmp":        "", "keep.tmp": "", "a.csv": "", "logs/x": "", "logs/y": "", "d/logs/z": "",
		"d/.steleignore": "*\n", "d/train.py": "", ".git/config": "", "__pycache__/x.pyc": "",
	})
	got, res := paths(t, dir, Options{Ignore: []string{"!a.csv"}})
	if want := []string{".steleignore", "__pycache__/x.pyc", "a.csv", "d/.steleignore", "d/train.py", "keep.tmp"}; !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if want := append(DefaultRules(), "*.tmp", "!keep.tmp", "logs/", "*.csv", "!a.csv"); !slices.Equal(res.Rules, want) {
		t.Errorf("rules %q\nwant %q", res.Rules, want)
	}
	if want := []string{".git/", "a.tmp", "d/logs/", "logs/"}; !slices.Equal(res.Hidden, want) || res.HiddenCount != 4 {
		t.Errorf("hidden %q, %d\nwant %q", res.Hidden, res.HiddenCount, want)
	}
	// The list alone gives the same fingerprint, whatever the folder says now.
	_, exact := paths(t, dir, Options{UseExact: true, Exact: res.Rules, Ignore: []string{"*"}})
	if exact.Fingerprint != res.Fingerprint || !slices.Equal(exact.Rules, res.Rules) {
		t.Errorf("with exactly those rules: %v, want %v", exact.Fingerprint, res.Fingerprint)
	}
	got, _ = paths(t, dir, Options{UseExact: true})
	if len(got) != 11 {
		t.Errorf("without any rule: %q", got)
	}
}

func TestHiddenIsBounded(t *testing.T) {
	files := make(map[string]string)
	for i := range MaxHidden + 20 {
		files[fmt.Sprintf("%03d.tmp", i)] = ""
	}
	_, res := paths(t, folder(t, files), Options{Ignore: []string{"*.tmp"}})
	if len(res.Hidden) != MaxHidden || res.HiddenCount != MaxHidden+20 || res.Hidden[0] != "000.tmp" {
		t.Errorf("%d paths of %d", len(res.Hidden), res.HiddenCount)
	}
}

func TestBadIgnoreFile(t *testing.T) {
	for name, data := range map[string]string{
		"too long":        strings.Repeat("x\n", MaxIgnoreFile/2+1),
		"too many rules":  strings.Repeat("x\n", MaxRules+1),
		"not UTF-8":       "caf\xe9\n",
		"a rule too long": strings.Repeat("x", MaxRule+1),
	} {
		_, err := Local(context.Background(), folder(t, map[string]string{IgnoreFile: data}), Options{Algorithm: fingerprint.SHA256}, nil)
		if !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want ErrRule", name, err)
		}
	}
	if _, err := Local(context.Background(), t.TempDir(), Options{Algorithm: fingerprint.SHA256, Ignore: []string{"# x"}}, nil); !errors.Is(err, ErrRule) {
		t.Errorf("a comment as a flag: %v, want ErrRule", err)
	}
}

// TestAttackHideBehindIgnoreFile: somebody alters a file and adds an ignore
// file that hides it. Verification, which uses the stamp's rules, sees both.
func TestAttackHideBehindIgnoreFile(t *testing.T) {
	dir := folder(t, map[string]string{"data.csv": "1,2", "train.py": "print()"})
	_, stamped := paths(t, dir, Options{})
	put(t, dir, "train.py", "print('backdoor')")
	put(t, dir, "extra.py", "import os")
	put(t, dir, IgnoreFile, "*.py\n.steleignore\n")
	got, now := paths(t, dir, Options{UseExact: true, Exact: stamped.Rules})
	if want := []string{IgnoreFile, "data.csv", "extra.py", "train.py"}; !slices.Equal(got, want) || now.Fingerprint == stamped.Fingerprint {
		t.Errorf("verification sees %q, want %q", got, want)
	}
	// A stamp of it would show the file that hides, and say what it hid.
	got, now = paths(t, dir, Options{})
	if !slices.Equal(got, []string{IgnoreFile, "data.csv"}) || !slices.Equal(now.Hidden, []string{"extra.py", "train.py"}) {
		t.Errorf("stamping sees %q and hides %q", got, now.Hidden)
	}
}
