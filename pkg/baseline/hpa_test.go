package baseline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// The numbers are those of kubernetes@v1.36.3 pkg/controller/podautoscaler/replica_calculator_test.go, the upstream test
// named with each; values are thousandths.
func TestHPAPodsMetricAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		tolerance tolerance
		pods      pods
		target    int64
		current   int32
		want      int32
	}{
		"above the target: ScaleUpCM": {
			pods: pods{values: []int64{20000, 10000, 30000}}, target: 15000, current: 3, want: 4,
		},
		"pods with a sample count whether ready or not: ScaleUpCMUnreadyHotCpuNoLessScale": {
			pods: pods{values: []int64{50000, 10000, 30000}}, target: 15000, current: 3, want: 6,
		},
		"the same with two of three not ready: ScaleUpCMUnreadyHotCpuScaleWouldScaleDown": {
			pods: pods{values: []int64{50000, 15000, 30000}}, target: 15000, current: 3, want: 7,
		},
		"one pod twice the target: ScaleUpCMExternal": {
			pods: pods{values: []int64{8600}}, target: 4400, current: 1, want: 2,
		},
		"below the target: ScaleDownCM": {
			pods: pods{values: []int64{12000, 12000, 12000, 12000, 12000}}, target: 20000, current: 5, want: 3,
		},
		"within a tenth: ToleranceCM": {
			pods: pods{values: []int64{20000, 21000, 21000}}, target: 20000, current: 3, want: 3,
		},
		"beyond a tolerance of a hundredth: ConfigurableToleranceCM": {
			tolerance: tolerance{down: 0.1, up: 0.01},
			pods:      pods{values: []int64{20000, 21000, 21000}}, target: 20000, current: 3, want: 4,
		},
		"two of five without a sample, the others at the target: PlainMetricReplicaCalcMissingMetricsNoChangeEq": {
			pods: pods{values: []int64{20000, 19000, 21000}, missing: 2}, target: 20000, current: 5, want: 5,
		},
		"a third pod of a surge without a sample does not turn a scale-down round: DuringRollingUpdateWithMaxSurgeCM": {
			pods: pods{values: []int64{10000, 10000}, missing: 1}, target: 17000, current: 2, want: 2,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.tolerance == (tolerance{}) {
				tt.tolerance = tolerance{0.1, 0.1}
			}
			if got := tt.tolerance.proposePods(tt.pods, tt.target, tt.current); !got.ok || got.replicas != tt.want {
				t.Errorf("got %+v, want %d", got, tt.want)
			}
		})
	}
}

// The missing-pods rule is pinned upstream by CPU utilization only (MissingMetrics* and *Unready* in the same file, target
// 100 % of 1 CPU is 1000 thousandths); the plain metric takes the same branches, with the target in place of 100 %.
func TestHPAPodsWithoutSample(t *testing.T) {
	tests := map[string]struct {
		pods    pods
		target  int64
		current int32
		want    int32
	}{
		"missing pods count as at the target on the way down: MissingMetrics": {
			pods: pods{values: []int64{400, 95}, missing: 2}, target: 1000, current: 4, want: 3,
		},
		"one missing, the other at the target: MissingMetricsNoChangeEq": {
			pods: pods{values: []int64{1000}, missing: 1}, target: 1000, current: 2, want: 2,
		},
		"missing pods count as idle on the way up, and the direction would turn: MissingMetricsNoChangeGt": {
			pods: pods{values: []int64{1900}, missing: 1}, target: 1000, current: 2, want: 2,
		},
		"one missing, the other below: MissingMetricsNoChangeLt": {
			pods: pods{values: []int64{600}, missing: 1}, target: 1000, current: 2, want: 2,
		},
		"pending pods count as idle on the way up: MissingMetricsUnreadyScaleUp": {
			pods: pods{values: []int64{2000}, missing: 1, unready: 1}, target: 500, current: 3, want: 4,
		},
		"pending pods are left out on the way down: MissingMetricsUnreadyScaleDown": {
			pods: pods{values: []int64{100, 100}, missing: 1, unready: 1}, target: 500, current: 4, want: 2,
		},
		"no more than the pending pods bring: ScaleUpUnreadyLessScale": {
			pods: pods{values: []int64{500, 700}, unready: 1}, target: 300, current: 3, want: 4,
		},
		"the pending pods are enough: ScaleUpUnreadyNoScale": {
			pods: pods{values: []int64{400}, unready: 2}, target: 300, current: 3, want: 3,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := tolerance{0.1, 0.1}.proposePods(tt.pods, tt.target, tt.current)
			if !got.ok || got.replicas != tt.want {
				t.Errorf("got %+v, want %d", got, tt.want)
			}
		})
	}
}

