package series

import (
	"fmt"
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Quantity is one of the figures that are kept of each target.
type Quantity uint8

// The quantities, with their units.
const (
	Demand           Quantity = iota // offered requests per second
	PromptTokens                     // prompt tokens per second
	GenerationTokens                 // generated tokens per second
	Waiting                          // requests that wait in the engines
	Running                          // requests in the engines' batches
	Held                             // requests that a gateway or the activator holds
	LeadTimeP50                      // seconds until a replica serves, the median
	LeadTimeP90                      // seconds until a replica serves, the 0.9 quantile
	Capacity                         // requests per second that one replica sustains
	Desired                          // replicas asked for
	Ready                            // replicas that serve

	numQuantities
)

// quantities say how each is named on disk, and whether a longer interval has its mean; else it has its last value, as
// what was learned and what was ordered do.
var quantities = [numQuantities]struct {
	name string
	mean bool
}{
	Demand:           {"preheat_demand_requests_per_second", true},
	PromptTokens:     {"preheat_prompt_tokens_per_second", true},
	GenerationTokens: {"preheat_generation_tokens_per_second", true},
	Waiting:          {"preheat_requests_waiting", true},
	Running:          {"preheat_requests_running", true},
	Held:             {"preheat_requests_held", true},
	LeadTimeP50:      {"preheat_lead_time_p50_seconds", false},
	LeadTimeP90:      {"preheat_lead_time_p90_seconds", false},
	Capacity:         {"preheat_capacity_requests_per_second", false},
	Desired:          {"preheat_replicas_desired", false},
	Ready:            {"preheat_replicas_ready", false},
}

// String returns the name of the series.
func (q Quantity) String() string {
	if q >= numQuantities {
		return fmt.Sprintf("quantity %d", uint8(q))
	}
	return quantities[q].name
}

// ParseQuantity returns the quantity of a name.
func ParseQuantity(name string) (Quantity, error) {
	for q := range numQuantities {
		if quantities[q].name == name {
			return q, nil
		}
	}
	return 0, fmt.Errorf("unknown quantity %q: see the names in pkg/history/series", name)
}

// Row is what is known of one target at one tick.
type Row struct {
	Target controlloop.TargetID
	values [numQuantities]float64
	known  uint16
}

// Set makes a quantity known. What is not finite stays unknown.
func (r *Row) Set(q Quantity, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	r.values[q] = rounded(v, tickBits)
	r.known |= 1 << q
}

// Value returns a quantity as it is kept, and whether it is known.
func (r *Row) Value(q Quantity) (float64, bool) { return r.values[q], r.known&(1<<q) != 0 }

// tickBits and minuteBits are how many bits of the mantissa are kept, of a tick's values and of a minute's means: whole
// numbers to 8192 and 1024 are exact, others to 1 part in 8192 and 1024. Noise in further bits is what makes series long.
const tickBits, minuteBits = 12, 9

// rounded returns v to the nearest value that has so many bits after the first one.
func rounded(v float64, bits uint) float64 {
	drop := 52 - bits
	half := uint64(1) << (drop - 1)
	return math.Float64frombits((math.Float64bits(v) + half) &^ (1<<drop - 1))
}

// key names one series.
type key struct {
	target   controlloop.TargetID
	quantity Quantity
}

// namesPerSeries is how many labels a series has.
const namesPerSeries = 3

// labels returns the key as the labels of a series on disk.
func (k key) labels() labels.Labels {
	return labels.FromStrings(model.MetricNameLabel, k.quantity.String(), "namespace", k.target.Namespace, "name", k.target.Name)
}

// keyOf reads the key of a series on disk, false where it is none of ours.
func keyOf(l labels.Labels) (key, bool) {
	q, err := ParseQuantity(l.Get(model.MetricNameLabel))
	id := controlloop.TargetID{Namespace: l.Get("namespace"), Name: l.Get("name")}
	return key{id, q}, err == nil
}

// fold makes one value of several that follow each other, at least one.
func (q Quantity) fold(values []float64) float64 {
	if !quantities[q].mean {
		return values[len(values)-1]
	}
	sum := 0.
	for _, v := range values {
		sum += v / float64(len(values)) // does not overflow
	}
	return sum
}
