// Package process runs a command as if it had been run directly: its own
// standard streams, its own signals, its own exit status.
package process
