package controlloop

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Teach changes what is remembered of a target, between two cycles of it, and reports false where there has been none yet.
func (l *Loop) Teach(id TargetID, teach func(*scaling.State)) bool {
	c := l.cell(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memory.target.Planner == nil {
		return false
	}
	teach(&c.memory.state)
	return true
}

// Since returns since when what is remembered of a target has been learned of what it scales now, false where there has been no
// cycle of it yet.
func (l *Loop) Since(id TargetID) (time.Time, bool) {
	c := l.cell(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memory.since, c.memory.target.Planner != nil
}