// External and Object metrics of the same file.
func TestHPAExternalMetricAsUpstreamExpects(t *testing.T) {
	tenth := tolerance{0.1, 0.1}
	hundredth := tolerance{down: 0.1, up: 0.01}
	tests := map[string]struct {
		got  proposal
		want int32
	}{
		"AverageValue up: ScaleUpPerPodCMExternal":                        {tenth.proposeAverage(8600, 2150, 3), 4},
		"AverageValue up: ScaleUpCMPerPodObject":                          {tenth.proposeAverage(20000, 5000, 3), 4},
		"AverageValue down: ScaleDownPerPodCMExternal":                    {tenth.proposeAverage(8600, 2867, 5), 3},
		"AverageValue down: ScaleDownPerPodCMObject":                      {tenth.proposeAverage(6000, 2000, 5), 3},
		"AverageValue within: TolerancePerPodCMExternal":                  {tenth.proposeAverage(8600, 2900, 3), 3},
		"AverageValue beyond 1 %: ConfigurableTolerancePerPodCMExternal":  {hundredth.proposeAverage(8600, 2800, 3), 4},
		"AverageValue beyond 1 %: ConfigurableTolerancePerPodCMObject":    {hundredth.proposeAverage(20208, 5000, 4), 5},
		"Value up: ScaleUpCMObject":                                       {tenth.proposeValue(20000, 15000, 3, 3), 4},
		"Value counts ready pods only: ScaleUpCMObjectIgnoresUnreadyPods": {tenth.proposeValue(50000, 10000, 3, 1), 5},
		"Value can even shrink so: ScaleUpCMExternalIgnoresUnreadyPods":   {tenth.proposeValue(8600, 4400, 3, 1), 2},
		"Value down: ScaleDownCMObject":                                   {tenth.proposeValue(12000, 20000, 5, 5), 3},
		"Value down: ScaleDownCMExternal":                                 {tenth.proposeValue(8600, 14334, 5, 5), 3},
		"Value within: ToleranceCMExternal":                               {tenth.proposeValue(8600, 8888, 3, 3), 3},
		"Value beyond 1 %: ConfigurableToleranceCMExternal":               {hundredth.proposeValue(8900, 8800, 3, 3), 4},
		"Value from zero (horizontal_test.go ScaleUpFromZeroCMObject)":    {tenth.proposeValue(20000, 15000, 0, 0), 2},
		"AverageValue from zero":                                          {tenth.proposeAverage(20000, 15000, 0), 2},
		"a tenth more is tolerated, so that ten never become eleven":      {tenth.proposeAverage(11000, 1000, 10), 10},
		"nothing asked of zero":                                           {tenth.proposeAverage(0, 15000, 0), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if !tt.got.ok || tt.got.replicas != tt.want {
				t.Errorf("got %+v, want %d", tt.got, tt.want)
			}
		})
	}
}

// The tolerance is a reason only where it changed the answer.
func TestHPANamesTheToleranceWhereItCounts(t *testing.T) {
	tenth := tolerance{0.1, 0.1}
	tests := map[string]struct {
		got  proposal
		want bool
	}{
		"AverageValue, more wanted":     {tenth.proposeAverage(4200, 1000, 4), true},
		"AverageValue, exactly right":   {tenth.proposeAverage(4000, 1000, 4), false},
		"AverageValue, rounded up":      {tenth.proposeAverage(3900, 1000, 4), false},
		"Value, more wanted":            {tenth.proposeValue(1050, 1000, 4, 4), true},
		"Value, exactly right":          {tenth.proposeValue(1000, 1000, 4, 4), false},
		"Pods, more wanted":             {tenth.proposePods(pods{values: []int64{1050, 1050}}, 1000, 2), true},
		"Pods, exactly right":           {tenth.proposePods(pods{values: []int64{1000, 1000}}, 1000, 2), false},
		"Pods, some without sample":     {tenth.proposePods(pods{values: []int64{1900}, missing: 1}, 1000, 3), true},
		"Pods, beyond the tolerance":    {tenth.proposePods(pods{values: []int64{1900}}, 1000, 1), false},
		"AverageValue beyond tolerance": {tenth.proposeAverage(9000, 1000, 4), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.got.within != tt.want || !tt.got.ok {
				t.Errorf("got %+v, want within %t", tt.got, tt.want)
			}
		})
	}
}

