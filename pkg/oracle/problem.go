package oracle

import (
	"errors"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Problem is what a schedule is sought for: one target, alone in its cluster.
type Problem struct {
	// Cluster is what surrounds the target; its seed decides the lead times that the schedule foresees.
	Cluster replay.Config
	// Target has the name, the profile, the replicas at the start and the bounds. Its Load and Policy are not used.
	Target replay.Target
	// Load opens the requests anew; each call must yield the same ones.
	Load func() (trace.Stream, error)
	// SLO is what the schedule has to meet.
	SLO score.SLO
	// From is when counting begins: requests that arrived before it, and replicas as far as they were held before it, are
	// run and count nothing. Zero counts everything.
	From time.Duration
}

// Validate reports every fault of the problem that a run would not.
func (p Problem) Validate() error {
	var faults []error
	if p.Load == nil {
		faults = append(faults, errors.New("no Load: give a function that opens the requests"))
	}
	if err := p.SLO.Validate(); err != nil {
		faults = append(faults, err)
	}
	if p.From < 0 {
		faults = append(faults, fmt.Errorf("Problem.From is %v, must not be negative", p.From))
	}
	if p.Target.Min < 0 || (p.Target.Max > 0 && p.Target.Max < p.Target.Min) {
		faults = append(faults, fmt.Errorf("bounds %d to %d: must not be negative or crossed", p.Target.Min, p.Target.Max))
	}
	if err := p.Target.Profile.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("Target.Profile: %w", err))
	}
	return errors.Join(faults...)
}

// Candidate is a schedule that the search takes into account: what a policy did in its own run, or what a user would do
// by hand. The result is never worse than any candidate.
type Candidate struct {
	// Name says in the result where the schedule came from.
	Name string
	// Schedule is what is asked for.
	Schedule Schedule
	// Known is what it came to in its own run, nil where it has not been run. One that is known to be no better than what
	// has been found is not run again.
	Known *Known
}

// Known is what a schedule came to under the same cluster and load.
type Known struct {
	GPUSeconds float64
	// Missed are the requests that did not meet the objectives.
	Missed int64
}

// Options bound the search.
type Options struct {
	// Simulations and Requests bound how many runs are made, and how many requests are simulated in them all. Zero takes
	// DefaultSimulations and DefaultRequests. A few runs are made whatever Requests says, and candidates whatever either
	// says. Requests with many prefix blocks count for more than one.
	Simulations int
	Requests    int64
	// Candidates are taken into account.
	Candidates []Candidate
	// Progress is told after each run how many requests were simulated in it; nil: nobody is.
	Progress func(requests int64)
}

// Defaults of Options: a few seconds of one core.
const (
	DefaultSimulations = 1500
	DefaultRequests    = 6_000_000
)

// Result is the best schedule that was found, and how good it is.
type Result struct {
	// Schedule is run by Result.Policy.
	Schedule Schedule
	// Interval is the time between two decisions that Result.Policy tells of where nothing changes.
	Interval time.Duration
	// GPUSeconds is what the schedule cost when it was run.
	GPUSeconds float64
	// Requests are all that arrived from Problem.From on, Missed those of them that did not meet the objectives.
	Requests, Missed int64
	// Hopeless are the requests that no replica could serve within the objectives, however few others there were.
	Hopeless int64
	// Met says whether the share that the SLO asks for was reached. Where it is not, nothing that was tried reached it:
	// the schedule is the cheapest of those with the fewest misses.
	Met bool
	// Bound is the cost in GPU-seconds below which no schedule meets the SLO; zero where the SLO is not met, since then
	// it bounds nothing.
	Bound float64
	// Source says where the schedule comes from: "staffing", "constant", "search", or a candidate's name; a candidate
	// that was improved upon reads "name, improved".
	Source string
	// Simulations and Simulated are the runs made and the requests simulated in them.
	Simulations int
	Simulated   int64
	// Exhausted is set where the search ended for want of budget or time, not of ideas.
	Exhausted bool
}

// Attainment is the share of requests that met both objectives; one where none came.
func (r Result) Attainment() float64 {
	if r.Requests == 0 {
		return 1
	}
	return float64(r.Requests-r.Missed) / float64(r.Requests)
}

// Policy returns the policy that repeats the schedule. Start is the date of the trace's zero.
func (r Result) Policy(start time.Time) baseline.Policy { return r.Schedule.Policy(start, r.Interval) }

// String says how the schedule was found, for a report.
func (r Result) String() string {
	met := "meets the objective"
	if !r.Met {
		met = "the objective is out of reach; highest attainment found"
	}
	if r.Hopeless > 0 {
		met += fmt.Sprintf(", %d requests are beyond any replica", r.Hopeless)
	}
	ended := ""
	if r.Exhausted {
		ended = ", stopped by its budget"
	}
	return fmt.Sprintf("%s (%s): %d of %d requests missed, searched %d simulations of %d requests in all%s",
		met, r.Source, r.Missed, r.Requests, r.Simulations, r.Simulated, ended)
}
