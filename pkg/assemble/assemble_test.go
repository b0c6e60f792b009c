package assemble

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// autoscaler is one with its defaults, changed.
func autoscaler(change func(*v1alpha1.InferenceAutoscalerSpec)) *v1alpha1.InferenceAutoscaler {
	ia := &v1alpha1.InferenceAutoscaler{Spec: v1alpha1.InferenceAutoscalerSpec{
		ScaleTargetRef: v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "llm"}, MaxReplicas: 8,
	}}
	if change != nil {
		change(&ia.Spec)
	}
	ia.SetDefaults()
	return ia
}

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func quantity(s string) *resource.Quantity { return new(resource.MustParse(s)) }

func zone(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return l
}

// byDefault is what a user gets who says nothing but the maximum.
func byDefault() scaling.Config {
	up := constraint.Rules{Select: constraint.SelectMax, Policies: []constraint.Policy{
		{Value: 10, Period: 15 * time.Second}, {Value: 400, Percent: true, Period: 15 * time.Second},
	}}
	down := constraint.Rules{Select: constraint.SelectMax, Policies: []constraint.Policy{{Value: 100, Percent: true, Period: 15 * time.Second}}}
	return scaling.Config{
		Staleness: 30 * time.Second,
		Window:    5 * time.Minute, ForecastTokens: true,
		Forecast: forecast.Config{Step: 15 * time.Second, Quantile: 0.9, Calendar: forecast.Calendar{Location: zone("Etc/UTC")}},
		LeadTime: leadtime.Config{Prior: 5 * time.Minute},
		Capacity: capacity.Config{Attainment: 0.99},
		Constraints: []scaling.Constraint{
			constraint.Tolerance{},
			constraint.Stabilization{},
			constraint.GPUs{},
			constraint.Rate{Up: up, Down: down},
			constraint.Bounds{Min: 1, Max: 8},
		},
	}
}

