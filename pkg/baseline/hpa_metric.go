package baseline

import (
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// What is here restates k8s.io/kubernetes v1.36.3 pkg/controller/podautoscaler/replica_calculator.go.

// tolerance is the share of the target by which the usage may be off before anything changes.
type tolerance struct{ down, up float64 }

func (t tolerance) within(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// pods are the pods of a target as the HPA sorts them for a Pods metric: values of those that are running and have a
// sample, in thousandths; the number of running ones without a sample; and the number of those that are pending. Pods
// that are being deleted are left out.
type pods struct {
	values           []int64
	missing, unready int
}

// milli is the resolution in which the metrics APIs carry values; it rounds up, as Quantity.MilliValue does.
func milli(x float64) int64 {
	m := math.Ceil(x*1000 - 1e-6)
	if m >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(m)
}

// sortPods sorts replicas for a Pods metric. A replica whose container has started runs, whether it is ready or not;
// before that it is pending.
func sortPods(o *Observation, metric func(*signals.Reading) (float64, bool)) pods {
	var p pods
	for i := range o.Replicas {
		r := &o.Replicas[i]
		switch {
		case r.Phase == scaling.Draining:
		case r.Phase == scaling.Unschedulable, r.Phase == scaling.Starting && !started(r, o.Time):
			p.unready++
		default:
			p.add(r, o.Time, metric)
		}
	}
	return p
}

func started(r *scaling.Replica, now time.Time) bool {
	return !r.Started.IsZero() && !r.Started.After(now)
}

func (p *pods) add(r *scaling.Replica, now time.Time, metric func(*signals.Reading) (float64, bool)) {
	if reading := fresh(r, now, prometheusStaleness); reading != nil {
		if x, ok := metric(reading); ok {
			p.values = append(p.values, milli(x))
			return
		}
	}
	p.missing++
}

// proposal is what one metric asks for; ok is false where the metric could not be had, within set where the tolerance or
// the pods without a sample keep it from asking for something else.
type proposal struct {
	replicas int32
	within   bool
	ok       bool
	text     string
}

// kept is a proposal to stay at a number where the usage alone would make it another one.
func kept(at, otherwise int32, text string) proposal {
	return proposal{replicas: at, within: at != otherwise, ok: true, text: text}
}

// ratio is the mean usage over the target; the mean is cut to thousandths.
func (p pods) ratio(target int64) float64 {
	var sum int64
	for _, v := range p.values {
		sum += v
	}
	return float64(sum/int64(len(p.values))) / float64(target)
}

// proposePods computes the replicas for a Pods metric with the given target per pod (in thousandths).
func (t tolerance) proposePods(p pods, target int64, current int32) proposal {
	if len(p.values) == 0 {
		return proposal{text: "no pod has a sample"}
	}
	ratio := p.ratio(target)
	text := fmt.Sprintf("%.3g of the target on average over %d pods (%d without sample, %d pending)", ratio, len(p.values), p.missing, p.unready)
	up := ratio > 1
	if p.missing == 0 && (p.unready == 0 || !up) {
		n := whole(math.Ceil(ratio * float64(len(p.values))))
		if t.within(ratio) {
			return kept(current, n, text)
		}
		return proposal{replicas: n, ok: true, text: text}
	}
	all := p.assumed(ratio, target)
	again := all.ratio(target)
	text += fmt.Sprintf(", %.3g with these assumed", again)
	n := whole(math.Ceil(again * float64(len(all.values))))
	if t.within(again) || flips(ratio, again) || again < 1 && n > current || again > 1 && n < current {
		return kept(current, n, text)
	}
	return proposal{replicas: n, ok: true, text: text}
}

// assumed adds the pods without a value: missing ones at the target on the way down and at zero on the way up, pending
// ones at zero on the way up only.
func (p pods) assumed(ratio float64, target int64) pods {
	all := pods{values: append([]int64(nil), p.values...)}
	add := func(n int, v int64) {
		for range n {
			all.values = append(all.values, v)
		}
	}
	switch {
	case ratio < 1:
		add(p.missing, target)
	case ratio > 1:
		add(p.missing+p.unready, 0)
	}
	return all
}

func flips(before, after float64) bool {
	return before < 1 && after > 1 || before > 1 && after < 1
}

// proposeAverage computes the replicas for an Object or External metric with a target of type AverageValue. The
// tolerance is judged against the replicas that exist, and these are what it keeps.
func (t tolerance) proposeAverage(value, target int64, exist int32) proposal {
	text := fmt.Sprintf("%g in all, %g per pod wanted", float64(value)/1000, float64(target)/1000)
	n := whole(math.Ceil(float64(value) / float64(target)))
	if t.within(float64(value) / (float64(target) * float64(exist))) {
		return kept(exist, n, text)
	}
	return proposal{replicas: n, ok: true, text: text}
}

// proposeValue computes the replicas for an Object or External metric with a target of type Value: it multiplies the
// pods that are ready.
func (t tolerance) proposeValue(value, target int64, current, ready int32) proposal {
	ratio := float64(value) / float64(target)
	text := fmt.Sprintf("%g, %g wanted", float64(value)/1000, float64(target)/1000)
	n := whole(math.Ceil(ratio * float64(ready)))
	switch {
	case current == 0:
		return proposal{replicas: whole(math.Ceil(ratio)), ok: true, text: text}
	case t.within(ratio):
		return kept(current, n, text)
	}
	return proposal{replicas: n, ok: true, text: text}
}
