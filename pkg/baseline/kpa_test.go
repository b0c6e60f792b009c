package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// decider is one as in knative/serving@01f103e pkg/autoscaler/scaling/autoscaler_test.go: rates of 10, a panic threshold of
// 2 and a stable window of 60 s.
func decider(target float64) *kpaScaler {
	return &kpaScaler{kpaSpec: kpaSpec{
		target: target, upRate: 10, downRate: 10, panicThreshold: 2, stable: time.Minute, panics: 6 * time.Second,
	}}
}

// The single decisions of that file: TestAutoscalerScale and the tests named with each row.
func TestKPADecidesAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		target, stable, panics float64
		change                 func(*kpaScaler)
		ready                  int32
		want                   float64
	}{
		"no load: AutoscalerNoDataAtZeroNoAutoscale":                  {10, 0, 0, nil, 1, 0},
		"little load: AutoscalerStableModeUnlimitedTBC":               {181, 21, 26, nil, 1, 1},
		"five times the target: AutoscalerStableModeNoChange":         {10, 50, 50, nil, 1, 5},
		"the panic window below: StableModeIncreaseWithConcurrency":   {10, 50, 10, nil, 1, 5},
		"ten times the target: StableModeIncreaseWithConcurrency":     {10, 100, 10, nil, 1, 10},
		"nothing to do: AutoscalerStableModeNoChangeAlreadyScaled":    {10, 50, 50, nil, 5, 5},
		"the panic window counts: AutoscalerPanicModeDoublePodCount":  {10, 50, 100, nil, 1, 10},
		"more than one: TestAutoscalerStableModeDecrease, before":     {10, 100, 100, nil, 8, 10},
		"fewer: TestAutoscalerStableModeDecrease, after":              {10, 50, 50, nil, 8, 5},
		"the last one stays for one: StableModeNoTrafficScaleToZero":  {10, 1, 0, nil, 1, 1},
		"and goes for none: StableModeNoTrafficScaleToZero":           {10, 0, 0, nil, 1, 0},
		"ten times at most: TestAutoscalerRateLimitScaleUp":           {10, 1000, 1001, nil, 1, 10},
		"ten times again: TestAutoscalerRateLimitScaleUp":             {10, 1000, 1001, nil, 10, 100},
		"a tenth at least: TestAutoscalerRateLimitScaleDown":          {10, 1, 1, nil, 100, 10},
		"a tenth again: TestAutoscalerRateLimitScaleDown":             {10, 1, 1, nil, 10, 1},
		"none ready counts as one: UseOnePodAsMinimumIfNotFound":      {10, 1000, 888, nil, 0, 10},
		"windows are rounded up: three stable, five in panic":         {10, 21, 45, nil, 1, 5},
		"and the stable one too":                                      {10, 21, 0, nil, 2, 3},
		"a rate that allows one more: IncreaseWithSmallScaleUpRate":   {1, 3, 3.1, func(k *kpaScaler) { k.upRate = 1.1 }, 2, 3},
		"a rate that allows ten less: DecreaseWithSmallScaleDownRate": {10, 1, 1, func(k *kpaScaler) { k.downRate = 1.1 }, 100, 90},
		"in panic the stable window can be larger: PanicStableLargerThanPanic": {
			1, 50, 30, func(k *kpaScaler) { k.panicSince, k.panicPods = t0.Add(-5*time.Second), 5 }, 5, 50,
		},
		"in panic the panic window can be larger: PanicStableLessThanPanic": {
			1, 20, 30, func(k *kpaScaler) { k.panicSince, k.panicPods = t0.Add(-5*time.Second), 5 }, 5, 30,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := decider(tt.target)
			if tt.change != nil {
				tt.change(k)
			}
			if got := k.scale(t0, tt.ready, tt.stable, tt.panics); got.wanted != tt.want {
				t.Errorf("got %+v, want %g", got, tt.want)
			}
		})
	}
}

// kpaMoment is one decision of a time-line.
type kpaMoment struct {
	after          time.Duration
	ready          int32
	stable, panics float64
	want           float64
	panicking      bool
}

// The time-lines of the same file.
func TestKPAPanicsAsUpstreamExpects(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		target  float64
		moments []kpaMoment
	}{
		"panic ends though demand rose slowly: UnpanicAfterSlowIncrease": {1, []kpaMoment{
			{0, 10, 11, 25, 25, true},
			{30 * s, 40, 30, 41, 41, true},
			{62 * s, 55, 50, 56, 50, false},
		}},
		"a surge prolongs it: ExtendPanicWindow": {1, []kpaMoment{
			{0, 10, 11, 25, 25, true},
			{30 * s, 40, 30, 80, 80, true},
			{61 * s, 90, 30, 80, 80, true},
		}},
		"six times every second: PanicModeExponentialTrackAndStabilize": {1, []kpaMoment{
			{0, 1, 6, 6, 6, true},
			{0, 6, 36, 36, 36, true},
			{1 * s, 36, 216, 216, 216, true},
			{1 * s, 216, 1296, 1296, 1296, true},
			{2 * s, 1296, 1296, 1296, 1296, true},
		}},
		"nothing goes in panic, all after it: PanicThenUnPanicScaleDown": {10, []kpaMoment{
			{0, 1, 100, 100, 10, true},
			{0, 10, 100, 1000, 100, true},
			{30 * s, 10, 1, 1, 100, true},
			{61 * s, 10, 1, 1, 1, false},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := decider(tt.target)
			for _, m := range tt.moments {
				got := k.scale(t0.Add(m.after), m.ready, m.stable, m.panics)
				if got.wanted != m.want || got.panicking != m.panicking {
					t.Errorf("after %v: got %+v, want %g, panicking %t", m.after, got, m.want, m.panicking)
				}
			}
		})
	}
}

