package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strconv"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
)

// Limits of lists.
const (
	// MaxPage is the most items of one page.
	MaxPage = 500
	// DefaultPage is how many there are where nobody says.
	DefaultPage = 100
)

var (
	paramLimit = Param{Name: "limit", In: "query", Schema: "integer", Doc: "how many items at most; 100, at most 500", Example: "20"}
	paramNext  = Param{Name: "cursor", In: "query", Schema: "string", Doc: "the next of the page before: the same list, as of the same size"}
	paramSize  = Param{Name: "size", In: "query", Schema: "integer", Doc: "as of the log's first so many entries; all if it is not given"}
	paramName  = Param{Name: "name", In: "query", Schema: "string", Doc: "a name", Example: "fraud/model"}
	paramVer   = Param{Name: "version", In: "query", Schema: "string", Doc: "a version", Example: "1"}
)

// number reads a parameter that is a number; def where it is not there.
func (c *call) number(name string, def uint64) (uint64, error) {
	text := c.query.Get(name)
	if text == "" {
		return def, nil
	}
	return decimal(name, text)
}

// decimal reads digits in their one spelling.
func decimal(name, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, malformed("%s: %.40q is no number", name, text)
	}
	return n, nil
}

// list is a page that is asked for.
type list struct {
	view  *ledger.View
	limit int
	after []byte // where the page before ended; nil: the first
	query [8]byte
}

// page reads the parameters of a list. The cursor fixes the size, so that the list
// does not change while the log grows; one of another list is refused.
func (a *API) page(c *call) (*list, error) {
	limit, err := c.number("limit", DefaultPage)
	if err != nil {
		return nil, err
	}
	if limit < 1 || limit > MaxPage {
		return nil, malformed("limit: 1 to %d are allowed", MaxPage)
	}
	l := &list{limit: int(limit)}
	rest := url.Values{}
	for name, values := range c.query {
		if name != "limit" && name != "cursor" && name != "size" {
			rest[name] = values
		}
	}
	id := a.o.Engine.View().ID() // a cursor of another ledger is none of this one's
	sum := sha256.Sum256([]byte(id.String() + c.URL.Path + "?" + rest.Encode()))
	copy(l.query[:], sum[:])
	if text := c.query.Get("cursor"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(raw) < 17 || len(raw) > 2048 || [8]byte(raw[:8]) != l.query || c.query.Get("size") != "" {
			return nil, malformed("the cursor is not of this list")
		}
		l.after = raw[16:]
		l.view, err = a.asOf(binary.BigEndian.Uint64(raw[8:]))
		return l, err
	}
	l.view, err = a.viewOf(c)
	return l, err
}

// onePage is the page of a list that is here whole, or could not be had: as of one size
// it is always the same, so that a cursor is a place in it.
func onePage[T any](l *list, all []T, failed error) (page []T, next string, err error) {
	if failed != nil {
		return nil, "", failed
	}
	var from uint64
	if len(l.after) > 0 {
		if from, err = decimal("cursor", string(l.after)); err != nil {
			return nil, "", err
		}
	}
	from = min(from, uint64(len(all)))
	to := min(from+uint64(l.limit), uint64(len(all)))
	if to < uint64(len(all)) {
		next = l.next(strconv.AppendUint(nil, to, 10))
	}
	return all[from:to], next, nil
}

// next is the cursor after a page that ended there.
func (l *list) next(after []byte) string {
	raw := append([]byte{}, l.query[:]...)
	raw = binary.BigEndian.AppendUint64(raw, l.view.Size())
	return base64.RawURLEncoding.EncodeToString(append(raw, after...))
}

// viewOf is the ledger as of the size that is asked for.
func (a *API) viewOf(c *call) (*ledger.View, error) {
	view := a.o.Engine.View()
	size, err := c.number("size", view.Size())
	if err != nil {
		return nil, err
	}
	return a.asOf(size)
}

func (a *API) asOf(size uint64) (*ledger.View, error) {
	newest := a.o.Engine.View()
	if size > newest.Size() {
		return nil, &server.SizeError{Have: newest.Size(), Asked: size}
	}
	return newest.AsOf(size)
}
