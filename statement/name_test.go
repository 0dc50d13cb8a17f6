package statement

import (
	"errors"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	checks := map[string]func(string) error{
		"name": CheckName, "version": CheckVersion, "handle": CheckHandle, "origin": CheckOrigin, "pattern": CheckPattern,
	}
	for _, test := range []struct {
		what, good, bad string // separated by spaces; ␠ stands for a space
	}{
		{"name",
			"a 0 fraud/train a.b_c-d/0 " + strings.Repeat("a", MaxName),
			"/ a/ /a a//b . .. a/.. a/../b .hidden a/.b -a a/-b _a A a@b a␠b a:b a*b a+b ä a\x00 a\n \u202ea " + strings.Repeat("a", MaxName+1)},
		{"version",
			"1 2026.11 v1.0.0-rc.1+build_7 A 0 " + strings.Repeat("9", MaxVersion),
			"-1 +1 . .1 _1 1/2 1@2 1␠2 1* é 1\t " + strings.Repeat("9", MaxVersion+1)},
		{"handle",
			"alice ci-7 a.b_c 7 recovery " + strings.Repeat("a", MaxHandle),
			"Alice -a .a a@b a/b a␠b \u200ba " + strings.Repeat("a", MaxHandle+1)},
		{"origin",
			"stele.example/fraud-4f7a20c1 localhost:8080/x A~b_c " + strings.Repeat("a", MaxOrigin),
			"/x -x a+b a␠b a\n é https://é " + strings.Repeat("a", MaxOrigin+1)},
		{"pattern",
			"* a a* a/* fraud/train fraud/tr* a-*",
			"** *a a*b /* a//* .* a/.* A* a@* a␠* " + strings.Repeat("a", MaxName) + "*"},
	} {
		check := checks[test.what]
		for good := range strings.SplitSeq(test.good, " ") {
			if err := check(good); err != nil {
				t.Errorf("%s %q: %v", test.what, good, err)
			}
		}
		for bad := range strings.SplitSeq(test.bad+" ", " ") {
			if err := check(strings.ReplaceAll(bad, "␠", " ")); !errors.Is(err, ErrFormat) {
				t.Errorf("%s %q was accepted: %v", test.what, bad, err)
			}
		}
	}
}

