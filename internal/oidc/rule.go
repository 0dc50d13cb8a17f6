package oidc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stele-ml/stele/statement"
)

// Limits of a rule.
const (
	// MaxRules is how many rules an exchange may have.
	MaxRules = 256
	// MaxRuleClaims is how many claims a rule may ask about.
	MaxRuleClaims = 32
	// MaxPattern is the longest pattern of a claim's value, in bytes.
	MaxPattern = 512
	// MaxLife is the longest life of a delegation that is exchanged for a token, and
	// the life it has where neither rule nor request wants a shorter one.
	MaxLife = 15 * time.Minute
	// MinLife is the shortest: below it, clocks that differ a little would make it
	// none.
	MinLife = time.Minute
	// MaxTokenAge is how old a token may be, from its "iat", where the rule does not
	// say otherwise.
	MaxTokenAge = 10 * time.Minute
	// LongestTokenAge is the most that a rule may say. GitLab makes a job's token when
	// the job begins.
	LongestTokenAge = 12 * time.Hour
)

// Rule says which tokens are exchanged, and for what.
type Rule struct {
	Name     string // of the rule, for logs and refusals
	Issuer   string // the token's "iss": an https URL; http on a loopback address
	Audience string // one of the token's "aud"

	// Claims are patterns by claim: "*" stands for any characters but "/", "**" for
	// any. All of them must match. A claim that a token does not have matches none.
	Claims map[string]string

	Names  []string         // patterns of names; ${claim} stands for a claim's value
	Kinds  []statement.Kind // of statements: see [statement.DelegableKinds]
	Life   time.Duration    // of the delegation; 0: MaxLife
	MaxAge time.Duration    // of the token; 0: MaxTokenAge
}

// tenants are the claims that say whose a token of an issuer for everybody is. A
// rule for such tokens pins one of them.
var tenants = []string{
	"repository", "repository_id", "repository_owner", "repository_owner_id", // GitHub
	"project_path", "project_id", "namespace_path", "namespace_id", // GitLab
	"sub",
}

// strangersEvents are GitHub's events that somebody without write access can set
// off, in a workflow that then runs with the repository's own rights. A rule has to
// name one of them to take a token of it.
var strangersEvents = []string{
	"pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment",
	"workflow_run", "issue_comment", "issues", "discussion", "discussion_comment", "fork", "watch",
	"gollum", "check_run", "check_suite", "status",
}

// strangersSources are the same of GitLab's pipelines.
// A child's source tells nothing of what set its parent off.
var strangersSources = []string{"merge_request_event", "external_pull_request_event", "parent_pipeline"}

var claimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:/-]{0,127}$`)

// check holds a rule to its form, and refuses one that would take tokens of people
// whom nobody had in mind.
func (r *Rule) check() error {
	if err := checkIssuer(r.Issuer); err != nil {
		return err
	}
	switch {
	case r.Name == "":
		return errors.New("it has no name")
	case r.Audience == "":
		return errors.New("it has no audience: a token made for somebody else would do")
	case len(r.Claims) == 0 || len(r.Claims) > MaxRuleClaims:
		return fmt.Errorf("it asks about %d claims; 1 to %d are allowed", len(r.Claims), MaxRuleClaims)
	case r.Life != 0 && (r.Life < MinLife || r.Life > MaxLife):
		return fmt.Errorf("life %v; %v to %v are allowed", r.Life, MinLife, MaxLife)
	case r.MaxAge < 0 || r.MaxAge > LongestTokenAge:
		return fmt.Errorf("max-age %v; at most %v is allowed", r.MaxAge, LongestTokenAge)
	case len(r.Kinds) == 0:
		return errors.New("it has no kinds")
	case len(r.Names) == 0 || len(r.Names) > statement.MaxDelegationNames:
		return fmt.Errorf("it has %d names; 1 to %d are allowed", len(r.Names), statement.MaxDelegationNames)
	}
	for _, kind := range r.Kinds {
		if !slices.Contains(statement.DelegableKinds(), kind) {
			return fmt.Errorf("kind %q cannot be delegated; %v can", kind, statement.DelegableKinds())
		}
	}
	pinned := false
	for claim, pattern := range r.Claims {
		if !claimName.MatchString(claim) {
			return fmt.Errorf("%q is no name of a claim", claim)
		}
		if pattern == "" || len(pattern) > MaxPattern || strings.Contains(pattern, "***") {
			return fmt.Errorf("claim %s: %q is no pattern", claim, pattern)
		}
		pinned = pinned || slices.Contains(tenants, claim) && pins(pattern)
	}
	if !pinned {
		return fmt.Errorf("it would take tokens of anybody who has an account there: one of the claims %s has to begin with what is yours, up to a \"/\" or whole",
			strings.Join(tenants, ", "))
	}
	for _, name := range r.Names {
		if err := checkTemplate(name); err != nil {
			return err
		}
	}
	return nil
}

// pins reports whether everything that a pattern matches is of one owner: it has no
// star, or none before its first "/".
func pins(pattern string) bool {
	before, _, star := strings.Cut(pattern, "*")
	return !star || strings.IndexByte(before, '/') > 0
}

// checkIssuer: https, or http to this machine.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return fmt.Errorf("issuer %q is no URL of one", issuer)
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return fmt.Errorf("issuer %q: it has to be https", issuer)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || host == "localhost"
}

// placeholder is a claim in a pattern of names.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

// checkTemplate holds a pattern of names to what is a pattern whatever the claims
// are. A claim ends at "/" or with the pattern: "${repository}*" would cover the
// names of every repository whose name goes on from this one's.
func checkTemplate(template string) error {
	for _, at := range placeholder.FindAllStringSubmatchIndex(template, -1) {
		if claim := template[at[2]:at[3]]; !claimName.MatchString(claim) {
			return fmt.Errorf("names: %q in %q is no name of a claim", claim, template)
		}
		if end := at[1]; end < len(template) && template[end] != '/' {
			return fmt.Errorf("names: in %q, what follows a claim has to be \"/\" or nothing", template)
		}
	}
	if err := statement.CheckPattern(placeholder.ReplaceAllLiteralString(template, "x")); err != nil {
		return fmt.Errorf("names: %q: %w", template, err)
	}
	return nil
}

// fill puts claims into a pattern of names. A claim that is no name is an error: it
// could hold a "*", or lead out of what the rule is for.
func fill(template string, c claims) (string, error) {
	var bad error
	out := placeholder.ReplaceAllStringFunc(template, func(p string) string {
		claim := p[2 : len(p)-1]
		value, ok := c.text(claim)
		if !ok || statement.CheckName(value) != nil {
			bad = fmt.Errorf("its claim %s is %s, which is no name (a-z 0-9 . _ - and /)", claim, short(value))
		}
		return value
	})
	if bad != nil {
		return "", bad
	}
	return out, statement.CheckPattern(out)
}

// known says why the rule is for nobody of the token's owner, or nil. It tells what the
// token says, and not what the rule wants.
func (r *Rule) known(c claims) error {
	for _, claim := range slices.Sorted(mapKeys(r.Claims)) {
		if !slices.Contains(tenants, claim) {
			continue
		}
		value, ok := c.text(claim)
		switch {
		case !ok:
			return fmt.Errorf("it has no %s", claim)
		case !r.wants(claim, value):
			return fmt.Errorf("no rule is for its %s, %s", claim, short(value))
		}
	}
	return nil
}

// takes says why the rule is not for these claims, or nil.
func (r *Rule) takes(c claims) error {
	for _, claim := range slices.Sorted(mapKeys(r.Claims)) {
		value, ok := c.text(claim)
		switch {
		case !ok:
			return fmt.Errorf("the token has no %s", claim)
		case !r.wants(claim, value):
			return fmt.Errorf("%s is %s, not %s", claim, short(value), short(r.Claims[claim]))
		}
	}
	if err := r.invited("event_name", strangersEvents, c); err != nil {
		return err
	}
	return r.invited("pipeline_source", strangersSources, c)
}

func (r *Rule) wants(claim, value string) bool {
	return len(value) <= MaxPattern && match(r.Claims[claim], value)
}

// invited refuses a token of a job that strangers can set off, unless the rule names
// just that.
func (r *Rule) invited(claim string, strangers []string, c claims) error {
	value, ok := c.text(claim)
	if ok && slices.Contains(strangers, value) && r.Claims[claim] != value {
		return fmt.Errorf("%s is %s, which people without write access can set off; a rule that wants it names it", claim, value)
	}
	return nil
}
