package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// details is which runs have files of their own, by the word of the flag.
type details string

// The words.
const (
	noDetails    details = "none"
	firstDetails details = "first"
	leadDetails  details = "leads"
	allDetails   details = "all"
)

var detailWords = []string{string(noDetails), string(firstDetails), string(leadDetails), string(allDetails)}

// include says whether the l-th lead time under the s-th seed has files.
func (d details) include(l, s int) bool {
	switch d {
	case noDetails:
		return false
	case firstDetails:
		return l == 0 && s == 0
	case leadDetails:
		return s == 0
	case allDetails:
	}
	return true
}

// place is a lead time under a seed: its policies share files.
type place struct {
	lead time.Duration
	seed uint64
}

// folder is where the files of a place lie within the directory: those of the first lead time and seed in itself.
func (p place) folder(first place) string {
	var names []string
	if p.lead != first.lead {
		names = append(names, "lead-"+strconv.FormatFloat(p.lead.Seconds(), 'f', -1, 64)+"s")
	}
	if p.seed != first.seed {
		names = append(names, "seed-"+strconv.FormatUint(p.seed, 10))
	}
	return filepath.Join(names...)
}

// ofFolder is the name of a folder as place.folder makes it.
var ofFolder = regexp.MustCompile(`^(lead-[0-9]+(\.[0-9]+)?s|seed-[0-9]+)$`)

// isFolder says whether a replay makes a folder of that name.
func isFolder(e fs.DirEntry) bool { return e.IsDir() && ofFolder.MatchString(e.Name()) }

// detail is the files of one place.
type detail struct {
	place
	folder string
	*score.Files
}

// openDetails prepares the files of an experiment in a directory.
func openDetails(dir string, d details, e compare.Experiment) ([]detail, error) {
	var out []detail
	first := place{e.Leads[0].Whole, e.Seeds[0]}
	for l, lead := range e.Leads {
		for s, seed := range e.Seeds {
			if !d.include(l, s) {
				continue
			}
			at := place{lead.Whole, seed}
			files, err := score.Create(filepath.Join(dir, at.folder(first)), len(e.Policies))
			if err != nil {
				return nil, err
			}
			out = append(out, detail{at, at.folder(first), files})
		}
	}
	return out, nil
}

// clearFolder removes what a replay left in a folder, and the folder where nothing else is in it.
func clearFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	errs := []error{clearFiles(dir, entries)}
	left, err := os.ReadDir(dir)
	if err == nil && len(left) == 0 {
		err = os.Remove(dir)
	}
	return errors.Join(append(errs, err)...)
}

// clearFiles removes the files of a replay among the entries of a directory, those in its folders too.
func clearFiles(dir string, entries []fs.DirEntry) error {
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case isFolder(e):
			errs = append(errs, clearFolder(path))
		case isResult(e) || isPart(e):
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}
