package main

import (
	"errors"
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
)

// errInterrupted says that what was asked for is not complete, because the user ended it.
var errInterrupted = errors.New("interrupted")

// interrupted is the error of a comparison that is not complete, nil where it is.
func interrupted(o compare.Outcome) error {
	if o.Complete() {
		return nil
	}
	return fmt.Errorf("%w: %s", errInterrupted, o.Missing())
}
