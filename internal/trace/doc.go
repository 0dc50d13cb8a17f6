// Package trace is a lineage as people look at it: walked from what somebody
// named, put into the words of --json, and drawn from those as trees and as a
// graph, so that what a person sees is what a program gets.
//
// Nothing is decided here: what counts as an origin and what is tainted is
// lineage's, who signed what is the account's. What does not fit is folded:
// what is withdrawn or tainted is shown first, and what is left out is counted.
package trace
