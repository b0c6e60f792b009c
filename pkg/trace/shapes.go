package trace

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// lowHigh are the two rates that most shapes move between.
func lowHigh(low, high string) []key {
	return []key{{"low", "lowest rate", aRate, low}, {"high", "highest rate", aRate, high}}
}

// workloads are the named shapes. All rates are requests per second.
var workloads = []workload{
	{
		"steady", "one rate throughout", time.Hour,
		[]key{{"rate", "the rate", aRate, "10"}},
		steady,
	},
	{
		"diurnal", "a smooth hump a day, lowest at the start", 24 * time.Hour,
		append(lowHigh("2", "20"),
			key{"day", "period of the hump; 24h, or the length where that is shorter", aTime, ""},
			key{"weekend", "factor on days 6 and 7 of each week", aFactor, "1"}), diurnal,
	},
	{
		"ramp", "low, a straight rise, high", time.Hour,
		append(lowHigh("2", "20"),
			key{"at", "start of the rise", aTime, "15m"},
			key{"over", "time it takes", aTime, "30m"}), ramp,
	},
	{
		"flash-crowd", "low, a sudden rise, a plateau, a slow decay", time.Hour,
		append(lowHigh("4", "24"),
			key{"at", "start of the rise", aTime, "15m"},
			key{"rise", "time it takes", aTime, "30s"},
			key{"hold", "time on the plateau", aTime, "5m"},
			key{"decay", "time constant of the fall", aTime, "5m"}), flashCrowd,
	},
	{
		"on-off", "high and low in turn, for exponential times", 2 * time.Hour,
		append(lowHigh("0", "20"),
			key{"on", "mean time at high", aTime, "5m"},
			key{"off", "mean time at low", aTime, "5m"}), onOff,
	},
	{
		"regime-shift", "low until a moment, high from then on", 2 * time.Hour,
		append(lowHigh("5", "15"),
			key{"at", "the moment", aTime, "1h"},
			key{"back", "time until it falls back; 0s never", aTime, "0s"}), regimeShift,
	},
	{
		"clock-spikes", "low, and high for a while at every full period, as jobs of a clock make it", 6 * time.Hour,
		append(lowHigh("5", "20"),
			key{"every", "the period", aTime, "1h"},
			key{"width", "time at high", aTime, "5m"}), clockSpikes,
	},
	{
		"business-hours", "high by day, low by night and at weekends; starts on a Monday at midnight", 48 * time.Hour,
		append(lowHigh("0", "20"),
			key{"open", "time of day at which it has risen half", aTime, "8h"},
			key{"close", "time of day at which it has fallen half", aTime, "18h"},
			key{"edge", "time that rise and fall take", aTime, "1h"},
			key{"weekend", "factor on days 6 and 7 of each week", aFactor, "0"}), businessHours,
	},
}

// shape is a level over time.
type shape = func(at time.Duration) float64

func steady(s settings, _ *rand.Rand) shape {
	return func(time.Duration) float64 { return s["rate"] }
}

func diurnal(s settings, _ *rand.Rand) shape {
	return func(at time.Duration) float64 {
		return hump(at, s.time("day"), s["low"], s["high"]) * weekend(at, s)
	}
}

// weekend is the factor of the day of the week, which starts on Monday.
func weekend(at time.Duration, s settings) float64 {
	const day = 24 * time.Hour
	if at/day%7 >= 5 {
		return s["weekend"]
	}
	return 1
}

func ramp(s settings, _ *rand.Rand) shape {
	return func(at time.Duration) float64 {
		return between01(s["low"], s["high"], (at-s.time("at")).Seconds()/s["over"])
	}
}

// between01 goes from low to high while share goes from 0 to 1, and stays there outside.
func between01(low, high, share float64) float64 {
	return low + (high-low)*min(1, max(0, share))
}

func flashCrowd(s settings, _ *rand.Rand) shape {
	end := s.time("at") + s.time("rise") + s.time("hold")
	return func(at time.Duration) float64 {
		if at < end {
			return between01(s["low"], s["high"], (at-s.time("at")).Seconds()/s["rise"])
		}
		return s["low"] + (s["high"]-s["low"])*math.Exp(-(at-end).Seconds()/s["decay"])
	}
}

// onOff draws its switches as far as it is asked.
func onOff(s settings, rng *rand.Rand) shape {
	until, on := time.Duration(0), rng.Float64() < s["on"]/(s["on"]+s["off"])
	stay := func() time.Duration {
		mean := s["off"]
		if on {
			mean = s["on"]
		}
		return time.Duration(max(1, rng.ExpFloat64()*mean) * float64(time.Second))
	}
	until = stay()
	return func(at time.Duration) float64 {
		for at >= until {
			on = !on
			until += stay()
		}
		if on {
			return s["high"]
		}
		return s["low"]
	}
}

func regimeShift(s settings, _ *rand.Rand) shape {
	return func(at time.Duration) float64 {
		since := at - s.time("at")
		if since < 0 || (s["back"] > 0 && since >= s.time("back")) {
			return s["low"]
		}
		return s["high"]
	}
}

func clockSpikes(s settings, _ *rand.Rand) shape {
	return func(at time.Duration) float64 {
		if at >= s.time("every") && at%s.time("every") < s.time("width") {
			return s["high"]
		}
		return s["low"]
	}
}

func businessHours(s settings, _ *rand.Rand) shape {
	return func(at time.Duration) float64 {
		hour := (at % (24 * time.Hour)).Seconds()
		up := (hour-s["open"])/s["edge"] + 0.5
		down := (s["close"]-hour)/s["edge"] + 0.5
		share := slices.Min([]float64{up, down, 1}) * weekend(at, s)
		return between01(s["low"], s["high"], share)
	}
}
