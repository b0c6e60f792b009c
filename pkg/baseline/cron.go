package baseline

import (
	"errors"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// cron follows a schedule made of an earlier period, as operators do by hand.
type cron struct {
	schedule  []int32
	slot      time.Duration
	ahead     time.Duration
	factor    float64
	low, high int32
}

func cronPolicy() maker {
	return maker{
		name: "cron",
		knobs: []Knob{
			number("factor", 1, 0.05, 20, "factor on the replicas of the schedule").tuned(0.7, 0.85, 1, 1.15, 1.3, 1.6),
			seconds("ahead", 0, "time by which the schedule is followed early on the way up").tuned(0, 300),
		},
		build: newCron,
	}
}

func newCron(s Setup, v values) (Policy, error) {
	if len(s.Load.Schedule) == 0 || s.Load.Slot <= 0 {
		return nil, errors.New("no schedule: give the replicas of each slot of the period, for example those that an earlier part of the trace needed")
	}
	return &cron{
		schedule: s.Load.Schedule, slot: s.Load.Slot, ahead: v.duration("ahead"), factor: v.of("factor"),
		low: s.Min, high: s.Max,
	}, nil
}

// Path implements Policy: the clock is looked at every 15 s, and nothing else.
func (p *cron) Path() Path { return Path{Interval: hpaSync} }

// Decide implements Policy.
func (p *cron) Decide(o Observation) scaling.Decision {
	d := begin(&o, 0)
	now, soon := p.at(o.Time), p.at(o.Time.Add(p.ahead))
	n := ceil(float64(max(now, soon)) * p.factor)
	d.step("schedule", n, "%s scheduled now, %d in %v, times %g", count(now), soon, p.ahead, p.factor)
	return d.bound(n, p.low, p.high, scaling.DemandMet)
}

// at is the schedule at a time; the period begins anew at midnight UTC.
func (p *cron) at(t time.Time) int32 {
	period := p.slot * time.Duration(len(p.schedule))
	into := time.Duration(t.UnixNano() % int64(period))
	if into < 0 {
		into += period
	}
	return p.schedule[into/p.slot]
}
