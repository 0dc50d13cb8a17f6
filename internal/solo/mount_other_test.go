//go:build !linux

package solo

import "errors"

func mountSmall(string, int) error { return errors.ErrUnsupported }

func unmount(string) {}
