// Package gcs is the door to Google Cloud Storage, by Google's own SDK.
package gcs

import (
	_ "cloud.google.com/go/storage"
	_ "github.com/googleapis/gax-go/v2"
	_ "google.golang.org/api/googleapi"
	_ "google.golang.org/api/iterator"
	_ "google.golang.org/api/option"
	_ "google.golang.org/api/transport/http"
)
