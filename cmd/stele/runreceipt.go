package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
)

// findReceipt sees to it, before hours of work, that --receipt can be written:
// its folder is there, and takes files. A pipe or a device is written to as it
// is.
func (o *runOrder) findReceipt() (err error) {
	path := o.receipt
	if path == "" {
		return nil
	}
	if path == "-" {
		return usagef("--receipt takes a file: standard output is the command's").withHint("--json prints the receipt on standard error; a file of that name is ./-")
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return failf(exitError, "--receipt %s is a folder", source.Show(path)).withPath(path).withHint("it takes the path of a file, which is made or replaced")
	case err == nil && !info.Mode().IsRegular():
		return nil
	}
	if o.receiptSpot, err = spotOf(path); err != nil {
		return err
	}
	if o.receiptSpot.Remote() {
		return usagef("--receipt %s: it takes a file on this machine", source.Show(path))
	}
	f, err := os.CreateTemp(filepath.Dir(o.receiptSpot.Path()), ".receipt.*")
	if errors.Is(err, fs.ErrNotExist) {
		return failf(exitNotFound, "--receipt %s: its folder is not there", source.Show(path)).withPath(path).withHint("nothing was started; make the folder first")
	}
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err // the name of a file that a person never heard of says nothing
		}
		return failf(exitError, "--receipt %s: nothing can be written there: %w", source.Show(path), err).withPath(path).withHint("nothing was started")
	}
	f.Close()
	return os.Remove(f.Name())
}

// checkReceipt refuses a receipt that would be written over an input or output,
// or among their files.
func (o *runOrder) checkReceipt() error {
	if o.receiptSpot == (place.Place{}) {
		return nil
	}
	refuse := func(what, path string, at place.Place) error {
		if path == "" || !overlap(at, o.receiptSpot) {
			return nil
		}
		return failf(exitError, "the receipt (%s) lies in %s (%s), or is it", source.Show(o.receipt), what, source.Show(path)).withPath(o.receipt).
			withHint("written there it would change what the run is about; write it beside")
	}
	for _, in := range o.in {
		if err := refuse("the input "+in.what(), in.path, in.spot); err != nil {
			return err
		}
	}
	for _, out := range o.out {
		if err := refuse("the output "+out.what(), out.path, out.spot); err != nil {
			return err
		}
	}
	return nil
}

// writeReceipt writes what --json prints.
func writeReceipt(path string, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return writeWhole(path, func(f *os.File) error {
		_, err := f.Write(text.Bytes())
		return err
	})
}
