package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

// lane is one policy's Deployment, its traffic and all that is noted about it.
type lane struct {
	policy policy
	books  ledger.Ledger
	router *loadgen.Router
	driver *loadgen.Driver
	diary  diary
}

func newLane(p policy, profile replica.Profile) (*lane, error) {
	router := loadgen.NewRouter()
	driver, err := loadgen.New(loadgen.Options{Router: router, Model: profile.Model, Timeout: time.Minute})
	if err != nil {
		return nil, fmt.Errorf("lane %s: %w", p.Name, err)
	}
	return &lane{policy: p, router: router, driver: driver}, nil
}

// diary is what the API server said about a lane's InferenceAutoscaler over time. It is safe for concurrent use.
type diary struct {
	mu        sync.Mutex
	decisions []entry
	forecasts []forecast
	capacity  float64 // requests per second, 0 while unknown
	waiting   float64 // requests
	known     bool    // of waiting
}

// entry is a decision, with when it was seen.
type entry struct {
	at time.Time
	report.Decision
}

// forecast is the demand expected for a time.
type forecast struct {
	at    time.Time
	value float64 // requests per second
}

// decided notes the status of the InferenceAutoscaler if it tells of another number or another reason.
func (d *diary) decided(s v1alpha1.InferenceAutoscalerStatus, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := s.Capacity; c != nil && c.RequestsPerSecond != nil {
		d.capacity = c.RequestsPerSecond.AsApproximateFloat64()
	}
	if s.LastDecision == nil {
		return
	}
	e := entry{now, decisionOf(s)}
	if n := len(d.decisions); n > 0 {
		last := d.decisions[n-1].Decision
		if last.To == e.To && last.Reason == e.Reason {
			return
		}
	}
	d.decisions = append(d.decisions, e)
}

func (d *diary) expected(value float64, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forecasts = append(d.forecasts, forecast{at, value})
}

// queued notes the length of the engines' queues as an HPA would see it.
func (d *diary) queued(requests float64, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting, d.known = requests, known
}

// glance is what the live table shows of a diary.
type glance struct {
	waiting float64
	known   bool
	reason  string
}

func (d *diary) glance() glance {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := glance{waiting: d.waiting, known: d.known}
	if n := len(d.decisions); n > 0 {
		g.reason = d.decisions[n-1].Reason
	}
	return g
}
