package evidence

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxPolicy is the longest trust file, in bytes.
	MaxPolicy = 256 << 10

	// MaxPolicyLines is the most logs, witnesses and groups, of each kind,
	// in a trust file.
	MaxPolicyLines = 128
)

// Policy is what a person trusts: the keys of logs, the keys of witnesses, and
// which of those witnesses must have cosigned a checkpoint. It is the trust
// file.
// Source: c2sp.org/tlog-policy. Page: docs/formats/trust.md.
//
// The zero Policy names no log, so it trusts none; make one with ParsePolicy
// or fill in the fields and call Check.
type Policy struct {
	Logs      []PolicyLog
	Witnesses []PolicyWitness
	Groups    []PolicyGroup // each may name only groups before it
	Quorum    string        // the name of a witness or a group, or QuorumNone
}

// QuorumNone is the Quorum of a policy that asks for no witness.
const QuorumNone = "none"

// PolicyLog is a log that is trusted: any one of a policy's logs will do.
type PolicyLog struct {
	Key VKey   // of LogKeyType; its name is the log's origin
	URL string // optional
}

// PolicyWitness is a witness that is known.
type PolicyWitness struct {
	Name string // in this policy only
	Key  VKey   // of WitnessKeyType
	URL  string // optional
}

// PolicyGroup is satisfied if K of its members are.
type PolicyGroup struct {
	Name    string
	K       int      // 1 to len(Members)
	Members []string // witnesses and groups
}

// NewPolicy returns the policy that trusts one log and asks for no witness.
func NewPolicy(key VKey, url string) *Policy {
	return &Policy{Logs: []PolicyLog{{Key: key, URL: url}}, Quorum: QuorumNone}
}

// ParsePolicy parses a trust file. Comments and spacing are free and are not
// kept; everything else that String would not write is an ErrFormat naming the
// line.
func ParsePolicy(data []byte) (*Policy, error) {
	if len(data) > MaxPolicy {
		return nil, fmt.Errorf("trust policy: %w: %d bytes, the limit is %d", ErrFormat, len(data), MaxPolicy)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, fmt.Errorf("trust policy: %w: the last line does not end with a newline; is the file cut short?", ErrFormat)
	}
	p := new(Policy)
	defined := map[string]bool{} // names above the line: order counts in the file
	for n, line := range bytes.Split(data, []byte("\n")) {
		if err := p.parseLine(string(line), defined); err != nil {
			return nil, fmt.Errorf("trust policy, line %d: %w", n+1, err)
		}
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Policy) parseLine(line string, defined map[string]bool) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
	}
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return bad("control character 0x%02x", c)
		}
	}
	item := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(item) == 0 || item[0][0] == '#' {
		return nil
	}
	optional := func(i int) string {
		if i < len(item) {
			return item[i]
		}
		return ""
	}
	switch item[0] {
	case "log":
		if len(item) < 2 || len(item) > 3 {
			return bad("want: log <vkey> [<url>]")
		}
		k, err := ParseVKey(item[1])
		if err != nil {
			return err
		}
		p.Logs = append(p.Logs, PolicyLog{Key: k, URL: optional(2)})
	case "witness":
		if len(item) < 3 || len(item) > 4 {
			return bad("want: witness <name> <vkey> [<url>]")
		}
		k, err := ParseVKey(item[2])
		if err != nil {
			return err
		}
		p.Witnesses = append(p.Witnesses, PolicyWitness{Name: item[1], Key: k, URL: optional(3)})
		defined[item[1]] = true
	case "group":
		if len(item) < 4 {
			return bad("want: group <name> <k|any|all> <member>...")
		}
		g := PolicyGroup{Name: item[1], Members: item[3:]}
		switch item[2] {
		case "any":
			g.K = 1
		case "all":
			g.K = len(g.Members)
		default:
			k, err := strconv.Atoi(item[2])
			if err != nil || strconv.Itoa(k) != item[2] {
				return bad("threshold %.20q is not a decimal number, any or all", item[2])
			}
			g.K = k
		}
		for _, m := range g.Members {
			if !defined[m] {
				return bad("group %s: no witness or group %q above this line", g.Name, m)
			}
		}
		p.Groups = append(p.Groups, g)
		defined[g.Name] = true
	case "quorum":
		if len(item) != 2 {
			return bad("want: quorum <name|none>")
		}
		if p.Quorum != "" {
			return bad("a second quorum line")
		}
		if item[1] != QuorumNone && !defined[item[1]] {
			return bad("quorum: no witness or group %q above this line", item[1])
		}
		p.Quorum = item[1]
	default:
		return bad("unknown keyword %.40q (comments have lines of their own)", item[0])
	}
	return nil
}

