// Package audit looks at random chunks of data and compares them with the
// digests of a manifest, so that a share of altered bytes is found with a
// probability that is known beforehand, however much data there is. All names
// and sizes are compared besides. [DrawsFor] says how many chunks, [Draw] which,
// [Run] reads them. docs/formats/audit.md describes the drawing and what an
// audit does not show.
package audit
