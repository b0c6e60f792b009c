package baseline

import (
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestStaticKeepsWhatTheLoadNeeds(t *testing.T) {
	sustains := func(rate float64) Engine { return Engine{Sustainable: func(Mix, SLO) float64 { return rate }} }
	tests := map[string]struct {
		name     string
		load     Load
		engine   Engine
		settings map[string]float64
		want     int32
		reason   scaling.Reason
	}{
		"the peak's replicas":              {"static-peak", Load{PeakReplicas: 6, MeanReplicas: 3}, Engine{}, nil, 6, scaling.DemandMet},
		"the mean's replicas":              {"static-mean", Load{PeakReplicas: 6, MeanReplicas: 3}, Engine{}, nil, 3, scaling.DemandMet},
		"the peak's rate over capacity":    {"static-peak", Load{Peak: 10}, sustains(4), nil, 3, scaling.DemandMet},
		"an even division":                 {"static-peak", Load{Peak: 1.2}, sustains(0.4), nil, 3, scaling.DemandMet},
		"a factor":                         {"static-peak", Load{PeakReplicas: 6}, Engine{}, map[string]float64{"factor": 1.2}, 8, scaling.DemandMet},
		"a number of the user's":           {"static-peak", Load{}, Engine{}, map[string]float64{"replicas": 5}, 5, scaling.DemandMet},
		"no more than the maximum":         {"static-peak", Load{PeakReplicas: 60}, Engine{}, nil, 10, scaling.AtMaximum},
		"no fewer than the minimum":        {"static-mean", Load{MeanReplicas: 1}, Engine{}, nil, 2, scaling.AtMinimum},
		"a number beats what is known":     {"static-mean", Load{MeanReplicas: 9}, Engine{}, map[string]float64{"replicas": 4}, 4, scaling.DemandMet},
		"what is known beats the division": {"static-peak", Load{Peak: 100, PeakReplicas: 4}, sustains(1), nil, 4, scaling.DemandMet},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := New(tt.name, Setup{Min: 2, Max: 10, Load: tt.load, Engine: tt.engine, Settings: tt.settings})
			if err != nil {
				t.Fatal(err)
			}
			if d := p.Decide(Observation{}); d.Replicas != tt.want || d.Reason != tt.reason {
				t.Errorf("got %d %s, want %d %s", d.Replicas, d.Reason, tt.want, tt.reason)
			}
		})
	}
	if _, err := New("static-peak", Setup{Load: Load{Peak: 5}, Engine: sustains(0)}); err == nil {
		t.Error("a replica that sustains nothing is no base for a number")
	}
}

func TestCronFollowsItsSchedule(t *testing.T) {
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	week := make([]int32, 7)
	week[4] = 7 // the fifth day from Thursday on is Monday
	tests := map[string]struct {
		schedule []int32
		slot     time.Duration
		settings map[string]float64
		at       time.Time
		want     int32
	}{
		"the first hours":                {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, day.Add(time.Minute), 1},
		"the last moment of a slot":      {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, day.Add(6*time.Hour - 1), 1},
		"the next slot":                  {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, day.Add(6 * time.Hour), 2},
		"the next day":                   {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, day.Add(37 * time.Hour), 5},
		"early on the way up":            {[]int32{1, 2, 5, 3}, 6 * time.Hour, map[string]float64{"ahead": 300}, day.Add(12*time.Hour - 300*time.Second), 5},
		"but not on the way down":        {[]int32{1, 2, 5, 3}, 6 * time.Hour, map[string]float64{"ahead": 300}, day.Add(18*time.Hour - time.Second), 5},
		"times a factor, rounded up":     {[]int32{1, 2, 5, 3}, 6 * time.Hour, map[string]float64{"factor": 1.3}, day.Add(12 * time.Hour), 7},
		"a week begins on Thursday":      {week, 24 * time.Hour, nil, day, 7},
		"before the epoch":               {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, time.Date(1969, 12, 31, 23, 0, 0, 0, time.UTC), 3},
		"nothing at night":               {[]int32{0, 4}, 12 * time.Hour, nil, day.Add(time.Hour), 0},
		"another zone names the instant": {[]int32{1, 2, 5, 3}, 6 * time.Hour, nil, day.Add(6 * time.Hour).In(time.FixedZone("", 3600)), 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := New("cron", Setup{Max: 20, Load: Load{Schedule: tt.schedule, Slot: tt.slot}, Settings: tt.settings})
			if err != nil {
				t.Fatal(err)
			}
			o := Observation{Observation: scaling.Observation{Time: tt.at}}
			if d := p.Decide(o); d.Replicas != tt.want {
				t.Errorf("got %d, want %d: %v", d.Replicas, tt.want, d.Steps)
			}
		})
	}
	if _, err := New("cron", Setup{Load: Load{Slot: time.Hour}}); err == nil {
		t.Error("no schedule is nothing to follow")
	}
}
