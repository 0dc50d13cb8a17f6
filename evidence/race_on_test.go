//go:build race

package evidence

// flipStride is how many bytes the flipping tests go on by: under the race
// detector, which makes them ten times slower and finds nothing in them, not
// every byte.
const flipStride = 23
