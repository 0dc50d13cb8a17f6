package client

// SetMaxControl sets how many bytes of control entries are read, and returns what sets
// it back.
func SetMaxControl(n int) (back func()) {
	was := maxControl
	maxControl = n
	return func() { maxControl = was }
}
