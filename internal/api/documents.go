package api

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
)

var (
	paramSum = Param{Name: "sha256", In: "path", Schema: "string", Required: true, Doc: "the document's SHA-256, 64 hexadecimal digits"}
	paramFP  = Param{Name: "fingerprint", In: "path", Schema: "string", Required: true, Doc: "stele-sha256:<64 hexadecimal digits>"}
)

var documentOperations = []Operation{
	{
		ID: "getEvidence", Method: http.MethodGet, Path: "/v1/evidence", Scope: server.ScopeEntries,
		Doc: "An evidence file of an artifact: what `stele verify --evidence` checks offline. It has no attachments.",
		Params: []Param{required(paramName), required(paramVer), {Name: "lineage", In: "query", Schema: "boolean", Enum: []string{"true", "false"},
			Doc: "with all that it was made of"}},
		Replies: []Reply{{http.StatusOK, "the evidence file", typeOctets, nil}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).evidence,
	},
	{
		ID: "getAttachment", Method: http.MethodGet, Path: "/v1/attachments/{sha256}", Scope: server.ScopeEntries, Time: documentTime,
		Doc: "An attachment: a details document, or other bytes that a statement names by their digest.", Params: []Param{paramSum},
		Replies: []Reply{{http.StatusOK, "the document", typeOctets, nil}}, Codes: []wire.Code{wire.CodeNotFound, wire.CodeTampered},
		handle: (*API).attachment,
	},
	{
		ID: "putAttachment", Method: http.MethodPut, Path: "/v1/attachments/{sha256}", Scope: server.ScopeSubmit, Time: documentTime,
		Doc: "Keeps an attachment, whole or not at all; at most 64 MiB, 16 GiB of documents a day of one identity, and as many in all as the server keeps (507 beyond).", Params: []Param{paramSum},
		Takes: typeOctets, MaxBody: MaxAttachmentBody, Stream: true,
		Replies: []Reply{{http.StatusNoContent, "it is kept", "", nil}}, Codes: []wire.Code{wire.CodeTampered, wire.CodeReadOnly},
		handle: (*API).putAttachment,
	},
	{
		ID: "getManifest", Method: http.MethodGet, Path: "/v1/manifests/{fingerprint}", Scope: server.ScopeEntries, Time: documentTime,
		Doc: "The manifest of a fingerprint.", Params: []Param{paramFP},
		Replies: []Reply{{http.StatusOK, "the manifest", typeOctets, nil}}, Codes: []wire.Code{wire.CodeNotFound, wire.CodeTampered},
		handle: (*API).manifest,
	},
	{
		ID: "putManifest", Method: http.MethodPut, Path: "/v1/manifests/{fingerprint}", Scope: server.ScopeSubmit, Time: documentTime,
		Doc: "Keeps the manifest of a fingerprint, checked against it.", Params: []Param{paramFP},
		Takes: typeOctets, MaxBody: MaxManifestBody, Stream: true,
		Replies: []Reply{{http.StatusNoContent, "it is kept", "", nil}}, Codes: []wire.Code{wire.CodeTampered, wire.CodeReadOnly},
		handle: (*API).putManifest,
	},
}

