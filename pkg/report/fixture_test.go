package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var (
	start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	slo   = score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99}
)

// play is a toy of a replay, only to have something to draw: requests come at a rate that swings, a replica serves five
// of them a second, and what finds no replica waits in one queue.
type play struct {
	policy string
	lead   time.Duration
	length time.Duration
	// look is how far ahead the policy sees the demand, headroom what it has beyond.
	look     time.Duration
	headroom float64
	interval time.Duration
}

const servedPerReplica = 5.0

// rateAt is the demand in requests per second: a slow swing, and a flash crowd at two thirds.
func (p *play) rateAt(t time.Duration) float64 {
	x := t.Seconds() / p.length.Seconds()
	return 18 - 12*math.Cos(2*math.Pi*x*2) + 40*math.Exp(-math.Pow((x-0.68)/0.012, 2))
}

// run tells the sink the whole play.
func (p *play) run(sink replay.Sink) {
	rng := rand.New(rand.NewPCG(7, 1))
	s := stage{play: p, sink: sink, desired: 3, ready: 3}
	for t := time.Duration(0); t < p.length; t += time.Second {
		s.second(t, rng)
	}
	sink.Counted(s.census(p.length))
}

// stage is the state of a play.
type stage struct {
	*play
	sink                    replay.Sink
	desired, ready, pending int32
	due                     []time.Duration
	queue, id               float64
}

func (s *stage) census(t time.Duration) replay.Census {
	return replay.Census{At: t, Desired: s.desired, Ready: s.ready, Starting: int32(len(s.due)), Unschedulable: s.pending}
}

func (s *stage) second(t time.Duration, rng *rand.Rand) {
	for len(s.due) > 0 && s.due[0] <= t {
		s.due, s.ready = s.due[1:], s.ready+1
		s.sink.Counted(s.census(t))
	}
	if t%s.interval == 0 {
		s.decide(t)
	}
	s.serve(t, rng)
}

// serve lets a second's requests arrive; each waits for what is queued before it.
func (s *stage) serve(t time.Duration, rng *rand.Rand) {
	rate := s.rateAt(t) + 3*rng.NormFloat64()
	room := math.Max(1, servedPerReplica*float64(s.ready))
	for range int(math.Max(0, rate)) {
		s.id++
		s.queue++
		wait := 0.12*(1+0.5*rng.Float64()) + math.Max(0, s.queue-room)/room
		q := replay.Request{
			ID: uint64(s.id), Arrival: t, PromptTokens: 900, OutputTokens: 120, TTFT: time.Duration(wait * 1e9),
			TPOT: 30 * time.Millisecond, E2E: time.Duration((wait + 4) * 1e9), Outcome: replay.Completed,
		}
		if wait > 20 {
			q.TTFT, q.TPOT, q.E2E, q.Outcome = -1, -1, 20*time.Second, replay.TimedOut
			s.queue--
		}
		s.sink.Ended(q)
	}
	s.queue = math.Max(0, s.queue-room)
}

// decide asks for what the demand ahead needs; the steps say so.
func (s *stage) decide(t time.Duration) {
	now, ahead := s.rateAt(t), math.Max(s.rateAt(t), s.rateAt(t+s.look))
	needed := int32(math.Ceil(ahead * s.headroom / servedPerReplica))
	d := scaling.Decision{
		Time: start.Add(t), Current: s.desired, Replicas: needed, Ready: s.ready, Starting: int32(len(s.due)), Unschedulable: s.pending,
		Reason: scaling.DemandMet, Demand: now, DemandKnown: true, Waiting: s.queue, Running: now * 4,
		LeadTime: leadtime.Estimate{P50: s.lead, P90: s.lead * 5 / 4, Source: leadtime.Measured},
		Capacity: capacity.Estimate{PerReplica: servedPerReplica, Source: capacity.Declared, Text: "5 requests/s a replica, declared"},
	}
	d.Steps = []scaling.Step{
		{Stage: "observe", Replicas: -1, Text: fmt.Sprintf("%d ready (%d seen), %d starting, 0 unschedulable; %.0f running, %.0f waiting", s.ready, s.ready, len(s.due), now*4, s.queue)},
		{Stage: "demand", Replicas: -1, Text: fmt.Sprintf("%.2f requests/s offered over 24s", now)},
	}
	s.foresee(&d, ahead)
	s.settle(t, &d)
	s.sink.Decided("", d, baseline.Gateway{Time: start.Add(t), Queued: math.Max(0, s.queue-20)})
}

func (s *stage) foresee(d *scaling.Decision, ahead float64) {
	if s.look == 0 {
		return
	}
	d.Forecast = forecast.Forecast{At: d.Time, Horizon: s.look, Point: ahead, Upper: ahead*1.15 + 2, Quantile: 0.9, Model: forecast.Mixture}
	s.judge(&d.Forecast, d.Time.Sub(start))
	d.Steps = append(d.Steps, scaling.Step{Stage: "forecast", Replicas: d.Replicas, Text: fmt.Sprintf("%.2f requests/s expected in %v, 90%% quantile %.2f", ahead, s.look, ahead*1.15+2)})
}

