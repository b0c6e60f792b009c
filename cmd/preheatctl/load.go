package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// defaultWorkload is replayed where there is no trace: a day's hump in six hours, for one to four replicas.
const defaultWorkload = "diurnal:hours=6,low=2,high=20"

// source is what is replayed: the file, or the generated workload.
func (l *loadOptions) source() string {
	if l.trace == "" {
		return defaultWorkload
	}
	return l.trace
}

// options turns the flags into those of package trace.
func (l *loadOptions) options(seed uint64) trace.Options {
	o := trace.Options{
		Format: trace.Format(l.format), Mix: l.mix, Arrivals: trace.Arrivals{Process: trace.Process(l.process), CV: l.cv},
		From: time.Duration(l.from), For: time.Duration(l.length), Rate: l.rate, Compress: l.compress, Offset: time.Duration(l.offset), Jitter: l.jitter, Seed: int64(seed),
	}
	if l.dilate > 0 {
		o.Compress = 1 / l.dilate
	}
	if l.cv > 0 && l.process == "" {
		o.Arrivals.Process = trace.Gamma
	}
	return o
}

// load is what the runs read.
func (l *loadOptions) load() compare.Load {
	name := l.source()
	if _, err := os.Stat(name); err == nil {
		name = filepath.Base(name) // what is found does not depend on where the file lies
	}
	return compare.Load{Name: name, Open: func(seed uint64) (trace.Stream, error) {
		return trace.Open(l.source(), l.options(seed))
	}}
}

// monday is the date of a trace that tells none.
var monday = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// generated says whether the load is a workload, which no file stands behind: its faults are those of the command line.
func (l *loadOptions) generated() bool {
	name, _, _ := strings.Cut(l.source(), ":")
	_, err := os.Stat(l.source())
	return err != nil && slices.Contains(trace.WorkloadNames(), name)
}

// peek reads the first request, and returns what is known of the trace by then.
func (l *loadOptions) peek(seed uint64) (trace.Facts, error) {
	t, err := trace.Open(l.source(), l.options(seed))
	var inFile *trace.Error // of a mix
	if err != nil && l.generated() && !errors.As(err, &inFile) {
		return trace.Facts{}, usageError{fmt.Errorf("--trace: %w", err)}
	}
	if err != nil {
		return trace.Facts{}, err
	}
	defer t.Close()
	if _, err := t.Next(); err != nil && !errors.Is(err, io.EOF) {
		return trace.Facts{}, err
	}
	return t.Facts(), nil
}
