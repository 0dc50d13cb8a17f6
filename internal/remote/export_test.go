package remote

// SetMaxMemory changes maxMemory, until the function that it returns is called.
func SetMaxMemory(bytes int) func() {
	old := maxMemory
	maxMemory = bytes
	return func() { maxMemory = old }
}
