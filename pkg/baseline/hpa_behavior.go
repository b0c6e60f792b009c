package baseline

import (
	"math"
	"slices"
	"time"
)

// What is here restates k8s.io/kubernetes v1.36.3 pkg/controller/podautoscaler/horizontal.go, with the defaults of
// pkg/apis/autoscaling/v2/defaults.go.

// hpaSelect says which of several scaling policies counts.
type hpaSelect uint8

const (
	selectMax hpaSelect = iota
	selectMin
	selectDisabled
)

// hpaPolicy bounds the change within a period: by pods or, where percent is set, by a share of the replicas at the
// period's beginning.
type hpaPolicy struct {
	pods, percent float64
	period        time.Duration
}

// hpaRules are the behavior of one direction.
type hpaRules struct {
	window   time.Duration
	policies []hpaPolicy
	pick     hpaSelect
}

// hpaBehavior is the spec.behavior of an HPA.
type hpaBehavior struct{ up, down hpaRules }

// defaultBehavior is what an HPA has without a word about it: up at once by 4 pods or 100 % per 15 s, down by 100 %
// per 15 s with 300 s of stabilization.
func defaultBehavior() hpaBehavior {
	const period = 15 * time.Second
	return hpaBehavior{
		up:   hpaRules{policies: []hpaPolicy{{pods: 4, period: period}, {percent: 100, period: period}}},
		down: hpaRules{window: 300 * time.Second, policies: []hpaPolicy{{percent: 100, period: period}}},
	}
}

// dated is a number of replicas at a time: a recommendation, or the size of a change.
type dated struct {
	at       time.Time
	replicas int32
}

// hpaMemory is what the controller keeps of one HPA.
type hpaMemory struct {
	recommended []dated
	ups, downs  []dated
}

// stabilized takes a recommendation into the memory and returns it within the lowest of the up-window and the highest
// of the down-window, both with the new one.
func (m *hpaMemory) stabilized(b hpaBehavior, now time.Time, current, wanted int32) int32 {
	low, high := wanted, wanted
	for _, r := range m.recommended {
		if age := now.Sub(r.at); age < b.up.window {
			low = min(low, r.replicas)
		}
		if age := now.Sub(r.at); age < b.down.window {
			high = max(high, r.replicas)
		}
	}
	m.recommended = append(since(m.recommended, now.Add(-max(b.up.window, b.down.window))), dated{now, wanted})
	return min(max(current, low), high)
}

// since drops what is older than a time.
func since(xs []dated, t time.Time) []dated {
	return slices.DeleteFunc(xs, func(x dated) bool { return x.at.Before(t) })
}

// upLimit is the most replicas that the scaling policies allow now.
func (m *hpaMemory) upLimit(b hpaBehavior, now time.Time, current int32) int32 {
	limits := m.limits(b.up, now, current, func(start float64, p hpaPolicy) float64 {
		return math.Ceil(start*(1+p.percent/100) + p.pods)
	})
	switch {
	case b.up.pick == selectDisabled || len(limits) == 0:
		return current
	case b.up.pick == selectMin:
		return max(current, whole(slices.Min(limits)))
	}
	return max(current, whole(slices.Max(limits)))
}

// downLimit is the fewest replicas that the scaling policies allow now.
func (m *hpaMemory) downLimit(b hpaBehavior, now time.Time, current int32) int32 {
	limits := m.limits(b.down, now, current, func(start float64, p hpaPolicy) float64 {
		return math.Trunc(start*(1-p.percent/100) - p.pods)
	})
	switch {
	case b.down.pick == selectDisabled || len(limits) == 0:
		return current
	case b.down.pick == selectMin:
		return min(current, whole(slices.Max(limits)))
	}
	return min(current, whole(slices.Min(limits)))
}

// limits returns what each policy allows, from the replicas that there were at its period's beginning.
func (m *hpaMemory) limits(r hpaRules, now time.Time, current int32, limit func(start float64, p hpaPolicy) float64) []float64 {
	var limits []float64
	for _, p := range r.policies {
		start := current - changed(m.ups, now, p.period) + changed(m.downs, now, p.period)
		limits = append(limits, limit(float64(start), p))
	}
	return limits
}

func changed(events []dated, now time.Time, period time.Duration) int32 {
	var n int32
	for _, e := range events {
		if now.Sub(e.at) < period {
			n += e.replicas
		}
	}
	return n
}

// scaled remembers a change for the rate limits, for as long as the longest period of the direction.
func (m *hpaMemory) scaled(b hpaBehavior, now time.Time, from, to int32) {
	keep := now.Add(-max(longest(b.up), longest(b.down)))
	m.ups, m.downs = since(m.ups, keep), since(m.downs, keep)
	switch {
	case to > from:
		m.ups = append(m.ups, dated{now, to - from})
	case to < from:
		m.downs = append(m.downs, dated{now, from - to})
	}
}

func longest(r hpaRules) time.Duration {
	var most time.Duration
	for _, p := range r.policies {
		most = max(most, p.period)
	}
	return most
}
