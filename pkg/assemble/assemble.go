// Package assemble turns a validated InferenceAutoscaler into a planner. It is the only place where API types meet the
// core; it does no I/O and reads no clock.
package assemble

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Options are what the service sets for all targets.
type Options struct {
	// Interval is the time between two ticks; demand is forecast in steps of it.
	Interval time.Duration
	// Fronted says that something in front of all targets holds requests while there is no replica, and is read. Else it is
	// so only of those with spec.activator or a spec.gateway that holds requests: of others the last replica is never let go.
	Fronted bool
}

// Planner returns the planner of a spec that has its defaults, or every fault that the schema cannot see.
func Planner(ia *v1alpha1.InferenceAutoscaler, o Options) (*scaling.Planner, error) {
	c, err := Config(ia, o)
	if err != nil {
		return nil, errors.Join(err, beyond(c))
	}
	return scaling.NewPlanner(c)
}

// beyond returns the faults of a configuration other than those of the ratios that could not be read: these are zero
// and have been told of.
func beyond(c scaling.Config) error {
	standIn := scaling.Default()
	if c.Forecast.Quantile == 0 {
		c.Forecast.Quantile = standIn.Forecast.Quantile
	}
	if c.Capacity.Attainment == 0 {
		c.Capacity.Attainment = standIn.Capacity.Attainment
	}
	return c.Validate()
}

// Config returns the planner's configuration of a spec that has its defaults, or every fault that the schema cannot
// see.
func Config(ia *v1alpha1.InferenceAutoscaler, o Options) (scaling.Config, error) {
	spec := &ia.Spec
	c := scaling.Default()
	var faults []error
	fault := func(err error) { faults = append(faults, err) }

	c.Paused = spec.Paused
	c.Zero = (o.Fronted || spec.Activator != nil || spec.Gateway.Holds()) && (*spec.MinReplicas == 0 || slices.ContainsFunc(spec.Schedules, func(s v1alpha1.Schedule) bool { return s.MinReplicas != nil && *s.MinReplicas == 0 }))
	c.Staleness = spec.Metrics.StalenessBound.Duration
	if o.Interval > 0 {
		c.Forecast.Step = o.Interval
	}
	if asked := spec.Forecast.Quantile; asked != "" {
		quantile, err := asked.Fraction()
		fault(at("spec.forecast.quantile", err))
		c.Forecast.Quantile, c.QuantileAsked = quantile, true
	}
	c.Forecast.Disabled = spec.Forecast.Disabled
	var err error
	c.Forecast.Calendar, err = calendar(spec.Forecast)
	fault(err)
	c.LeadTime = leadTime(spec.LeadTime)
	c.Capacity, err = capacityConfig(spec)
	fault(err)
	up, down := spec.Behavior.ScaleUpRules(), spec.Behavior.ScaleDownRules()
	if asked := spec.Behavior.ScaleDown.StabilizationWindowSeconds; asked != nil {
		c.Window = seconds(*asked)
	}
	c.Warm = tiers(spec)
	schedules, err := schedules(spec.Schedules)
	fault(err)
	c.Constraints = []scaling.Constraint{
		constraint.Tolerance{Up: up.Tolerance.AsApproximateFloat64(), Down: down.Tolerance.AsApproximateFloat64()},
		constraint.Stabilization{Up: seconds(*up.StabilizationWindowSeconds), Down: seconds(*down.StabilizationWindowSeconds)},
		constraint.GPUs{},
		constraint.Rate{Up: rules(up), Down: rules(down)},
		constraint.Bounds{Min: *spec.MinReplicas, Max: spec.MaxReplicas, Schedules: schedules},
	}
	if budget := spec.MaxGPUs; budget != nil {
		if *budget < 1 {
			fault(at("spec.maxGPUs", fmt.Errorf("%d must be at least 1; leave it out for no limit", *budget)))
		}
		c.Constraints = append(c.Constraints, constraint.GPUBudget{GPUs: *budget})
	}
	return c, errors.Join(faults...)
}

// calendar returns the local time and the days off by which a spec's demand goes, or every fault in them. The spec needs
// its defaults; the zone of one without them is UTC.
func calendar(f v1alpha1.Forecast) (forecast.Calendar, error) {
	location, err := time.LoadLocation(f.TimeZone)
	if err != nil {
		return forecast.Calendar{}, at("spec.forecast.timeZone", err)
	}
	c := forecast.Calendar{Location: location}
	var faults []error
	for i, date := range f.Holidays {
		start, err := date.Start(location)
		if err != nil {
			faults = append(faults, at(fmt.Sprintf("spec.forecast.holidays[%d]", i), err))
			continue
		}
		c.Holidays = append(c.Holidays, start)
	}
	slices.SortFunc(c.Holidays, time.Time.Compare)
	return c, errors.Join(faults...)
}

