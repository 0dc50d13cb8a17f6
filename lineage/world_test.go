package lineage_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// world is a history in memory, and a lineage.Uses of it.
type world struct {
	entries   []*lineage.Said
	artifacts []*lineage.Artifact // in the order of their entries
	lost      map[string]theft    // by handle
	asked     map[string]int      // how often the origins of an artifact were asked for
	counted   map[*lineage.Artifact][]lineage.Origin
}

// theft is since when a handle's key was in other hands, and up to which entry:
// later ones are by a new key.
type theft struct{ since, until uint64 }

func newWorld() *world {
	return &world{lost: map[string]theft{}, asked: map[string]int{}, counted: map[*lineage.Artifact][]lineage.Origin{}}
}

func contents(text string) fingerprint.Fingerprint {
	return fingerprint.Fingerprint{Algorithm: fingerprint.SHA256, Sum: sha256.Sum256([]byte(text))}
}

func ref(nameVersion string) (name, version string) {
	name, version, _ = strings.Cut(nameVersion, "@")
	return name, version
}

// find returns a binding; nil if there is none.
func (w *world) find(name, version string) *lineage.Artifact {
	for _, a := range w.artifacts {
		if a.Ref.Name == name && a.Ref.Version == version {
			return a
		}
	}
	return nil
}

func (w *world) standing(handle string, entry uint64) statement.Standing {
	if lost, ok := w.lost[handle]; ok && entry >= lost.since && entry <= lost.until {
		return statement.Standing{State: statement.StateCompromised, Detail: fmt.Sprintf("a key of %s is compromised since entry %d", handle, lost.since)}
	}
	return statement.Standing{OK: true, State: statement.StateGood}
}

// say adds an entry; what it binds is found by its stamps.
func (w *world) say(entry uint64, handle string, st *statement.Statement) {
	s := &lineage.Said{Entry: entry, Handle: handle, Statement: st}
	w.entries = append(w.entries, s)
	for _, o := range st.Stamps() {
		w.artifacts = append(w.artifacts, &lineage.Artifact{Ref: o.Ref, Entry: entry, Handle: handle, Stamp: o.Stamp})
	}
}

// settle fills in what is known at the end.
func (w *world) settle() {
	for _, s := range w.entries {
		s.Standing = w.standing(s.Handle, s.Entry)
	}
	for _, a := range w.artifacts {
		a.Standing = w.standing(a.Handle, a.Entry)
		a.Withdrawals = nil
		for _, s := range w.entries {
			wd := s.Statement.Withdrawal
			if wd == nil || !s.Standing.OK || w.ended(s.Entry) {
				continue
			}
			of, _ := s.Statement.Ref()
			if wd.Target == statement.TargetBinding && of == a.Ref || wd.Target == statement.TargetContents && of.Fingerprint == a.Ref.Fingerprint {
				a.Withdrawals = append(a.Withdrawals, lineage.Withdrawal{
					Entry: s.Entry, Ref: of, Target: wd.Target, Effect: wd.Effect, Reason: wd.Reason, Handle: s.Handle})
			}
		}
	}
}

func (w *world) ended(entry uint64) bool {
	return slices.ContainsFunc(w.entries, func(s *lineage.Said) bool {
		return s.Statement.Reinstatement != nil && s.Statement.Reinstatement.Withdrawal == entry
	})
}

func (w *world) Artifact(name, version string) (*lineage.Artifact, error) {
	if a := w.find(name, version); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
}

// names returns the bindings that an entry says something about.
func (w *world) names(s *lineage.Said) []statement.Ref {
	switch st := s.Statement; {
	case st.Run != nil:
		var refs []statement.Ref
		for _, o := range st.Run.Outputs {
			refs = append(refs, o.Ref)
		}
		return refs
	case st.Stamp != nil, st.Import != nil:
		r, _ := st.Ref()
		return []statement.Ref{r}
	}
	return nil
}

func (w *world) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	w.asked[a.Ref.String()]++
	return w.origins(a), nil
}

