// Package provenance reads provenance that other builders signed: in-toto
// statements in DSSE envelopes, as claims by their keys.
package provenance
