package bucket

import (
	"context"

	"github.com/stele-ml/stele/internal/source"
)

// Options are choices about reading an object store.
type Options struct {
	// Requests bounds how many requests are under way at once; 0: chosen from
	// what the machine has.
	Requests int
	// SortListing lists everything first and sorts it in memory, for a store
	// that does not list in byte order of the keys.
	SortListing bool
}

// Source is one object, or all objects under a prefix that ends with '/'. Make
// it with [Open].
type Source struct {
	st Store
}

// Open opens what key names in a store: "" is all of it, "p/" is a folder, "p"
// an object or a folder. A name that is both is an error that says so, one that
// is neither fs.ErrNotExist. The Source owns st from then on, also when Open
// fails.
func Open(ctx context.Context, st Store, key string, o Options) (*Source, error) {
	panic("not built yet")
}

// Single reports whether the root is one object.
func (s *Source) Single() bool { panic("not built yet") }

// Close closes the store.
func (s *Source) Close() error { panic("not built yet") }

// Requests implements [source.Remote].
func (s *Source) Requests() int { panic("not built yet") }

// RangeSize implements [source.Remote].
func (s *Source) RangeSize() uint64 { panic("not built yet") }

// List implements [source.Source].
func (s *Source) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	panic("not built yet")
}

// Measure implements [source.Measurer].
func (s *Source) Measure(ctx context.Context, skip source.Skip, add func(bytes uint64)) error {
	panic("not built yet")
}

// Lookup implements [source.Source].
func (s *Source) Lookup(ctx context.Context, path string) (source.Object, error) {
	panic("not built yet")
}

// Fetch implements [source.Source].
func (s *Source) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	panic("not built yet")
}

// Mark implements [source.Source].
func (s *Source) Mark(ctx context.Context, o source.Object) (source.Mark, error) {
	panic("not built yet")
}

var _ interface {
	source.Source
	source.Remote
	source.Measurer
} = (*Source)(nil)
