package oidc

import "fmt"

// The codes of a refusal, as the HTTP API has them.
const (
	Unauthorized = "unauthorized" // the token is not believed
	Forbidden    = "forbidden"    // it is, and no rule is for it
	Malformed    = "malformed"    // the request is none
	Unavailable  = "unavailable"  // whether to believe it cannot be found out now
)

// Refusal is the error of [Exchange.Delegate] where it is not a fault of this
// machine. Its text never holds the token.
type Refusal struct {
	Code    string // one of the codes
	Message string // what is wrong; one line, and foreign text in it is quoted
	Hint    string // what to do, or empty
	cause   error
}

func (r *Refusal) Error() string { return r.Message }
func (r *Refusal) Unwrap() error { return r.cause }

func refuse(code, hint, format string, args ...any) *Refusal {
	err := fmt.Errorf(format, args...)
	return &Refusal{Code: code, Message: err.Error(), Hint: hint, cause: err}
}

// short quotes text from a token for one line.
func short(s string) string {
	const longest = 120
	if len(s) > longest {
		return fmt.Sprintf("%+q…", s[:longest])
	}
	return fmt.Sprintf("%+q", s)
}
