package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// preheatForecast is what Preheat's forecaster is called beside the baselines.
const preheatForecast = "preheat"

// mostWeights is the number of forecasts of a series that keep their experts' weights: as many as a chart can show.
const mostWeights = 240

// onePass is one forecaster's way over one series.
type onePass struct {
	target *forecastTarget
	name   string
	score  backtest.Score
	rows   []backtest.Row // of Preheat's forecaster and of the reference
	err    error
}

// pass runs every forecaster that is wanted over every series, several at once, and puts what came out into the targets.
func (o *forecastOptions) pass(ctx context.Context, s streams, targets []*forecastTarget) error {
	passes := o.passes(targets)
	meter := newPassMeter(passes)
	if s.Terminal {
		defer meter.show(ctx, s.Err)()
	}
	next, turns := atomic.Int64{}, sync.WaitGroup{}
	for range min(o.workers, len(passes)) {
		turns.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(passes)); i = next.Add(1) - 1 {
				passes[i].run(ctx, &meter.done)
			}
		})
	}
	turns.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("%w before all series were forecast", errInterrupted)
	}
	var errs []error
	for _, p := range passes {
		p.keep()
		errs = append(errs, p.err)
	}
	return errors.Join(errs...)
}

// passes are the ways to go, the longest ones first: Preheat's forecaster takes longer than a rule.
func (o *forecastOptions) passes(targets []*forecastTarget) []*onePass {
	var out []*onePass
	names := []string{preheatForecast}
	if o.scored() {
		names = append(names, backtest.Baselines()...)
	}
	for _, name := range names {
		for _, t := range targets {
			if len(t.origins) > 0 && len(t.spec.Horizons) > 0 {
				out = append(out, &onePass{target: t, name: name})
			}
		}
	}
	return out
}

// run goes over the series.
func (p *onePass) run(ctx context.Context, done *atomic.Int64) {
	var f backtest.Forecaster = &forecast.Forecaster{}
	if p.name != preheatForecast {
		f = backtest.NewBaseline(p.name)
	}
	t := p.target
	r := backtest.Run{Series: t.recorded(), Spec: t.spec, Origins: t.origins}
	scorer := backtest.NewScorer(&r.Series, &r.Spec)
	kept := p.name == preheatForecast || p.name == backtest.LastValue
	if kept {
		p.rows = make([]backtest.Row, len(t.origins)*len(t.spec.Horizons))
	}
	origin, horizon, stride := -1, 0, max(1, len(t.origins)/mostWeights)
	p.err = r.Forecast(metered{f, ctx, done}, func(row backtest.Row) {
		scorer.Add(row)
		if !kept {
			return
		}
		if horizon++; origin < 0 || !t.origins[origin].Equal(row.Origin) {
			for horizon, origin = 0, origin+1; !t.origins[origin].Equal(row.Origin); origin++ {
			}
		}
		if origin%stride != 0 {
			row.Weights = nil
		}
		p.rows[origin*len(t.spec.Horizons)+horizon] = row
	})
	p.score = scorer.Score()
}

// keep puts what came out into the target.
func (p *onePass) keep() {
	p.target.scores[p.name] = p.score
	switch p.name {
	case preheatForecast:
		p.target.rows = p.rows
	case backtest.LastValue:
		p.target.reference = p.rows
	}
}

// metered counts the rows that a forecaster has seen; after the end of ctx it does nothing any more, so that a pass ends.
type metered struct {
	backtest.Forecaster
	ctx  context.Context //nolint:containedctx // it ends a loop that is not ours
	done *atomic.Int64
}

// Observe implements backtest.Forecaster.
func (m metered) Observe(s *forecast.Spec, end time.Time, value float64) {
	if m.ctx.Err() == nil {
		m.Forecaster.Observe(s, end, value)
		m.done.Add(1)
	}
}

// Predict implements backtest.Forecaster.
func (m metered) Predict(s *forecast.Spec) []forecast.Prediction {
	if m.ctx.Err() != nil {
		return nil
	}
	return m.Forecaster.Predict(s)
}

// passMeter knows how much is done.
type passMeter struct {
	done  atomic.Int64
	total int64
}

func newPassMeter(passes []*onePass) *passMeter {
	m := &passMeter{}
	for _, p := range passes {
		t := p.target
		m.total += int64(t.origins[len(t.origins)-1].Sub(t.Start) / t.Step)
	}
	return m
}

// show draws how far the passes are, until the returned function is called.
func (m *passMeter) show(ctx context.Context, out io.Writer) (stop func()) {
	line, ended, done := progressLine{out: out}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer line.draw("")
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		began := time.Now()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				line.draw(m.text(now.Sub(began)))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// text is the line after so long.
func (m *passMeter) text(elapsed time.Duration) string {
	done := m.done.Load()
	text := fmt.Sprintf("%3.0f %%  %s of %s rows", 100*float64(done)/float64(max(1, m.total)), thousands(done), thousands(m.total))
	if done > 0 && elapsed > time.Second {
		left := time.Duration(float64(elapsed) * float64(m.total-done) / float64(done))
		text += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	return text
}

// noteUnanswered says what the forecaster had no answer to.
func noteUnanswered(out io.Writer, targets []*forecastTarget, asked []asking) {
	for _, t := range targets {
		n := 0
		for _, a := range asked {
			if a.target == t && !a.at.IsZero() && len(t.spec.Horizons) > 0 && t.forecastsAt(a.at) == nil {
				n++
			}
		}
		if n > 0 {
			noteOf(out, t.Name, fmt.Sprintf("%d origins have no forecast: nothing was known by then", n))
		}
	}
}

// tailOf are the places of the quantiles whose losses are compared: 0.9 and 0.95, by which capacity is ordered, or all
// where not both of them are forecast.
func tailOf(quantiles []float64) []int {
	var tail, all []int
	for k, q := range quantiles {
		all = append(all, k)
		if q == 0.9 || q == 0.95 {
			tail = append(tail, k)
		}
	}
	if len(tail) == 2 {
		return tail
	}
	return all
}

// rowLoss is the loss of one forecast over the quantiles that are compared; NaN where nobody knows what came.
func rowLoss(r *backtest.Row, quantiles []float64, tail []int) float64 {
	if r.Values == nil || math.IsNaN(r.Actual) {
		return math.NaN()
	}
	loss := 0.0
	for _, k := range tail {
		loss += backtest.Pinball(quantiles[k], r.Values[k], r.Actual)
	}
	return loss
}
