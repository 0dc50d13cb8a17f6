package bucket

import "net/http"

// Tune sets up a transport for a store: many connections that are kept, HTTP/1.1
// (one connection's window would bound all ranges of an object), bodies as they
// were stored and never decompressed, and an end to waiting for a store that has
// gone silent.
func Tune(t *http.Transport, requests int) {
	panic("not built yet")
}

// DefaultRequests is how many requests are under way at once where nobody said.
func DefaultRequests() int { panic("not built yet") }
