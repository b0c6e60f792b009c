package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// The formula as llm-d's overlays/k8s/queue-guard/scaledobject.yaml@b06ec63 explains it: demand where it does not exceed
// the replicas, else demand less those pending, never below the replicas.
func TestQueueGuardSubtractsWhatLoads(t *testing.T) {
	tests := map[string]struct{ demand, pending, exist, want float64 }{
		"demand below the replicas is asked for":          {2.5, 0, 4, 2.5},
		"and also while some load":                        {2.5, 2, 4, 2.5},
		"demand at the replicas":                          {4, 2, 4, 4},
		"above, with none pending":                        {7, 0, 4, 7},
		"above, with some pending":                        {7, 2, 4, 5},
		"never fewer than exist while demand exceeds":     {5, 3, 4, 4},
		"without any replica":                             {3, 0, 0, 3},
		"a demand that the pending ones meet to the last": {6, 2, 4, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := guard(tt.demand, tt.pending, tt.exist); got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}

// kedaAt is a KEDA with these bounds that has been inactive for a while, shown a gateway.
func kedaAt(t *testing.T, s Setup, desired int32, idle time.Duration, queued, inFlight float64) scaling.Decision {
	t.Helper()
	p, err := New("keda", s)
	if err != nil {
		t.Fatal(err)
	}
	o := Observation{Gateway: Gateway{Time: t0, InFlight: 1}}
	o.Time, o.Desired = t0, desired
	for range desired {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
	}
	p.Decide(o)
	o.Time = t0.Add(idle)
	o.Gateway = Gateway{Time: o.Time, Queued: queued, InFlight: inFlight}
	return p.Decide(o)
}

// Between zero and one, as kedacore/keda@03b6a23 pkg/scaling/executor/scale_scaledobjects_test.go expects; a cooldown has
// passed there since no time of activity is known, here it passes.
func TestKEDAActivatesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		min              int32
		desired          int32
		idle             time.Duration
		queued, inFlight float64
		want             int32
	}{
		"inactive, to zero: ScaleToMinReplicasWhenNotActive":               {0, 10, 301 * time.Second, 0, 0, 0},
		"active, from zero to one: ScaleFromMinReplicasWhenActive":         {0, 0, 15 * time.Second, 1, 0, 1},
		"active, from zero to the minimum: ScaleFromIdleToMinReplicas":     {5, 0, 15 * time.Second, 1, 0, 5},
		"inactive below the minimum: ScaleToMinReplicasFromLowerInitial":   {5, 1, 15 * time.Second, 0, 0, 5},
		"inactive within the cooldown of 300 s":                            {0, 1, 300 * time.Second, 0, 0, 1},
		"inactive at zero":                                                 {0, 0, 15 * time.Second, 0, 0, 0},
		"inactive with a minimum of one, held by the stabilization window": {1, 3, 200 * time.Second, 0, 0, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := kedaAt(t, Setup{Min: tt.min, Max: 20}, tt.desired, tt.idle, tt.queued, tt.inFlight)
			if got.Replicas != tt.want {
				t.Errorf("got %d %s, want %d: %v", got.Replicas, got.Reason, tt.want, got.Steps)
			}
		})
	}
}

// Thresholds of llm-d's base/scaledobject.yaml@b0d6a79 and overlays: queue 1 and running 16 per replica, saturation 0.7,
// at most twice the replicas per 15 s.
func TestKEDAScalesByTheGatewaysMetrics(t *testing.T) {
	tests := map[string]struct {
		law              float64
		desired          int32
		queued, inFlight float64
		want             int32
		reason           scaling.Reason
	}{
		"16 in flight each are right":                        {lawQueue, 4, 0, 64, 4, scaling.DemandMet},
		"a few more than 16 are tolerated":                   {lawQueue, 4, 0, 70, 4, scaling.WithinTolerance},
		"as many replicas as sixteens in flight":             {lawQueue, 4, 0, 100, 7, scaling.ReactiveDemand},
		"one replica for each one queued":                    {lawQueue, 4, 6, 64, 6, scaling.ReactiveDemand},
		"doubled at most":                                    {lawQueue, 4, 60, 64, 8, scaling.RateLimited},
		"saturation is the pool's, and so asks for few":      {lawSaturation, 4, 0, 40, 4, scaling.ScaleDownStabilized},
		"the guard without any pending asks for the same":    {lawGuard, 4, 6, 64, 6, scaling.ReactiveDemand},
		"the guard asks for no fraction":                     {lawGuard, 4, 0, 65, 4, scaling.WithinTolerance},
		"what the gateway does not say reads as no requests": {lawQueue, 4, 0, 0, 4, scaling.ScaleDownStabilized},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := Setup{Min: 1, Max: 20, Settings: map[string]float64{"law": tt.law}}
			got := kedaAt(t, s, tt.desired, 15*time.Second, tt.queued, tt.inFlight)
			if got.Replicas != tt.want || got.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", got.Replicas, got.Reason, tt.want, tt.reason, got.Steps)
			}
		})
	}
}

// The gateway's detector: the fuller of queue (of 5) and cache (of 80 %) on average, a replica that is not seen counting
// as saturated.
func TestPoolSaturation(t *testing.T) {
	seen := func(waiting, cache float64) scaling.Replica {
		r := &signals.Reading{Time: t0}
		r.Set(signals.RequestsWaiting, waiting)
		r.Set(signals.KVCacheUtilization, cache)
		return scaling.Replica{Phase: scaling.Ready, Reading: r}
	}
	tests := map[string]struct {
		replicas []scaling.Replica
		want     float64
	}{
		"no replica":                 {nil, 0},
		"queue and cache":            {[]scaling.Replica{seen(2.5, 0.2), seen(0, 0.8)}, 0.75},
		"one that is not seen":       {[]scaling.Replica{seen(0, 0), {Phase: scaling.Ready}}, 0.5},
		"one that loads is left out": {[]scaling.Replica{seen(10, 0.2), {Phase: scaling.Starting}}, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := Observation{Observation: scaling.Observation{Time: t0, Replicas: tt.replicas}}
			if got := poolSaturation(&o); got != tt.want {
				t.Errorf("got %g, want %g", got, tt.want)
			}
		})
	}
}
