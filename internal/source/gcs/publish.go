package gcs

import (
	"context"
	"errors"
	"io/fs"
	"strconv"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Publish implements bucket.Publisher, on condition of the generation.
func (s *Store) Publish(ctx context.Context, key string, data []byte, h bucket.Headers, was *bucket.Item) error {
	on := storage.Conditions{DoesNotExist: true}
	if was != nil {
		generation, err := strconv.ParseInt(was.Version, 10, 64)
		if err != nil {
			return &source.Error{Path: key, Detail: "the store did not say which generation it is"}
		}
		on = storage.Conditions{GenerationMatch: generation}
	}
	var err error
	pause := waits()
	for attempt := 1; ; attempt++ {
		if err = s.publish(ctx, key, data, h, on); err == nil {
			return nil
		}
		if attempt == maxAttempts || !mayPass(err) || gax.Sleep(ctx, pause.Pause()) != nil {
			break
		}
	}
	err = s.failed(ctx, key, err)
	if errors.Is(err, source.ErrChanged) { // 412: the condition
		return &source.Error{Path: key, Class: fs.ErrExist}
	}
	return err
}

// publish is one attempt.
func (s *Store) publish(ctx context.Context, key string, data []byte, h bucket.Headers, on storage.Conditions) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // an upload that is not closed stores nothing
	w := s.bucket.Object(key).If(on).Retryer(storage.WithPolicy(storage.RetryNever)).NewWriter(ctx)
	w.ContentType, w.CacheControl = h.ContentType, h.CacheControl
	w.ChunkSize = 0 // one request
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}
