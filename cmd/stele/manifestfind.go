package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// manifestSearch is where the manifest behind a fingerprint may lie. Wherever
// it is found, it counts because it hashes to the fingerprint.
type manifestSearch struct {
	what         string // name@version, for messages
	fp           fingerprint.Fingerprint
	files, bytes uint64             // as the stamp says, to bound what is fetched
	given        string             // --manifest
	ledger       string             // its directory, or empty
	details      *statement.Details // the stamp's, or nil
	data         *data              // or nil
	reach        place.Options
}

// findManifest looks for a manifest: where --manifest says, with the ledger,
// where the stamp's details say, beside the data. One that is damaged or out of
// reach is told, and the next is tried. A nil manifest: it is nowhere, and bad
// is what is wrong with the first that could not be used, or nil.
func (a *app) findManifest(ctx context.Context, s manifestSearch) (m *manifest.Found, bad, err error) {
	places, err := a.placesOf(ctx, &s)
	if err != nil {
		return nil, nil, err
	}
	if s.given != "" {
		p, err := parsePlace(s.given)
		if err != nil {
			return nil, nil, err
		}
		places = append([]place.Place{p}, places...)
	}
	var wrong []error
	for i, p := range places {
		m, err := s.at(ctx, p)
		switch {
		case err == nil:
			for _, w := range wrong {
				a.leftAside(w)
			}
			return m, nil, nil
		case ctx.Err() != nil:
			return nil, nil, err
		case !errors.Is(err, fs.ErrNotExist):
			wrong = append(wrong, err)
		case i == 0 && s.given != "":
			return nil, nil, notThere(p, err)
		}
	}
	if len(wrong) > 0 {
		bad = wrong[0]
	}
	return nil, bad, nil
}

func (a *app) leftAside(err error) { a.term.Warnf("left aside: %v", err) }

// placesOf are where a manifest may lie without being told.
func (a *app) placesOf(ctx context.Context, s *manifestSearch) (list []place.Place, err error) {
	add := func(text string) {
		if p, err := place.Parse(text); err == nil {
			list = append(list, p)
		}
	}
	if s.ledger != "" {
		shelf, err := a.shelfOf(ctx, s.ledger)
		if err != nil {
			return nil, err
		}
		add(shelf.ManifestPath(s.fp)) // which a server's shelf fetches

	}
	if s.details != nil {
		for _, text := range s.details.ManifestLocations {
			add(text)
		}
	}
	if s.data != nil && !s.data.source.Single() {
		list = append(list, s.data.place.Join(".stele/manifests/"+manifestName(s.fp)))
	}
	return list, nil
}

