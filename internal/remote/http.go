package remote

import (
	"context"
	"fmt"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/internal/wire"
)

// Over returns the Server that a client asks.
func Over(c *client.Client) Server { return overHTTP{c} }

type overHTTP struct{ c *client.Client }

// Read implements Server.
func (s overHTTP) Read(ctx context.Context, r *wire.ReadRequest) (*wire.ReadAnswer, error) {
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	return s.post(ctx, "/v1/read", body)
}

// Trace implements Server.
func (s overHTTP) Trace(ctx context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error) {
	body, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	return s.post(ctx, "/v1/trace", body)
}

func (s overHTTP) post(ctx context.Context, path string, body []byte) (*wire.ReadAnswer, error) {
	text, err := s.c.Post(ctx, path, body, wire.MaxReadAnswer)
	if err != nil {
		return nil, err
	}
	a, err := wire.ParseReadAnswer(text)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w: %w", s.c.URL(), path, client.ErrAnswer, err)
	}
	return a, nil
}
