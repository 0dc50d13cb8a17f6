// Package spool keeps signed envelopes that a server could not be given, in
// order, until they are pushed: docs/client.md.
package spool
