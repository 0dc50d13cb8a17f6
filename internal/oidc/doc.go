// Package oidc exchanges a CI job's OpenID Connect token for a short-lived
// delegation, by rules over its claims.
package oidc

import _ "github.com/coreos/go-oidc/v3/oidc" // tokens and their issuers' keys
