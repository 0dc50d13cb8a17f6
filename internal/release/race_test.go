//go:build race

package main

// The race detector has nothing to see in a compiler that runs elsewhere.
func init() { tooSlow = "the race detector slows it and sees nothing of it" }
