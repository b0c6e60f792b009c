package exposition

import (
	"errors"
	"fmt"
)

// Errors that callers branch on; the errors returned wrap them and say what was sought and what was found.
var (
	// ErrNotExposition says that the page is neither text 0.0.4 nor OpenMetrics: HTML, JSON, binary or broken lines.
	ErrNotExposition = errors.New("not a metrics page")
	// ErrTorn says that the page ends in the middle.
	ErrTorn = errors.New("metrics page ends early")
	// ErrNoEngine says that the page is a metrics page without the engine that was sought.
	ErrNoEngine = errors.New("no inference engine on the metrics page")
)

// errNothingTold is an ErrNoEngine of a page that may be the engine's before it has something to tell.
var errNothingTold = fmt.Errorf("%w", ErrNoEngine)
