package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Manifests are those that are at hand. A fingerprint stands for all files of an
// artifact: a file that lies in two artifacts can be seen only in their manifests,
// which are no part of the ledger. Without them, files are not compared.
type Manifests interface {
	// Has reports whether there is a manifest of the fingerprint.
	Has(fp fingerprint.Fingerprint) bool

	// Each goes through the files of an artifact, to the end of its manifest: only
	// then is it known to be the right one. Where there is none, it is an
	// fs.ErrNotExist.
	Each(ctx context.Context, fp fingerprint.Fingerprint, do func(fingerprint.File)) error
}

const (
	// smallFile is the size in bytes below which a file that is the same says
	// nothing: an empty one, a header, a licence's name.
	smallFile = 64

	// maxCompared is how many files are held in memory to be compared with, at
	// some 60 bytes each: those of the smaller side. More are not compared.
	maxCompared = 4_000_000

	// maxShown is how many files that are in two artifacts are named.
	maxShown = 8
)

// filesOfMany are digests of files of many artifacts, each with whose it is.
type filesOfMany struct {
	of     []statement.Ref
	at     map[fileKey]int32 // into of
	skip   uint64            // files below smallFile
	absent []statement.Ref   // whose manifest is nowhere
	tooBig bool
}

// fileKey is a file by its contents: a digest means something only together with
// the size.
type fileKey struct {
	size   uint64
	digest fingerprint.Digest
}

// gather takes the files of artifacts into memory.
func gather(ctx context.Context, m Manifests, refs []statement.Ref) (*filesOfMany, error) {
	all := &filesOfMany{of: refs, at: map[fileKey]int32{}}
	for i, ref := range refs {
		err := m.Each(ctx, ref.Fingerprint, func(f fingerprint.File) {
			switch key := (fileKey{f.Size, f.Digest}); {
			case f.Size < smallFile:
				all.skip++
			case len(all.at) >= maxCompared:
				all.tooBig = true
			default:
				if _, ok := all.at[key]; !ok {
					all.at[key] = int32(i)
				}
			}
		})
		if errors.Is(err, fs.ErrNotExist) {
			all.absent = append(all.absent, ref)
		} else if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// shared are files of artifacts that are in others, too.
type shared struct {
	n      uint64
	names  []string        // of the first of them
	absent []statement.Ref // whose manifest is nowhere
}

// among finds files of artifacts among others.
func among(ctx context.Context, m Manifests, refs []statement.Ref, with *filesOfMany) (*shared, error) {
	found := new(shared)
	for _, ref := range refs {
		err := m.Each(ctx, ref.Fingerprint, func(f fingerprint.File) {
			i, ok := with.at[fileKey{f.Size, f.Digest}]
			if !ok {
				return
			}
			if found.n++; len(found.names) < maxShown {
				found.names = append(found.names, fmt.Sprintf("%s of %s, as in %s", f.Path, ref, with.of[i]))
			}
		})
		if errors.Is(err, fs.ErrNotExist) {
			found.absent = append(found.absent, ref)
		} else if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *shared) String() string {
	text := strings.Join(s.names, "; ")
	if more := s.n - uint64(len(s.names)); more > 0 {
		text += fmt.Sprintf("; and %s more", terminal.Count(more))
	}
	return text
}
