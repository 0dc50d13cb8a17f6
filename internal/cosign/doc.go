// Package cosign asks the witnesses of a log for cosignatures, on and on: for
// each new checkpoint, and again while the log is idle.
package cosign
