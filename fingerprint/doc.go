// Package fingerprint says what bytes are: file digests and chunk trees, the
// manifest tree and its proofs of presence and absence, manifest files,
// differences between two of them, and collections.
//
// A [Fingerprint] is 32 bytes that stand for exactly these names and bytes. It
// is made from files in the byte order of their paths, each given as a [File]:
//
//	t := fingerprint.NewTree(fingerprint.SHA256)
//	for _, path := range paths {
//		f, err := fingerprint.SHA256.NewFile(path, contents)
//		…
//		if err := t.Add(f); err != nil { … }
//	}
//	sum, err := t.Summary()
//	fmt.Println(sum.Fingerprint(fingerprint.SHA256)) // stele-sha256:…
//
// The package reads no disk, clock or network: bytes come in as slices,
// readers and iterators. Its formats are described, with their limits and test
// vectors, in docs/formats: fingerprint.md, manifest.md, path-proof.md,
// range-proof.md and collection.md.
//
// # Errors
//
// Callers act on the class of an error, with errors.Is: [ErrMismatch] (the
// contents or a proof do not match: tampered), [ErrFormat] (these bytes are no
// encoding of anything), [ErrTruncated] (they stop too early), [ErrOrder],
// [ErrPath], [ErrRange].
package fingerprint