func TestConfig(t *testing.T) {
	type spec = v1alpha1.InferenceAutoscalerSpec
	cases := map[string]struct {
		change func(*spec)
		want   func(*scaling.Config)
	}{
		"nothing said": {nil, nil},
		"paused":       {func(s *spec) { s.Paused = true }, func(c *scaling.Config) { c.Paused = true }},
		"bounds": {
			func(s *spec) { s.MinReplicas, s.MaxReplicas = new(int32(3)), 30 },
			func(c *scaling.Config) { c.Constraints[4] = constraint.Bounds{Min: 3, Max: 30} },
		},
		"a budget of GPUs, which goes before the bounds": {
			func(s *spec) { s.MaxGPUs = new(int32(16)) },
			func(c *scaling.Config) { c.Constraints = append(c.Constraints, constraint.GPUBudget{GPUs: 16}) },
		},
		"an objective": {
			func(s *spec) {
				s.SLO = v1alpha1.SLO{TTFT: duration(2 * time.Second), TPOT: duration(80 * time.Millisecond), Attainment: "99.5%"}
			},
			func(c *scaling.Config) {
				c.Capacity = capacity.Config{TTFT: 2 * time.Second, TPOT: 80 * time.Millisecond, Attainment: 0.995}
			},
		},
		"capacity in requests": {
			func(s *spec) { s.Capacity.RequestsPerSecond = quantity("2500m") },
			func(c *scaling.Config) { c.Capacity.RequestsPerSecond = 2.5 },
		},
		"capacity in tokens": {
			func(s *spec) { s.Capacity.TokensPerSecond = quantity("6k") },
			func(c *scaling.Config) { c.Capacity.TokensPerSecond = 6000 },
		},
		"a lead time that is known": {
			func(s *spec) { s.LeadTime.Override = duration(4 * time.Minute) },
			func(c *scaling.Config) { c.LeadTime.Override = 4 * time.Minute },
		},
		"another prior": {
			func(s *spec) { s.LeadTime.Prior = duration(8 * time.Minute) },
			func(c *scaling.Config) { c.LeadTime.Prior = 8 * time.Minute },
		},
		"a staleness bound": {
			func(s *spec) { s.Metrics.StalenessBound = duration(time.Minute) },
			func(c *scaling.Config) { c.Staleness = time.Minute },
		},
		"a forecast of one's own": {
			func(s *spec) { s.Forecast = v1alpha1.Forecast{Quantile: "97.5%", Disabled: true} },
			func(c *scaling.Config) { c.Forecast.Quantile, c.QuantileAsked, c.Forecast.Disabled = 0.975, true, true },
		},
		"the clock and the days off of the users": {
			func(s *spec) {
				s.Forecast.TimeZone, s.Forecast.Holidays = "Europe/Berlin", []v1alpha1.Date{"2026-12-25"}
			},
			func(c *scaling.Config) {
				berlin := zone("Europe/Berlin")
				c.Forecast.Calendar = forecast.Calendar{Location: berlin, Holidays: []time.Time{time.Date(2026, 12, 25, 0, 0, 0, 0, berlin)}}
			},
		},
		"windows, which also say how long a start is watched": {
			func(s *spec) {
				s.Behavior.ScaleUp.StabilizationWindowSeconds = new(int32(60))
				s.Behavior.ScaleDown.StabilizationWindowSeconds = new(int32(600))
			},
			func(c *scaling.Config) {
				c.Window = 10 * time.Minute
				c.Constraints[1] = constraint.Stabilization{Up: time.Minute, Down: 10 * time.Minute}
			},
		},
		"tolerances": {
			func(s *spec) {
				s.Behavior.ScaleUp.Tolerance, s.Behavior.ScaleDown.Tolerance = quantity("0"), quantity("250m")
			},
			func(c *scaling.Config) { c.Constraints[0] = constraint.Tolerance{Up: 0, Down: 0.25} },
		},
		"policies": {
			func(s *spec) {
				s.Behavior.ScaleUp.Policies = []v1alpha1.ScalingPolicy{{Type: v1alpha1.ScalingPolicyPercent, Value: 50, PeriodSeconds: 60}}
				s.Behavior.ScaleUp.SelectPolicy = new(v1alpha1.SelectPolicyMin)
				s.Behavior.ScaleDown.SelectPolicy = new(v1alpha1.SelectPolicyDisabled)
			},
			func(c *scaling.Config) {
				rate := c.Constraints[3].(constraint.Rate)
				rate.Up = constraint.Rules{Select: constraint.SelectMin, Policies: []constraint.Policy{{Value: 50, Percent: true, Period: time.Minute}}}
				rate.Down.Select = constraint.SelectDisabled
				c.Constraints[3] = rate
			},
		},
		"schedules": {
			func(s *spec) {
				s.Schedules = []v1alpha1.Schedule{
					{Name: "work", TimeZone: "Europe/Berlin", Days: []v1alpha1.Weekday{"Monday", "Sunday"}, Start: "08:30", End: "18:00", MinReplicas: new(int32(4))},
					{Name: "night", Start: "22:00", End: "06:00", MaxReplicas: new(int32(2)), MinReplicas: new(int32(0))},
				}
			},
			func(c *scaling.Config) {
				berlin, utc := zone("Europe/Berlin"), zone("Etc/UTC")
				c.Constraints[4] = constraint.Bounds{Min: 1, Max: 8, Schedules: []constraint.Schedule{
					{Name: "work", Location: berlin, Days: []time.Weekday{time.Monday, time.Sunday}, Start: 8*time.Hour + 30*time.Minute, End: 18 * time.Hour, Min: 4, Max: -1},
					{Name: "night", Location: utc, Start: 22 * time.Hour, End: 6 * time.Hour, Min: 0, Max: 2},
				}}
			},
		},
	}
	sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			ia := autoscaler(x.change)
			before := ia.DeepCopy()
			got, err := Config(ia, Options{Interval: 15 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			want := byDefault()
			if x.want != nil {
				x.want(&want)
			}
			if diff := cmp.Diff(want, got, sameZone); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, ia); diff != "" {
				t.Errorf("the spec was changed:\n%s", diff)
			}
			if _, err := Planner(ia, Options{Interval: 15 * time.Second}); err != nil {
				t.Errorf("no planner: %v", err)
			}
		})
	}
}

