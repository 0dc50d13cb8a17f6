package jsonv1

// Model is what was found in a model's files, at the time of the command, by
// reading headers. It is no part of what is signed.
type Model struct {
	Looked   uint64         `json:"looked"`             // files
	Unlooked uint64         `json:"unlooked,omitempty"` // files that were too many, or could not be read
	Weights  *ModelWeights  `json:"weights,omitempty"`  // of its safetensors files together
	Formats  []ModelFormat  `json:"formats,omitempty"`  // besides safetensors
	RunsCode bool           `json:"runsCode"`           // a file was found that runs code when it is loaded; false: none was found
	Warnings []ModelWarning `json:"warnings,omitempty"` // the first 100
	More     uint64         `json:"more,omitempty"`     // warnings
}

// ModelWeights is what safetensors files hold, as their headers say.
type ModelWeights struct {
	Files      uint64      `json:"files"`
	Tensors    uint64      `json:"tensors"`
	Parameters uint64      `json:"parameters"` // elements of all tensors
	Bytes      uint64      `json:"bytes"`      // of all tensors
	Types      []ModelType `json:"types"`      // largest share of the parameters first
	Metadata   []string    `json:"metadata"`   // keys of the headers' free text
}

// ModelType is what a model has of one data type.
type ModelType struct {
	Type       string `json:"type"` // as safetensors spells it: F32, BF16
	Tensors    uint64 `json:"tensors"`
	Parameters uint64 `json:"parameters"`
	Bytes      uint64 `json:"bytes"`
}

// ModelFormat counts files of a format that is named and not read.
type ModelFormat struct {
	Format string `json:"format"` // GGUF, HDF5, ONNX
	Files  uint64 `json:"files"`
}

// ModelWarning is something that whoever loads the model should know.
type ModelWarning struct {
	Path string `json:"path"`
	What string `json:"what"` // runs-code, not-as-named, index
	Text string `json:"text"`
}
