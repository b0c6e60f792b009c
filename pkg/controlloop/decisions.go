package controlloop

import (
	"sync"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Decisions holds the newest decision on each target, for those who serve it. Its zero value is ready for use, from any
// goroutine.
type Decisions struct {
	mu     sync.RWMutex
	latest map[TargetID]scaling.Decision // guarded by mu
}

// Put makes a decision the newest one of its target.
func (d *Decisions) Put(id TargetID, decision scaling.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.latest == nil {
		d.latest = map[TargetID]scaling.Decision{}
	}
	d.latest[id] = decision
}

// Latest returns the newest decision on a target, false where there has been none.
func (d *Decisions) Latest(id TargetID) (scaling.Decision, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	decision, ok := d.latest[id]
	return decision, ok
}

// Keep forgets all targets but these.
func (d *Decisions) Keep(targets []Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := make(map[TargetID]scaling.Decision, len(targets))
	for _, t := range targets {
		if decision, ok := d.latest[t.ID]; ok {
			kept[t.ID] = decision
		}
	}
	d.latest = kept
}
