package kube

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const (
	// drainTimeout is how long a replica may be drained where spec.drain.timeout is absent.
	drainTimeout = 5 * time.Minute
	// drainSettle is how long after a pod is not ready any more it may be given requests: by endpoint slices and proxies that
	// have yet to hear of it (a second each, as a rule), and by clients that keep their connections.
	drainSettle = 5 * time.Second
)

// drainTimeoutOf is how long the replicas of a target may be drained.
func drainTimeoutOf(a *v1alpha1.InferenceAutoscaler) time.Duration {
	if a.Spec.Drain.Timeout == nil {
		return drainTimeout
	}
	return a.Spec.Drain.Timeout.Duration
}

// quiet is since when a replica is seen to do nothing.
type quiet struct {
	since time.Time
	// finished is how many requests it had ended then, negative where it does not say.
	finished float64
}

// listen takes notice of what a replica that is drained does: a client that keeps its connection may send one request after
// the other, each of them done between two looks.
func (l *ledger) listen(m *member, now time.Time) {
	n, ok := m.held(now)
	if !ok || n > 0 {
		delete(l.quiet, m.pod.UID)
		return
	}
	finished, known := m.reading.Value(signals.RequestsFinished)
	if !known {
		finished = -1
	}
	if was, ok := l.quiet[m.pod.UID]; ok && was.finished == finished {
		return
	}
	if l.quiet == nil {
		l.quiet = map[types.UID]quiet{}
	}
	l.quiet[m.pod.UID] = quiet{since: m.reading.Time, finished: finished}
}

// isDrained reports whether a replica that is drained can be let go of: it has been seen to do nothing for a while since it
// left its endpoints, or never had anything to do.
func (l *ledger) isDrained(m *member) bool {
	if startedAt(m.pod.Status.ContainerStatuses, m.engine).IsZero() || m.neverLoaded() {
		return true
	}
	left, ready := conditionTrueSince(m.pod, corev1.PodReady)
	silence, isQuiet := l.quiet[m.pod.UID]
	if ready || !isQuiet || m.reading == nil {
		return false
	}
	if silence.since.Before(left) {
		silence.since = left
	}
	return m.reading.Time.Sub(silence.since) >= drainSettle
}

// isOverdue reports whether a replica has been drained for as long as it may be.
func (m *member) isOverdue(now time.Time, timeout time.Duration) bool {
	since := drainingSince(m.pod)
	if since.IsZero() {
		since, _ = conditionTrueSince(m.pod, corev1.PodReady)
	}
	return !now.Before(since.Add(timeout))
}

// farewell is what came of looking for replicas that can be let go of.
type farewell struct {
	// gone are those for which the number is lowered, overdue those of them that may have something in flight.
	gone, overdue []*member
	// waiting are those that are to be let go of once before, which would be deleted in their place, is out of the way.
	waiting []*member
	before  *member
}

// farewell returns the replicas for which the number can be lowered now: those that are drained, and those that are cut,
// as far as it is sure that they are the ones to be deleted. Those that are overdue do not wait for that.
func (r *roster) farewell(l *ledger, cut []*member) farewell {
	var f farewell
	chosen, overdue := map[*member]bool{}, map[*member]bool{}
	for _, m := range r.drainingNow() {
		l.listen(m, r.now)
		overdue[m] = m.isOverdue(r.now, r.drained)
		chosen[m] = overdue[m] || l.isDrained(m)
	}
	for _, m := range slices.Concat(cut, r.leaving) {
		chosen[m] = true
	}
	sure, before := deletable(r.live, chosen, r.ordinal)
	rollsOut := r.rollsOut()
	for _, m := range r.live { // in the order of their names
		switch {
		case !chosen[m] || slices.Contains(r.leaving, m):
		case overdue[m]:
			f.gone, f.overdue = append(f.gone, m), append(f.overdue, m)
		case slices.Contains(sure, m) && !rollsOut || r.leftToOthers(m):
			f.gone = append(f.gone, m)
		default:
			f.waiting, f.before = append(f.waiting, m), before
		}
	}
	return f
}

// leftToOthers reports whether a replica without a gate is let go of although another one may be deleted in its place: somebody
// else says what its deletion costs, or the Deployment, while it rolls out, which of its sets is lowered.
func (r *roster) leftToOthers(m *member) bool {
	_, foreign := deletionCost(m.pod)
	return !gated(m.pod) && (foreign || r.rollsOut())
}

// drainingNow are the replicas whose pods say that they are drained: one that could not be told so serves.
func (r *roster) drainingNow() []*member {
	return slices.DeleteFunc(slices.Clone(r.lanes[laneDraining]), func(m *member) bool { return laneOf(m.pod) != laneDraining })
}

// rollsOut reports whether the replicas belong to several sets, as while a Deployment rolls out.
func (r *roster) rollsOut() bool {
	owners := map[types.UID]bool{}
	for _, m := range r.live {
		if owner := metav1.GetControllerOf(m.pod); owner != nil {
			owners[owner.UID] = true
		}
	}
	return len(owners) > 1
}

// drainText says what is drained, for how long and with what in flight, and what keeps replicas from being let go of; empty
// where nothing is.
func (r *roster) drainText(f farewell) string {
	var parts []string
	for _, m := range r.drainingNow() {
		parts = append(parts, m.drainText(r.now, r.drained))
	}
	text := ""
	if len(parts) > 0 {
		text = fmt.Sprintf("out of their endpoints, each for at most %v: %s", r.drained, strings.Join(parts, ", "))
	}
	why := "the rollout is over"
	switch {
	case len(f.waiting) == 0:
		return text
	case text != "":
		text += "; "
	}
	if f.before != nil {
		why = fmt.Sprintf("pod %s, which would be deleted in their place, is ready or gone", f.before.pod.Name)
	}
	return text + fmt.Sprintf("%s are let go when %s", namesOf(f.waiting), why)
}

// drainText says for how long a replica is drained, and with what in flight.
func (m *member) drainText(now time.Time, drained time.Duration) string {
	held := "an unknown number of requests"
	if n := m.inFlight(now, drained); !math.IsInf(n, 1) {
		held = fmt.Sprintf("%.0f requests", n)
	}
	since := "just now"
	if at := drainingSince(m.pod); now.Sub(at) >= time.Second && !at.IsZero() {
		since = fmt.Sprintf("for %v", now.Sub(at).Round(time.Second))
	}
	return fmt.Sprintf("%s %s with %s in flight", m.pod.Name, since, held)
}
