package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// errInterrupted says that what was asked for is not complete, because the user ended it.
var errInterrupted = errors.New("interrupted")

// mostNamed bounds the runs that a sentence names.
const mostNamed = 4

// missing says what of a comparison is not there, or not what it would have been; empty where nothing is missing.
func missing(o compare.Outcome) string {
	var parts []string
	if n := len(o.Unfinished); n > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d runs are missing: %s", n, n+len(o.Scores), named(o.Unfinished)))
	}
	if cut := o.CutShort(); len(cut) > 0 {
		parts = append(parts, "cut short and with the best schedule found until then: "+named(cut))
	}
	return strings.Join(parts, "; ")
}

// named lists the first of some runs.
func named(keys []compare.Key) string {
	var words []string
	for _, k := range keys[:min(len(keys), mostNamed)] {
		words = append(words, k.String())
	}
	text := strings.Join(words, ", ")
	if more := len(keys) - len(words); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// interrupted is the error of a comparison that is not complete, nil where it is.
func interrupted(o compare.Outcome) error {
	if o.Complete() {
		return nil
	}
	return fmt.Errorf("%w: %s", errInterrupted, missing(o))
}

// noteMissing notes what is missing, so that the results say it wherever they go.
func (o *options) noteMissing(x compare.Outcome) {
	if !x.Complete() {
		o.note("incomplete", "the replay was interrupted; %s", missing(x))
	}
}
