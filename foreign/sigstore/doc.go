// Package sigstore has other people's tools read what Stele exports: sigstore-go
// a model signature, the in-toto library provenance, model_signing a model. It
// is a module of its own, so that what these need is not the product's, and has
// tests alone.
package sigstore