// Check reports whether the policy makes sense: every rule of the
// specification, and that no key is both a log's and a witness's, for then a
// log could be its own witness.
func (p *Policy) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("trust policy: %w: "+format, append([]any{ErrFormat}, args...)...)
	}
	if max(len(p.Logs), len(p.Witnesses), len(p.Groups)) > MaxPolicyLines {
		return bad("more than %d lines of a kind", MaxPolicyLines)
	}
	owner := map[[32]byte]string{} // public key → who has it
	take := func(k VKey, t KeyType, who string) error {
		switch {
		case k.Type != t:
			return bad("%s: a key of signature type 0x%02x; want 0x%02x", who, byte(k.Type), byte(t))
		case CheckOrigin(k.Name) != nil:
			return bad("%s: the key's name %.80q", who, k.Name)
		case owner[k.Public] != "":
			return bad("%s has the same key as %s", who, owner[k.Public])
		}
		owner[k.Public] = who
		return nil
	}
	for _, l := range p.Logs {
		if err := take(l.Key, LogKeyType, "log "+l.Key.Name); err != nil {
			return err
		}
		if !policyWord(l.URL) {
			return bad("log %s: URL %.80q", l.Key.Name, l.URL)
		}
	}
	free := map[string]bool{} // name defined → not yet anybody's member
	define := func(kind, name string) error {
		if _, ok := free[name]; ok || name == "" || name == QuorumNone || !policyWord(name) {
			return bad("%s %.80q: not a name that is free", kind, name)
		}
		free[name] = true
		return nil
	}
	for _, w := range p.Witnesses {
		if err := define("witness", w.Name); err != nil {
			return err
		}
		if err := take(w.Key, WitnessKeyType, "witness "+w.Name); err != nil {
			return err
		}
		if !policyWord(w.URL) {
			return bad("witness %s: URL %.80q", w.Name, w.URL)
		}
	}
	for _, g := range p.Groups {
		if g.K < 1 || g.K > len(g.Members) {
			return bad("group %s: %d of %d members", g.Name, g.K, len(g.Members))
		}
		for _, m := range g.Members {
			if ok, defined := free[m]; !defined {
				return bad("group %s: no witness or group %q before it", g.Name, m)
			} else if !ok {
				return bad("group %s: %s is a member of a group already", g.Name, m)
			}
			free[m] = false
		}
		if err := define("group", g.Name); err != nil {
			return err
		}
	}
	if _, ok := free[p.Quorum]; !ok && p.Quorum != QuorumNone {
		if p.Quorum == "" {
			return bad("no quorum line; a policy that asks for no witness says \"quorum none\"")
		}
		return bad("quorum: no witness or group %q", p.Quorum)
	}
	return nil
}

