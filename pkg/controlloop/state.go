package controlloop

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// EncodeState returns a target's state as JSON. Readings are written by the names of their metrics, so that a state
// outlives changes of the vocabulary.
func EncodeState(s scaling.State) ([]byte, error) {
	x := stateRecord{State: s, Replicas: make(map[string]replicaRecord, len(s.Replicas))}
	for id, r := range s.Replicas {
		x.Replicas[id] = replicaRecord{ReplicaState: r, Reading: record(r.Reading)}
	}
	text, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return text, nil
}

// DecodeState returns the state that EncodeState wrote. Metrics that are not of the vocabulary are passed over.
func DecodeState(text []byte) (scaling.State, error) {
	var x stateRecord
	if err := json.Unmarshal(text, &x); err != nil {
		return scaling.State{}, fmt.Errorf("decode state: %w", err)
	}
	s := x.State
	s.Replicas = make(map[string]scaling.ReplicaState, len(x.Replicas))
	for id, r := range x.Replicas {
		if r.Reading != nil {
			r.ReplicaState.Reading = r.Reading.reading()
		}
		s.Replicas[id] = r.ReplicaState
	}
	return s, nil
}

// stateRecord is a State whose replicas stand in for those of the embedded one.
type stateRecord struct {
	scaling.State
	Replicas map[string]replicaRecord
}

// replicaRecord is a ReplicaState whose reading stands in for that of the embedded one.
type replicaRecord struct {
	scaling.ReplicaState
	Reading *readingRecord `json:",omitempty"`
}

// readingRecord is a Reading by the names of its metrics.
type readingRecord struct {
	Time, Started time.Time
	Values        map[string]float64
	Histograms    map[string]*signals.Histogram
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
