package switchover

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// NoActivator is the reason of a target that is to go to zero and does not, since nothing would hold its requests then.
const NoActivator scaling.Reason = "NoActivator"

const (
	// settled is for how long an activator must have stood in before the last replica goes: so long do the proxies of all
	// nodes take to follow (kube-proxy's minSyncPeriod is a second).
	settled = 3 * time.Second
	// patience is for how long an activator is waited for before it is a fault that there is none.
	patience = 30 * time.Second
)

// Guard is an Actuator that lets the last replica go only once requests would be held.
type Guard struct {
	// Actuator carries decisions out.
	Actuator controlloop.Actuator
	// Watch knows who stands in.
	Watch *Watch
	// Autoscaler returns the InferenceAutoscaler of a target.
	Autoscaler func(controlloop.TargetID) (*v1alpha1.InferenceAutoscaler, bool)
	// Again is called with a target that is to be decided on again after a while: Pause, or longer where an activator takes
	// longer to be followed. Within it there must be new readings, without which nothing is scaled down.
	Again func(id controlloop.TargetID, after time.Duration)
	Pause time.Duration

	mu sync.Mutex
	// asked is since when each target has been about to go to zero.
	asked map[controlloop.TargetID]time.Time
}

// Actuate implements controlloop.Actuator. That an activator is waited for is no error until it takes too long.
func (g *Guard) Actuate(ctx context.Context, id controlloop.TargetID, d scaling.Decision) error {
	a, ok := g.Autoscaler(id)
	if !ok || d.Replicas > 0 || d.Current == 0 || a.Spec.Activator == nil || a.Spec.Mode != v1alpha1.ModeOwn || a.Spec.Paused {
		g.forget(id)
		return g.Actuator.Actuate(ctx, id, d)
	}
	now := time.Now()
	since := g.Watch.standsInSince(a.Namespace, a.Spec.Activator.Service)
	if !since.IsZero() && now.Sub(since) >= settled {
		g.forget(id)
		return g.Actuator.Actuate(ctx, id, d)
	}
	if waited := g.waited(id, now); waited >= patience {
		return &kube.Fault{Reason: NoActivator, Message: fmt.Sprintf(
			"the last replica stays, since no activator has stood in for Service %s/%s for %v: see that the pods of preheat-activator are ready, and what they log about this Service",
			a.Namespace, a.Spec.Activator.Service, waited.Round(time.Second))}
	}
	g.Again(id, max(g.Pause, settled+time.Second/2))
	return nil
}

// waited is for how long a target has been about to go to zero.
func (g *Guard) waited(id controlloop.TargetID, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[controlloop.TargetID]time.Time{}
	}
	if _, ok := g.asked[id]; !ok {
		g.asked[id] = now
	}
	return now.Sub(g.asked[id])
}

func (g *Guard) forget(id controlloop.TargetID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.asked, id)
}
