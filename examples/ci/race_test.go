//go:build race

package ci

// The race detector has nothing to see in programs that run elsewhere.
func init() { tooSlow = "the race detector slows it and sees nothing of it" }
