//go:build race

package bucket_test

// raceDetector makes everything ten times slower: the same paths are then tried
// with fewer faults.
const raceDetector = true
