package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// perturbed are the loads that are disturbed: one smooth, one whose level shifts while GPUs are out of stock. perturbedLead
// and perturbedProfile are what they run with.
func perturbed() []load {
	return []load{
		{name: "azure-week", class: smooth, file: azure24, mix: azure23, from: 30 * hour, length: 12 * hour, compress: 2, need: 5, warm: 0.35},
		{name: "diurnal", class: smooth, file: ":diurnal:hours=5,low=4,high=12", mix: "chat", need: 5, warm: 0.4},
		{name: "shift", class: shift, file: ":regime-shift:hours=4,low=4,high=14,at=2h5m,back=30m", mix: "chat", need: 5, warm: 0.45},
	}
}

const (
	perturbedLead    = 2 * time.Minute
	perturbedProfile = "llama-3.1-8b-a100"
	// otherMix is what requests turn into where the token mix is switched: long prompts with short answers.
	otherMix = "code"
	outage   = 20 * time.Minute
)

// perturbation is one thing that goes wrong.
type perturbation struct {
	name string
	// late says that it begins at half of the run, and is not there from its start.
	late  bool
	apply func(*scene) error
}

// scene is what a perturbation changes: an experiment, and the instant at which it begins.
type scene struct {
	*compare.Experiment
	*subject
	at       time.Duration
	campaign *campaign
}

// perturbations are those of issue 5.
func perturbations() []perturbation {
	return []perturbation{
		{"none", true, func(*scene) error { return nil }},
		{"declared capacity +50 %", false, declare(1.5)},
		{"declared capacity -50 %", false, declare(0.5)},
		{"replicas 20 % slower", true, happen(replay.EnginesSlow, 1.2)},
		{"lead time x3", true, happen(replay.LoadsSlow, 3)},
		{"20 % of scrapes lost", false, func(s *scene) error {
			s.Cluster.LostScrapes = 0.2
			return nil
		}},
		{"token mix switched", true, switchMix},
		{"no GPUs for 20 minutes", true, func(s *scene) error {
			// Those that run stay.
			s.Cluster.Events = []replay.Event{{At: s.at, Kind: replay.StockChanges}, {At: s.at + outage, Kind: replay.StockChanges, Value: math.MaxInt32 - 1}}
			return nil
		}},
		{"forecast x10", false, foretell(10)},
		{"forecast x0.1", false, foretell(0.1)},
	}
}

// foretell multiplies what Preheat forecasts; the same without a forecast is as it was.
func foretell(factor float64) func(*scene) error {
	return func(s *scene) error {
		wrong := compare.Variant{Name: "wrong-forecast", Change: func(c *scaling.Config) { c.Forecast.Scale = factor }}
		s.Variants, s.Policies[0] = []compare.Variant{wrong}, wrong.Policy()
		return nil
	}
}

// declare writes a capacity into the spec that is wrong by a factor.
func declare(factor float64) func(*scene) error {
	return func(s *scene) error {
		if s.capacity == 0 {
			return fmt.Errorf("%s: has no capacity to declare", s.name)
		}
		q, err := resource.ParseQuantity(fmt.Sprintf("%.3f", factor*s.capacity))
		s.Autoscaler.Spec.Capacity.RequestsPerSecond = &q
		return err
	}
}

// happen scripts one event.
func happen(kind replay.EventKind, value float64) func(*scene) error {
	return func(s *scene) error {
		s.Cluster.Events = []replay.Event{{At: s.at, Kind: kind, Value: value}}
		return nil
	}
}

// switchMix makes all requests from the instant on those of another mix, at the rate that needs as many replicas.
func switchMix(s *scene) error {
	l := s.load
	l.mix = otherMix
	other, err := prepare(l, s.profile.Name, s.campaign.traces, s.campaign.seed)
	if err != nil {
		return err
	}
	mixed := spliced(s.arrivals, other.arrivals, s.at)
	s.Load.Open = func(uint64) (trace.Stream, error) { return mixed.stream(), nil }
	return nil
}

// spliced are the requests of one load before an instant, and those of another from it on.
func spliced(before, after arrivals, at time.Duration) arrivals {
	first := func(a arrivals) int {
		i, _ := slices.BinarySearchFunc(a.requests, at, func(q trace.Request, t time.Duration) int { return int(q.At - t) })
		return i
	}
	return arrivals{slices.Concat(before.requests[:first(before)], after.requests[first(after):]), max(before.span, after.span)}
}

// outcome is what two policies made of one load under one perturbation.
type outcome struct {
	Load         string    `json:"load"`
	Perturbation string    `json:"perturbation"`
	Policies     []suffers `json:"policies"`
}