// at names the field of an error.
func at(field string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", field, err)
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func leadTime(l v1alpha1.LeadTime) leadtime.Config {
	c := leadtime.Config{Prior: l.PriorOrDefault()}
	if l.Override != nil {
		c.Override = l.Override.Duration
	}
	return c
}

func capacityConfig(spec *v1alpha1.InferenceAutoscalerSpec) (capacity.Config, error) {
	attainment, err := spec.SLO.Attainment.Fraction()
	c := capacity.Config{Attainment: attainment}
	if spec.SLO.TTFT != nil {
		c.TTFT = spec.SLO.TTFT.Duration
	}
	if spec.SLO.TPOT != nil {
		c.TPOT = spec.SLO.TPOT.Duration
	}
	if q := spec.Capacity.RequestsPerSecond; q != nil {
		c.RequestsPerSecond = q.AsApproximateFloat64()
	}
	if q := spec.Capacity.TokensPerSecond; q != nil {
		c.TokensPerSecond = q.AsApproximateFloat64()
	}
	return c, at("spec.slo.attainment", err)
}

// tiers returns the replicas that may be kept warm, with what they cost and how long they take until they serve.
func tiers(spec *v1alpha1.InferenceAutoscalerSpec) (t scaling.Tiers) {
	w := spec.Warm
	if w == nil {
		return t
	}
	if spec.MaxGPUs != nil {
		t.GPUs = *spec.MaxGPUs
	}
	if s := w.Standby; s != nil {
		t.Standby = scaling.Tier{Max: s.MaxReplicas, Min: s.MinReplicas, Price: 1, GPUs: 1, Wake: scaling.StandbyWake}
	}
	if a := w.Asleep; a != nil {
		share := 1.
		if a.GPUPercent != nil {
			share = float64(*a.GPUPercent) / 100
		}
		t.Asleep = scaling.Tier{Max: a.MaxReplicas, Min: a.MinReplicas, Price: share + scaling.OffloadPrice, GPUs: share, Wake: scaling.OffloadWake}
		if a.Level == v1alpha1.SleepDiscard {
			t.Asleep.Price, t.Asleep.Wake = share+scaling.DiscardPrice, scaling.DiscardWake
		}
	}
	return t
}

func rules(r v1alpha1.ScalingRules) constraint.Rules {
	out := constraint.Rules{Select: constraint.Select(*r.SelectPolicy)}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, constraint.Policy{
			Value: p.Value, Percent: p.Type == v1alpha1.ScalingPolicyPercent, Period: seconds(p.PeriodSeconds),
		})
	}
	return out
}

var weekdays = map[v1alpha1.Weekday]time.Weekday{
	"Sunday": time.Sunday, "Monday": time.Monday, "Tuesday": time.Tuesday, "Wednesday": time.Wednesday,
	"Thursday": time.Thursday, "Friday": time.Friday, "Saturday": time.Saturday,
}

func schedules(ss []v1alpha1.Schedule) ([]constraint.Schedule, error) {
	var out []constraint.Schedule
	var faults []error
	for i, s := range ss {
		field := func(name string, err error) {
			faults = append(faults, at(fmt.Sprintf("spec.schedules[%d].%s", i, name), err))
		}
		c := constraint.Schedule{Name: s.Name, Min: bound(s.MinReplicas), Max: bound(s.MaxReplicas)}
		var err error
		c.Location, err = time.LoadLocation(s.TimeZone)
		field("timeZone", err)
		c.Start, err = constraint.ParseClock(s.Start)
		field("start", err)
		c.End, err = constraint.ParseClock(s.End)
		field("end", err)
		for _, d := range s.Days {
			day, ok := weekdays[d]
			if !ok {
				field("days", fmt.Errorf("%q is not a day of the week, write for example Monday", d))
			}
			c.Days = append(c.Days, day)
		}
		out = append(out, c)
	}
	return out, errors.Join(faults...)
}

// bound returns a schedule's bound, negative where it sets none.
func bound(n *int32) int32 {
	if n == nil {
		return -1
	}
	return *n
}
