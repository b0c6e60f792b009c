package replay_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/api/validation"
	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

const manifest = `apiVersion: preheat.dev/v1alpha1
kind: InferenceAutoscaler
metadata: {name: chat, namespace: default}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
  mode: Own
  maxReplicas: 12
  slo: {ttft: 2s, tpot: 100ms}
`

// ours is the production planner under the manifest and further lines of spec.
func ours(t testing.TB, spec string) baseline.Policy {
	t.Helper()
	ia, err := validation.Parse([]byte(manifest + spec))
	if err != nil {
		t.Fatal(err)
	}
	p, err := replay.Preheat(ia, replay.DefaultPath())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rising is a load whose rate climbs from low to high between two times.
type rising struct {
	poisson
	low, high float64
	from, to  time.Duration
	end       time.Duration
}

func (r *rising) Next() (trace.Request, error) {
	at := min(max(0, float64(r.at-r.from)/float64(r.to-r.from)), 1)
	r.rate = r.low + (r.high-r.low)*at
	if r.at > r.end {
		r.left = 0
	}
	return r.poisson.Next()
}

// ramp climbs from 5 to 80 requests/s between the eighth and the eleventh of fifteen minutes.
func ramp(seed uint64) *rising {
	return &rising{poisson: *load(seed, 0, 1<<40), low: 5, high: 80, from: 8 * time.Minute, to: 11 * time.Minute, end: 15 * time.Minute}
}

var minute = replay.Lead{
	Pull: replay.Phase{Median: 10 * time.Second, Sigma: 0.2}, Load: replay.Phase{Median: 40 * time.Second, Sigma: 0.2},
	WarmUp: replay.Phase{Median: 10 * time.Second, Sigma: 0.2},
}

// attained is the share of requests within the objectives of the manifest.
func (j *journal) attained() float64 {
	good := 0
	for _, r := range j.requests {
		if r.Outcome == replay.Completed && r.TTFT <= 2*time.Second && r.TPOT <= 100*time.Millisecond {
			good++
		}
	}
	return float64(good) / float64(len(j.requests))
}

func TestTheProductionLoopMeetsARamp(t *testing.T) {
	const seeds = 6
	with := map[string][seeds]float64{}
	for name, spec := range map[string]string{"forecast": "", "reactive": "  forecast: {disabled: true}\n"} {
		var attained [seeds]float64
		for seed := range uint64(seeds) {
			j, totals := run(t, replay.Config{Seed: seed, Lead: minute}, replay.Target{
				Name: "chat", Profile: engine(), Load: ramp(seed), Policy: ours(t, spec), Initial: 2, Max: 12,
			})
			attained[seed] = j.attained()
			t.Logf("%s, seed %d: attainment %.4f, %.0f GPU-seconds, %d decisions", name, seed, j.attained(), totals[0].Held.Seconds(), len(j.decisions))
			if n := len(j.decisions); n < 59 || n > 66 {
				t.Errorf("%s: %d decisions in fifteen minutes, want one every 15 s", name, n)
			}
		}
		with[name] = attained
	}
	// Nothing in the eight quiet minutes before tells of the climb: the forecast cannot foresee its beginning, only follow
	// it. A run that other orders have changed has other luck, too.
	const luck = 0.02
	var gain, mean float64
	for seed := range seeds {
		gain += (with["forecast"][seed] - with["reactive"][seed]) / seeds
		mean += with["forecast"][seed] / seeds
		if with["forecast"][seed] < with["reactive"][seed]-luck {
			t.Errorf("seed %d: attainment with forecast %.4f, without %.4f", seed, with["forecast"][seed], with["reactive"][seed])
		}
	}
	if gain < 0.03 || mean < 0.75 {
		t.Errorf("the forecast raises attainment by %.4f to %.4f, want 0.03 and 0.75", gain, mean)
	}
}

// On constant Poisson load replicas change direction no more than once an hour, once the first half hour is over.
func TestConstantLoadMovesNextToNothing(t *testing.T) {
	const first, hours = time.Hour, 4
	for _, rate := range []float64{3, 12, 27, 45} {
		j, _ := run(t, replay.Config{Seed: 7, Lead: minute}, replay.Target{
			Name: "chat", Profile: engine(), Policy: ours(t, ""), Initial: 4, Max: 12,
			Load: &rising{poisson: *load(7, 0, 1<<40), low: rate, high: rate, to: time.Hour, end: first + hours*time.Hour},
		})
		turns, last := 0, int32(0)
		for _, d := range j.decisions {
			if move := d.Replicas - d.Current; move != 0 && d.Time.Sub(j.decisions[0].Time) > first {
				if move*last < 0 {
					turns++
				}
				last = move
			}
		}
		t.Logf("%v requests/s: %d turns in %d hours, attainment %.4f", rate, turns, hours, j.attained())
		if turns > hours || j.attained() < 0.99 {
			t.Errorf("%v requests/s: %d turns in %d hours, attainment %.4f", rate, turns, hours, j.attained())
		}
	}
}

func TestABudgetOfGPUsHoldsInAReplayToo(t *testing.T) {
	profile := engine()
	profile.GPUs = 2
	j, totals := run(t, replay.Config{Seed: 1, Lead: minute}, replay.Target{
		Name: "chat", Profile: profile, Load: ramp(1), Policy: ours(t, "  maxGPUs: 7\n"), Initial: 2, Max: 12,
	})
	limited := 0
	for _, d := range j.decisions {
		if d.Replicas > 3 {
			t.Fatalf("%d replicas of 2 GPUs, with a budget of 7: %s", d.Replicas, d.Message())
		}
		if d.Reason == scaling.AtGPUBudget && d.Limited && d.Needed > 3 {
			limited++
		}
	}
	if limited < 5 || totals[0].Held > 3*totals[0].End {
		t.Errorf("the budget denied demand %d times, replicas were held for %v in %v", limited, totals[0].Held, totals[0].End)
	}
}

func TestVariantsForecastAsTheyAreTold(t *testing.T) {
	ia, err := validation.Parse([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	for _, only := range []string{forecast.LastValue, forecast.SeasonalNaive} {
		policy, err := replay.PreheatWith(ia, replay.DefaultPath(), func(c *scaling.Config) { c.Forecast.Only = only })
		if err != nil {
			t.Fatal(err)
		}
		j, _ := run(t, replay.Config{Lead: minute}, replay.Target{
			Name: "chat", Profile: engine(), Load: ramp(1), Policy: policy, Initial: 2, Max: 12,
		})
		if last := j.decisions[len(j.decisions)-1]; last.Forecast.Model != only || !last.Forecast.Known() {
			t.Errorf("the model is %q, want %q", last.Forecast.Model, only)
		}
	}
	_, err = replay.PreheatWith(ia, replay.DefaultPath(), func(c *scaling.Config) { c.Forecast.Quantile = 2 })
	if err == nil || !strings.Contains(err.Error(), "quantile 2") {
		t.Errorf("error %v, want it to name the quantile", err)
	}
}

func TestASpecIsJudgedAsLive(t *testing.T) {
	ia, err := validation.Parse([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	ia.Spec.Forecast.Quantile = "much"
	if _, err := replay.Preheat(ia, replay.DefaultPath()); err == nil || !strings.Contains(err.Error(), "spec.forecast.quantile") {
		t.Errorf("error %v, want it to name the field", err)
	}
}

func TestLeadTimesAreLearnedAsLive(t *testing.T) {
	lead := replay.Lead{Pull: fixed(11 * time.Second), Load: fixed(52 * time.Second), WarmUp: fixed(7 * time.Second)}
	j, _ := run(t, replay.Config{Lead: lead}, replay.Target{
		Name: "chat", Profile: engine(), Load: ramp(3), Policy: ours(t, ""), Initial: 2, Max: 12,
	})
	last := j.decisions[len(j.decisions)-1].LeadTime
	within := func(got, want time.Duration) bool { return got > want-2*time.Second && got < want+2*time.Second }
	if last.Source != leadtime.Measured || last.Samples < 4 || !within(last.Startup.P50, 11*time.Second) || !within(last.Loading.P50, 59*time.Second) {
		t.Errorf("learned %+v, want 11 s of startup and 59 s of loading", last)
	}
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenTimeline(t *testing.T) {
	j, _ := run(t, replay.Config{Seed: 4, Lead: minute, GPUs: 8}, replay.Target{
		Name: "chat", Profile: engine(), Load: ramp(4), Policy: ours(t, ""), Initial: 2, Max: 12,
	})
	got := timeline(j)
	path := filepath.Join("testdata", "ramp.golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the run has changed; see whether it is better, then go test -run Golden ./pkg/replay -update (-want +got):\n%s", diff)
	}
}

// timeline tells a run as a story: each census, and each decision whose number or reason is another than before.
func timeline(j *journal) string {
	var b strings.Builder
	censuses := j.censuses
	var reason string
	tell := func(until time.Duration) {
		for len(censuses) > 0 && censuses[0].At <= until {
			c := censuses[0]
			censuses = censuses[1:]
			fmt.Fprintf(&b, "%8.1fs  %d asked for: %d ready, %d starting, %d draining, %d unschedulable\n",
				c.At.Seconds(), c.Desired, c.Ready, c.Starting, c.Draining, c.Unschedulable)
		}
	}
	for _, d := range j.decisions {
		if d.Replicas == d.Current && string(d.Reason) == reason {
			continue
		}
		reason = string(d.Reason)
		tell(d.Time.Sub(start) - 1)
		fmt.Fprintf(&b, "%8.1fs  %s: %s\n", d.Time.Sub(start).Seconds(), d.Reason, d.Message())
		if d.Replicas == d.Current {
			continue
		}
		for _, s := range d.Steps {
			fmt.Fprintf(&b, "             %s\n", s)
		}
	}
	tell(1 << 62)
	return b.String()
}
