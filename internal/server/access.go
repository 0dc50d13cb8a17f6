package server

import "context"

// Identity is who asks, as far as access is concerned. It signs nothing.
type Identity struct {
	Name   string // "token ci", "dns:ci.example", "socket"; empty: anonymous
	Scopes Scope
}

type visit struct {
	id       string
	identity Identity
}

func visitOf(ctx context.Context) *visit { return new(visit) }

// Front stands before the routes: who may come in, how often, and with how much.
type Front struct{}
