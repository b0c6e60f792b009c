package report

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// The bounds of what a Recorder keeps, whatever the length of the trace.
const (
	mostBins      = 2000
	mostDecisions = 3000
	// finestBin is the width of a bin to begin with.
	finestBin = 500 * time.Millisecond
)

// Options say what a Recorder records.
type Options struct {
	// Policy is the name, Lead the lead time of the run, as in the score.Cell that goes with it.
	Policy string
	Lead   time.Duration
	// Target is whom to record; empty: all that is told.
	Target string
	// Start is the date of the trace's zero, as the replay was configured.
	Start time.Time
	// SLO says which requests missed.
	SLO score.SLO
	// GPUs is how many one replica holds.
	GPUs int
	// Among is how many runs the report will show, this one included: the more, the less it can show of each, and the less
	// is kept. Zero for one.
	Among int
}

// Recorder is a replay's sink that keeps a picture of the run: at most 2,000 bins of time, which widen as the run goes
// on, and at most 3,000 decisions, of which routine ones go first. It is used by one goroutine.
type Recorder struct {
	options Options
	bins    bins
	log     log
	census  replay.Census
	end     time.Duration
	longest time.Duration
}

var _ replay.Sink = (*Recorder)(nil)

// NewRecorder returns a recorder of one run.
func NewRecorder(o Options) *Recorder {
	return &Recorder{options: o, bins: bins{width: finestBin, most: mostBins}, log: log{limit: mostDecisions}}
}

// Run is what happened in time under one policy.
type Run struct {
	options Options
	end     time.Duration
	// longest is the longest wait for a first token, for one that never came too.
	longest time.Duration
	bins    bins
	log     log
}

// Run returns the picture of what was recorded so far. The recorder may go on.
func (r *Recorder) Run() Run {
	b := boundsOf(r.options.Among)
	run := Run{options: r.options, end: r.end, longest: r.longest, bins: r.bins.clone(min(mostBins, b.bins)), log: r.log.clone(b.decisions)}
	run.bins.trim(r.end)
	return run
}

// foreign says whether a target is not the one recorded.
func (r *Recorder) foreign(target string) bool {
	return r.options.Target != "" && target != r.options.Target
}

// Ended takes a request in, in the bin of its arrival.
func (r *Recorder) Ended(q replay.Request) {
	if r.foreign(q.Target) {
		return
	}
	waited := q.TTFT
	if waited < 0 {
		waited = q.E2E // in vain
	}
	r.longest = max(r.longest, waited)
	r.bins.step(q.Arrival, 1)
	r.bins.step(q.Arrival+waited, -1)
	b := r.bins.at(q.Arrival)
	b.arrived++
	if q.TTFT < 0 {
		b.vain++
	} else {
		b.ttft.add(q.TTFT.Seconds())
	}
	if !r.options.SLO.Judge(q).Both {
		b.missed++
	}
	r.end = max(r.end, q.Arrival+q.E2E)
}

// Counted takes in that replicas changed: what was holds until now.
func (r *Recorder) Counted(c replay.Census) {
	if r.foreign(c.Target) {
		return
	}
	was := r.census
	r.bins.spread(was.At, c.At, func(b *bin, seconds float64) {
		b.starting += seconds * float64(was.Starting)
		b.ready += seconds * float64(was.Ready)
		b.draining += seconds * float64(was.Draining)
		b.unschedulable += seconds * float64(was.Unschedulable)
		b.desired += seconds * float64(was.Desired)
		b.covered += seconds
	})
	r.census, r.end = c, max(r.end, c.At)
}

// Decided takes a decision in; what it forecasts goes to the time that it is forecast for.
func (r *Recorder) Decided(target string, d scaling.Decision, g baseline.Gateway) {
	if r.foreign(target) {
		return
	}
	t := d.Time.Sub(r.options.Start)
	r.log.add(entry{at: t, decision: d})
	if !g.Time.IsZero() {
		r.bins.at(t).queued.add(g.Queued)
	}
	r.judged(t, &d.Forecast)
	if f := d.Forecast; f.Known() && finite(f.Point) && finite(f.Upper) && f.Horizon < farthest {
		b := r.bins.at(t + f.Horizon)
		b.point.add(f.Point)
		b.upper.add(f.Upper)
	}
	r.end = max(r.end, t)
}

// judged takes in how the forecasts have done so far.
func (r *Recorder) judged(t time.Duration, f *forecast.Forecast) {
	if !f.Known() {
		return
	}
	b := r.bins.at(t)
	stoodIn := 0.0
	if f.Withdrawn != "" {
		stoodIn = 1
	}
	b.withdrawn.add(stoodIn)
	if f.Skill.Known && finite(f.Skill.Hours) && finite(f.Skill.Days) {
		b.skillHours.add(f.Skill.Hours)
		b.skillDays.add(f.Skill.Days)
	}
}

// farthest bounds how far beyond the end of the run a forecast can widen the bins.
const farthest = 2 * time.Hour

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
