package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/s3"
)

// order is what a child is to do and how. A place is a bucket's name or, where
// it is absolute, a folder on the disk.
type order struct {
	requests   int
	versions   bool
	hash       string
	stamp      string // folder to write manifest and marks to
	hints      string // folder to read them from
	stamped    string // the same, for an audit
	journal    string // folder of the journals
	tell       bool
	confidence string
}

// runChild is a process of its own: one reading, or the filling of what is read.
func runChild(ctx context.Context, args []string) error {
	o := &order{}
	f := flag.NewFlagSet(childWord, flag.ContinueOnError)
	f.IntVar(&o.requests, "requests", bucket.DefaultRequests(), "")
	f.BoolVar(&o.versions, "versions", false, "")
	f.StringVar(&o.hash, "hash", fingerprint.SHA256.String(), "")
	f.StringVar(&o.stamp, "stamp", "", "")
	f.StringVar(&o.hints, "hints", "", "")
	f.StringVar(&o.stamped, "stamped", "", "")
	f.StringVar(&o.journal, "journal", "", "")
	f.BoolVar(&o.tell, "tell", false, "")
	f.StringVar(&o.confidence, "confidence", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	want := map[string]int{"fill": 3, "drop": 1, "tree": 2, "sdk": 1, "scan": 1, "audit": 1}
	verb, args := f.Arg(0), f.Args()
	if n, ok := want[verb]; !ok || len(args) != n+1 {
		return fmt.Errorf("no such order: %q", args)
	}
	var numbers []int64
	for _, a := range args[min(2, len(args)):] {
		n, err := strconv.ParseInt(a, 10, 64)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	var (
		rep report
		err error
	)
	switch place := args[1]; verb {
	case "fill":
		return fill(ctx, place, numbers[0], numbers[1], o.versions)
	case "drop":
		return drop(ctx, place)
	case "tree":
		return tree(place, int(numbers[0]))
	case "sdk":
		return readAlone(ctx, place, o.requests)
	case "scan":
		rep, err = o.runScan(ctx, place)
	case "audit":
		rep, err = o.runAudit(ctx, place)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rep)
}

// open opens a place. What is read of a disk is not counted.
func (o *order) open(ctx context.Context, place string) (source.Source, *counter, error) {
	n := &counter{tell: o.tell}
	if filepath.IsAbs(place) {
		src, err := source.OpenLocal(place, source.LocalOptions{})
		return src, n, err
	}
	st, err := s3.Open(ctx, place, s3.Options{Requests: o.requests})
	if err != nil {
		return nil, nil, err
	}
	src, err := bucket.Open(ctx, &counted{Store: st, n: n}, "", bucket.Options{Requests: o.requests})
	return src, n, err
}

// runScan is the measured process: one scan.
func (o *order) runScan(ctx context.Context, place string) (rep report, err error) {
	opts := scan.Options{}
	if opts.Algorithm, err = fingerprint.ParseAlgorithm(o.hash); err != nil {
		return rep, err
	}
	if o.hints != "" {
		st, err := openStamped(o.hints)
		if err != nil {
			return rep, err
		}
		// As the command does: they are used only if they check to their end.
		for _, err := range st.hints() {
			if err != nil {
				return rep, err
			}
		}
		opts.Hints = st.hints()
	}
	if o.journal != "" {
		opts.Journal, err = hint.OpenJournal(o.journal, hint.Key{Place: place, Algorithm: opts.Algorithm})
		if err != nil {
			return rep, err
		}
		defer opts.Journal.Close()
		opts.RememberAfter = 1 // at once
	}
	var w *stampWriter
	var emit func(fingerprint.File) error
	if o.stamp != "" {
		if w, err = newStampWriter(o.stamp, opts.Algorithm); err != nil {
			return rep, err
		}
		opts.Kept, emit = w.mark, w.file
	}
	src, n, err := o.open(ctx, place)
	if err != nil {
		return rep, err
	}
	defer src.Close()
	res, err := scan.Run(ctx, src, opts, emit)
	if err != nil {
		return rep, err
	}
	if w != nil {
		if err := w.close(res); err != nil {
			return rep, err
		}
	}
	if opts.Journal != nil {
		if err := opts.Journal.Err(); err != nil {
			return rep, err
		}
		if err := opts.Journal.Done(); err != nil {
			return rep, err
		}
	}
	rep = report{
		Fingerprint: res.Fingerprint.String(), Files: res.Summary.Files, Bytes: res.Summary.Bytes,
		Read: n.bytes.Load(), Requests: n.requests.Load(),
		Version: res.Basis.Version, ETag: res.Basis.ETag, MTime: res.Basis.MTime, Resumed: res.Basis.Resumed,
	}
	if filepath.IsAbs(place) {
		rep.Read = res.Basis.Read - res.Basis.Resumed
	}
	return rep, nil
}
