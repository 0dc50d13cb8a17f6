// Package draft is a contract as a person writes it: YAML, with the line on
// which each part stands, and the canonical JSON that is signed.
package draft