func (w *world) origins(a *lineage.Artifact) []lineage.Origin {
	if list, ok := w.counted[a]; ok {
		return list
	}
	var claims []lineage.Claim
	for _, s := range w.entries {
		for _, r := range w.names(s) {
			if r.Fingerprint == a.Ref.Fingerprint {
				claims = append(claims, s.Claims(w.find(r.Name, r.Version))...)
			}
		}
	}
	w.counted[a] = lineage.Count(a, claims)
	return w.counted[a]
}

func (w *world) Uses(a *lineage.Artifact) ([]lineage.Use, error) {
	var uses []lineage.Use
	for _, s := range w.entries {
		for _, out := range w.artifacts {
			for _, o := range w.origins(out) {
				if o.Entry == s.Entry && slices.Contains(o.Inputs, a.Ref) {
					uses = append(uses, lineage.Use{Origin: o, Output: out})
				}
			}
		}
	}
	return uses, nil
}

// parse reads a history: as testdata/*.txt have them. An output of a run, or
// what a stamp stamps, is name@version=contents; one that another entry stamped
// before goes without contents. "lost ci 3 5": the entries 3 to 5 by ci are a
// thief's.
func parse(t *testing.T, text string) *world {
	t.Helper()
	w := newWorld()
	named := func(nv string) statement.Ref {
		if a := w.find(ref(nv)); a != nil {
			return a.Ref
		}
		name, version := ref(nv)
		return statement.Ref{Name: name, Version: version, Fingerprint: contents("missing")}
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "lost" {
			lost := theft{until: math.MaxUint64}
			var err error
			for i, n := range []*uint64{&lost.since, &lost.until}[:len(words)-2] {
				if *n, err = strconv.ParseUint(words[2+i], 10, 64); err != nil {
					t.Fatal(err)
				}
			}
			w.lost[words[1]] = lost
			continue
		}
		entry, err := strconv.ParseUint(words[0], 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		handle, kind, rest := words[1], words[2], words[3:]
		st := new(statement.Statement)
		var refs []statement.Ref
		word := ""
		var outputs []statement.Output
		for _, r := range rest {
			switch {
			case !strings.Contains(r, "@"):
				word = r
			case strings.Contains(r, "="):
				nv, bytes, _ := strings.Cut(r, "=")
				name, version := ref(nv)
				outputs = append(outputs, statement.Output{
					Ref: statement.Ref{Name: name, Version: version, Fingerprint: contents(bytes)}, Stamp: new(statement.Stamp)})
			case kind == "run" && word == "":
				outputs = append(outputs, statement.Output{Ref: named(r)})
			case kind == "stamp" && word == "members":
				outputs[0].Stamp.Members = append(outputs[0].Stamp.Members, statement.CollectionMember{Ref: named(r)})
			case kind == "stamp":
				outputs[0].Stamp.From = append(outputs[0].Stamp.From, named(r))
			default:
				refs = append(refs, named(r))
			}
		}
		subject := func(r statement.Ref) { st.Subject = []statement.Subject{r.Subject()} }
		switch kind {
		case "stamp":
			st.Kind, st.Stamp = statement.KindStamp, outputs[0].Stamp
			subject(outputs[0].Ref)
		case "run":
			st.Kind, st.Run, st.Nonce = statement.KindRun, &statement.Run{Inputs: refs, Outputs: outputs}, statement.Nonce{byte(entry)}
		case "import":
			st.Kind, st.Import = statement.KindImport, &statement.Import{Inputs: refs[1:]}
			subject(refs[0])
		case "withdraw":
			st.Kind, st.Withdrawal = statement.KindWithdrawal, &statement.Withdrawal{Target: rest[0], Effect: rest[2], Reason: "a test"}
			subject(refs[0])
		case "end":
			of, err := strconv.ParseUint(rest[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			st.Kind, st.Reinstatement = statement.KindReinstatement, &statement.Reinstatement{Withdrawal: of}
		default:
			t.Fatalf("%q: no such kind", line)
		}
		w.say(entry, handle, st)
	}
	w.settle()
	return w
}
