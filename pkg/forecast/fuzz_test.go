package forecast

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"
)

// fuzzedSpecs are the shapes of Spec that a Forecaster is fuzzed with.
func fuzzedSpecs() []Spec {
	maximum := asked(time.Minute, 1, 7)
	maximum.Statistic = Maximum
	odd := Spec{Step: 433 * time.Second, Horizons: []time.Duration{433 * time.Second}, Quantiles: []float64{0.01, 0.999}}
	long := Spec{Step: 6 * time.Hour, Horizons: []time.Duration{6 * time.Hour, 48 * time.Hour}, Quantiles: []float64{0.9}, Statistic: Maximum}
	return []Spec{asked(10*time.Second, 1, 30), maximum, odd, long}
}

// A program is a row in four bytes: what kind of value, how many rows of it, and two bytes of its size.
const fuzzedRow = 4

// fuzzed feeds a program to a stream and calls each after every row.
func fuzzed(x *stream, program []byte, each func()) {
	at := t0
	for ; len(program) >= fuzzedRow; program = program[fuzzedRow:] {
		size := float64(binary.LittleEndian.Uint16(program[2:]))
		value := fuzzedValue(program[0], size)
		for range 1 + program[1]%32 {
			at = at.Add(fuzzedPace(program[0]>>5, size, x.spec.Step))
			x.Observe(&x.spec, at, value)
		}
		each()
	}
}

// fuzzedValue is a value of some kind.
func fuzzedValue(kind byte, size float64) float64 {
	switch kind % 16 {
	case 0:
		return 0
	case 1:
		return math.NaN()
	case 2:
		return math.Inf(1 - 2*int(kind>>4&1))
	case 3:
		return -size
	case 4:
		return math.Ldexp(1, int(size)-32768) // anything from nothing to infinity
	case 5:
		return math.Ldexp(1, int(size)%100-50)
	case 6:
		return size * math.SmallestNonzeroFloat64
	case 7:
		return math.Nextafter(unbelievable, 0)
	default:
		return size / 100
	}
}

// fuzzedPace is the time from one row to the next: mostly a step, sometimes none, a fraction, a gap, or a time set back.
func fuzzedPace(kind byte, size float64, step time.Duration) time.Duration {
	switch kind {
	case 1:
		return time.Duration(size / 65536 * 2 * float64(step))
	case 2:
		return -time.Duration(size) * step / 8
	case 3:
		return time.Duration(size) * time.Minute
	default:
		return step
	}
}

// FuzzForecaster proves that whatever comes, forecasts are numbers, none below zero, and none crosses another; and that
// after sixty horizons and 200 rows of a usual series its median is what the series is, where nothing a thousand times
// as large went before.
func FuzzForecaster(f *testing.F) {
	f.Add([]byte{8, 30, 100, 0, 0, 30, 0, 0, 8, 3, 255, 255, 1, 9, 0, 0, 0x68, 2, 0, 8}, uint8(0))
	f.Add([]byte{6, 31, 1, 0, 8, 31, 0, 200, 7, 0, 0, 0, 8, 9, 1, 0, 0x48, 5, 1, 1, 0x28, 9, 9, 9}, uint8(1))
	f.Add([]byte{4, 1, 0, 0, 4, 1, 0, 128, 5, 1, 99, 0, 5, 1, 0, 0, 2, 1, 1, 1, 3, 1, 2, 2}, uint8(2))
	f.Add([]byte{0, 9, 0, 0, 9, 31, 9, 9, 0x79, 1, 255, 255, 10, 2, 3, 4, 0, 31, 0, 0, 0, 31, 0, 0}, uint8(3))
	specs := fuzzedSpecs()
	f.Fuzz(func(t *testing.T, program []byte, which uint8) {
		x := newStream(specs[int(which)%len(specs)])
		if len(program) > 400 {
			program = program[:400]
		}
		fuzzed(x, program, func() { sane(t, &x.spec, x.Predict(&x.spec)) })
		finite(t, reflect.ValueOf(x.Forecaster), "forecaster")
		large := x.Levels.Peak > 1e6
		x.from = x.End.Truncate(x.spec.Step)
		if x.from.IsZero() {
			x.from = t0
		}
		x.feed(60*int(x.spec.Horizons[len(x.spec.Horizons)-1]/x.spec.Step)+200, func(row int) float64 { return 1000 + float64(row%7) })
		predictions := x.Predict(&x.spec)
		sane(t, &x.spec, predictions)
		for _, p := range predictions {
			if middle := p.Values[0]; !large && x.spec.Quantiles[0] == 0.5 && math.Abs(middle-1003) > 100 {
				t.Fatalf("after %d rows of a thousand, for %v ahead: %v", x.row, p.Horizon, p.Values)
			}
		}
	})
}