// TestAutoscalerScaleDownDelay and TestAutoscalerScaleDownDelayZero of the same file.
func TestKPADelaysScaleDownAsUpstreamExpects(t *testing.T) {
	k := decider(10)
	k.panicThreshold, k.delay = 100, 5*time.Minute
	for _, m := range []kpaMoment{
		{after: 2 * time.Second, stable: 40, want: 4},
		{after: 5 * time.Minute, stable: 0, want: 4},
		{after: 5*time.Minute + 2*time.Second, stable: 0, want: 0},
		{after: 9 * time.Minute, stable: 40, want: 4},
		{after: 10 * time.Minute, stable: 30, want: 4},
		{after: 11 * time.Minute, stable: 0, want: 4},
		{after: 14 * time.Minute, stable: 0, want: 3},
		{after: 15 * time.Minute, stable: 0, want: 0},
	} {
		if got := k.scale(t0.Add(m.after), 0, m.stable, m.stable); got.wanted != m.want {
			t.Errorf("after %v: got %g, want %g", m.after, got.wanted, m.want)
		}
	}
	k = decider(10)
	k.panicThreshold = 100
	k.scale(t0, 0, 40, 40)
	if got := k.scale(t0.Add(500*time.Millisecond), 0, 20, 20); got.wanted != 2 {
		t.Errorf("without a delay: got %g, want 2 at once", got.wanted)
	}
}

// TestStartInPanicMode of the same file.
func TestKPAStartsInPanicWithMoreThanOne(t *testing.T) {
	for ready, want := range map[int32]bool{0: false, 1: false, 2: true} {
		k := decider(10)
		k.start(t0, ready)
		if got := !k.panicSince.IsZero(); got != want || k.panicPods != float64(ready) {
			t.Errorf("%d ready: panicking %t with %g pods, want %t with %d", ready, got, k.panicPods, want, ready)
		}
	}
}

// A decision in panic that neither window asks for is one that stabilizes.
func TestKPASaysWhatDecided(t *testing.T) {
	tests := map[string]struct {
		stable, panics float64
		panicPods      float64
		want           int32
		reason         scaling.Reason
	}{
		"both windows ask for more":      {60, 60, 0, 6, scaling.ReactiveDemand},
		"both ask for fewer":             {30, 30, 0, 3, scaling.DemandFell},
		"as many as there are":           {40, 40, 0, 4, scaling.DemandMet},
		"in panic, fewer would do":       {20, 30, 4, 4, scaling.ScaleDownStabilized},
		"in panic, the short one counts": {20, 70, 4, 7, scaling.ReactiveDemand},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &kpa{kpaScaler: *decider(10), low: 1, high: 10, begun: true, log: gatewayLog{keep: time.Minute}}
			if p.panicPods = tt.panicPods; p.panicPods > 0 {
				p.panicSince = t0
			}
			early := tt.stable*60 - tt.panics*6
			p.log.add(Gateway{Time: at(-60)})
			p.log.add(Gateway{Time: at(-6), Concurrency: early})
			o := Observation{Gateway: Gateway{Time: t0, Concurrency: early + tt.panics*6}}
			o.Time, o.Desired = t0, 4
			for range o.Desired {
				o.Replicas = append(o.Replicas, scaling.Replica{Phase: scaling.Ready})
			}
			if d := p.Decide(o); d.Replicas != tt.want || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s: %v", d.Replicas, d.Reason, tt.want, tt.reason, d.Steps)
			}
		})
	}
}

// TestAutoscalerNoDataNoAutoscale, and the scaler's way to zero: the grace period
// (pkg/reconciler/autoscaling/kpa/scaler.go, scale-to-zero-grace-period 30 s).
func TestKPAGoesToZeroAndBack(t *testing.T) {
	l := newLine(t, "kpa", Setup{Min: 0, Max: 10, Settings: map[string]float64{"target": 10}}, 1)
	if d := l.policy.Decide(l.observe()); d.Replicas != 1 || d.Reason != scaling.NoFreshData || !d.Blind {
		t.Fatalf("without data: got %d %s, want no decision", d.Replicas, d.Reason)
	}
	l.load(0)
	l.run(89 * time.Second)
	if l.desired != 1 {
		t.Fatalf("within window and grace: %d replicas, want 1", l.desired)
	}
	l.run(15 * time.Minute)
	if l.desired != 0 {
		t.Fatalf("after window and grace: %d replicas, want 0", l.desired)
	}
	l.load(2)
	l.run(10 * time.Second)
	if l.desired < 1 {
		t.Fatalf("with requests held: %d replicas, want some", l.desired)
	}
}
