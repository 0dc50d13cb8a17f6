// Package model says what is in a model's files without running any of it.
package model