// at takes the manifest from one place, if it is there and the right one.
func (s *manifestSearch) at(ctx context.Context, p place.Place) (*manifest.Found, error) {
	m := &manifest.Found{Name: p.String(), Path: p.Path(), Fingerprint: s.fp}
	if p.Remote() {
		var err error
		if m.Path, err = fetch(ctx, p, s.reach, s.limit()); err != nil {
			return nil, err
		}
		m.Temporary = true
	}
	if err := m.Check(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// limit is more bytes than the manifest can have, so that nobody's address can
// fill the disk: for each file a path and two digests, for each chunk one.
func (s *manifestSearch) limit() int64 {
	const head, file = 4096, fingerprint.MaxPath + 128
	const most = 1 << 40
	if s.files > most/file {
		return most
	}
	return int64(head + s.files*file + 32*min(s.files+s.bytes/fingerprint.ChunkSize, most/32))
}

// fetch copies an object into a temporary file.
func fetch(ctx context.Context, p place.Place, reach place.Options, limit int64) (path string, err error) {
	r, _, err := p.Read(ctx, reach, limit)
	if err != nil {
		return "", at(p, err)
	}
	defer r.Close()
	f, err := os.CreateTemp("", "stele-manifest-*")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(f.Name())
		return "", at(p, err)
	}
	return f.Name(), nil
}

// at gives an error of a source the whole address.
func at(p place.Place, err error) error {
	var e *source.Error
	if errors.As(err, &e) && e.Path != p.String() {
		with := *e
		with.Path = p.String()
		return &with
	}
	return err
}

// manifestOfStamp opens the manifest of a stamp, wherever it can be found. Of a
// stamp of a list it returns the list, too.
func (a *app) manifestOfStamp(ctx context.Context, r *reading, st *statement.Statement, reach place.Options) (m *manifest.File, list []string, err error) {
	s, err := a.searchFor(r, st, reach)
	if err != nil {
		return nil, nil, err
	}
	found, bad, err := a.findManifest(ctx, s)
	if err == nil && found == nil {
		err = s.nowhere(bad)
	}
	if err != nil {
		return nil, nil, err
	}
	if st.Stamp.Listed {
		list, err = found.Paths()
	}
	if err == nil {
		m, err = found.Open()
	}
	if err != nil {
		found.Close()
		return nil, nil, err
	}
	m.Also(found.Close)
	return m, list, nil
}

// searchFor is where to look for the manifest of a stamp: with the ledger, and
// where its details say.
func (a *app) searchFor(r *reading, st *statement.Statement, reach place.Options) (s manifestSearch, err error) {
	ref, err := st.Ref()
	if err != nil {
		return s, err
	}
	if s.ledger, err = a.findLedger(); err != nil {
		return s, err
	}
	s.what, s.fp, s.files, s.bytes, s.reach = ref.Name+"@"+ref.Version, ref.Fingerprint, st.Stamp.Files, st.Stamp.Bytes, reach
	s.details, _, _ = a.detailsOf(r, st) // they may be erased
	return s, nil
}

// nowhere is why there is no manifest: what is wrong with the one there is, or
// that there is none.
func (s *manifestSearch) nowhere(bad error) error {
	if bad != nil {
		return bad
	}
	return failf(exitNotFound, "the manifest of %s is not with the ledger, nor where its details say", s.what).
		withHint("it can be made again from the data: `stele fingerprint PATH --manifest FILE`")
}

// maxFetched bounds a manifest of which nothing is known beforehand, in bytes:
// one of a thousand million files.
const maxFetched = 1 << 37

// fetchManifest opens a manifest that a person named by its address.
func fetchManifest(ctx context.Context, p place.Place, reach place.Options) (*manifest.File, error) {
	path, err := fetch(ctx, p, reach, maxFetched)
	if err != nil {
		return nil, notThere(p, err)
	}
	m, err := manifest.Open(path, fingerprint.Fingerprint{})
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	m.Name = p.String()
	m.Also(func() { os.Remove(path) })
	return m, nil
}

// manifestAt takes the manifest that a person named, a path or an address, and
// reads it to its end.
func manifestAt(ctx context.Context, text string, reach place.Options) (*manifest.Found, fingerprint.Summary, error) {
	var sum fingerprint.Summary
	p, err := parsePlace(text)
	if err != nil {
		return nil, sum, err
	}
	m := &manifest.Found{Name: text, Path: p.Path()}
	if p.Remote() {
		if m.Path, err = fetch(ctx, p, reach, maxFetched); err != nil {
			return nil, sum, notThere(p, err)
		}
		m.Temporary = true
	} else if err := exists(text); err != nil {
		return nil, sum, err
	}
	f, err := m.Open()
	if err == nil {
		err = f.Check()
		m.Fingerprint, sum = f.Fingerprint(), f.Summary() // once it was read to its end
		f.Close()
	}
	if err != nil {
		m.Close()
		return nil, sum, err
	}
	return m, sum, nil
}

// openManifest opens a manifest by file, by address or by NAME@VERSION.
func (a *app) openManifest(ctx context.Context, arg string) (*manifest.File, error) {
	p, err := parsePlace(arg)
	if err != nil {
		return nil, err
	}
	if p.Remote() {
		return fetchManifest(ctx, p, place.Options{})
	}
	if _, _, err := statement.ParseNameVersion(arg); err == nil && !isPath(arg) {
		s, err := a.side(ctx, arg, new(scanFlags))
		if err == nil && s.root != nil {
			s.known.close()
			err = failf(exitError, "%s is a collection: it has no manifest, its members have theirs", arg).withHint("`stele show " + arg + "` lists them")
		}
		if err != nil {
			return nil, err
		}
		return s.manifest, nil
	}
	if err := exists(arg); err != nil {
		return nil, err
	}
	if whole, cut := manifest.Is(arg); whole || cut {
		return manifest.Open(arg, fingerprint.Fingerprint{})
	}
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		return nil, usagef("%s is a folder, not a manifest", arg).withHint("`stele fingerprint " + arg + " --manifest FILE` makes one")
	}
	return nil, failf(exitError, "%s is no manifest: it does not begin as one", arg).withPath(arg)
}
