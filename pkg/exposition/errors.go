package exposition

import "errors"

// Errors that callers branch on; the errors returned wrap them and say what was sought and what was found.
var (
	// ErrNotExposition says that the page is neither text 0.0.4 nor OpenMetrics: HTML, JSON, binary or broken lines.
	ErrNotExposition = errors.New("not a metrics page")
	// ErrTorn says that the page ends in the middle.
	ErrTorn = errors.New("metrics page ends early")
	// ErrNoEngine says that the page is a metrics page without the engine that was sought.
	ErrNoEngine = errors.New("no inference engine on the metrics page")
)