// judge tells that the forecast fails in the second quarter of the run, and helps before and after.
func (s *stage) judge(f *forecast.Forecast, t time.Duration) {
	f.Skill = forecast.Skill{Due: int(t / (15 * time.Second)), Coverage: []float64{0.5, 0.91}, Bias: -0.02}
	f.Quantiles = []float64{0.5, 0.9}
	f.Weights = []forecast.Weight{{Expert: "level", Share: 0.5}, {Expert: "day", Share: 0.3}, {Expert: "last-value", Share: 0.15}, {Expert: "week", Share: 0.05}}
	if f.Skill.Due < 20 {
		return
	}
	f.Skill.Known, f.Skill.Hours, f.Skill.Days = true, 0.125, 0.25
	if quarter := s.length / 4; t > quarter && t < 2*quarter {
		f.Skill.Hours, f.Withdrawn = -0.5, "it was worse than the last value"
	}
}

// settle carries the decision out, scaling down one at a time.
func (s *stage) settle(t time.Duration, d *scaling.Decision) {
	if d.Replicas < s.desired-1 {
		d.Replicas = s.desired - 1
		d.Steps = append(d.Steps, scaling.Step{Stage: "rate", Replicas: d.Replicas, Text: "one replica fewer at a time is allowed"})
	}
	switch {
	case d.Replicas > s.desired && s.look > 0:
		d.Reason = scaling.ForecastDemand
	case d.Replicas > s.desired:
		d.Reason = scaling.ReactiveDemand
	case d.Replicas < s.desired:
		d.Reason = scaling.DemandFell
	}
	if t > s.length/2 && t < s.length/2+2*time.Minute {
		d.Replicas, d.Reason, d.Blind = s.desired, scaling.NoFreshData, true
		d.Unseen = []string{"pod-1: newest reading is 1m30s old, bound 45s", "pod-2: newest reading is 1m15s old, bound 45s"}
	}
	for i := s.desired; i < d.Replicas; i++ {
		s.due = append(s.due, t+s.lead)
	}
	for i := d.Replicas; i < s.desired; i++ {
		if n := len(s.due); n > 0 {
			s.due = s.due[:n-1]
		} else {
			s.ready--
		}
	}
	s.desired = d.Replicas
	s.sink.Counted(s.census(t))
}

// plays are some policies that see the demand more or less far ahead.
func plays(length time.Duration, leads ...time.Duration) []play {
	var out []play
	for _, lead := range leads {
		for _, p := range []play{
			{policy: "preheat", look: lead * 5 / 4, headroom: 1.22, interval: 15 * time.Second},
			{policy: "oracle", look: lead, headroom: 1.12, interval: 15 * time.Second},
			{policy: "hpa-queue", headroom: 1.5, interval: 15 * time.Second},
			{policy: "hpa-running", headroom: 1.4, interval: 15 * time.Second},
			{policy: "keda", headroom: 1.3, interval: 30 * time.Second},
			{policy: "kpa", headroom: 1.42, interval: 2 * time.Second},
			{policy: "wva-v2", headroom: 1.25, interval: 30 * time.Second},
			{policy: "static-peak", headroom: 3.2, interval: 60 * time.Second},
			{policy: "preheat-last-value", look: 10 * time.Second, headroom: 1.3, interval: 15 * time.Second},
		} {
			p.lead, p.length = lead, length
			out = append(out, p)
		}
	}
	return out
}

// example is the report of some plays.
func example(length time.Duration, leads ...time.Duration) report.Report {
	r := report.Report{
		Title: "Replay of conversations.csv", Version: "v0.3.0",
		Command: "preheatctl replay --trace conversations.csv --profile llama-3.1-8b-h100 --policy preheat,hpa-queue,keda --lead-time 120s",
		SLO:     slo, Currency: "$",
		Setup:  []report.Fact{{Name: "Replica", Value: "llama-3.1-8b-h100, 1 GPU each, 1 to 40 replicas"}, {Name: "Seeds", Value: "1"}},
		Titles: map[string]string{"hpa-queue": "HorizontalPodAutoscaler on waiting requests"},
	}
	var scores []score.Score
	for _, p := range plays(length, leads...) {
		rec := report.NewRecorder(report.Options{Policy: p.policy, Lead: p.lead, Start: start, SLO: slo, GPUs: 1})
		col := score.NewCollector(score.Options{Policy: p.policy, Seed: 1, LeadTime: p.lead, SLO: slo, GPUs: 1, Price: 2.5, Start: start})
		p.run(replay.Sinks{rec, col})
		scores = append(scores, col.Score(replay.Total{End: p.length}))
		r.Runs = append(r.Runs, rec.Run())
	}
	r.Cells = score.Compare(scores, report.Oracle)
	r.Trace = score.Trace{
		Name: "conversations.csv", Requests: scores[0].Requests.Arrived, Duration: length.Seconds(),
		MeanRate: float64(scores[0].Requests.Arrived) / length.Seconds(), PeakRate: 62, MeanInputTokens: 900, MeanOutputTokens: 120,
	}
	return r
}
