package kube

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// member is one pod of a target as it was observed.
type member struct {
	pod     *corev1.Pod
	birth   birth
	reading *signals.Reading
	// engine is the name of the container that runs the engine.
	engine string
}

// freshFor is how long a reading says what a replica holds: several scrapes, so that one that fails does not matter.
const freshFor = 30 * time.Second

// inFlight returns how many requests a replica holds at now, infinity where that is not known: an unknown replica is the last
// to be let go. One whose readiness was lost for so long that it would have been drained by then, and that tells nothing, is
// broken.
func (m *member) inFlight(now time.Time, drained time.Duration) float64 {
	running := startedAt(m.pod.Status.ContainerStatuses, m.engine)
	if running.IsZero() || m.neverLoaded() {
		return 0
	}
	if n, ok := m.held(now); ok && m.reading.Time.After(running) {
		return n
	}
	if since, ready := loadedSince(m.pod); !ready && !since.IsZero() && now.Sub(since) >= drained {
		return 0
	}
	return math.Inf(1)
}

// neverLoaded reports whether the engine is known to never have been ready.
func (m *member) neverLoaded() bool { return m.birth.unborn && !m.birth.served && !loaded(m.pod) }

// held is what the newest reading says that a replica holds, false where there is no fresh one that tells.
func (m *member) held(now time.Time) (float64, bool) {
	if m.reading == nil || now.Sub(m.reading.Time) > freshFor {
		return 0, false
	}
	waiting, okWaiting := m.reading.Value(signals.RequestsWaiting)
	running, okRunning := m.reading.Value(signals.RequestsRunning)
	return waiting + running, okWaiting && okRunning
}

// idleFirst sorts replicas by what they hold, and those that hold the same by what it costs to let them go: those that
// load have least to lose.
func idleFirst(all []*member, now time.Time, drained time.Duration) {
	slices.SortStableFunc(all, func(a, b *member) int {
		return cmp.Or(
			cmp.Compare(a.inFlight(now, drained), b.inFlight(now, drained)),
			stageOf(a.pod).compare(stageOf(b.pod)),
			b.pod.CreationTimestamp.Compare(a.pod.CreationTimestamp.Time),
			cmp.Compare(a.pod.Name, b.pod.Name),
		)
	})
}

// highestFirst sorts replicas by ordinal, the highest first: the order in which a StatefulSet lets them go.
func highestFirst(all []*member) {
	slices.SortStableFunc(all, func(a, b *member) int { return cmp.Compare(ordinalOf(b.pod), ordinalOf(a.pod)) })
}

// stage is how far a pod has come, as the ReplicaSet controller sees it (kubernetes v1.37 pkg/controller
// ActivePodsWithRanks.Less): of those that are less far one is deleted first whatever its cost.
type stage struct{ assigned, phase, ready int }

func stageOf(pod *corev1.Pod) stage {
	var s stage
	if pod.Spec.NodeName != "" {
		s.assigned = 1
	}
	switch pod.Status.Phase {
	case corev1.PodPending:
	case corev1.PodUnknown:
		s.phase = 1
	default:
		s.phase = 2
	}
	if _, ready := conditionTrueSince(pod, corev1.PodReady); ready {
		s.ready = 1
	}
	return s
}

func (s stage) compare(other stage) int {
	return cmp.Or(cmp.Compare(s.assigned, other.assigned), cmp.Compare(s.phase, other.phase), cmp.Compare(s.ready, other.ready))
}

// deletable returns those of the chosen replicas that are sure to be deleted when the number is lowered by how many are
// returned: none but chosen ones go before them. The first that stands in the way is returned too. A chosen one's cost counts
// as set. What is not known of an order is taken to be against us.
func deletable(all []*member, chosen map[*member]bool, byOrdinal bool) (sure []*member, before *member) {
	order := slices.Clone(all)
	if byOrdinal {
		highestFirst(order)
	} else {
		slices.SortStableFunc(order, func(a, b *member) int {
			return cmp.Or(stageOf(a.pod).compare(stageOf(b.pod)), cmp.Compare(costOf(a, chosen[a]), costOf(b, chosen[b])), othersFirst(chosen[a], chosen[b]))
		})
	}
	for i, m := range order {
		if !chosen[m] {
			return order[:i], m
		}
	}
	return order, nil
}

// othersFirst puts what is not chosen before what is.
func othersFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// costOf is what the ReplicaSet controller takes the deletion of a pod to cost, once the chosen ones are marked. What
// somebody else set stays.
func costOf(m *member, chosen bool) int64 {
	text, foreign := deletionCost(m.pod)
	if chosen && !foreign {
		return math.MinInt32
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// ordinalLabels have a pod's index, best first.
var ordinalLabels = [...]string{"leaderworkerset.sigs.k8s.io/group-index", "apps.kubernetes.io/pod-index"}

// ordinalOf returns a pod's index in its set, by label or by the end of its name, and -1 where it has none.
func ordinalOf(pod *corev1.Pod) int {
	for _, label := range ordinalLabels {
		if n, err := strconv.Atoi(pod.Labels[label]); err == nil {
			return n
		}
	}
	if n, err := strconv.Atoi(pod.Name[strings.LastIndexByte(pod.Name, '-')+1:]); err == nil {
		return n
	}
	return -1
}

// byOrdinal reports whether a target's pods are let go of by ordinal, whatever they hold and cost.
func byOrdinal(t scaleTarget, all []*member) bool {
	if ordinalKinds[t.kind] {
		return true
	}
	return slices.ContainsFunc(all, func(m *member) bool {
		owner := metav1.GetControllerOf(m.pod)
		return owner != nil && ordinalKinds[owner.Kind]
	})
}

// ordinalKinds are the kinds that number their pods.
var ordinalKinds = map[string]bool{"StatefulSet": true, "LeaderWorkerSet": true}
