package scaling

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// Learned is the part of a State that outlives the process: plain data. What guards scale-downs (since when there is
// data, what was proposed, the readings) is no part of it: after a restart a full window has to be seen again.
type Learned struct {
	Forecast forecast.State
	Tokens   TokenForecasters
	LeadTime leadtime.State
	Capacity capacity.State
	Returns  Returns
	Silences Silences
	Wakes    Wakes
	Rests    Returns
	// Replicas are those that were there, by ID: what their starts taught must not be learned twice.
	Replicas []ReplicaLearned
}

// ReplicaLearned is what outlives the process of a ReplicaState.
type ReplicaLearned struct {
	ID                     string
	Unschedulable, Learned bool
}

// Learned returns what has been learned, sharing storage with the State: it must be used before the next Plan.
func (s *State) Learned() Learned {
	l := Learned{Forecast: s.Forecast, Tokens: s.Tokens, LeadTime: s.LeadTime, Capacity: s.Capacity, Returns: s.Returns, Silences: s.Silences, Wakes: s.Wakes, Rests: s.Rests}
	for id, r := range s.Replicas {
		if r.Unschedulable || r.Learned {
			l.Replicas = append(l.Replicas, ReplicaLearned{ID: id, Unschedulable: r.Unschedulable, Learned: r.Learned})
		}
	}
	slices.SortFunc(l.Replicas, func(a, b ReplicaLearned) int { return cmp.Compare(a.ID, b.ID) })
	return l
}

// Restore puts what was learned earlier in the place of what the State has, sharing storage with it; all that guards
// scale-downs stays as it is. Of the time up to now, which nobody has watched, the forecast knows nothing; a forecast of
// an instant that has passed is none.
func (s *State) Restore(l Learned, now time.Time) {
	s.Forecast, s.Tokens, s.LeadTime, s.Capacity, s.Returns, s.Silences = l.Forecast, l.Tokens, l.LeadTime, l.Capacity, l.Returns, l.Silences
	s.Wakes, s.Rests = l.Wakes, l.Rests
	for _, f := range s.forecasters() {
		f.Skip(now)
		if newest := f.Newest; now.Sub(newest.At) > newest.Horizon {
			f.Newest = forecast.Forecast{}
		}
	}
	s.Replicas = maps.Clone(s.Replicas)
	if s.Replicas == nil {
		s.Replicas = make(map[string]ReplicaState, len(l.Replicas))
	}
	for _, known := range l.Replicas {
		r := s.Replicas[known.ID]
		r.Unschedulable, r.Learned = r.Unschedulable || known.Unschedulable, r.Learned || known.Learned
		s.Replicas[known.ID] = r
	}
}

// forecasters are all that forecast something of the target.
func (s *State) forecasters() [3]*forecast.State {
	return [...]*forecast.State{&s.Forecast, &s.Tokens.Prompt, &s.Tokens.Generation}
}
