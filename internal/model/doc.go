// Package model says what is in a model's files without running any of it: it
// reads headers and never a tensor.
//
// Safetensors files are read strictly, as their format asks
// (https://huggingface.co/docs/safetensors, "Format"), and summed up: tensors,
// parameters, data types. Files that run code when they are loaded, which is
// what pickles do, are recognised by their bytes, under whatever name, and
// named. GGUF and ONNX files are named. What is not recognised is not thereby
// harmless.
//
// Whatever is read here comes from somebody else. Each limit has a name, and
// nothing is decompressed, decoded or interpreted beyond what a header takes.
package model

import "errors"

// The classes of error, compared with errors.Is. An error that is neither is
// one of reading.
var (
	// ErrMalformed: the bytes are not what their format asks.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: more than a named limit of this package.
	ErrTooLarge = errors.New("too large")
)