func TestMatchName(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b", true}, {"a/*", "a/b", true}, {"a/*", "a/b/c", true}, {"a/*", "a", false}, {"a/*", "ab", false},
		{"a*", "a", true}, {"a*", "ab/c", true}, {"a", "a", true}, {"a", "ab", false}, {"ab", "a", false}, {"a/b", "a/b", true}, {"", "a", false},
	} {
		if got := MatchName(test.pattern, test.name); got != test.want {
			t.Errorf("MatchName(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

func TestParseNameVersion(t *testing.T) {
	if name, version, err := ParseNameVersion("fraud/train@2026.11"); err != nil || name != "fraud/train" || version != "2026.11" {
		t.Errorf("got %q %q %v", name, version, err)
	}
	for _, bad := range []string{"", "a", "a@", "@1", "a@1@2", "a @1", "A@1"} {
		if _, _, err := ParseNameVersion(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Text that a terminal shows is what was signed.
func TestAttackerMisleadsTerminal(t *testing.T) {
	for _, good := range []string{"consent was revoked", "Überprüfung «7» — ok?", "مرحبا", "שלום", "👩\u200d🔬 می\u200cخواهم", "a\\n", strings.Repeat("é", MaxReason/2)} {
		if err := CheckText("reason", good, MaxReason); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for name, bad := range map[string]string{
		"nothing": "", "a line break": "a\nb", "a carriage return": "ok\rno", "a tab": "a\tb", "an escape": "\x1b[2J", "NUL": "a\x00",
		"a bell": "\a", "delete": "a\x7f", "C1": "\u009b2J", "next line": "a\u0085b", "an override": "a\u202eb", "an embedding": "\u202a", "an isolate": "\u2066a\u2069",
		"a mark": "\u200f", "an Arabic mark": "\u061c", "a line separator": "\u2028", "a zero-width space": "a\u200bb", "a word joiner": "\u2060",
		"a byte order mark": "\ufeffa", "a soft hyphen": "a\u00adb", "a tag": "\U000e0041", "an annotation": "\ufff9",
		"invalid UTF-8": "a\xff", "a surrogate": "\xed\xa0\x80", "too long": strings.Repeat("é", MaxReason/2) + "x",
	} {
		if err := CheckText("reason", bad, MaxReason); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		} else if strings.ContainsAny(err.Error(), "\n\r\x1b\u202e\u009b") {
			t.Errorf("%s: the message itself misleads: %q", name, err)
		}
	}
}

// Every error of a class says so, can carry a hint, and shows foreign text safely.
func TestErrors(t *testing.T) {
	_, err := ParsePublicKey(must(MarshalPrivateKey(p256Key("alice"))))
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || hinted.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	for _, err := range []error{CheckName("\x1b[2J\u202e"), CheckVersion("\u009b"), CheckHandle("\n"), CheckOrigin("\r"), CheckPattern("\x1b*")} {
		if strings.ContainsAny(err.Error(), "\n\r\x1b\u202e\u009b") {
			t.Errorf("the message misleads: %q", err)
		}
	}
}

func TestIDs(t *testing.T) {
	key := id("bob")
	if got, err := ParseKeyID(key.String()); err != nil || got != key {
		t.Errorf("key id %v, %v", got, err)
	}
	if got, err := ParseLedgerID(testLedger.String()); err != nil || got != testLedger || got.IsZero() {
		t.Errorf("ledger id %v, %v", got, err)
	}
	if got, err := ParseID(ID(testLedger).String()); err != nil || got != ID(testLedger) || got.IsZero() {
		t.Errorf("statement id %v, %v", got, err)
	}
	n := testNonce("x")
	if got, err := ParseNonce(n.String()); err != nil || got != n {
		t.Errorf("nonce %v, %v", got, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("A", 64), strings.Repeat("0", 63) + "g", strings.Repeat("0", 66), " " + strings.Repeat("0", 63)} {
		if _, err := ParseKeyID(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := new(Nonce).UnmarshalText([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := new(ID).UnmarshalText([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestVKeys(t *testing.T) {
	good := vkey(testOrigin, edKey("log"))
	if err := CheckVKey(good, testOrigin); err != nil {
		t.Error(err)
	}
	parts := strings.SplitN(good, "+", 3)
	for name, bad := range map[string]string{
		"nothing": "", "a name": testOrigin, "another name": vkey("other", edKey("log")), "a space": good + " ", "a line break": good + "\n",
		"no hash": parts[0] + "+" + parts[2], "another hash": parts[0] + "+00000000+" + parts[2],
		"unpadded": strings.TrimRight(parts[0]+"+"+parts[1]+"+"+parts[2], "j"), "a renamed key": "x+" + parts[1] + "+" + parts[2],
	} {
		if err := CheckVKey(bad, testOrigin); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "a+b", "a+b+c", "a+b+" + base64Of(make([]byte, 33)), "a+b+" + base64Of(append([]byte{1}, make([]byte, 32)...))} {
		if _, err := VKeyMaterial(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// A witness's vkey has the type byte 0x04, and the same key the same material.
	witness := append([]byte{vkeyCosignature}, ed("log").PublicKey().Bytes()[len(spkiEd25519):]...)
	if got, err := VKeyMaterial("w+00000000+" + base64Of(witness)); err != nil || got != ed("log").PublicKey().Material() {
		t.Errorf("a witness with the log's key: %v", err)
	}
}

func TestDetailsRefuse(t *testing.T) {
	good := string(must(testDetails().Marshal()))
	for name, change := range map[string][2]string{
		"another form":          {"details/v1", "details/v2"},
		"an unknown member":     {`"host"`, `"user":"x","host"`},
		"white space":           {`,"host"`, `, "host"`},
		"another order":         {`"host":"worker-7",`, ``},
		"an escape":             {"worker-7", `w\u006frker-7`},
		"an empty list":         {`"locations":["/data/train","s3://bucket/train"]`, `"locations":[]`},
		"a short salt":          {`"salt":"42`, `"salt":"`},
		"an upper-case salt":    {`6f191f`, `6F191F`},
		"NUL":                   {"worker-7", `worker\u0000`},
		"a number":              {`"1e-4"`, `1`},
		"null":                  {`"worker-7"`, `null`},
		"a manifest of nothing": {`"size":8`, `"size":0`},
		"a tree of nothing":     {`,"manifest"`, `,"tree":{},"manifest"`},
		"an empty count":        {`,"manifest"`, `,"tree":{"changed":1,"deleted":0},"manifest"`},
		"unsorted parameters":   {`"epochs":"3","lr":"1e-4"`, `"lr":"1e-4","epochs":"3"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if name == "another order" {
			bad = strings.Replace(bad, `,"manifest"`, `,"host":"worker-7","manifest"`, 1)
		}
		if bad == good {
			t.Fatalf("%s: %q is not in %s", name, change[0], good)
		}
		if d, err := ParseDetails([]byte(bad)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	for name, change := range map[string]func(*Details){
		"no salt":       func(d *Details) { d.Salt = [32]byte{} },
		"NUL":           func(d *Details) { d.Command = []string{"a\x00"} },
		"invalid UTF-8": func(d *Details) { d.Environment = map[string]string{"A": "\xff"} },
		"too much":      func(d *Details) { d.Host = strings.Repeat("x", MaxDetails) },
		"an empty one":  func(d *Details) { d.Manifest = &Attachment{} },
		"2^53 bytes":    func(d *Details) { d.Tree.LeftOutBytes = 1 << 53 },
	} {
		d := testDetails()
		change(d)
		if _, err := d.Marshal(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
