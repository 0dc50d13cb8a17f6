package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/witness"
)

// knownTimeout is how long a server may take to show its checkpoint.
const knownTimeout = 30 * time.Second

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
	token, err := a.tokenFor(place)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, knownTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(place, "/")+"/checkpoint", nil)
	if err != nil {
		return nil, usagef("--known %s: %v", place, err)
	}
	if token != "" && (req.URL.Scheme == "https" || slices.Contains(server.LoopbackHosts(), req.URL.Hostname())) {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, failf(exitUnreachable, "--known %s: %w", place, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, failf(exitRefused, "--known %s: the server answered %d", place, resp.StatusCode).withHint(a.tokenHint())
	case http.StatusNotFound:
		return nil, failf(exitNotFound, "--known %s: no log is served there", place)
	default:
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
