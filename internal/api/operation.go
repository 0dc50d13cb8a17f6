package api

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
)

// Limits of bodies, in bytes.
const (
	// MaxEnvelopeBody is the longest envelope that is submitted: an entry's 65,535
	// bytes in base64, with room for white space.
	MaxEnvelopeBody = 128 << 10
	// MaxAttachmentBody is the longest attachment that is uploaded.
	MaxAttachmentBody = 64 << 20
	// MaxManifestBody is the longest manifest that is uploaded: some thirty million
	// files.
	MaxManifestBody = 4 << 30

	// documentTime is how long a document may take to come, or to go.
	documentTime = 30 * time.Minute
	// cosignedTime is how long a submission waits for witnesses.
	cosignedTime = 25 * time.Second
)

// Media types.
const (
	typeJSON   = "application/json"
	typeText   = "text/plain; charset=utf-8"
	typeOctets = "application/octet-stream"
)

// Param is a parameter of an operation.
type Param struct {
	Name     string
	In       string // query or path
	Doc      string
	Schema   string // of OpenAPI: string, integer, boolean
	Required bool
	Enum     []string
	Empty    bool // it may be empty
	Example  string
}

// Reply is what an operation answers with besides problems.
type Reply struct {
	Status int
	Doc    string
	Media  string // "": no body
	Of     any    // of JSON: a zero value of its type; nil otherwise
}

// Operation is one row of the table.
type Operation struct {
	ID      string // of OpenAPI
	Method  string
	Path    string // as net/http.ServeMux has it
	Scope   server.Scope
	Doc     string // one sentence
	Params  []Param
	Takes   string // the media type of the body; "": none
	TakesOf any    // of JSON: a zero value of its type
	MaxBody int64
	Stream  bool
	Time    time.Duration
	Replies []Reply
	Codes   []wire.Code // of problems, besides those that every operation can have

	handle func(*API, http.ResponseWriter, *call) error
	own    func(*API) http.Handler // instead of handle
}

// call is one request of an operation.
type call struct {
	*http.Request
	query url.Values // every parameter is known, and stands once
}

// Operations is the table.
func Operations() []Operation {
	return slices.Concat(ledgerOperations(), entryOperations, nameOperations, submitOperations, documentOperations, readOperations)
}

// Rule is what the front has to know of the operation.
func (o *Operation) Rule() server.Rule {
	return server.Rule{Name: o.Method + " " + o.Path, Scope: o.Scope, MaxBody: o.MaxBody, Stream: o.Stream, Time: o.Time}
}

// kept reports whether an answer may be kept, and asked for again by its tag: one as
// of a size that the request names.
func (o *Operation) kept() bool {
	return o.Method == http.MethodGet && (o.ID == "getOpenAPI" || slices.ContainsFunc(o.Params, func(p Param) bool {
		return p.Name == paramSize.Name || p.Name == paramNext.Name || p.Name == "to"
	}))
}

// Mount puts the operations behind a front.
func (a *API) Mount(mux *http.ServeMux, front *server.Front) {
	for _, o := range Operations() {
		if o.own != nil && o.own(a) == nil {
			o.own = nil
			o.handle = func(*API, http.ResponseWriter, *call) error {
				return wire.NewProblem(http.StatusNotFound, wire.CodeNoRoute, "this server does not do that")
			}
		}
		mux.Handle(o.Method+" "+o.Path, front.Route(o.Rule(), a.handler(o)))
	}
	rest := front.Route(server.Rule{Name: "/v1/", MaxBody: server.UnreadBody}, http.HandlerFunc(a.noRoute))
	mux.Handle("/v1/", rest)
	mux.Handle("/v1", rest) // else a ServeMux would lead to the other
}

// handler is an operation behind its own checks.
func (a *API) handler(o Operation) http.Handler {
	if o.own != nil {
		return o.own(a)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := o.parse(r)
		if err == nil {
			err = o.handle(a, w, c)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// parse holds a request to what the operation takes.
func (o *Operation) parse(r *http.Request) (*call, error) {
	// An escaped path is a second name for the same thing. But whoever fills in the
	// document's templates as they are meant (RFC 6570, section 3.2.2) writes the
	// colon of a fingerprint as %3A.
	if raw := r.URL.RawPath; raw != "" && raw != strings.ReplaceAll(r.URL.Path, ":", "%3A") {
		return nil, wire.NewProblem(http.StatusNotFound, wire.CodeNoRoute, "no such operation: the path is escaped")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, malformed("the query cannot be read")
	}
	for name, values := range query {
		i := slices.IndexFunc(o.Params, func(p Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case i < 0:
			return nil, malformed("the parameter %.60q is not known here", name)
		case !utf8.ValidString(values[0]):
			return nil, malformed("the parameter %s is not UTF-8", name)
		case len(values) > 1:
			return nil, malformed("the parameter %s stands %d times", name, len(values))
		case values[0] == "" && !o.Params[i].Empty:
			return nil, malformed("the parameter %s is empty", name)
		case len(o.Params[i].Enum) > 0 && !slices.Contains(o.Params[i].Enum, values[0]):
			return nil, malformed("%s=%.60q; use %s", name, values[0], strings.Join(o.Params[i].Enum, " or "))
		}
	}
	for _, p := range o.Params {
		if p.Required && p.In == "query" && !query.Has(p.Name) {
			return nil, malformed("the parameter %s is missing", p.Name)
		}
	}
	if o.Takes != "" {
		if !o.takes(r.Header.Values("Content-Type")) {
			return nil, wire.NewProblem(http.StatusUnsupportedMediaType, wire.CodeMalformed, "the Content-Type is not "+o.Takes)
		}
	}
	return &call{r, query}, nil
}

// takes reports whether a body of that Content-Type is taken. JSON is UTF-8
// (RFC 8259, section 8.1), whatever a charset says.
func (o *Operation) takes(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return false
	}
	return media == o.Takes || o.Takes != typeOctets && media == typeJSON
}

// noRoute answers what no operation does: with 405 where another method would.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	server.LeaveUnread(w, r)
	var allow []string
	for _, o := range Operations() {
		if r.URL.RawPath != "" || !matches(o.Path, r.URL.Path) {
			continue
		}
		if allow = append(allow, o.Method); o.Method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if len(allow) == 0 {
		a.fail(w, r, wire.NewProblem(http.StatusNotFound, wire.CodeNoRoute, "no such operation: GET /v1/openapi.json lists them"))
		return
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	a.fail(w, r, wire.NewProblem(http.StatusMethodNotAllowed, wire.CodeNoRoute, "this takes "+strings.Join(allow, " or ")))
}

// matches reports whether a path is one of a pattern's.
func matches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return false
	}
	for i, w := range want {
		if !strings.HasPrefix(w, "{") && w != have[i] {
			return false
		}
	}
	return true
}
