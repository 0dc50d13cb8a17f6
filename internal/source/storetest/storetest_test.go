package storetest

import "testing"
import "time"

func TestStart(t *testing.T) {
	for _, f := range []func(testing.TB) *Server{S3, GCS, Azure} {
		n := time.Now()
		s := f(t)
		t.Log(s.Scheme, time.Since(n))
		b := s.NewBucket(t, true)
		s.Publish(t, b)
		s.Put(t, b, "a/b c", []byte("hello"))
		s.PutParts(t, b, "large", make([]byte, 5<<20), []byte("x"))
		s.Delete(t, b, "a/b c")
		t.Log(s.Env())
		t.Log(s.Scheme, time.Since(n))
	}
}
