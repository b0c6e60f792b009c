package main

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

const (
	tick = time.Minute
	// window is how long attainment is looked at for at once, in ticks.
	window = 10
)

// ticks is a sink that counts the requests by the minute of their arrival, and those of them that attain.
type ticks struct {
	replay.Sinks
	slo  score.SLO
	all  []int
	good []int
}

// Ended implements replay.Sink.
func (t *ticks) Ended(r replay.Request) {
	i := int(r.Arrival / tick)
	for len(t.all) <= i {
		t.all, t.good = append(t.all, 0), append(t.good, 0)
	}
	t.all[i]++
	if t.slo.Judge(r).Both {
		t.good[i]++
	}
}

// recovery is the time from an instant until the end of the last ten minutes in which fewer requests attained than the
// objective asks for; of the first ones only what came after the instant counts. False: the last ten minutes of the run
// are such.
func (t *ticks) recovery(at time.Duration) (time.Duration, bool) {
	first := int((at + tick - 1) / tick)
	last := -1
	for i := first; i < len(t.all); i++ {
		all, good := 0, 0
		for j := max(first, i-window+1); j <= i; j++ {
			all, good = all+t.all[j], good+t.good[j]
		}
		if all > 0 && !t.slo.MetBy(float64(good)/float64(all)) {
			last = i
		}
	}
	if last < 0 {
		return 0, true
	}
	return time.Duration(last+1)*tick - at, last < len(t.all)-1
}
