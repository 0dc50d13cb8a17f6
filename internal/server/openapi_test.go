package server

import (
	_ "github.com/getkin/kin-openapi/openapi3"       // somebody else's reader of our document
	_ "github.com/getkin/kin-openapi/openapi3filter" // and of our answers
	_ "github.com/getkin/kin-openapi/routers"
	_ "github.com/go-jose/go-jose/v4" // tokens of an issuer on loopback
)
