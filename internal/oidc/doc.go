// Package oidc exchanges a CI job's OpenID Connect token for a short-lived
// delegation, by rules over its claims.
//
// It believes a token that one of the issuers in the rules signed for the rule's
// audience a short while ago, once, and only for the key whose holder asks. What
// the delegation then allows is never more than the rule says; that it is never
// more than the ledger gives its issuer is for the ledger to check.
// Page: docs/formats/delegation.md.
package oidc
