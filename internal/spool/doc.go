// Package spool keeps signed envelopes that a server could not be given, in
// order, until they are pushed.
package spool
