// Package report is what a gate found, as other programs read it: SARIF, JUnit,
// annotations of GitHub and its job summary.
package report
