package metricsapi

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// Samples answers from memory what is known of pods; a *store.Store is one. It is called from many goroutines. A
// value that is unknown or stale is false, never zero; known is the number of pods that the sample is of.
type Samples interface {
	Group(ids []store.PodID, q store.Quantity, now time.Time) (sample store.Sample, known int, ok bool)
}

// Scrapes explains why a sample is missing; a *store.Store is one. It is called from many goroutines.
type Scrapes interface {
	Latest(id store.PodID) (*signals.Reading, bool)
	Problem(id store.PodID) (at time.Time, err error)
}

// Decisions knows the newest decision on each target; a *controlloop.Decisions is one. It is called from many
// goroutines.
type Decisions interface {
	Latest(id controlloop.TargetID) (scaling.Decision, bool)
}

// answer is the value of a series at some time.
type answer struct {
	value    resource.Quantity
	time     time.Time
	window   time.Duration
	quantile float64
}

// windowSeconds returns the window in whole seconds, nil for an instant.
func (a answer) windowSeconds() *int64 {
	if a.window <= 0 {
		return nil
	}
	s := int64((a.window + time.Second/2) / time.Second)
	return &s
}

// answer returns what is known of an object now, a status error where it is nothing.
func (p *Provider) answer(o *object, q query, now time.Time) (answer, error) {
	if q.series.isMeasured() {
		return p.measure(o, q.series, now)
	}
	return p.decided(o, q, now)
}

// measure takes a quantity over the object's ready pods. Where fewer than half of them are known, so is nothing; where
// some are missing from a sum, they are taken to be like the others: a sum that leaves them out would be too low. Pods
// that have just become ready, and of which nothing is known yet, count for nothing in either beside those that have been
// for longer: they have served next to nothing, and to take them to be like the others would answer every scale-up with a
// demand that grows with it. Where all are new, they are all that there is.
func (p *Provider) measure(o *object, s series, now time.Time) (answer, error) {
	ready, settled, total := p.caches.readyPods(o, func(since time.Time) bool {
		return now.Sub(since).Abs() < p.opts.Settling // clocks of nodes that are far off settle nothing
	})
	if len(ready) == 0 {
		return answer{}, noReadyPods(o, s, total)
	}
	sample, known, ok := p.opts.Samples.Group(ready, s.measured, now)
	expected := len(ready)
	if 0 < settled && settled < len(ready) {
		_, knownSettled, _ := p.opts.Samples.Group(ready[:settled], s.measured, now)
		expected = settled + known - knownSettled
		ok = ok && (2*knownSettled >= settled || 2*known >= len(ready))
	}
	if !ok || 2*known < expected {
		return answer{}, p.missing(o, s, ready, known, now)
	}
	value := sample.Value
	if s.additive {
		value *= float64(expected) / float64(known)
	}
	rounded, ok := quantity(value)
	if !ok {
		return answer{}, p.missing(o, s, ready, 0, now)
	}
	return answer{value: rounded, time: sample.Time, window: sample.Window, quantile: s.quantile}, nil
}

func noReadyPods(o *object, s series, total int) error {
	if o.pod != nil {
		return notFound("%s of %s: the pod is not ready; a replica has samples once it serves", s.metric, o)
	}
	if total == 0 {
		return notFound("%s of %s: no pod matches its selector %q; check the selector, or that there are replicas", s.metric, o, o.pods)
	}
	return notFound("%s of %s: none of its %d pods is ready; a replica has samples once it serves", s.metric, o, total)
}

// missing explains why there is no sample, by the first pod that has none.
func (p *Provider) missing(o *object, s series, ready []store.PodID, known int, now time.Time) error {
	text := fmt.Sprintf("%s of %s: %d of %d ready pods known", s.metric, o, known, len(ready))
	for _, id := range ready {
		if _, n, _ := p.opts.Samples.Group([]store.PodID{id}, s.measured, now); n == 0 || known == len(ready) {
			return notFound("%s; pod %s: %s", text, id.Name, p.explain(id, s, now))
		}
	}
	return notFound("%s", text)
}

// explain says why a pod has no sample of a series, and what to do.
func (p *Provider) explain(id store.PodID, s series, now time.Time) string {
	var parts []string
	newest, ok := p.opts.Scrapes.Latest(id)
	switch {
	case !ok:
		parts = append(parts, "never scraped with success")
	default:
		parts = append(parts, fmt.Sprintf("last good scrape %s ago", age(now, newest.Time)))
	}
	at, err := p.opts.Scrapes.Problem(id)
	switch {
	case err != nil:
		parts = append(parts, fmt.Sprintf("last failure %s ago: %v", age(now, at), err))
	case ok:
		parts = append(parts, fmt.Sprintf("its page has no %s, or nothing happened within the window; "+
			"send traffic, or check the engine's version and metrics flags", s.metric))
	default:
		parts = append(parts, "check that the engine serves /metrics on the pod's metrics port and that a NetworkPolicy lets us in")
	}
	return strings.Join(parts, "; ")
}

func age(now, then time.Time) time.Duration { return now.Sub(then).Round(time.Second) }

// decided reads a field of the newest decision on an InferenceAutoscaler.
func (p *Provider) decided(o *object, q query, now time.Time) (answer, error) {
	s := q.series
	if !o.isAutoscaler() {
		return answer{}, notFound("%s exists for %s only, not for %s; ask for the one that scales it", s.metric, autoscalersResource, o)
	}
	d, ok := p.opts.Decisions.Latest(controlloop.TargetID{Namespace: o.reference.Namespace, Name: o.reference.Name})
	switch {
	case !ok:
		return answer{}, notFound("%s of %s: nothing has been decided since this process started; wait one tick, then see the object's conditions", s.metric, o)
	case now.Sub(d.Time) > p.opts.DecisionStaleness:
		return answer{}, notFound("%s of %s: the last decision is %s old, the bound is %s; see the object's conditions",
			s.metric, o, age(now, d.Time), p.opts.DecisionStaleness)
	}
	return decidedAnswer(o, q, &d)
}

func decidedAnswer(o *object, q query, d *scaling.Decision) (answer, error) {
	s := q.series
	value, quantile, ok := s.decided(d)
	if !ok {
		return answer{}, notFound("%s of %s: not known; %s: %s%s", s.metric, o, d.Reason, d.Message(), unseen(d))
	}
	if q.quantile != 0 && !near(q.quantile, quantile) {
		return answer{}, notFound("%s of %s has no series with %s=%v; its quantile is %v, set spec.forecast.quantile to change it",
			s.metric, o, QuantileLabel, q.quantile, quantile)
	}
	rounded, ok := quantity(value)
	if !ok {
		return answer{}, notFound("%s of %s: the decision holds %v, which is no measurement", s.metric, o, value)
	}
	return answer{value: rounded, time: d.Time, quantile: quantile}, nil
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

// unseen names the first of what a decision sought and did not find.
func unseen(d *scaling.Decision) string {
	if len(d.Unseen) == 0 {
		return ""
	}
	return fmt.Sprintf("; not seen: %s (%d in all)", d.Unseen[0], len(d.Unseen))
}
