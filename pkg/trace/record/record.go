// Package record reads the load of a live service out of Prometheus, as a series of rates with the mean sizes of the
// requests, which package trace can draw requests from.
//
// It asks a Prometheus that already scrapes the engines and must not scrape them itself. It reads no clock: the range is
// given. Absent is not zero: where Prometheus has no data, the series has a hole.
package record

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// API is the part of Prometheus' HTTP API that recording needs; v1.API has it.
type API interface {
	QueryRange(ctx context.Context, query string, r v1.Range, opts ...v1.Option) (model.Value, v1.Warnings, error)
}

// Options say what to record.
type Options struct {
	// Queries are the expressions; see Default.
	Queries Queries
	// From and To bound the record, Step is its period. Each value is taken at the end of its period, which is what a
	// rate over the time before says something about.
	From, To time.Time
	Step     time.Duration
	// Timeout bounds each query.
	Timeout time.Duration
}

// Bounds of a record. Prometheus refuses more than 11,000 points a query: longer ranges are asked for in pieces.
const (
	pointsPerQuery = 10_000
	maxPoints      = 5_000_000
	minStep        = time.Second
)

// Validate reports every fault at once.
func (o Options) Validate() error {
	var faults []error
	if o.Queries.Rate == "" {
		faults = append(faults, errors.New("no query for the rate of requests"))
	}
	if o.Step < minStep {
		faults = append(faults, fmt.Errorf("step %v: must be at least %v", o.Step, minStep))
	} else if n := o.periods(); n < 2 || n > maxPoints {
		faults = append(faults, fmt.Errorf("from %s to %s in steps of %v are %d periods: must be between 2 and %d",
			o.From.Format(time.RFC3339), o.To.Format(time.RFC3339), o.Step, n, maxPoints))
	}
	if o.Timeout <= 0 {
		faults = append(faults, fmt.Errorf("timeout %v: must be above zero", o.Timeout))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// periods is how many whole steps fit.
func (o Options) periods() int64 { return int64(o.To.Sub(o.From) / o.Step) }

// Record is what was recorded.
type Record struct {
	Rates trace.Rates
	// Warnings are Prometheus' own, and which queries had no data, each once.
	Warnings []string
}

// ErrNoData means that there is not one sample of the rate of requests in the whole range.
var ErrNoData = errors.New("no data")

// Run asks for the series. No data at all for the rate is ErrNoData; without sizes the record has rates alone.
func Run(ctx context.Context, api API, o Options) (Record, error) {
	if err := o.Validate(); err != nil {
		return Record{}, err
	}
	r := &recorder{api: api, o: o, seen: map[string]bool{}}
	out := trace.Rates{Start: o.From.UTC(), Period: o.Step}
	var err error
	if out.PerSecond, err = r.series(ctx, o.Queries.Rate); err != nil {
		return Record{}, err
	}
	if empty(out.PerSecond) {
		return Record{}, fmt.Errorf("record: %w for %s from %s to %s",
			ErrNoData, o.Queries.Rate, o.From.Format(time.RFC3339), o.To.Format(time.RFC3339))
	}
	if err := r.addSizes(ctx, &out); err != nil {
		return Record{}, err
	}
	return Record{Rates: out, Warnings: r.warnings}, nil
}

func empty(values []float64) bool {
	for _, v := range values {
		if !math.IsNaN(v) {
			return false
		}
	}
	return true
}

type recorder struct {
	api      API
	o        Options
	warnings []string
	seen     map[string]bool
}

// addSizes adds the mean tokens where both are to be had.
func (r *recorder) addSizes(ctx context.Context, out *trace.Rates) error {
	queries := []string{r.o.Queries.Prompt, r.o.Queries.Output}
	if queries[0] == "" || queries[1] == "" {
		return nil
	}
	means := make([][]float64, len(queries))
	for i, query := range queries {
		var err error
		if means[i], err = r.series(ctx, query); err != nil {
			return err
		}
		if empty(means[i]) {
			r.warn("no data for " + query + ": the record has no mean sizes")
			return nil
		}
	}
	out.Prompt, out.Output = means[0], means[1]
	return nil
}

// series asks for one expression over the whole range, piece by piece.
func (r *recorder) series(ctx context.Context, query string) ([]float64, error) {
	out := make([]float64, r.o.periods())
	for i := range out {
		out[i] = math.NaN()
	}
	for from := 0; from < len(out); from += pointsPerQuery {
		until := min(len(out), from+pointsPerQuery)
		start := r.o.From.Add(time.Duration(from) * r.o.Step)
		err := r.piece(ctx, query, out[from:until], start)
		if why := prom.Obstacle(err); why != nil {
			return nil, fmt.Errorf("record: %w: %w", why, err)
		}
		if err != nil {
			return nil, fmt.Errorf("record: %s from %s: %w", query, start.Format(time.RFC3339), err)
		}
	}
	return out, nil
}

// piece fills the periods that begin at start.
func (r *recorder) piece(ctx context.Context, query string, out []float64, start time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	first := start.Add(r.o.Step) // the end of the first period
	value, warnings, err := r.api.QueryRange(ctx, query, v1.Range{
		Start: first, End: first.Add(time.Duration(len(out)-1) * r.o.Step), Step: r.o.Step,
	})
	for _, w := range warnings {
		r.warn(w)
	}
	if err != nil {
		return err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return fmt.Errorf("the answer is a %v: want a matrix, an expression of instant vectors", value.Type())
	}
	for _, series := range matrix {
		addSamples(out, series.Values, first, r.o.Step)
	}
	return nil
}

// warn keeps each warning once.
func (r *recorder) warn(text string) {
	if !r.seen[text] {
		r.seen[text] = true
		r.warnings = append(r.warnings, text)
	}
}

// addSamples adds a series to the sum. NaN, infinite and negative values are absent: they come of divisions by zero and of
// the derivative of a queue.
func addSamples(out []float64, samples []model.SamplePair, first time.Time, step time.Duration) {
	for _, s := range samples {
		v := float64(s.Value)
		i := int(math.Round(float64(s.Timestamp.Time().Sub(first)) / float64(step)))
		if i < 0 || i >= len(out) || !(v >= 0) || math.IsInf(v, 1) {
			continue
		}
		if math.IsNaN(out[i]) {
			out[i] = 0
		}
		out[i] += v
	}
}
