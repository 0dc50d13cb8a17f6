//go:build !race

package main

// raceDetector says that the tests, and so the commands that scripts run, are
// built with the race detector.
const raceDetector = false
