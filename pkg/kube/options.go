package kube

import (
	"errors"
	"fmt"
	"time"
)

// Options tune the adapters. Start from DefaultOptions.
type Options struct {
	// Namespace limits everything to one namespace; empty means all.
	Namespace string
	// FieldManager is the name under which everything is written.
	FieldManager string
	// Timeout bounds what one observation, or one write, waits for the API server.
	Timeout time.Duration
	// CoolOff is how long a number set by somebody else is respected before Preheat sets its own again. It doubles
	// each time it happens again, up to MaxCoolOff.
	CoolOff, MaxCoolOff time.Duration
	// StatusPeriod is how often a status is written where nothing has changed that a person cares for.
	StatusPeriod time.Duration
	// StatusWriters is how many statuses are written at once.
	StatusWriters int
	// EventPeriod is the least time between two events of one target that tell of a new reason but of no new number.
	EventPeriod time.Duration
	// SweepPeriod is how often raised minimums that nobody asks for any more are looked for.
	SweepPeriod time.Duration
	// RediscoverPeriod is how often the API server is asked again about kinds that it did not know.
	RediscoverPeriod time.Duration
	// EnginePage returns where an engine serves its metric page by itself, by the name in spec.metrics.engine; false
	// where the engine is not known, as with "auto".
	EnginePage func(engine string) (page EnginePage, known bool)
	// Prometheus says that there is a Prometheus to read what a spec wants read out of it.
	Prometheus bool
	// Now is the wall clock of what happens outside of ticks: specs that turn out invalid, statuses that are written.
	Now func() time.Time
}

// EnginePage is where an engine serves its metric page unless it is told otherwise.
type EnginePage struct {
	// Port is from 1 to 65535, 0 where the engine has none of its own.
	Port int32
	// Path begins with '/'; empty means /metrics.
	Path string
}

// DefaultOptions returns the options of a production service.
func DefaultOptions() Options {
	return Options{
		FieldManager:     "preheat",
		Timeout:          10 * time.Second,
		CoolOff:          5 * time.Minute,
		MaxCoolOff:       time.Hour,
		StatusPeriod:     30 * time.Second,
		StatusWriters:    4,
		EventPeriod:      time.Minute,
		SweepPeriod:      10 * time.Second,
		RediscoverPeriod: time.Minute,
		EnginePage:       func(string) (EnginePage, bool) { return EnginePage{}, false },
		Now:              time.Now,
	}
}

// Validate reports every fault.
func (o Options) Validate() error {
	var errs []error
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"Timeout", o.Timeout},
		{"CoolOff", o.CoolOff},
		{"MaxCoolOff", o.MaxCoolOff},
		{"StatusPeriod", o.StatusPeriod},
		{"EventPeriod", o.EventPeriod},
		{"SweepPeriod", o.SweepPeriod},
		{"RediscoverPeriod", o.RediscoverPeriod},
	} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("kube options: %s is %v, must be above 0", d.name, d.value))
		}
	}
	if o.MaxCoolOff < o.CoolOff {
		errs = append(errs, fmt.Errorf("kube options: MaxCoolOff %v is below CoolOff %v", o.MaxCoolOff, o.CoolOff))
	}
	if o.FieldManager == "" {
		errs = append(errs, errors.New("kube options: FieldManager is empty"))
	}
	if o.StatusWriters < 1 {
		errs = append(errs, fmt.Errorf("kube options: StatusWriters is %d, must be at least 1", o.StatusWriters))
	}
	if o.EnginePage == nil {
		errs = append(errs, errors.New("kube options: EnginePage is nil"))
	}
	if o.Now == nil {
		errs = append(errs, errors.New("kube options: Now is nil"))
	}
	return errors.Join(errs...)
}
