package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// steady is a rate that needs no state and no chance.
func steady(r rate) func(*rand.Rand) rate { return func(*rand.Rand) rate { return r } }

// hour is the hour of the local day with its fraction.
func hour(at time.Time) float64 {
	return float64(at.Hour()) + float64(at.Minute())/60
}

// diurnal is a wave around the mean with a second harmonic, as days of chat services have.
func diurnal(mean, amplitude float64, day time.Duration) rate {
	return func(at time.Time) float64 {
		phase := 2 * math.Pi * float64(at.Sub(monday)%day) / float64(day)
		return mean * (1 + amplitude*(0.8*math.Sin(phase-2)+0.2*math.Sin(2*phase)))
	}
}

// business is busy from 8 to 18 local time on weekdays, with a dip at noon, and all but idle else.
func business(peak float64) rate {
	return func(at time.Time) float64 {
		h := hour(at)
		open := 1/(1+math.Exp(-3*(h-8))) - 1/(1+math.Exp(-2*(h-18)))
		noon := 1 - 0.35*math.Exp(-2*(h-12.5)*(h-12.5))
		if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
			open *= 0.1
		}
		return peak * (0.03 + open*noon)
	}
}

// clockDriven is a wave with jobs on it: three minutes of four times the load at the hour, a minute of twice at half past,
// and twenty minutes of six times at 03:10.
func clockDriven(mean float64) rate {
	wave := diurnal(mean, 0.4, 24*time.Hour)
	return func(at time.Time) float64 {
		job := 0.0
		switch m := at.Minute(); {
		case at.Hour() == 3 && m >= 10 && m < 30:
			job = 5
		case m < 3:
			job = 3
		case m == 30:
			job = 1
		}
		return wave(at) + job*mean
	}
}

// growth is a wave that grows by 5 % a day.
func growth(mean float64) rate {
	wave := diurnal(mean, 0.5, 24*time.Hour)
	return func(at time.Time) float64 { return wave(at) * math.Pow(1.05, at.Sub(monday).Hours()/24) }
}

// onOff serves at a level that is drawn anew each time it goes on, and nothing in between.
func onOff(on, off time.Duration) func(*rand.Rand) rate {
	return func(rng *rand.Rand) rate {
		until, level := monday, 0.0
		return func(at time.Time) float64 {
			for !at.Before(until) {
				span := on
				if level > 0 {
					level, span = 0, off
				} else {
					level = 4 * math.Exp(0.8*rng.NormFloat64())
				}
				until = until.Add(time.Duration(rng.ExpFloat64() * float64(span)))
			}
			return level
		}
	}
}

// shifts is a wave whose level triples or falls to a third, every two days in the mean.
func shifts(mean float64) func(*rand.Rand) rate {
	return func(rng *rand.Rand) rate {
		wave, level, until := diurnal(mean, 0.3, 24*time.Hour), 1.0, monday.AddDate(0, 0, 2)
		return func(at time.Time) float64 {
			if !at.Before(until) {
				until = until.Add(time.Duration(rng.ExpFloat64() * float64(48*time.Hour)))
				if level *= 3; level > 3 || rng.IntN(2) == 0 && level > 1 {
					level /= 9
				}
				level = max(level, 1./9)
			}
			return wave(at) * level
		}
	}
}

// walk multiplies the rate by a random factor each row and draws it gently back to the mean.
func walk(mean, volatility float64) func(*rand.Rand) rate {
	return func(rng *rand.Rand) rate {
		log := 0.0
		return func(time.Time) float64 {
			log += volatility*rng.NormFloat64() - 0.001*log
			return mean * math.Exp(log)
		}
	}
}

// crowds is a wave with a crowd about once a day that comes within five minutes and fades with a half-life of half an
// hour.
func crowds(mean float64) func(*rand.Rand) rate {
	return func(rng *rand.Rand) rate {
		wave, coming, crowd, last := diurnal(mean, 0.5, 24*time.Hour), 0.0, 0.0, monday
		return func(at time.Time) float64 {
			elapsed := at.Sub(last).Hours()
			last = at
			if rng.Float64() < elapsed/24 {
				coming += mean * (2 + 6*rng.Float64())
			}
			arriving := coming * min(1, elapsed*12)
			coming -= arriving
			crowd = crowd*math.Exp2(-2*elapsed) + arriving
			return wave(at) + crowd
		}
	}
}
