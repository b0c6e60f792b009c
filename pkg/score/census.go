package score

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// censusTaker integrates the replicas of one target over time. Its sums are in replica-nanoseconds, so that nothing is
// rounded; they hold 292 years of replicas.
type censusTaker struct {
	last  replay.Census
	begun bool
	first int32 // desired at the start

	starting, ready, draining time.Duration
	unscheduled, vacant       time.Duration
	ups, downs                int
	variation                 int64
	most, mostDesired         int32
}

func (t *censusTaker) take(c replay.Census) {
	if t.begun {
		t.lapse(c.At - t.last.At)
		t.moved(int64(c.Desired) - int64(t.last.Desired))
	} else {
		t.begun, t.first = true, c.Desired
	}
	t.most = max(t.most, c.Starting+c.Ready+c.Draining)
	t.mostDesired = max(t.mostDesired, c.Desired)
	t.last = c
}

// lapse lets time pass with the replicas there are.
func (t *censusTaker) lapse(d time.Duration) {
	t.starting += d * time.Duration(t.last.Starting)
	t.ready += d * time.Duration(t.last.Ready)
	t.draining += d * time.Duration(t.last.Draining)
	if t.last.Unschedulable > 0 {
		t.unscheduled += d
	}
	if t.last.Starting+t.last.Ready+t.last.Draining == 0 {
		t.vacant += d
	}
}

func (t *censusTaker) moved(by int64) {
	switch {
	case by > 0:
		t.ups++
		t.variation += by
	case by < 0:
		t.downs++
		t.variation -= by
	}
}

// held is the time replicas held their GPUs, summed over them.
func (t *censusTaker) held() time.Duration { return t.starting + t.ready + t.draining }

// hours are those of GPUs held, of which ready replicas were idle for a part, and what warm ones cost beside them.
func (t *censusTaker) hours(idle, warm time.Duration, gpus float64) GPUHours {
	hours := func(d time.Duration) float64 { return d.Seconds() * gpus / 3600 }
	return GPUHours{
		Total: hours(t.held() + warm), Running: hours(t.ready - idle), Idle: hours(idle),
		Loading: hours(t.starting), Draining: hours(t.draining), Warm: hours(warm),
	}
}

func (t *censusTaker) scaling() Scaling {
	net := int64(t.last.Desired) - int64(t.first)
	return Scaling{Ups: t.ups, Downs: t.downs, Flapping: t.variation - max(net, -net)}
}

func (t *censusTaker) replicas(length time.Duration) Replicas {
	r := Replicas{Max: t.most, MaxDesired: t.mostDesired}
	if length > 0 {
		r.Mean = t.held().Seconds() / length.Seconds()
	}
	return r
}

// blindness sums the time for which blind decisions hold: each until the next.
type blindness struct {
	since time.Duration
	blind bool
	sum   time.Duration
}

func (b *blindness) take(at time.Duration, blind bool) {
	b.sum = b.until(at)
	b.since, b.blind = at, blind
}

// until is the sum up to a time, the newest decision included.
func (b *blindness) until(at time.Duration) time.Duration {
	if !b.blind {
		return b.sum
	}
	return b.sum + max(0, at-b.since)
}
