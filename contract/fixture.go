package contract

// Given is the state and the statement of a test.
type Given struct{}
