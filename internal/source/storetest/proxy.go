package storetest

import (
	"net/http"
	"testing"
)

// A FaultProxy stands before a store and does to requests what its rules say.
type FaultProxy struct {
	*Server // the store, seen through the proxy: its environment leads here
}

// Exchange is one request and what becomes of it.
type Exchange struct {
	Method string
	Bucket string
	Key    string      // of the object, decoded; empty for a listing
	Range  string      // the range asked for as in "bytes=0-99", or empty
	Header http.Header // of the request
}

// Fault does something to an exchange.
type Fault func(x *Exchange)

// Rule says which exchanges a fault meets.
type Rule struct {
	Match func(x *Exchange) bool // nil: every one
	After int                    // leave so many that match alone first
	Times int                    // then meet so many; 0: all
	Do    Fault
}

// Proxy starts a proxy before a store, for as long as the test runs.
func (s *Server) Proxy(t testing.TB) *FaultProxy {
	t.Helper()
	return &FaultProxy{Server: s}
}

// On adds a rule. The first rule that meets an exchange decides.
func (p *FaultProxy) On(r Rule) {}
