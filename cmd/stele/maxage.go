package main

import (
	"time"

	"github.com/spf13/pflag"
)

// ageFlag is the value of --max-age. That the flag is missing bounds nothing. An
// empty value, or zero, is what a pipeline's variable gives that is not set: it
// is refused, for it would switch the bound off and nobody would see it.
type ageFlag time.Duration

// maxAgeFlag registers --max-age.
func maxAgeFlag(f *pflag.FlagSet, to *time.Duration, usage string) {
	f.Var((*ageFlag)(to), "max-age", usage)
}

// Set implements pflag.Value.
func (a *ageFlag) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return usagef("--max-age %q: want a length of time above zero", text).withHint("a number with h, m or s, at most 290 years: 24h, 1h30m")
	}
	*a = ageFlag(d)
	return nil
}

// String implements pflag.Value: as it was given, or nothing.
func (a *ageFlag) String() string {
	if *a == 0 {
		return ""
	}
	return time.Duration(*a).String()
}

// Type implements pflag.Value.
func (a *ageFlag) Type() string { return "duration" }
