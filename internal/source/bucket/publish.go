package bucket

import "context"

// Headers are what a store says of an object to whoever fetches it by HTTP.
type Headers struct {
	ContentType  string
	CacheControl string
}

// Publisher is a Store whose objects are to be fetched by others.
type Publisher interface {
	// Publish stores data under key, in one request, with its headers. Where was is
	// nil nothing may be there, otherwise exactly that object: if it is not so,
	// nothing is stored and it is fs.ErrExist, as it may be where an answer was lost
	// and the request was made again.
	Publish(ctx context.Context, key string, data []byte, h Headers, was *Item) error
}
