package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Target is one of whose past is asked.
type Target struct {
	ID controlloop.TargetID
	// Workload is the name of what is scaled and Kind its kind, such as Deployment, from which the names of its pods are made.
	Kind, Workload string
	// Engine is the name of a profile; any other, such as "auto", has Prometheus' samples tell.
	Engine string
	Naming prom.Naming
}

// API is the part of Prometheus' API that is needed.
type API interface {
	prom.SeriesAPI
	QueryRange(ctx context.Context, query string, r v1.Range, opts ...v1.Option) (model.Value, v1.Warnings, v1.Infos, error)
}

// History is where a past is kept and looked up; series.Keeper is one.
type History interface {
	Range(ctx context.Context, id controlloop.TargetID, q series.Quantity, from, to time.Time, step time.Duration) ([]series.Sample, error)
	// Fill keeps a past; the error wraps series.ErrNotOnDisk where that cannot be kept here.
	Fill(ctx context.Context, past []series.Past) error
}

// Options say of what the past is asked and where it goes; zero fields take their defaults.
type Options struct {
	API      API
	Profiles *exposition.Profiles
	History  History
	// Targets lists what there is, from memory.
	Targets func() []Target
	// Since says since when a target scales what it scales now, false where it is not known yet: what the history has from before
	// is of something else. Nil: since ever.
	Since func(controlloop.TargetID) (time.Time, bool)
	// Teach is given the whole past of a target, Prometheus' and our own together, and reports false where the target is not
	// known yet. Nil leaves it out.
	Teach func(controlloop.TargetID, scaling.Past) bool
	// OnDisk reports whether a past is kept; where that begins later, a past is asked for again.
	OnDisk func() bool
	// Length is how far back (default 5 weeks), Timeout bounds one query (default 30 s).
	Length, Timeout time.Duration
	Log             *slog.Logger
	// Clock says what time it is (default time.Now).
	Clock func() time.Time
}

const (
	defaultLength  = 5 * 7 * 24 * time.Hour
	defaultTimeout = 30 * time.Second
	// again is how long after a failure a target is tried again, doubled each time up to about an hour; after so many tries it
	// counts as failed until one succeeds.
	again = time.Minute
	tries = 6
)

// Filler asks for pasts. Make one with New. It is a prometheus.Collector.
type Filler struct {
	o       Options
	states  map[controlloop.TargetID]*state // Run's
	targets *prometheus.GaugeVec
	samples prometheus.Counter
}

// state is how far a target is.
type state struct {
	failures   int
	next       time.Time
	done, lost bool
	// kept is set once the past is on disk.
	kept bool
}

// New returns a filler that has asked for nothing yet.
func New(o Options) *Filler {
	o.Length, o.Timeout = cmp.Or(o.Length, defaultLength), cmp.Or(o.Timeout, defaultTimeout)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Filler{
		o: o, states: map[controlloop.TargetID]*state{},
		targets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "preheat_backfill_targets", Help: "Targets by what came of asking Prometheus for their past: pending, done or failed.",
		}, []string{"state"}),
		samples: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "preheat_backfill_samples_total", Help: "Samples of demand and tokens, one a minute, that Prometheus knew of the past.",
		}),
	}
}

// Describe implements prometheus.Collector.
func (f *Filler) Describe(out chan<- *prometheus.Desc) {
	f.targets.Describe(out)
	f.samples.Describe(out)
}

// Collect implements prometheus.Collector.
func (f *Filler) Collect(out chan<- prometheus.Metric) {
	f.targets.Collect(out)
	f.samples.Collect(out)
}

