package spool

import (
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

const (
	attachmentSuffix = ".attachment"
	manifestSuffix   = ".manifest"
)

// Document is a file that an envelope names by digest: the manifest of a fingerprint,
// or where that is zero an attachment. Who reads it checks it.
type Document struct {
	Manifest   fingerprint.Fingerprint
	Attachment statement.Attachment
	Path       string
}

func (d *Document) name() string {
	if d.Manifest.IsZero() {
		return hex.EncodeToString(d.Attachment.SHA256[:]) + attachmentSuffix
	}
	return d.Manifest.Key() + "-" + d.Manifest.Sum.String() + manifestSuffix
}

// copyTo copies a document into an item that is being made.
func (d *Document) copyTo(dir string) (err error) {
	from, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, d.name()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, durable.PrivateFile) // it may be named twice
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Sync()
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", d.name(), err)
	}
	return durable.SyncDir(durable.Private(), dir)
}

// Documents returns what the envelope names and its server may not have so far.
func (i Item) Documents() ([]Document, error) {
	list, err := os.ReadDir(i.dir)
	if err != nil {
		return nil, err
	}
	var documents []Document
	for _, e := range list {
		d, ok := parseName(e)
		if d.Path = filepath.Join(i.dir, e.Name()); !ok || d.name() != e.Name() {
			continue
		}
		if d.Manifest.IsZero() {
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			d.Attachment.Size = uint64(info.Size())
		}
		documents = append(documents, d)
	}
	return documents, nil
}

func parseName(e fs.DirEntry) (d Document, ok bool) {
	if !e.Type().IsRegular() {
		return d, false
	}
	if name, is := strings.CutSuffix(e.Name(), attachmentSuffix); is {
		sum, err := hex.DecodeString(name)
		if err != nil || len(sum) != len(d.Attachment.SHA256) {
			return d, false
		}
		d.Attachment.SHA256 = [32]byte(sum)
		return d, true
	}
	name, is := strings.CutSuffix(e.Name(), manifestSuffix)
	if i := strings.LastIndexByte(name, '-'); is && i > 0 {
		fp, err := fingerprint.Parse(name[:i] + ":" + name[i+1:])
		d.Manifest = fp
		return d, err == nil && !fp.IsZero()
	}
	return d, false
}
