package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/witness"
)

// knownAt reads a checkpoint that somebody has: a server's newest, or a file's.
func (a *app) knownAt(ctx context.Context, place string) ([]byte, error) {
	if !strings.HasPrefix(place, "https://") && !strings.HasPrefix(place, "http://") {
		return readSmall(place, evidence.MaxCheckpoint)
	}
	client, err := a.mirrorHTTP()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(place, "/")+"/checkpoint", nil)
	if err != nil {
		return nil, usagef("--known %s: %v", place, err)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, failf(exitUnreachable, "--known %s: %w", place, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, failf(exitUnreachable, "--known %s: the server answered %d", place, resp.StatusCode)
	}
	signed, err := io.ReadAll(io.LimitReader(resp.Body, evidence.MaxCheckpoint+1))
	if err != nil {
		return nil, failf(exitUnreachable, "--known %s: %w", place, err)
	}
	return signed, nil
}

// askWitnessesOf asks each witness of the trust file how far it has cosigned the
// log. A witness only claims that it is ahead, unless it has the checkpoint to
// show; here its word is enough to stop: who is sure that it lies takes it out of
// the trust file.
func (a *app) askWitnessesOf(ctx context.Context, r *reading, policy *evidence.Policy, k *knowledge) error {
	signed, err := r.LatestCheckpoint()
	if err != nil {
		return err
	}
	for _, w := range policy.Witnesses {
		if w.URL == "" {
			continue
		}
		who := "the witness " + w.Key.Name
		client := &witness.Client{URL: w.URL, Key: w.Key, Now: a.now}
		if theirs, err := client.Latest(ctx, r.Origin()); err == nil {
			if err := k.add(r, who, theirs); err == nil {
				k.elsewhere = true
				continue
			}
		}
		// It shows none: what it says to ours. An equal size needs no proof.
		_, err := client.Ask(ctx, r.Size(), nil, signed)
		var stale *witness.Stale
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			k.list, k.elsewhere = append(k.list, known{who: who, size: r.Size()}), true
		case errors.As(err, &stale) && stale.Size > r.Size():
			k.missing, k.elsewhere = append(k.missing, known{who: who, size: stale.Size, why: "as it says"}), true
		case errors.As(err, &stale):
			k.list, k.elsewhere = append(k.list, known{who: who, size: stale.Size}), true
		default:
			k.unreached = append(k.unreached, fmt.Sprintf("%s (%s)", who, terminal.Clean(err.Error())))
		}
	}
	return nil
}
