// Package ledger keeps the books of one autoscaled Deployment: which pods held GPUs from when to when, how many served,
// and how often the number asked for was changed. Cost and replica curves are read from it afterwards.
//
// It must not read a clock or know Kubernetes: who watches the cluster says what changed and when.
package ledger

import (
	"slices"
	"sync"
	"time"
)

// Phase is where a pod is in its life, as far as money and service go.
type Phase int

// The phases, in the order in which a pod goes through them.
const (
	// Pending holds no GPU: no node has room yet.
	Pending Phase = iota
	// Starting holds its GPUs and does not serve: the model loads.
	Starting
	// Serving is ready.
	Serving
	// Draining takes no new requests, and still holds its GPUs.
	Draining
	// Gone has given them back.
	Gone
)

// holdsGPUs says whether a pod in the phase is paid for.
func (p Phase) holdsGPUs() bool { return p == Starting || p == Serving || p == Draining }

// change is one entry of the books.
type change struct {
	at    time.Time
	pod   string
	phase Phase
}

// Ledger is safe for concurrent use. Entries must come in order of time; the zero value is an empty one.
type Ledger struct {
	mu      sync.Mutex
	changes []change
	phases  map[string]Phase
	desired []Step
}

// Step is a value that holds from a moment until the next Step.
type Step struct {
	At    time.Time
	Value int
}

// Pod enters that the pod, named by its UID, is in a phase from now on. To say the same again changes nothing, and so
// does news of a pod that is Gone.
func (l *Ledger) Pod(uid string, phase Phase, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phases == nil {
		l.phases = map[string]Phase{}
	}
	if before, known := l.phases[uid]; known && (before == phase || before == Gone) {
		return
	}
	l.phases[uid] = phase
	l.changes = append(l.changes, change{now, uid, phase})
}

// Asked enters the number of replicas that the Deployment asks for from now on.
func (l *Ledger) Asked(replicas int, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.desired); n > 0 && l.desired[n-1].Value == replicas {
		return
	}
	l.desired = append(l.desired, Step{now, replicas})
}

// Count returns how many pods are in a phase.
func (l *Ledger) Count(phase Phase) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, p := range l.phases {
		if p == phase {
			n++
		}
	}
	return n
}

// Desired returns the numbers asked for, in order of time.
func (l *Ledger) Desired() []Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.desired)
}

// Ready returns the number of pods that serve, one Step a change.
func (l *Ledger) Ready() []Step {
	return l.curve(func(p Phase) bool { return p == Serving })
}

// Held returns the number of pods that hold GPUs, one Step a change.
func (l *Ledger) Held() []Step { return l.curve(Phase.holdsGPUs) }

// curve counts the pods in phases that in accepts.
func (l *Ledger) curve(in func(Phase) bool) []Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	counted := map[string]bool{}
	var out []Step
	for _, c := range l.changes {
		if in(c.phase) == counted[c.pod] {
			continue
		}
		if counted[c.pod] {
			delete(counted, c.pod)
		} else {
			counted[c.pod] = true
		}
		out = append(out, Step{c.at, len(counted)})
	}
	return out
}

// GPUSeconds is what the pods cost from one moment to another: each holds gpus GPUs from its scheduling until it is gone,
// while it loads and drains too.
func (l *Ledger) GPUSeconds(gpus int, from, to time.Time) float64 {
	return float64(gpus) * Integral(l.Held(), from, to)
}

// ScaleEvents counts the changes of the number asked for after from and not after to.
func (l *Ledger) ScaleEvents(from, to time.Time) int {
	n := 0
	for i, s := range l.Desired() {
		if i > 0 && s.At.After(from) && !s.At.After(to) {
			n++
		}
	}
	return n
}

// Integral is the area under a curve of Steps, in seconds times its value. Before its first Step the curve is zero.
func Integral(steps []Step, from, to time.Time) float64 {
	var area float64
	for i, s := range steps {
		start, end := s.At, to
		if i+1 < len(steps) && steps[i+1].At.Before(to) {
			end = steps[i+1].At
		}
		if start.Before(from) {
			start = from
		}
		if end.After(start) {
			area += float64(s.Value) * end.Sub(start).Seconds()
		}
	}
	return area
}
