// Package report is what a gate found, as other programs read it: SARIF, JUnit,
// annotations of GitHub and its job summary.
//
// It writes what it is given and knows nothing of ledgers. Names, reasons and
// messages are whatever somebody put on a ledger: in every format they are text,
// and can be nothing else.
package report