// A Deployment's status counts what is not being deleted, also what has no node yet.
func TestExistingReplicas(t *testing.T) {
	o := Observation{}
	for _, p := range []scaling.Phase{scaling.Ready, scaling.Ready, scaling.Starting, scaling.Unschedulable, scaling.Draining} {
		o.Replicas = append(o.Replicas, scaling.Replica{Phase: p})
	}
	if got := existing(&o); got != 4 {
		t.Errorf("got %d, want 4", got)
	}
}

// ago makes a history out of (minutes before t0, replicas) pairs.
func ago(pairs ...float64) []dated {
	var out []dated
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, dated{t0.Add(-time.Duration(pairs[i] * float64(time.Minute))), int32(pairs[i+1])})
	}
	return out
}

// kubernetes@v1.36.3 pkg/controller/podautoscaler/horizontal_test.go, TestNormalizeDesiredReplicasWithBehavior.
func TestHPAStabilizationAsUpstreamExpects(t *testing.T) {
	tests := map[string]struct {
		up, down time.Duration
		history  []dated
		current  int32
		wanted   int32
		want     int32
	}{
		"nothing remembered":                   {current: 100, wanted: 5, want: 5},
		"down to the highest of three minutes": {down: 3 * time.Minute, history: ago(2, 4, 1, 5), current: 100, wanted: 3, want: 5},
		"up to the lowest of five minutes":     {up: 5 * time.Minute, history: ago(2, 4, 1, 5), current: 1, wanted: 7, want: 4},
		"an up-window does not hold a descent": {up: 5 * time.Minute, history: ago(2, 1, 1, 2), current: 100, wanted: 3, want: 3},
		"a down-window does not hold a rise":   {down: 5 * time.Minute, history: ago(2, 4, 1, 5), current: 1, wanted: 3, want: 3},
		"what is old counts no more":           {history: ago(10, 10, 9, 9), current: 100, wanted: 3, want: 3},
		"old and new mixed":                    {down: 3 * time.Minute, history: ago(10, 10, 1, 4, 2, 5, 9, 9), current: 100, wanted: 3, want: 5},
		"old and new mixed on the way up":      {up: 5 * time.Minute, history: ago(100, 10, 1, 6, 2, 5, 3, 9), current: 1, wanted: 100, want: 5},
		"both windows hold a rise that is over": {
			up: 5 * time.Minute, down: 5 * time.Minute, history: ago(100, 2, 3, 3), current: 2, wanted: 1, want: 2,
		},
		"both windows hold a descent that is over": {
			up: 5 * time.Minute, down: 5 * time.Minute, history: ago(100, 2, 3, 1), current: 2, wanted: 3, want: 2,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := hpaMemory{recommended: tt.history}
			b := hpaBehavior{up: hpaRules{window: tt.up}, down: hpaRules{window: tt.down}}
			if got := m.stabilized(b, t0, tt.current, tt.wanted); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// byPods and byPercent are single scaling policies.
func byPods(n float64, s int) hpaPolicy {
	return hpaPolicy{pods: n, period: time.Duration(s) * time.Second}
}

func byPercent(n float64, s int) hpaPolicy {
	return hpaPolicy{percent: n, period: time.Duration(s) * time.Second}
}

// spread places changes evenly over the last seconds, each at the middle of its part, the oldest first.
func spread(s float64, changes ...int32) []dated {
	var out []dated
	part := s / float64(len(changes))
	for i, c := range changes {
		before := s - part*(float64(i)+0.5)
		out = append(out, dated{t0.Add(-time.Duration(before) * time.Second), c})
	}
	return out
}

// kubernetes@v1.36.3 pkg/controller/podautoscaler/horizontal_test.go, TestScalingWithRules.
func TestHPARateLimitsAsUpstreamExpects(t *testing.T) {
	type rules = []hpaPolicy
	tests := map[string]struct {
		policies        rules
		ups, downs      []dated
		current, wanted int32
		low, high       int32
		want            int32
	}{
		"within the bounds":                          {current: 5, wanted: 7, low: 3, high: 8, want: 7},
		"below the minimum":                          {current: 3, wanted: 1, low: 2, high: 8, want: 2},
		"down to a minimum of zero":                  {current: 1, wanted: 0, low: 0, high: 10, want: 0},
		"above the maximum":                          {current: 100, wanted: 1000, low: 100, high: 150, want: 150},
		"one pod a minute":                           {policies: rules{byPods(1, 60)}, current: 3, wanted: 1000, low: 1, high: 2000, want: 4},
		"up by default":                              {current: 10, wanted: 50, low: 1, high: 1000, want: 20},
		"up, pods allow more than percent":           {policies: rules{byPods(100, 60), byPercent(100, 60)}, current: 10, wanted: 500, low: 1, high: 1000, want: 110},
		"up, percent allows more than pods":          {policies: rules{byPods(2, 60), byPercent(100, 60)}, current: 10, wanted: 500, low: 1, high: 1000, want: 20},
		"up, many pods allowed":                      {policies: rules{byPods(100, 60)}, current: 10, wanted: 50, low: 1, high: 1000, want: 50},
		"up by pods":                                 {policies: rules{byPods(30, 60)}, current: 10, wanted: 50, low: 1, high: 1000, want: 40},
		"up by percent":                              {policies: rules{byPercent(200, 60)}, current: 10, wanted: 50, low: 1, high: 1000, want: 30},
		"down, pods allow more than percent":         {policies: rules{byPods(20, 60), byPercent(1, 60)}, current: 100, wanted: 2, low: 1, high: 1000, want: 80},
		"down, percent allows less than pods":        {policies: rules{byPods(2, 60), byPercent(1, 60)}, current: 100, wanted: 2, low: 1, high: 1000, want: 98},
		"down to the minimum by pods":                {policies: rules{byPods(100, 60)}, current: 10, wanted: 0, low: 1, high: 1000, want: 1},
		"down to the minimum by percent":             {policies: rules{byPercent(100, 60)}, current: 10, wanted: 2, low: 5, high: 1000, want: 5},
		"down by pods":                               {policies: rules{byPods(5, 60)}, current: 10, wanted: 2, low: 1, high: 1000, want: 5},
		"down by percent":                            {policies: rules{byPercent(50, 60)}, current: 10, wanted: 5, low: 1, high: 1000, want: 5},
		"up again within the period, to the maximum": {policies: rules{byPods(300, 60)}, ups: spread(120, 1, 5, 9), current: 100, wanted: 500, low: 1, high: 200, want: 200},
		"up, the period is used up":                  {policies: rules{byPods(5, 120)}, ups: spread(120, 1, 5, 9), current: 100, wanted: 500, low: 1, high: 1000, want: 100},
		"up, what was added counts":                  {policies: rules{byPods(150, 120)}, ups: spread(120, 1, 5, 9), current: 100, wanted: 500, low: 1, high: 1000, want: 235},
		"up, percent of what was at the beginning":   {policies: rules{byPercent(200, 120)}, ups: spread(120, 1, 5, 9), current: 100, wanted: 500, low: 1, high: 1000, want: 255},
		"up, what was added a whole period ago counts no more": {
			policies: rules{byPods(1, 60)}, ups: ago(1, 5), current: 10, wanted: 20, low: 1, high: 1000, want: 11,
		},
		"up after ups and downs": {
			policies: rules{byPercent(300, 300)}, ups: spread(120, 4), downs: spread(120, 2), current: 6, wanted: 24, low: 1, high: 1000, want: 16,
		},
		"down by default after downs":                {downs: spread(120, 1, 5, 9), current: 10, wanted: 5, low: 1, high: 1000, want: 5},
		"down, pods enough for the minimum":          {policies: rules{byPods(115, 120)}, downs: spread(120, 1, 5, 9), current: 100, wanted: 0, low: 1, high: 1000, want: 1},
		"down, the period is used up":                {policies: rules{byPods(5, 120)}, downs: spread(120, 1, 5, 9), current: 100, wanted: 2, low: 1, high: 1000, want: 100},
		"down, percent of what was at the beginning": {policies: rules{byPercent(50, 120)}, downs: spread(120, 2, 4, 6), current: 100, wanted: 0, low: 1, high: 1000, want: 56},
		"down after ups and downs": {
			policies: rules{byPercent(50, 180)}, ups: spread(120, 2), downs: spread(120, 4), current: 10, wanted: 1, low: 1, high: 1000, want: 6,
		},
		"down, more gone than allowed":         {policies: rules{byPercent(10, 120)}, downs: spread(120, 10, 10, 10), current: 100, wanted: 0, low: 1, high: 1000, want: 100},
		"down, a percentage beyond a hundred":  {policies: rules{byPercent(1000, 120)}, downs: spread(120, 10, 10, 10), current: 10, wanted: 5, low: 1, high: 1000, want: 5},
		"up, two periods":                      {policies: rules{byPods(1000, 30), byPercent(100, 60)}, ups: spread(120, 8, 12, 9, 11), current: 100, wanted: 200, low: 1, high: 1000, want: 200},
		"down, two periods":                    {policies: rules{byPods(1000, 120), byPercent(100, 60)}, downs: spread(120, 8, 12, 9, 11), current: 100, wanted: 5, low: 1, high: 1000, want: 5},
		"above the maximum to start with (20)": {current: 20, wanted: 1000, low: 1, high: 10, want: 10},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := defaultBehavior()
			b.down.window = 0
			if tt.policies != nil {
				b.up.policies, b.down.policies = tt.policies, tt.policies
			}
			h := hpa{low: tt.low, high: tt.high, behavior: b, memory: hpaMemory{ups: tt.ups, downs: tt.downs}, known: true}
			got := h.decide(&draft{scaling.Decision{Time: t0, Current: tt.current}}, []proposal{{replicas: tt.wanted, ok: true}})
			if got.Replicas != tt.want {
				t.Errorf("got %d %s, want %d\n%v", got.Replicas, got.Reason, tt.want, got.Steps)
			}
		})
	}
}

// kubernetes@v1.36.3 pkg/controller/podautoscaler/horizontal_test.go: ScaleUpOneMetricInvalid, ScaleUpBothMetricsEmpty,
// NoScaleDownOneMetricInvalid, ScaleDownStabilizeInitialSize, ManualScaleToZeroDisablesHPA, TooFewReplicas, TooManyReplicas.
func TestHPAWithMetricsMissing(t *testing.T) {
	ok := func(n int32) proposal { return proposal{replicas: n, ok: true} }
	tests := map[string]struct {
		current   int32
		proposals []proposal
		want      int32
		reason    scaling.Reason
	}{
		"one of two missing, the other scales up":        {3, []proposal{{}, ok(4)}, 4, scaling.ReactiveDemand},
		"one of two missing, the other would scale down": {5, []proposal{ok(3), {}}, 5, scaling.PartialData},
		"all missing":                   {4, []proposal{{}, {}}, 4, scaling.NoFreshData},
		"the highest of several counts": {3, []proposal{ok(4), ok(5), ok(2)}, 5, scaling.ReactiveDemand},
		"what ran at first is remembered for the down-window":    {5, []proposal{ok(3)}, 5, scaling.ScaleDownStabilized},
		"zero replicas are somebody's wish to be left alone":     {0, []proposal{ok(3)}, 0, scaling.ScaledToZeroByOther},
		"fewer than the minimum are made up for without metrics": {1, []proposal{{}}, 2, scaling.AtMinimum},
		"more than the maximum are cut without metrics":          {11, []proposal{{}}, 10, scaling.AtMaximum},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := hpa{low: 2, high: 10, behavior: defaultBehavior()}
			got := h.decide(&draft{scaling.Decision{Time: t0, Current: tt.current, Ready: 1}}, tt.proposals)
			if got.Replicas != tt.want || got.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s\n%v", got.Replicas, got.Reason, tt.want, tt.reason, got.Steps)
			}
		})
	}
}

