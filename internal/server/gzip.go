package server

import "net/http"

// minGzip is the least that is worth compressing, in bytes.
const minGzip = 4 << 10

// Gzip compresses an answer where its client takes that and it is worth it, and says
// so in the header. It is for answers without secrets, whose length tells nothing.
func Gzip(header http.Header, r *http.Request, body []byte) []byte {
	if len(body) < minGzip {
		return body
	}
	header.Add("Vary", "Accept-Encoding")
	if !acceptsGzip(r.Header.Values("Accept-Encoding")) {
		return body
	}
	header.Set("Content-Encoding", "gzip")
	return compress(body)
}
