package oidc

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/stele-ml/stele/statement"
)

// maxUsed is how many tokens are remembered at a time: what a thousand jobs a minute
// bring in an hour and more, in some 10 MB.
const maxUsed = 1 << 16

// used remembers which key each token was exchanged for, as long as it could be
// exchanged again. So a stolen token that was used is worth nothing, and a job whose
// answer was lost may ask again. It lives as long as the process.
type used struct {
	mu    sync.Mutex
	until map[[32]byte]use
	swept time.Time
}

type use struct {
	key statement.KeyID
	end time.Time
}

// tokenID is the same for the same token, whoever encodes it again: its issuer and
// "jti", or what was signed where it has none.
func tokenID(issuer string, c claims, payload []byte) [32]byte {
	if jti, ok := c.text("jti"); ok && jti != "" {
		return sha256.Sum256([]byte("jti\n" + issuer + "\n" + jti))
	}
	return sha256.Sum256(append([]byte("payload\n"+issuer+"\n"), payload...))
}

// by notes that a token was used for a key. It is refused where it was used for
// another, or where there is no room to remember it.
func (u *used) by(token [32]byte, key statement.KeyID, end, now time.Time) *Refusal {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.until == nil {
		u.until = make(map[[32]byte]use)
	}
	if len(u.until) >= maxUsed || now.Sub(u.swept) > time.Minute {
		u.swept = now
		for id, use := range u.until {
			if now.After(use.end) {
				delete(u.until, id)
			}
		}
	}
	if before, ok := u.until[token]; ok {
		if before.key != key {
			return refuse(Unauthorized, "get a new token, and exchange it once", "this token was already exchanged, for another key")
		}
		return nil
	}
	if len(u.until) >= maxUsed {
		return refuse(Unavailable, "try again in a minute", "%d tokens were exchanged lately; no more can be remembered", maxUsed)
	}
	u.until[token] = use{key, end}
	return nil
}
