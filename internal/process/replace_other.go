//go:build !unix

package process

import (
	"context"
	"errors"
)

// Replace cannot be done here: it returns errors.ErrUnsupported.
func Replace(context.Context, Command) error { return errors.ErrUnsupported }

// CanReplace reports whether Replace can do what it says on this system.
const CanReplace = false
