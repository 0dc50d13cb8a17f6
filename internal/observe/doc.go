// Package observe looks at what a run depends on besides its inputs: the code
// and its state in git, the container image, lock files, the environment.
package observe