// The classes of kubernetes@v1.36.3 replica_calculator.go groupPods, told in the phases of our replicas.
func TestHPASortsPods(t *testing.T) {
	read := func(x float64) *signals.Reading {
		r := &signals.Reading{Time: t0}
		r.Set(signals.RequestsWaiting, x)
		return r
	}
	old := read(9)
	old.Time = t0.Add(-prometheusStaleness - time.Second)
	o := Observation{}
	o.Time = t0
	o.Replicas = []scaling.Replica{
		{Phase: scaling.Ready, Reading: read(2.5)},
		{Phase: scaling.Ready},
		{Phase: scaling.Ready, Reading: old},
		{Phase: scaling.Starting, Started: t0.Add(-time.Minute)},
		{Phase: scaling.Starting},
		{Phase: scaling.Starting, Started: t0.Add(time.Minute)},
		{Phase: scaling.Unschedulable},
		{Phase: scaling.Draining, Reading: read(7)},
	}
	got := sortPods(&o, func(r *signals.Reading) (float64, bool) { return r.Value(signals.RequestsWaiting) })
	want := pods{values: []int64{2500}, missing: 3, unready: 3}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(pods{})); diff != "" {
		t.Errorf("ready without sample and started count as missing, what has not started as pending (-want +got):\n%s", diff)
	}
}
