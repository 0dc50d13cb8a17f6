//go:build !race

package evidence

// flipStride is how many bytes the flipping tests go on by: every byte.
const flipStride = 1
