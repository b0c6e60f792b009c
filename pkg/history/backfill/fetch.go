package backfill

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
)

const (
	step = time.Minute
	// mostPoints is what is asked for at once: Prometheus refuses more than 11,000 points.
	mostPoints = 5 * 24 * 60
	// leastGap is the shortest time without samples that is filled.
	leastGap = 10 * time.Minute
)

// windows are what rates are taken over: the first of them that brings anything. Less than two scrapes bring nothing.
var windows = []time.Duration{2 * time.Minute, 5 * time.Minute}

// span is a time [from, to) of which nothing is known.
type span struct{ from, to time.Time }

// gaps returns the times from an instant to another in which there are no samples, in whole minutes.
func gaps(known []series.Sample, from, to time.Time) (all []span) {
	from, to = from.Truncate(step), to.Truncate(step)
	at := from
	add := func(until time.Time) {
		if until.Sub(at) >= leastGap {
			all = append(all, span{at, until})
		}
	}
	for _, s := range known {
		add(s.Time.Truncate(step))
		at = s.Time.Truncate(step).Add(step)
	}
	add(to)
	return all
}

// pieces divides spans into what is asked for at once, the newest first.
func pieces(spans []span) (all []span) {
	for _, s := range spans {
		for from := s.from; from.Before(s.to); from = from.Add(mostPoints * step) {
			to := from.Add(mostPoints * step)
			if to.After(s.to) {
				to = s.to
			}
			all = append(all, span{from, to})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return b.from.Compare(a.from) })
	return all
}

// fetch asks for an expression over a span: for each minute of which something is known what it was at its end.
func (f *Filler) fetch(ctx context.Context, query string, of span) ([]series.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, f.o.Timeout)
	defer cancel()
	value, warnings, _, err := f.o.API.QueryRange(ctx, query, v1.Range{Start: of.from.Add(step), End: of.to, Step: step})
	switch matrix, ok := value.(model.Matrix); {
	case err != nil:
		return nil, fmt.Errorf("ask Prometheus for %s from %s: %w", query, of.from.Format(time.RFC3339), err)
	case len(warnings) > 0:
		return nil, fmt.Errorf("ask Prometheus for %s: %w: %s", query, prom.ErrPartial, strings.Join(warnings, "; "))
	case !ok:
		return nil, fmt.Errorf("ask Prometheus for %s: the answer is no matrix", query)
	case len(matrix) > 0:
		return samplesOf(matrix[0].Values), nil
	}
	return nil, nil
}

// samplesOf dates what was over a minute to its beginning. What is negative or not finite is missing.
func samplesOf(pairs []model.SamplePair) (out []series.Sample) {
	for _, p := range pairs {
		if v := float64(p.Value); v >= 0 && !math.IsInf(v, 1) {
			out = append(out, series.Sample{Time: p.Timestamp.Time().UTC().Add(-step), Value: v})
		}
	}
	return out
}

// looks are how far back an engine is looked for where its name is not given: a target may have no replica now.
var looks = []time.Duration{time.Hour, 24 * time.Hour, defaultLength}

// engine returns the profile of a target's engines, nil where Prometheus knows none.
func (f *Filler) engine(ctx context.Context, t *Target, now time.Time) (*exposition.Profile, error) {
	if p, ok := f.o.Profiles.Named(t.Engine); ok {
		return p, nil
	}
	for _, length := range looks {
		ctx, cancel := context.WithTimeout(ctx, f.o.Timeout)
		p, err := prom.Engine(ctx, f.o.API, f.o.Profiles, t.matchers(), now.Add(-length), now)
		cancel()
		if err != nil || p != nil {
			return p, err
		}
	}
	return nil, nil //nolint:nilnil // nothing is known of the target, which is no fault
}