func (a *API) evidence(w http.ResponseWriter, c *call) error {
	signed, err := a.published()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	v, err := a.asOf(cp.Size)
	if err != nil {
		return err
	}
	b, err := v.ByName(c.query.Get("name"), c.query.Get("version"))
	if err != nil {
		return err
	}
	claim := evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
	var further []uint64
	if c.query.Get("lineage") == "true" {
		claim.Lineage = true
		var cut bool
		if further, cut, err = v.LineageEntries(b.Ref(), maxLineage); err != nil {
			return err
		}
		if cut {
			return wire.NewProblem(http.StatusUnprocessableEntity, wire.CodeTooLarge, "it was made of more than 1,000 artifacts; `stele prove` takes more")
		}
	}
	file, err := v.Evidence(claim, nil, further...)
	if err != nil {
		return err
	}
	body, err := file.Marshal()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="evidence.stele"`)
	return write(w, c.Request, http.StatusOK, typeOctets, cacheNever, body)
}

// sumOf reads a digest in its one spelling: nothing else reaches the shelf.
func sumOf(c *call) (sum [32]byte, err error) {
	text := c.PathValue("sha256")
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 || hex.EncodeToString(raw) != text {
		return sum, malformed("%.80q is no SHA-256 in 64 lower-case hexadecimal digits", text)
	}
	return [32]byte(raw), nil
}

func fingerprintOf(c *call) (fingerprint.Fingerprint, error) {
	text := c.PathValue("fingerprint")
	fp, err := fingerprint.Parse(text)
	if err != nil || fp.String() != text {
		return fp, malformed("%.120q is no fingerprint", text)
	}
	return fp, nil
}

func (a *API) shelf() (Shelf, error) {
	if a.o.Shelf == nil {
		return nil, wire.NewProblem(http.StatusNotFound, wire.CodeNotFound, "documents are not kept here")
	}
	return a.o.Shelf, nil
}

func (a *API) attachment(w http.ResponseWriter, c *call) error {
	shelf, err := a.shelf()
	if err != nil {
		return err
	}
	sum, err := sumOf(c)
	if err != nil {
		return err
	}
	body, size, err := shelf.Attachment(c.Context(), sum)
	if err != nil {
		return err
	}
	return a.send(w, c, body, size, func(r io.Reader) error { return CheckAttachment(r, sum) })
}

func (a *API) manifest(w http.ResponseWriter, c *call) error {
	shelf, err := a.shelf()
	if err != nil {
		return err
	}
	fp, err := fingerprintOf(c)
	if err != nil {
		return err
	}
	body, size, err := shelf.Manifest(c.Context(), fp)
	if err != nil {
		return err
	}
	return a.send(w, c, body, size, func(r io.Reader) error { return CheckManifest(r, fp) })
}

// documentHeld is about how many bytes of memory a document takes while it goes.
const documentHeld = 320 << 10

// send answers with a document, checked as it goes. It may be erased one day: whoever
// keeps it asks again. It is never shown by a browser as anything but a download.
func (a *API) send(w http.ResponseWriter, c *call, document io.ReadCloser, size int64, check func(io.Reader) error) error {
	h := w.Header()
	h.Set("Content-Type", typeOctets)
	h.Set("Content-Disposition", "attachment")
	h.Set("Cache-Control", cacheNever)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if c.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return document.Close()
	}
	if !server.Hold(w, documentHeld) { // a client that does not take it keeps a file open, too
		return document.Close()
	}
	body := newChecked(document, size, check)
	defer body.Close()
	sent, err := io.Copy(w, body)
	if err == nil {
		return nil
	}
	server.Failed(c.Context(), err)
	if sent == 0 && errors.Is(err, ErrDocument) {
		h.Del("Content-Disposition")
		return err
	}
	// What was sent is not the document: the client must not see an end.
	panic(http.ErrAbortHandler)
}

func (a *API) putAttachment(w http.ResponseWriter, c *call) error {
	shelf, err := a.shelf()
	if err != nil {
		return err
	}
	sum, err := sumOf(c)
	if err != nil {
		return err
	}
	return a.keep(w, c, func(r io.Reader) error { return shelf.PutAttachment(c.Context(), sum, r, MaxAttachmentBody) },
		func() (io.ReadCloser, int64, error) { return shelf.Attachment(c.Context(), sum) })
}

func (a *API) putManifest(w http.ResponseWriter, c *call) error {
	shelf, err := a.shelf()
	if err != nil {
		return err
	}
	fp, err := fingerprintOf(c)
	if err != nil {
		return err
	}
	if have := a.o.Engine.View().Algorithm(); fp.Algorithm != have {
		return malformed("this ledger's fingerprints are of %s", have)
	}
	return a.keep(w, c, func(r io.Reader) error { return shelf.PutManifest(c.Context(), fp, r, MaxManifestBody) },
		func() (io.ReadCloser, int64, error) { return shelf.Manifest(c.Context(), fp) })
}

// keep has a document kept, as far as its sender may send it, and there is room. What
// is there already takes no more of it.
func (a *API) keep(w http.ResponseWriter, c *call, put func(io.Reader) error, open func() (io.ReadCloser, int64, error)) error {
	if a.o.ReadOnly {
		return ErrReadOnly
	}
	var had int64
	if there, size, err := open(); err == nil {
		had = size
		there.Close()
	}
	who := server.IdentityOf(c.Context()).Name
	u := &upload{r: c.Body, take: func(n int64) error { return a.uploads.take(who, n) }}
	err := put(u)
	if err != nil {
		had = u.taken
	}
	a.uploads.giveBack(had)
	if err != nil {
		if problem := u.problem(); problem != nil {
			return problem
		}
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var readOperations = []Operation{
	{
		ID: "read", Method: http.MethodPost, Path: "/v1/read", Scope: server.ScopeEntries,
		Doc:   "Reads of the ledger's store as of a size, with proofs: docs/formats/remote-reads.md.",
		Takes: typeJSON, TakesOf: wire.ReadRequest{}, MaxBody: wire.MaxReadRequest,
		Replies: []Reply{{http.StatusOK, "what was found", typeJSON, wire.ReadAnswer{}}},
		Codes:   []wire.Code{wire.CodeMalformed, wire.CodeSize, wire.CodeIndex},
		handle:  (*API).read,
	},
	{
		ID: "trace", Method: http.MethodPost, Path: "/v1/trace", Scope: server.ScopeEntries,
		Doc:   "All that a lookup reads of the ledger's store, with proofs: docs/formats/remote-reads.md.",
		Takes: typeJSON, TakesOf: wire.TraceRequest{}, MaxBody: wire.MaxReadRequest,
		Replies: []Reply{{http.StatusOK, "what was found", typeJSON, wire.ReadAnswer{}}},
		Codes:   []wire.Code{wire.CodeMalformed, wire.CodeSize, wire.CodeIndex},
		handle:  (*API).trace,
	},
}

func (a *API) read(w http.ResponseWriter, c *call) error {
	return a.answerRead(w, c, server.AnswerRead)
}
func (a *API) trace(w http.ResponseWriter, c *call) error {
	return a.answerRead(w, c, server.AnswerTrace)
}

func (a *API) answerRead(w http.ResponseWriter, c *call, with func(*ledger.View, []byte) (*wire.ReadAnswer, error)) error {
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return malformed("the body ended too early")
	}
	answer, err := with(a.o.Engine.View(), body)
	if err != nil {
		return err
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, answer)
}
