package scaling

import (
	"errors"
	"fmt"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
)

// Config is what a planner needs to know of one target: the user's spec in the core's terms.
type Config struct {
	// Paused holds everything; what is seen is still learned from.
	Paused bool
	// Staleness is the age beyond which a replica's reading counts as missing.
	Staleness time.Duration
	// Zero allows to let go of the last replica, and makes zero replicas a state to come back from: it is for who has
	// something in front that holds requests then, see Front. Otherwise zero replicas were asked for by somebody else.
	Zero bool
	// Window is how long must have been observed since the start before anything is scaled down: no less than the longest
	// stabilization window.
	Window time.Duration
	// QuantileAsked makes Forecast.Quantile, which is told in any case, one that is always planned for.
	QuantileAsked bool
	// Forecast, LeadTime and Capacity configure the learners.
	Forecast forecast.Config
	LeadTime leadtime.Config
	Capacity capacity.Config
	// ForecastTokens forecasts the rates of prompt and generation tokens too, in the same way as requests.
	ForecastTokens bool
	// Warm says which replicas may be kept that are loaded and do not serve; the zero value: none.
	Warm Tiers
	// Constraints are applied to what demand needs, in order.
	Constraints []Constraint
}

// Default returns the configuration of a target whose user said nothing.
func Default() Config {
	return Config{
		ForecastTokens: true,
		Staleness:      45 * time.Second, // three ticks of 15 s
		Window:         5 * time.Minute,  // as long as an HPA would wait by default
		Forecast:       forecast.Config{Step: 10 * time.Second, Quantile: 0.9},
		LeadTime:       leadtime.Config{Prior: leadtime.DefaultPrior},
		Capacity:       capacity.Config{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
	}
}

// Validate reports every fault of the configuration.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.Staleness > 0, "staleness bound %v: must be positive", c.Staleness)
	check(c.Window >= 0, "window %v: must not be negative", c.Window)
	check(c.Forecast.Step > 0, "forecast step %v: must be positive", c.Forecast.Step)
	check(c.Forecast.Quantile > 0 && c.Forecast.Quantile < 1, "forecast quantile %v: must lie between 0 and 1", c.Forecast.Quantile)
	check(c.LeadTime.Prior >= 0 && c.LeadTime.Override >= 0, "lead time prior %v, override %v: must not be negative", c.LeadTime.Prior, c.LeadTime.Override)
	check(c.Capacity.RequestsPerSecond >= 0 && c.Capacity.TokensPerSecond >= 0, "declared capacity: must not be negative")
	check(c.Capacity.Attainment > 0 && c.Capacity.Attainment < 1, "attainment %v: must lie between 0 and 1", c.Capacity.Attainment)
	faults = append(faults, c.Warm.validate())
	return errors.Join(faults...)
}

// Constraint bounds what demand needs. Constraints are pure and know only what they are given.
type Constraint interface {
	// Stage is the name under which the constraint's steps are reported.
	Stage() string
	// Apply returns the number of replicas allowed where wanted are asked for. Where it differs, reason and text say
	// why. limited is set where demand is denied what it needs.
	Apply(in Input, wanted int32) Ruling
}

// Input is what a Constraint may know.
type Input struct {
	// Now is the instant, Current the number of replicas asked for at present, Unschedulable those without a node.
	Now                    time.Time
	Current, Unschedulable int32
	// GPUsPerReplica is how many GPUs one replica holds, zero where that is not known.
	GPUsPerReplica int32
	// Lead is how long a replica ordered now takes until it serves.
	Lead time.Duration
	// Needed is what demand needs, as a real number.
	Needed float64
	// Held says that it is doubt that holds the present replicas: what nobody watches is no reason to let go of any.
	Held bool
	// State is the planner's memory, the present proposal included; it must not be changed.
	State *State
}

// Ruling is what a Constraint says.
type Ruling struct {
	Replicas int32
	// Reason is empty where nothing was changed. Text is then mostly empty too, or says why the constraint cannot act.
	Reason  Reason
	Text    string
	Limited bool
}
