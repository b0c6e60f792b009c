package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// preheat is the name of the forecaster that is judged.
const preheat = "preheat"

// competitor is a forecaster to score.
type competitor struct {
	name    string
	without []string
	make    func() backtest.Forecaster
}

// judged is the service's forecaster without some experts.
func judged(name string, without []string) competitor {
	return competitor{name, without, func() backtest.Forecaster { return &willing{Forecaster: &forecast.Forecaster{}} }}
}

// willing makes a forecast also where its forecaster makes none though something is known: the last value, as an
// autoscaler without a forecast goes by it. Whoever is silent is judged by that, and not only where it speaks.
type willing struct {
	backtest.Forecaster
	last  float64
	end   time.Time
	known bool
}

// Observe implements backtest.Forecaster.
func (w *willing) Observe(s *forecast.Spec, end time.Time, value float64) {
	w.Forecaster.Observe(s, end, value)
	w.end = end
	if value >= 0 {
		w.last, w.known = value, true
	}
}

// Predict implements backtest.Forecaster.
func (w *willing) Predict(s *forecast.Spec) []forecast.Prediction {
	out := w.Forecaster.Predict(s)
	if out != nil || !w.known {
		return out
	}
	for _, h := range s.Horizons {
		out = append(out, forecast.Prediction{
			At: w.end, Horizon: h, Values: slices.Repeat([]float64{w.last}, len(s.Quantiles)),
			Source: forecast.LastValue, Withdrawn: "no forecast",
		})
	}
	return out
}

// competitors are the forecaster without some experts, and the baselines, of which the first is the reference.
func competitors(without []string) []competitor {
	out := []competitor{judged(preheat, without)}
	for _, name := range backtest.Baselines() {
		out = append(out, competitor{name, nil, func() backtest.Forecaster { return backtest.NewBaseline(name) }})
	}
	return out
}

// result is how everyone did on a group.
type result struct {
	Group   string  `json:"group"`
	Entries []entry `json:"forecasters"`
	series  []subject
}

// entry is how one forecaster did.
type entry struct {
	Name    string           `json:"name"`
	Summary backtest.Summary `json:"summary"`
	Scores  []backtest.Score `json:"scores"`
	Ratios  []backtest.Ratio `json:"ratios"`
}

// evaluate scores every competitor on every series of the group, several at once. The figures do not depend on how many.
func evaluate(o options, g group, all []competitor, aside io.Writer) (result, error) {
	scores, err := scoreAll(o, g, all, aside)
	if err != nil {
		return result{}, err
	}
	out := result{Group: g.name, series: g.subjects}
	reference := 0
	for i, c := range all {
		if c.name == backtest.LastValue {
			reference = i
		}
	}
	for i, c := range all {
		e := entry{Name: c.name, Scores: scores[i]}
		if e.Summary, e.Ratios, err = backtest.Summarize(scores[i], scores[reference]); err != nil {
			return result{}, fmt.Errorf("%s, %s: %w", g.name, c.name, err)
		}
		out.Entries = append(out.Entries, e)
	}
	return out, nil
}

// scoreAll returns the scores by competitor and series.
func scoreAll(o options, g group, all []competitor, aside io.Writer) ([][]backtest.Score, error) {
	scores, faults := make([][]backtest.Score, len(all)), make([]error, len(all)*len(g.subjects))
	for i := range scores {
		scores[i] = make([]backtest.Score, len(g.subjects))
	}
	tell := progress{out: aside, name: g.name, total: len(faults), began: time.Now()}
	inParallel(o.workers, len(faults), func(job int) {
		i, k := job%len(all), job/len(all)
		scores[i][k], faults[job] = score(&o, &g, &g.subjects[k], &all[i])
		tell.done(g.subjects[k].Name, all[i].name)
	})
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// score adds up a competitor's passes over one series.
func score(o *options, g *group, s *subject, c *competitor) (backtest.Score, error) {
	spec := o.spec(s)
	sum := backtest.NewScorer(&s.Series, &spec)
	for _, run := range g.runs(o, s) {
		run.Spec.Without = c.without
		if err := run.Forecast(c.make(), sum.Add); err != nil {
			return backtest.Score{}, fmt.Errorf("%s on %s: %w", c.name, s.Name, err)
		}
	}
	return sum.Score(), nil
}

// inParallel does n jobs, at most workers at once, the first ones first.
func inParallel(workers, n int, do func(job int)) {
	var wait sync.WaitGroup
	jobs := make(chan int)
	for range workers {
		wait.Go(func() {
			for job := range jobs {
				do(job)
			}
		})
	}
	for job := range n {
		jobs <- job
	}
	close(jobs)
	wait.Wait()
}

// progress tells how far a group is, at most every two seconds. It is safe for concurrent use.
type progress struct {
	mutex       sync.Mutex
	out         io.Writer
	name        string
	total, n    int
	began, told time.Time
}

func (p *progress) done(series, competitor string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.n++
	if now := time.Now(); p.n == p.total || now.Sub(p.told) >= 2*time.Second {
		p.told = now
		fmt.Fprintf(p.out, "%s: %d of %d runs, %v, last %s by %s\n", p.name, p.n, p.total, now.Sub(p.began).Round(time.Second), series, competitor)
	}
}
