package oidc

import "strings"

// match reports whether a claim's value is what the pattern says. A "*" stands for
// any characters but "/", "**" for any; everything else for itself.
func match(pattern, value string) bool {
	// reach holds the places in value up to which the pattern so far can match.
	reach := make([]bool, len(value)+1)
	reach[0] = true
	for len(pattern) > 0 {
		if pattern[0] != '*' {
			for i := len(value); i > 0; i-- {
				reach[i] = reach[i-1] && value[i-1] == pattern[0]
			}
			reach[0] = false
			pattern = pattern[1:]
			continue
		}
		rest, slashes := strings.CutPrefix(pattern, "**")
		if !slashes {
			rest = pattern[1:]
		}
		for i := 1; i <= len(value); i++ {
			reach[i] = reach[i] || reach[i-1] && (slashes || value[i-1] != '/')
		}
		pattern = rest
	}
	return reach[len(value)]
}

// exact reports whether a pattern stands for itself alone.
func exact(pattern string) bool { return !strings.Contains(pattern, "*") }
