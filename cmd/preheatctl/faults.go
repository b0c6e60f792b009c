package main

import (
	"errors"
	"fmt"
)

// faults gathers what is wrong with the flags, so that all of it is told at once.
type faults []error

// check adds a fault unless ok.
func (f *faults) check(ok bool, format string, values ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, values...))
	}
}

// add adds an error that is there.
func (f *faults) add(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

// err is all of them as one error of usage, nil where there is none.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return usageError{errors.Join(f...)}
}
