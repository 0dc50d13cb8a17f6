package audit

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// ErrShare: a text is no share between 0 and 1.
var ErrShare = errors.New("not a share between 0 and 1")

// Share is a part of a whole, in billionths: more than nothing and less than
// everything. It is an integer so that the number of draws that follows from
// two of them is the same on every machine.
type Share uint32

// whole is everything, as a Share would be.
const whole = 1_000_000_000

// shareDigits is how many digits a share has at most behind the point.
const shareDigits = 9

// ParseShare reads a decimal fraction such as "0.005": "0.", then one to nine
// digits, not all of them 0. Anything else is ErrShare.
func ParseShare(text string) (Share, error) {
	digits, ok := strings.CutPrefix(text, "0.")
	ok = ok && len(digits) >= 1 && len(digits) <= shareDigits
	for _, c := range []byte(digits) {
		ok = ok && c >= '0' && c <= '9'
	}
	if ok {
		n, _ := strconv.ParseUint(digits+strings.Repeat("0", shareDigits-len(digits)), 10, 32)
		if n > 0 {
			return Share(n), nil
		}
	}
	if len(text) > 2*shareDigits {
		text = text[:2*shareDigits] + "…"
	}
	return 0, fmt.Errorf("%q: %w: want a decimal fraction of at most %d digits, such as 0.005 or 0.99", text, ErrShare, shareDigits)
}

// String returns the shortest text that ParseShare reads: "0.005".
func (s Share) String() string {
	return "0." + strings.TrimRight(fmt.Sprintf("%0*d", shareDigits, uint32(s)), "0")
}

// Percent returns the share in hundredths: "0.5%".
func (s Share) Percent() string {
	return strconv.FormatFloat(float64(s)/(whole/100), 'f', -1, 64) + "%"
}

// Float returns the share as a number between 0 and 1.
func (s Share) Float() float64 { return float64(s) / whole }

func (s Share) valid() bool { return s > 0 && s < whole }

// The precision of the arithmetic in DrawsFor, in bits, and what is left of it
// after some 2^35 rounded multiplications. Two sides can be exactly equal only
// for up to nine draws (a power of n digits has to be one of nine), and if they
// are not, they then differ by more than 2^-300: so within the tolerance, equal
// is exactly equal.
const (
	precision = 640
	tolerance = 400
)

// DrawsFor returns how many draws find altered chunks that hold a share altered
// of the bytes with at least the given confidence: the smallest k ≥ 1 with
// 1 − (1 − altered)^k ≥ confidence. The result is exact. It is at most about
// 2.1e10; Draw takes MaxDraws.
func DrawsFor(altered, confidence Share) (uint64, error) {
	if !altered.valid() || !confidence.valid() {
		return 0, fmt.Errorf("draws for %d and %d billionths: %w", altered, confidence, ErrShare)
	}
	same := share(whole - altered)
	limit := share(whole - confidence)
	slack := new(big.Float).SetMantExp(big.NewFloat(1), -tolerance)
	limit.Add(limit, slack.Mul(slack, limit))
	enough := func(k uint64) bool { return power(same, k).Cmp(limit) <= 0 }

	k := uint64(max(1, math.Ceil(math.Log1p(-confidence.Float())/math.Log1p(-altered.Float()))))
	for k > 1 && enough(k-1) { // the estimate is one off at most
		k--
	}
	for !enough(k) {
		k++
	}
	return k, nil
}

// share returns a share as a number of high precision.
func share(s Share) *big.Float {
	f := new(big.Float).SetPrec(precision).SetUint64(uint64(s))
	return f.Quo(f, new(big.Float).SetPrec(precision).SetUint64(whole))
}

// power returns x^k.
func power(x *big.Float, k uint64) *big.Float {
	p := new(big.Float).SetPrec(precision).SetUint64(1)
	square := new(big.Float).SetPrec(precision).Set(x)
	for ; k > 0; k >>= 1 {
		if k&1 == 1 {
			p.Mul(p, square)
		}
		square.Mul(square, square)
	}
	return p
}

// Detection returns the probability that one of so many draws meets a chunk
// that is altered, where altered, from 0 to 1, is the share of the bytes that
// lie in altered chunks: 1 − (1 − altered)^draws.
func Detection(altered float64, draws uint64) float64 {
	switch {
	case altered <= 0 || draws == 0:
		return 0
	case altered >= 1:
		return 1
	}
	return -math.Expm1(float64(draws) * math.Log1p(-altered))
}

// Detectable returns the smallest share of altered bytes, from 0 to 1, that so
// many draws find with the given confidence: 1 − (1 − confidence)^(1/draws).
func Detectable(confidence Share, draws uint64) float64 {
	if draws == 0 {
		return 1
	}
	return -math.Expm1(math.Log1p(-confidence.Float()) / float64(draws))
}
