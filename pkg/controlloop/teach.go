package controlloop

import "github.com/preheat-autoscaler/preheat/pkg/scaling"

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
