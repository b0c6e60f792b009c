package baseline

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Setup is what the user of a policy would configure, and what its system would be told about engine and load.
type Setup struct {
	// Min and Max bound the replicas; Max zero is no bound. Policies whose system cannot leave zero by itself keep one
	// replica also where Min is zero.
	Min, Max int32
	// SLO is the objective, for policies that take one.
	SLO SLO
	// Engine is the profile of one replica, for policies that take one.
	Engine Engine
	// Load is what the operator knows of the load beforehand, for policies that do not look at it.
	Load Load
	// Settings override knobs by name.
	Settings map[string]float64
}

// SLO is a latency objective. Zero takes the default of the policy's own documentation.
type SLO struct{ TTFT, TPOT time.Duration }

// Engine is the performance profile of one replica.
type Engine struct {
	// KVTokens is how many tokens the KV cache holds, MaxSequences bounds the running batch and MaxBatchedTokens the
	// tokens computed in one step.
	KVTokens, MaxSequences, MaxBatchedTokens int
	// StepTime is how long one engine step takes. It grows with each of Step's fields.
	StepTime func(Step) time.Duration
	// Sustainable is how many requests per second of a mix one replica serves within the objective.
	Sustainable func(mix Mix, slo SLO) float64
}

// Step is the work of one engine step.
type Step struct {
	// PrefillTokens are the prompt tokens computed, Sequences the requests that decode a token each, and ContextTokens
	// the tokens of context between these.
	PrefillTokens, Sequences, ContextTokens float64
}

// Mix is the mean request: prompt and output tokens, and the prompt tokens that the prefix cache supplies.
type Mix struct{ Prompt, Output, Cached float64 }

// Load is what an operator knows beforehand, from an earlier period.
type Load struct {
	// Mix is the mean request, Peak the highest rate that has to be served and Mean the mean one, in requests per
	// second.
	Mix        Mix
	Peak, Mean float64
	// PeakReplicas and MeanReplicas are used instead of rate over capacity where they are positive.
	PeakReplicas, MeanReplicas int32
	// Schedule are the replicas of each slot of the period, the first beginning at midnight UTC (on Thursday, where the
	// period is a week: the Unix epoch); Slot is the length of one. The period is their product.
	Schedule []int32
	Slot     time.Duration
}

// Budget is the number of settings that tuning tries for each policy.
const Budget = 12

// maker describes one policy of the registry.
type maker struct {
	name  string
	knobs []Knob
	build func(s Setup, v values) (Policy, error)
}

// makers lists the policies. It is a function so that no caller can change another's copy.
func makers() []maker {
	return []maker{
		hpaQueue(), hpaRunning(), kedaPolicy(), sloAwarePolicy(), kpaPolicy(), apaPolicy(),
		wvaPolicy(), wva2Policy(), dynamoPolicy(), rayServePolicy(), staticPeak(), staticMean(), cronPolicy(),
	}
}

// Names lists the policies.
func Names() []string {
	var names []string
	for _, m := range makers() {
		names = append(names, m.name)
	}
	return names
}

// Knobs returns the main knobs of a policy, those that tuning varies: each policy's grids multiply to Budget. Nil where
// there is no such policy.
func Knobs(name string) []Knob {
	var tuned []Knob
	for _, k := range AllKnobs(name) {
		if len(k.Grid) > 0 {
			tuned = append(tuned, k)
		}
	}
	return tuned
}

// AllKnobs returns every number of a policy that can be set. Nil where there is no such policy.
func AllKnobs(name string) []Knob {
	m, err := find(name)
	if err != nil {
		return nil
	}
	return m.knobs
}

// New makes a policy. The error names what is wrong with the name, the bounds or a setting, and what would be right.
func New(name string, s Setup) (Policy, error) {
	m, err := find(name)
	if err != nil {
		return nil, err
	}
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	v, err := resolve(m.knobs, s.Settings)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	if s.Max == 0 {
		s.Max = math.MaxInt32
	}
	p, err := m.build(s, v)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", name, err)
	}
	return p, nil
}

func find(name string) (maker, error) {
	for _, m := range makers() {
		if m.name == name {
			return m, nil
		}
	}
	return maker{}, fmt.Errorf("unknown policy %q: known are %s", name, strings.Join(Names(), ", "))
}

func (s Setup) validate() error {
	var faults []error
	if s.Min < 0 || s.Max < 0 {
		faults = append(faults, fmt.Errorf("bounds %d to %d: must not be negative", s.Min, s.Max))
	}
	if s.Max > 0 && s.Min > s.Max {
		faults = append(faults, fmt.Errorf("bounds %d to %d: the minimum must not exceed the maximum", s.Min, s.Max))
	}
	if s.SLO.TTFT < 0 || s.SLO.TPOT < 0 {
		faults = append(faults, fmt.Errorf("objective TTFT %v, TPOT %v: must not be negative", s.SLO.TTFT, s.SLO.TPOT))
	}
	return errors.Join(faults...)
}

// orElse returns the objective with the defaults of a policy's documentation for what is not set.
func (o SLO) orElse(ttft, tpot time.Duration) SLO {
	if o.TTFT == 0 {
		o.TTFT = ttft
	}
	if o.TPOT == 0 {
		o.TPOT = tpot
	}
	return o
}