// suffers is one policy under a perturbation.
type suffers struct {
	Policy     string  `json:"policy"`
	Attainment float64 `json:"attainment"`
	// Attains says whether that is the objective.
	Attains  bool    `json:"attains"`
	GPUHours float64 `json:"gpu_hours"`
	// Cost is GPUHours over those of the same policy where nothing goes wrong.
	Cost float64 `json:"over_unperturbed"`
	// Recovery (seconds) is the time from the perturbation until the end of the last ten minutes in which fewer requests
	// attained than the objective asks for, zero where there were none. Recovered is false where the run ended so.
	Recovery  float64 `json:"recovery_s"`
	Recovered bool    `json:"recovered"`
}

// perturb runs every perturbation on every load, and writes what became of it.
func (m *campaign) perturb(ctx context.Context, out io.Writer) error {
	loads, _ := present(m.traces, perturbed())
	list := perturbations()
	found := make([]outcome, len(loads)*len(list))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(m.workers)
	for i, l := range loads {
		s, err := prepare(l.retimed(m.seed), perturbedProfile, m.traces, m.seed)
		if err != nil {
			return err
		}
		for j, p := range list {
			group.Go(func() error {
				o, err := m.disturb(within, s, p)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.name, p.name, err)
				}
				found[i*len(list)+j] = o
				fmt.Fprintf(m.aside, "frontier: %s, %s\n", l.name, p.name)
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for of := range slices.Chunk(found, len(list)) {
		relate(of)
	}
	if m.output == "json" {
		return encode(out, found)
	}
	return writePerturbations(out, found)
}

// relate sets costs over those of the first outcome, in which nothing goes wrong.
func relate(of []outcome) {
	for i := range of {
		for j := range of[i].Policies {
			of[i].Policies[j].Cost = of[i].Policies[j].GPUHours / of[0].Policies[j].GPUHours
		}
	}
}

// perturbedPolicies are disturbed, in this order.
var perturbedPolicies = []string{report.Preheat, reactive}

// disturb runs Preheat and the same without a forecast under one perturbation.
func (m *campaign) disturb(ctx context.Context, s *subject, p perturbation) (outcome, error) {
	e := m.experiment(s, perturbedLead)
	e.Policies = slices.Clone(perturbedPolicies)
	c := &scene{Experiment: &e, subject: s, campaign: m}
	if p.late {
		c.at = s.span / 2
	}
	if err := p.apply(c); err != nil {
		return outcome{}, err
	}
	windows := map[string]*ticks{}
	for _, policy := range e.Policies {
		windows[policy] = &ticks{slo: e.SLO}
	}
	out, err := compare.Run(ctx, e, compare.Tools{Sink: func(k compare.Key) replay.Sink { return windows[k.Policy] }})
	if err == nil && !out.Complete() {
		err = context.Canceled
	}
	if err != nil {
		return outcome{}, err
	}
	o := outcome{Load: s.name, Perturbation: p.name}
	for i, f := range figures(out) {
		recovery, recovered := windows[f.Policy].recovery(c.at)
		o.Policies = append(o.Policies, suffers{
			Policy: perturbedPolicies[i], Attainment: f.Attainment, Attains: e.SLO.MetBy(f.Attainment), GPUHours: f.GPUHours,
			Recovery: recovery.Seconds(), Recovered: recovered,
		})
	}
	return o, nil
}

// writePerturbations writes a line for each outcome.
func writePerturbations(out io.Writer, found []outcome) error {
	fmt.Fprintf(out, "%s at a lead time of %v: attainment (! is below the objective), GPU-hours over the same policy's without\n"+
		"perturbation, and the time until the last ten minutes below the objective have passed, counted from half of the run, where replicas, lead\n"+
		"times, the mix and the stock change, or from its start, from which the declared capacity, scrapes and the forecast are wrong\n\n", perturbedProfile, perturbedLead)
	w := table(out)
	fmt.Fprintln(w, "LOAD\tPERTURBATION\tPREHEAT\tCOST\tRECOVERY\tREACTIVE\tCOST\tRECOVERY\t")
	for _, o := range found {
		fmt.Fprintf(w, "%s\t%s", o.Load, o.Perturbation)
		for _, p := range o.Policies {
			fmt.Fprintf(w, "\t%s\t%.3f\t%s", share(p.Attainment, p.Attains), p.Cost, p.recoveryText())
		}
		fmt.Fprintf(w, "\t%s\n", o.remark())
	}
	return w.Flush()
}

// recoveryText is for people.
func (p suffers) recoveryText() string {
	if !p.Recovered {
		return "not in the run"
	}
	return time.Duration(p.Recovery * float64(time.Second)).Round(time.Second).String()
}

// remark says where Preheat misses the objective by more than the same without a forecast.
func (o outcome) remark() string {
	if ours, theirs := o.Policies[0], o.Policies[1]; !ours.Attains && ours.Attainment < theirs.Attainment {
		return "BELOW REACTIVE"
	}
	return ""
}
