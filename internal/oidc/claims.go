package oidc

import (
	"encoding/json"
	"iter"
	"maps"
	"math"
	"strconv"
	"time"
)

// claims are those of a token that its issuer signed.
type claims map[string]any

// text returns a claim that is a string, a whole number or a truth value, as text.
func (c claims) text(name string) (string, bool) {
	switch v := c[name].(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), true
		}
	}
	return "", false
}

// instant returns a claim that is a time in seconds since 1970 (RFC 7519 section 2).
func (c claims) instant(name string) (time.Time, bool) {
	v, ok := c[name].(float64)
	if !ok || v < 0 || v > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(v * 1000)), true
}

// audience returns the "aud", which is one or several.
func (c claims) audience() []string {
	switch v := c["aud"].(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, a := range v {
			if s, ok := a.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}

// subject says for whom a token is, for the log: the repository or project and the
// ref of CI systems that say so, else the "sub".
func (c claims) subject() string {
	ref, _ := c.text("ref")
	for _, of := range []struct{ claim, word string }{{"repository", "repo:"}, {"project_path", "project:"}} {
		if value, ok := c.text(of.claim); ok && ref != "" {
			return of.word + value + "@" + ref
		}
	}
	sub, _ := c.text("sub")
	return sub
}

// peek reads the "iss" of a token that nobody has verified, to know whom to ask.
func peek(payload []byte) string {
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Issuer
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
