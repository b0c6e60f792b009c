package main

import (
	"encoding/json"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
)

// minutesBehind is what a forecaster has seen before it is measured: five weeks of minutes.
const minutesBehind = 35 * 24 * 60

// pace feeds a forecaster the minutes of a diurnal service, which come round again.
type pace struct {
	backtest.Forecaster
	spec   forecast.Spec
	values []float64
	end    time.Time
	n      int
}

// seasoned is a forecaster with so many minutes behind it.
func seasoned(f backtest.Forecaster, minutes int) *pace {
	s := generators[0].series()
	p := &pace{Forecaster: f, values: s.Values, end: s.Start}
	p.spec = forecast.Spec{Step: time.Minute, Horizons: horizons, Quantiles: quantiles}
	for range minutes {
		p.observe()
	}
	return p
}

func (p *pace) observe() {
	p.end = p.end.Add(p.spec.Step)
	p.Observe(&p.spec, p.end, p.values[p.n%len(p.values)])
	p.n++
}

func (p *pace) predict() { p.Predict(&p.spec) }

// reference is the last value with conformal quantiles: what a forecaster costs that learns nothing else.
func reference() *pace { return seasoned(backtest.NewBaseline(backtest.LastValue), minutesBehind) }

// beside reports how many times the processor time of the other a call takes, called as often in the same run. On a
// machine that others use too cpu-ns/op says more than ns/op.
func beside(b *testing.B, judged, other func()) {
	b.Helper()
	b.ReportAllocs()
	worked := processorTime()
	for b.Loop() {
		judged()
	}
	took := processorTime() - worked
	worked = processorTime()
	for range b.N {
		other()
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(took.Seconds()/(processorTime()-worked).Seconds(), "x-last-value")
}

// BenchmarkObserve is one row; what is refitted in it now and then is in the mean.
func BenchmarkObserve(b *testing.B) {
	beside(b, seasoned(&forecast.Forecaster{}, minutesBehind).observe, reference().observe)
}

// BenchmarkPredict is a forecast of four horizons by four quantiles.
func BenchmarkPredict(b *testing.B) {
	beside(b, seasoned(&forecast.Forecaster{}, minutesBehind).predict, reference().predict)
}

// BenchmarkDay is a day of minutes, each followed by a forecast. core-%/1000-targets is what a thousand targets take of
// one processor while a minute is a minute; refit-% is the share of the time for rows that goes into those that take
// more than ten times as long as the median one does: the refits. The longest row is how long a tick may wait. The shares
// are of processor time, refit-% and the longest row of the clock.
func BenchmarkDay(b *testing.B) {
	const minutes = 24 * 60
	judged := seasoned(&forecast.Forecaster{}, minutesBehind)
	var took []time.Duration
	day := func(p *pace) {
		for range minutes {
			began := time.Now()
			p.observe()
			took = append(took, time.Since(began))
			p.predict()
		}
	}
	worked := processorTime()
	for b.Loop() {
		day(judged)
	}
	perDay := (processorTime() - worked) / time.Duration(b.N)
	refits, all, longest := refits(took)
	b.ReportMetric(100*1000*perDay.Hours()/24, "core-%/1000-targets")
	b.ReportMetric(100*refits.Seconds()/all.Seconds(), "refit-%")
	b.ReportMetric(float64(longest.Microseconds()), "longest-row-µs")
	other := reference()
	worked = processorTime()
	day(other)
	b.ReportMetric(perDay.Seconds()/(processorTime()-worked).Seconds(), "x-last-value")
}

// refits is the time of the rows that took more than ten times the median, that of all, and the longest.
func refits(took []time.Duration) (refits, all, longest time.Duration) {
	sorted := slices.Sorted(slices.Values(took))
	for _, d := range sorted {
		all += d
		if d > 10*sorted[len(sorted)/2] {
			refits += d
		}
	}
	return refits, all, sorted[len(sorted)-1]
}

// BenchmarkMemory is what a forecaster with five weeks of minutes behind it holds, and what it is once written down.
// grown-% is how much more it holds after ten weeks.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		judged, size := held(func() *pace { return seasoned(&forecast.Forecaster{}, minutesBehind) })
		text, err := json.Marshal(judged.Forecaster)
		if err != nil {
			b.Fatal(err)
		}
		_, later := held(func() *pace { return seasoned(&forecast.Forecaster{}, 2*minutesBehind) })
		_, other := held(reference)
		b.ReportMetric(float64(size)/1024, "KiB/forecaster")
		b.ReportMetric(float64(len(text))/1024, "KiB-as-JSON")
		b.ReportMetric(100*(float64(later)/float64(size)-1), "grown-%")
		b.ReportMetric(float64(size)/float64(other), "x-last-value")
	}
}

// held is how many bytes of the heap what is made holds on to, the series not counted.
func held(make func() *pace) (*pace, uint64) {
	before := inUse()
	p := make()
	p.values = nil
	after := inUse()
	runtime.KeepAlive(p)
	return p, after - min(before, after)
}

// inUse is what is left of the heap once it is swept.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
