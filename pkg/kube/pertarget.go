package kube

import (
	"sync"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// perTarget keeps one T for each target, made on first use. What a T holds is guarded by the T itself.
type perTarget[T any] struct {
	mu  sync.Mutex
	all map[controlloop.TargetID]*T
}

// of returns the target's T.
func (p *perTarget[T]) of(id controlloop.TargetID) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.all[id]; ok {
		return t
	}
	if p.all == nil {
		p.all = map[controlloop.TargetID]*T{}
	}
	t := new(T)
	p.all[id] = t
	return t
}

// forget drops what is kept for a target that is gone.
func (p *perTarget[T]) forget(id controlloop.TargetID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, id)
}
