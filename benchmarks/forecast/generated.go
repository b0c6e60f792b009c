package main

import (
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// monday is when generated series begin, and recorded ones whose date is not known.
var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// generator makes a series: a rate that depends on the time, and Poisson arrivals at it.
type generator struct {
	name string
	step time.Duration
	days int
	// rate is the mean rate, in requests per second; it may carry a state on from row to row.
	rate func(rng *rand.Rand) rate
	zone string
}

// rate is asked once for each row, in order of time.
type rate func(at time.Time) float64

// generators are the generated series. Their seeds are their places in the list.
var generators = []generator{
	{name: "diurnal", step: time.Minute, days: 14, rate: steady(diurnal(20, 0.6, 24*time.Hour))},
	{name: "diurnal-small", step: 5 * time.Minute, days: 28, rate: steady(diurnal(0.1, 0.8, 24*time.Hour))},
	{name: "business-hours", step: time.Minute, days: 21, rate: steady(business(10))},
	{name: "business-hours-10m", step: 10 * time.Minute, days: 42, rate: steady(business(2))},
	{name: "on-off", step: time.Minute, days: 10, rate: onOff(20*time.Minute, time.Hour)},
	{name: "on-off-slow", step: 5 * time.Minute, days: 28, rate: onOff(3*time.Hour, 9*time.Hour)},
	{name: "clock-driven", step: time.Minute, days: 14, rate: steady(clockDriven(15))},
	{name: "clock-driven-5m", step: 5 * time.Minute, days: 28, rate: steady(clockDriven(1))},
	{name: "regime-shifts", step: time.Minute, days: 14, rate: shifts(5)},
	{name: "growth", step: 5 * time.Minute, days: 28, rate: steady(growth(2))},
	{name: "low-rate", step: time.Minute, days: 14, rate: steady(diurnal(2./60, 0.5, 24*time.Hour))},
	{name: "random-walk", step: time.Minute, days: 10, rate: walk(10, 0.02)},
	{name: "random-walk-10m", step: 10 * time.Minute, days: 42, rate: walk(100, 0.06)},
	{name: "flash-crowds", step: time.Minute, days: 14, rate: crowds(8)},
	{name: "days-of-6h", step: time.Minute, days: 7, rate: steady(diurnal(20, 0.6, 6*time.Hour))},
	{name: "constant-rate", step: time.Minute, days: 7, rate: steady(diurnal(5, 0, 24*time.Hour))},
	{name: "daylight-saving", step: 5 * time.Minute, days: 56, rate: steady(business(5)), zone: berlin},
}

// berlin changes its clocks on 29 March 2026, at the middle of that series and so in the part that is scored.
const berlin = "Europe/Berlin"

// series makes the series. The same name gives the same rows, whatever else is made.
func (g *generator) series() subject {
	rng := rand.New(rand.NewPCG(uint64(g.days), seed(g.name)))
	s := subject{Series: backtest.Series{Name: g.name, Start: monday, Step: g.step}}
	if g.zone != "" {
		s.calendar = forecast.Calendar{Location: zone(g.zone)}
	}
	rate, seconds := g.rate(rng), g.step.Seconds()
	for i := range g.days * int(24*time.Hour/g.step) {
		mean := rate(monday.Add(time.Duration(i)*g.step).In(zone(g.zone))) * seconds
		count := 0.0
		if mean > 0 {
			count = distuv.Poisson{Lambda: mean, Src: rng}.Rand()
		}
		s.Values = append(s.Values, count/seconds)
	}
	return s
}

// seed is a number of a name (FNV-1a).
func seed(name string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// zone is the location of that name, UTC of none. The zones are compiled in.
func zone(name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // a name in generators is misspelt
	}
	return location
}