func TestCalendar(t *testing.T) {
	got, err := calendar(v1alpha1.Forecast{TimeZone: "Europe/Berlin", Holidays: []v1alpha1.Date{"2027-06-17", "2026-12-25"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Location.String() != "Europe/Berlin" || len(got.Holidays) != 2 {
		t.Fatalf("got %+v", got)
	}
	for i, want := range []string{"2026-12-24T23:00:00Z", "2027-06-16T22:00:00Z"} { // winter and summer time
		if start := got.Holidays[i].UTC().Format(time.RFC3339); start != want {
			t.Errorf("holiday %d begins at %s, want %s", i, start, want)
		}
	}
	plain, err := calendar(autoscaler(nil).Spec.Forecast)
	if _, offset := time.Unix(1e9, 0).In(plain.Location).Zone(); err != nil || offset != 0 || plain.Holidays != nil {
		t.Errorf("nothing said: %+v, %v; want UTC without holidays", plain, err)
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	ia := autoscaler(func(s *v1alpha1.InferenceAutoscalerSpec) {
		s.SLO.Attainment = "99"
		s.Forecast = v1alpha1.Forecast{Quantile: "p90", Holidays: []v1alpha1.Date{"2026-12-25", "2026-02-30"}}
		s.Metrics.StalenessBound = duration(-time.Second)
		s.Schedules = []v1alpha1.Schedule{
			{Name: "a", TimeZone: "Europe/Bärlin", Start: "8:30", End: "25:00", Days: []v1alpha1.Weekday{"Caturday"}},
			{Name: "b", TimeZone: "Etc/UTC", Start: "08:30", End: "18:00"},
			{Name: "c", TimeZone: "Etc/UTC", Start: "08:30", End: "18:0"},
		}
	})
	_, err := Planner(ia, Options{})
	if err == nil {
		t.Fatal("a spec full of faults was taken")
	}
	for _, field := range []string{
		"spec.slo.attainment", "spec.forecast.quantile", "spec.forecast.holidays[1]", "spec.schedules[0].timeZone", "spec.schedules[0].start",
		"spec.schedules[0].end", "spec.schedules[0].days", `"Caturday"`, "spec.schedules[2].end",
		"staleness bound -1s",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in:\n%v", field, err)
		}
	}
	for _, once := range []string{"forecast quantile", "attainment 0"} {
		if strings.Contains(err.Error(), once) {
			t.Errorf("what could not be read is blamed a second time, as %q:\n%v", once, err)
		}
	}
	for _, good := range []string{"schedules[1]", "holidays[0]"} {
		if strings.Contains(err.Error(), good) {
			t.Errorf("%s is blamed, which is good:\n%v", good, err)
		}
	}
	zone := autoscaler(func(s *v1alpha1.InferenceAutoscalerSpec) { s.Forecast.TimeZone = "Europe/Bärlin" })
	if _, err := Planner(zone, Options{}); err == nil || !strings.Contains(err.Error(), "spec.forecast.timeZone") {
		t.Errorf("got %v, want a fault of spec.forecast.timeZone", err)
	}
}

func TestWhatTheSchemaWouldRefuseIsRefusedHereToo(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.InferenceAutoscalerSpec){
		"attainment":   func(s *v1alpha1.InferenceAutoscalerSpec) { s.SLO.Attainment = "100%" },
		"quantile":     func(s *v1alpha1.InferenceAutoscalerSpec) { s.Forecast.Quantile = "0%" },
		"capacity":     func(s *v1alpha1.InferenceAutoscalerSpec) { s.Capacity.RequestsPerSecond = quantity("-1") },
		"spec.maxGPUs": func(s *v1alpha1.InferenceAutoscalerSpec) { s.MaxGPUs = new(int32(0)) },
		"staleness":    func(s *v1alpha1.InferenceAutoscalerSpec) { s.Metrics.StalenessBound = duration(0) },
	} {
		if _, err := Planner(autoscaler(change), Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWarmTiersHaveTheirPrices(t *testing.T) {
	asleep := func(level v1alpha1.SleepLevel, percent *int32) *v1alpha1.Warm {
		return &v1alpha1.Warm{Asleep: &v1alpha1.AsleepTier{MaxReplicas: 3, Level: level, GPUPercent: percent}}
	}
	for name, x := range map[string]struct {
		warm *v1alpha1.Warm
		want scaling.Tiers
	}{
		"none": {nil, scaling.Tiers{}},
		"standby costs as much as serving": {
			&v1alpha1.Warm{Standby: &v1alpha1.StandbyTier{MaxReplicas: 2}},
			scaling.Tiers{Standby: scaling.Tier{Max: 2, Price: 1, GPUs: 1, Wake: time.Second}, GPUs: 8},
		},
		"asleep on a GPU of its own": {
			asleep(v1alpha1.SleepOffload, nil), scaling.Tiers{Asleep: scaling.Tier{Max: 3, Price: 1.05, GPUs: 1, Wake: 3 * time.Second}, GPUs: 8},
		},
		"asleep on a GPU that others use": {
			asleep(v1alpha1.SleepOffload, new(int32(0))), scaling.Tiers{Asleep: scaling.Tier{Max: 3, Price: 0.05, Wake: 3 * time.Second}, GPUs: 8},
		},
		"without weights": {
			asleep(v1alpha1.SleepDiscard, new(int32(10))), scaling.Tiers{Asleep: scaling.Tier{Max: 3, Price: 0.11, GPUs: 0.1, Wake: 10 * time.Second}, GPUs: 8},
		},
	} {
		c, err := Config(autoscaler(func(s *v1alpha1.InferenceAutoscalerSpec) { s.Warm, s.MaxGPUs = x.warm, new(int32(8)) }), Options{})
		if c.Warm.Asleep.Price = math.Round(100*c.Warm.Asleep.Price) / 100; err != nil || c.Warm != x.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, c.Warm, err, x.want)
		}
	}
}

func TestWithoutAnIntervalTheForecastHasItsOwnStep(t *testing.T) {
	c, err := Config(autoscaler(nil), Options{})
	if err != nil || c.Forecast.Step != scaling.Default().Forecast.Step {
		t.Fatalf("got %v, %v", c.Forecast.Step, err)
	}
}

func TestZeroNeedsWhatHoldsRequests(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*v1alpha1.InferenceAutoscalerSpec)
		want   bool
	}{
		"nothing":   {func(*v1alpha1.InferenceAutoscalerSpec) {}, false},
		"activator": {func(s *v1alpha1.InferenceAutoscalerSpec) { s.Activator = &v1alpha1.Activator{Service: "llm"} }, true},
		"gateway": {func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.Gateway = &v1alpha1.Gateway{Kind: v1alpha1.GatewayEndpointPicker, Service: "epp", Pool: "llm"}
		}, true},
		"a gateway that only sees": {func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.Gateway = &v1alpha1.Gateway{Kind: v1alpha1.GatewayEnvoy, Service: "envoy", Pool: "llm"}
		}, false},
	} {
		c, err := Config(autoscaler(func(s *v1alpha1.InferenceAutoscalerSpec) {
			s.Mode, s.MinReplicas = v1alpha1.ModeOwn, new(int32(0))
			x.change(s)
		}), Options{})
		if err != nil || c.Zero != x.want {
			t.Errorf("%s: zero is allowed: %v, %v, want %v", name, c.Zero, err, x.want)
		}
	}
}
