// Package wire is what a client and a server of the HTTP API say to each other:
// the types of its JSON, its media types, its limits.
package wire