// policyWord reports whether s can stand on a policy's line, or be left out.
func policyWord(s string) bool {
	return !strings.HasPrefix(s, "#") && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// String returns the policy as a trust file: logs, witnesses, groups, quorum.
func (p *Policy) String() string {
	var b strings.Builder
	line := func(words ...string) {
		b.WriteString(strings.TrimRight(strings.Join(words, " "), " ") + "\n")
	}
	for _, l := range p.Logs {
		line("log", l.Key.String(), l.URL)
	}
	for _, w := range p.Witnesses {
		line("witness", w.Name, w.Key.String(), w.URL)
	}
	for _, g := range p.Groups {
		line(append([]string{"group", g.Name, strconv.Itoa(g.K)}, g.Members...)...)
	}
	line("quorum", p.Quorum)
	return b.String()
}

// Trusts reports whether the policy names that log key.
func (p *Policy) Trusts(k VKey) bool {
	return slices.ContainsFunc(p.Logs, func(l PolicyLog) bool { return l.Key == k })
}

// Cosignature is a witness's signature that verified.
type Cosignature struct {
	Witness string `json:"witness"` // its name in the policy
	Key     VKey   `json:"-"`
	Time    int64  `json:"time"` // Unix seconds, as the witness claims
}

// Opened is a checkpoint that a policy has judged.
type Opened struct {
	Checkpoint
	Log          VKey          // the log key that signed
	Cosignatures []Cosignature // by witnesses the policy names, in its order
	Quorum       bool          // they meet the policy's quorum
	Ignored      int           // signatures by keys that nobody here knows
	policy       *Policy
}

// Verify checks a signed checkpoint: a log that the policy names, or one of
// the keys that trust was followed to, signed it. Otherwise it is an
// ErrUntrusted. Any signature by a known key that does not verify is an
// ErrTampered. Whether the quorum was met is in the result: look at it.
func (p *Policy) Verify(signed []byte, followed ...VKey) (*Opened, error) {
	keys := slices.Clone(followed)
	for _, l := range p.Logs {
		if !slices.Contains(keys, l.Key) {
			keys = append(keys, l.Key)
		}
	}
	logs := keys
	for _, w := range p.Witnesses {
		keys = append(keys, w.Key)
	}
	c, n, err := OpenCheckpoint(signed, Verifiers(keys...))
	if err != nil {
		return nil, err
	}
	o := &Opened{Checkpoint: c, Ignored: len(n.UnverifiedSigs), policy: p}
	_, sigs, err := splitNote(signed)
	if err != nil {
		return nil, err
	}
	o.Cosignatures, o.Quorum = p.cosignatures(sigs, func(w VKey) bool { return hasPublic(logs, w) })
	for _, k := range logs {
		if k.Name == c.Origin && signedBy(sigs, k) {
			o.Log = k
			return o, nil
		}
	}
	return nil, fmt.Errorf("checkpoint of %s: %w: no key of that log which the policy names signed it", c.Origin, ErrUntrusted)
}

func signedBy(sigs []Signature, k VKey) bool {
	id := k.ID()
	return slices.ContainsFunc(sigs, func(s Signature) bool { return s.Name == k.Name && s.ID == id })
}

// hasPublic reports whether one of the keys is k, whatever its name and type.
func hasPublic(keys []VKey, k VKey) bool {
	return slices.ContainsFunc(keys, func(l VKey) bool { return l.Public == k.Public })
}

// cosignatures picks the witnesses' signatures out of those of a note that has
// been verified, and judges the quorum. A witness whose key is also somebody
// else's, as the log's own, does not count.
func (p *Policy) cosignatures(sigs []Signature, shared func(VKey) bool) (list []Cosignature, quorum bool) {
	for _, w := range p.Witnesses {
		if shared(w.Key) {
			continue
		}
		id := w.Key.ID()
		for _, s := range sigs {
			if s.Name != w.Key.Name || s.ID != id {
				continue
			}
			if seconds, _, ok := splitCosignature(s.Raw); ok {
				list = append(list, Cosignature{Witness: w.Name, Key: w.Key, Time: seconds})
			}
		}
	}
	return list, p.quorumWithin(list, math.MinInt64, math.MaxInt64)
}

// quorumWithin reports whether those of the cosignatures that are from between
// two times, in Unix seconds, meet the quorum.
func (p *Policy) quorumWithin(list []Cosignature, from, to int64) bool {
	if p.Quorum == QuorumNone {
		return true
	}
	met := make(map[string]bool)
	for _, c := range list {
		if from <= c.Time && c.Time <= to {
			met[c.Witness] = true
		}
	}
	for _, g := range p.Groups { // members stand before their group
		n := 0
		for _, m := range g.Members {
			if met[m] {
				n++
			}
		}
		met[g.Name] = n >= g.K
	}
	return met[p.Quorum]
}

// QuorumTime returns the latest time such that the cosignatures not older than
// it still meet the quorum, in Unix seconds: how fresh the checkpoint is. One
// witness alone cannot make it look fresher where the quorum asks for more.
// It is false without witnesses or without a quorum.
func (o *Opened) QuorumTime() (seconds int64, ok bool) {
	for _, c := range o.Cosignatures {
		if (!ok || c.Time > seconds) && o.within(c.Time, math.MaxInt64) {
			seconds, ok = c.Time, true
		}
	}
	return seconds, ok
}

// SeenBy returns the earliest time such that the cosignatures not younger than
// it meet the quorum, in Unix seconds: by then everything the checkpoint
// covers was there. It is false without witnesses or without a quorum.
func (o *Opened) SeenBy() (seconds int64, ok bool) {
	for _, c := range o.Cosignatures {
		if (!ok || c.Time < seconds) && o.within(math.MinInt64, c.Time) {
			seconds, ok = c.Time, true
		}
	}
	return seconds, ok
}

func (o *Opened) within(from, to int64) bool {
	return o.policy != nil && o.policy.Quorum != QuorumNone && o.policy.quorumWithin(o.Cosignatures, from, to)
}

func (o *Opened) quorumText() string {
	names := make([]string, len(o.Cosignatures))
	for i, c := range o.Cosignatures {
		names[i] = c.Witness
	}
	by := "none of the witnesses it names"
	if len(names) > 0 {
		by = strings.Join(names, ", ")
	}
	return fmt.Sprintf("the policy's quorum is %q; cosigned by %s", o.policy.Quorum, by)
}
