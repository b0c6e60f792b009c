package scaling

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// replicaRecord is a ReplicaState as JSON has it: a Reading by the names of its metrics, so that a state outlives
// changes of the vocabulary.
type replicaRecord struct {
	Reading                               *readingRecord `json:",omitempty"`
	Arrivals                              float64
	ArrivalsKnown, Unschedulable, Learned bool
}

type readingRecord struct {
	Time, Started time.Time
	Values        map[string]float64
	Histograms    map[string]*signals.Histogram
}

// MarshalJSON implements json.Marshaler.
func (r ReplicaState) MarshalJSON() ([]byte, error) {
	return json.Marshal(replicaRecord{
		Reading: record(r.Reading), Arrivals: r.Arrivals,
		ArrivalsKnown: r.ArrivalsKnown, Unschedulable: r.Unschedulable, Learned: r.Learned,
	})
}

// UnmarshalJSON implements json.Unmarshaler. Metrics that are not of the vocabulary are passed over.
func (r *ReplicaState) UnmarshalJSON(text []byte) error {
	var x replicaRecord
	if err := json.Unmarshal(text, &x); err != nil {
		return fmt.Errorf("decode replica state: %w", err)
	}
	*r = ReplicaState{
		Reading: x.Reading.reading(), Arrivals: x.Arrivals,
		ArrivalsKnown: x.ArrivalsKnown, Unschedulable: x.Unschedulable, Learned: x.Learned,
	}
	return nil
}

func record(r *signals.Reading) *readingRecord {
	if r == nil {
		return nil
	}
	x := &readingRecord{Time: r.Time, Started: r.Started, Values: map[string]float64{}, Histograms: map[string]*signals.Histogram{}}
	for m := range signals.NumMetrics {
		if v, ok := r.Value(m); ok {
			x.Values[m.String()] = v
		}
	}
	for l := range signals.NumLatencies {
		if h := r.Histogram(l); h != nil {
			x.Histograms[l.String()] = h
		}
	}
	return x
}

func (x *readingRecord) reading() *signals.Reading {
	if x == nil {
		return nil
	}
	r := &signals.Reading{Time: x.Time, Started: x.Started}
	for name, v := range x.Values {
		if m, ok := signals.MetricNamed(name); ok {
			r.Set(m, v)
		}
	}
	for name, h := range x.Histograms {
		if l, ok := signals.LatencyNamed(name); ok {
			r.SetHistogram(l, h)
		}
	}
	return r
}
