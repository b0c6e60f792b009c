package compare

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Load is what is served.
type Load struct {
	// Name is how people know it.
	Name string
	// Open begins to read it from its start; what of it is random is drawn by the seed. Runs that go on at the same time
	// have each a reader of their own. A stream that is an io.Closer is closed.
	Open func(seed uint64) (trace.Stream, error)
}

// Lead is a lead time to compare under.
type Lead struct {
	// Whole is the median of all phases together, by which people know it; Phases is what replicas are drawn from.
	Whole  time.Duration
	Phases replay.Lead
}

// Experiment is what is compared: one load on one kind of replica, under every policy with every lead time and seed.
type Experiment struct {
	Load    Load
	Profile replica.Profile
	// Cluster is what surrounds the replicas. Its Seed and Lead are set for each run.
	Cluster replay.Config
	SLO     score.SLO
	// Price is that of a GPU-hour, zero where unknown.
	Price float64
	// Autoscaler is the spec that Preheat's policies follow, with its defaults filled. Its bounds and its objective are
	// replaced by Min, Max and SLO, which hold for every policy, as its budget of GPUs does.
	Autoscaler *v1alpha1.InferenceAutoscaler
	Policies   []string
	// Variants are Preheat's planner with something changed. Policies may name them too, each as its Policy says.
	Variants []Variant
	Seeds    []uint64
	Leads    []Lead
	// Initial replicas are ready at the start of each run, the same for every policy, since none may cost less than the
	// oracle for a better start; negative: as many as the first two minutes need. Min and Max bound every policy; Max zero
	// is three times what the busiest minute needs.
	Initial, Min, Max int32
	// Settings override the knobs of policies, by their names.
	Settings map[string]Setting
	// Search bounds the schedules that the oracle simulates under each lead time and seed, SearchRequests the requests in
	// them all; zero takes oracle's defaults.
	Search         int
	SearchRequests int64
	// WarmUp is served and not scored: what arrives before it, and replicas as far as they were held before it, count for
	// nothing. Policies learn from it.
	WarmUp time.Duration
	// Workers is how many runs go on at once, zero for one on each processor. Memory bounds what all of them take
	// together, in bytes, zero for no bound: fewer run at once where it is too small.
	Workers int
	Memory  int64
}

// Key names one run of an experiment.
type Key struct {
	Policy string
	// Lead is the median of the whole lead time.
	Lead time.Duration
	Seed uint64
}

// String is for messages.
func (k Key) String() string {
	return fmt.Sprintf("%s (lead time %v, seed %d)", k.Policy, k.Lead, k.Seed)
}

// runMemory is what one run holds at its most, in bytes: engines with full batches, the bins of the report, buffers. Two
// runs of 21.6 million requests on up to 60 replicas took 57 MB together, the program included.
const runMemory = 32 << 20

// workers is how many runs of that much memory may go on at once.
func (e *Experiment) workers(memory int64) int {
	n := cmp.Or(e.Workers, runtime.GOMAXPROCS(0))
	if e.Memory > 0 {
		n = min(n, int(e.Memory/memory))
	}
	return max(1, n)
}

// Validate reports every fault that can be told without reading the load.
func (e *Experiment) Validate() error {
	var faults []error
	check := func(ok bool, format string, values ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	check(e.Load.Open != nil, "no load")
	check(len(e.Policies) > 0, "no policies: name some of %s", strings.Join(Names(), ", "))
	check(len(e.Seeds) > 0 && !repeats(e.Seeds), "seeds %v: must be one or more, each once", e.Seeds)
	check(len(e.Leads) > 0 && !repeats(leadTimes(e.Leads)), "lead times %v: must be one or more, each once", leadTimes(e.Leads))
	check(!repeats(e.Policies), "policies %v: must be named once each", e.Policies)
	check(e.Min >= 0, "minimum of %d replicas: must not be negative", e.Min)
	check(e.Max == 0 || e.Max >= max(1, e.Min), "maximum of %d replicas: must be at least one and the minimum %d", e.Max, e.Min)
	check(e.Autoscaler != nil, "no InferenceAutoscaler")
	check(e.Min <= e.budget(), "spec.maxGPUs is enough for %d replicas of %s: must be for the minimum %d", e.budget(), e.Profile.Name, e.Min)
	check(e.WarmUp >= 0, "warm-up of %v: must not be negative", e.WarmUp)
	for _, name := range e.Policies {
		check(slices.Contains(Names(), name) || e.variant(name) != nil, "unknown policy %q; known are %s", name, strings.Join(Names(), ", "))
	}
	return errors.Join(append(faults, e.SLO.Validate(), e.Profile.Validate())...)
}

func leadTimes(leads []Lead) []time.Duration {
	var out []time.Duration
	for _, l := range leads {
		out = append(out, l.Whole)
	}
	return out
}

func repeats[T cmp.Ordered](list []T) bool {
	sorted := slices.Sorted(slices.Values(list))
	return len(slices.Compact(sorted)) < len(list)
}