// Run asks for the past of each target once, one after the other, until ctx ends.
func (f *Filler) Run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		f.Pass(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Pass asks for the pasts of the targets that are due.
func (f *Filler) Pass(ctx context.Context) {
	counts := map[string]int{"pending": 0, "done": 0, "failed": 0}
	seen := map[controlloop.TargetID]bool{}
	for _, t := range f.o.Targets() {
		seen[t.ID] = true
		s := f.states[t.ID]
		if s == nil {
			s = &state{}
			f.states[t.ID] = s
		}
		s.done = s.done && (s.kept || !f.o.OnDisk())
		if !s.done && !f.o.Clock().Before(s.next) && ctx.Err() == nil {
			f.attempt(ctx, &t, s)
		}
		switch {
		case s.done:
			counts["done"]++
		case s.lost:
			counts["failed"]++
		default:
			counts["pending"]++
		}
	}
	for id := range f.states {
		if !seen[id] {
			delete(f.states, id)
		}
	}
	for name, n := range counts {
		f.targets.WithLabelValues(name).Set(float64(n))
	}
}

// errUnknown says that the control loop has not seen a target yet.
var errUnknown = errors.New("the target has not been decided on yet")

// attempt asks for a target's past once, and notes what came of it.
func (f *Filler) attempt(ctx context.Context, t *Target, s *state) {
	kept := f.o.OnDisk()
	found, err := f.fill(ctx, t)
	log := f.o.Log.With("target", t.ID.String())
	switch {
	case err == nil:
		s.done, s.kept, s.lost = true, kept, false
		log.Info("asked Prometheus for the past of demand", "minutes", found)
		return
	case ctx.Err() != nil:
		return
	case errors.Is(err, errUnknown):
		s.next = f.o.Clock().Add(again)
		return
	}
	s.next = f.o.Clock().Add(again << min(s.failures, tries))
	s.failures++
	s.lost = s.failures >= tries
	log.Warn("the past of demand could not be had out of Prometheus; it is tried again", "error", err, "at", s.next)
}

// fill asks for a target's past where the history has none, keeps it, and teaches the whole. found is how many minutes of
// demand Prometheus knew.
func (f *Filler) fill(ctx context.Context, t *Target) (found int, err error) {
	now := f.o.Clock()
	from := now.Add(-f.o.Length)
	since := from
	if f.o.Since != nil {
		at, known := f.o.Since(t.ID)
		if !known {
			return 0, errUnknown
		}
		if at.After(from) {
			since = at
		}
	}
	own := map[series.Quantity][]series.Sample{}
	for _, q := range quantities {
		if own[q], err = f.o.History.Range(ctx, t.ID, q, since, now, step); err != nil {
			f.o.Log.Debug("parts of the history cannot be read", "target", t.ID.String(), "error", err)
		}
	}
	missing := gaps(own[series.Demand], from, now)
	past, err := f.past(ctx, t, missing, now)
	if err != nil {
		return 0, err
	}
	for _, p := range past {
		f.samples.Add(float64(len(p.Samples)))
		if p.Quantity == series.Demand {
			found = len(p.Samples)
		}
	}
	if len(past) > 0 {
		if err := f.o.History.Fill(ctx, past); err != nil && !errors.Is(err, series.ErrNotOnDisk) {
			return 0, fmt.Errorf("keep the past: %w", err)
		}
	}
	if f.o.Teach != nil && !f.o.Teach(t.ID, together(own, past, now)) {
		return 0, errUnknown
	}
	return found, nil
}

// quantities are what is asked for.
var quantities = []series.Quantity{series.Demand, series.PromptTokens, series.GenerationTokens}

// past asks for all quantities over spans of time.
func (f *Filler) past(ctx context.Context, t *Target, missing []span, now time.Time) ([]series.Past, error) {
	if len(missing) == 0 {
		return nil, nil
	}
	p, err := f.engine(ctx, t, now)
	if err != nil || p == nil {
		return nil, err
	}
	for i, window := range windows {
		all, whole, err := f.over(ctx, t, queries(p, t.matchers(), []string{t.Naming.Namespace, t.Naming.Pod}, window), missing)
		if err != nil || whole || i == len(windows)-1 {
			return all, err
		}
	}
	return nil, nil
}

// mostly is the share of the minutes in which pods had a count for which there must be a rate, or the window is too short.
const mostly = 0.9

// over asks for all quantities over one window, and reports whether it brought most of what there is.
func (f *Filler) over(ctx context.Context, t *Target, ask asked, missing []span) (all []series.Past, whole bool, err error) {
	minutes := 0
	if ask.present != "" {
		present, err := f.samplesOver(ctx, ask.present, missing)
		if err != nil {
			return nil, false, err
		}
		minutes = len(present)
	}
	whole = true
	for _, q := range quantities {
		if ask.of[q] == "" {
			continue
		}
		samples, err := f.samplesOver(ctx, ask.of[q], missing)
		if err != nil {
			return nil, false, err
		}
		if q == series.Demand && float64(len(samples)) < mostly*float64(minutes) {
			whole = false
		}
		if len(samples) > 0 {
			all = append(all, series.Past{Target: t.ID, Quantity: q, Samples: samples})
		}
	}
	return all, whole, nil
}

// samplesOver asks for an expression over spans, in pieces, and returns its samples in order.
func (f *Filler) samplesOver(ctx context.Context, query string, missing []span) (all []series.Sample, err error) {
	for _, piece := range pieces(missing) {
		samples, err := f.fetch(ctx, query, piece)
		if err != nil {
			return nil, err
		}
		all = append(samples, all...) // the newest piece comes first
	}
	return all, nil
}

// together makes rows of minutes of our own samples and of what was found.
func together(own map[series.Quantity][]series.Sample, past []series.Past, now time.Time) scaling.Past {
	out := scaling.Past{End: now.Truncate(step), Step: step}
	for _, p := range past {
		own[p.Quantity] = append(own[p.Quantity], p.Samples...)
	}
	for q, rows := range map[series.Quantity]*[]float64{series.Demand: &out.Demand, series.PromptTokens: &out.Prompt, series.GenerationTokens: &out.Generation} {
		*rows = rowsOf(own[q], out.End)
	}
	return out
}

// rowsOf returns the minutes from the oldest sample up to an instant, NaN where there is no sample.
func rowsOf(samples []series.Sample, end time.Time) []float64 {
	oldest := end
	for _, s := range samples {
		if s.Time.Before(oldest) {
			oldest = s.Time.Truncate(step)
		}
	}
	rows := make([]float64, int(end.Sub(oldest)/step))
	for i := range rows {
		rows[i] = math.NaN()
	}
	for _, s := range samples {
		if i := int(s.Time.Truncate(step).Sub(oldest) / step); i < len(rows) {
			rows[i] = s.Value
		}
	}
	return rows
}
