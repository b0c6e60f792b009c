// Package controlloop is the seam between the pure core and the world: it observes each target, plans, records and
// actuates. Live, Run calls Tick from the only ticker there is; in replay a for-loop does.
package controlloop

import (
	"context"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// TargetID names one InferenceAutoscaler and with it the target that it scales.
type TargetID struct{ Namespace, Name string }

// String returns namespace/name.
func (t TargetID) String() string { return t.Namespace + "/" + t.Name }

// Observer gathers what is known of a target at now. It is called from several goroutines, for different targets.
// An error means that not even the replicas are known; then nothing is decided and the state is kept.
type Observer interface {
	Observe(ctx context.Context, id TargetID, now time.Time) (scaling.Observation, error)
}

// Actuator carries a decision out, or leaves it where the mode, the lease or a rival forbids. It is idempotent, and
// called from several goroutines, for different targets.
type Actuator interface {
	Actuate(ctx context.Context, id TargetID, d scaling.Decision) error
}

// Recorder tells the world what was decided and what came of it; actuated is the Actuator's error.
// It must not block the tick for long and has no error of its own: a lost record must not stop a decision.
type Recorder interface {
	Record(ctx context.Context, id TargetID, d scaling.Decision, actuated error)
}
