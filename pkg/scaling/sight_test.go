package scaling_test

import (
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// pages decides once per page; each is what the only replica shows, 15 s after the last.
func pages(t *testing.T, c scaling.Config, front bool, all ...map[signals.Metric]float64) scaling.Decision {
	t.Helper()
	l := newLine(t, c, 1)
	if front {
		l.front = &scaling.Front{}
	}
	for _, page := range all {
		l.now = l.now.Add(tick)
		r := &signals.Reading{Time: l.now}
		for m, v := range page {
			r.Set(m, v)
		}
		l.pods[0].Reading = r
		if front {
			l.front.Time = l.now
		}
		l.decide()
	}
	return l.last
}

func TestRequestsInFlightStandForWaitingAndRunning(t *testing.T) {
	for name, x := range map[string]struct {
		was, is map[signals.Metric]float64
		demand  float64
		says    bool
	}{
		"one number": {
			map[signals.Metric]float64{signals.RequestsInflight: 5, signals.RequestsFinished: 100},
			map[signals.Metric]float64{signals.RequestsInflight: 20, signals.RequestsFinished: 130},
			3, true,
		},
		"one number and the running": {
			map[signals.Metric]float64{signals.RequestsInflight: 5, signals.RequestsRunning: 5, signals.RequestsFinished: 100},
			map[signals.Metric]float64{signals.RequestsInflight: 20, signals.RequestsRunning: 8, signals.RequestsFinished: 130},
			3, true,
		},
		"all three are not counted twice": {
			map[signals.Metric]float64{signals.RequestsInflight: 5, signals.RequestsRunning: 5, signals.RequestsWaiting: 0, signals.RequestsFinished: 100},
			map[signals.Metric]float64{signals.RequestsInflight: 20, signals.RequestsRunning: 8, signals.RequestsWaiting: 12, signals.RequestsFinished: 130},
			3, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := pages(t, config(), false, x.was, x.is)
			if !d.DemandKnown || d.Demand != x.demand || d.Waiting+d.Running != 20 {
				t.Errorf("demand %v, in flight %v, want %v and 20: %s", d.Demand, d.Waiting+d.Running, x.demand, explain(d))
			}
			if said := strings.Contains(explain(d), "inference_requests_inflight"); said != x.says {
				t.Errorf("said %v, want %v: %s", said, x.says, explain(d))
			}
		})
	}
}

func TestAnEngineThatCountsNoRequestsIsNotIdleWhileItsTokensMove(t *testing.T) {
	page := func(tokens float64) map[signals.Metric]float64 { // idle whenever it is read
		return map[signals.Metric]float64{signals.RequestsWaiting: 0, signals.RequestsRunning: 0, signals.GenerationTokens: tokens}
	}
	d := pages(t, config(), false, page(100), page(900))
	if d.DemandKnown || d.Reason != scaling.NoFreshData || !strings.Contains(explain(d), "inference_requests_total is not on its page") {
		t.Errorf("short requests came and went: %s", explain(d))
	}
	if d = pages(t, config(), false, page(900), page(900)); !d.DemandKnown || d.Demand != 0 {
		t.Errorf("nothing came: %s", explain(d))
	}
}

func TestACounterRecordedAtResponseEndNeverProvesThatNothingWaits(t *testing.T) {
	c := config()
	c.Zero = true
	c.Forecast.Disabled = true
	hours := func(page map[signals.Metric]float64) (all []map[signals.Metric]float64) {
		for range int(2 * time.Hour / tick) {
			all = append(all, page)
		}
		return all
	}
	silence := map[signals.Metric]float64{signals.RequestsFinished: 50, signals.RequestsInflight: 0}
	if d := pages(t, c, true, hours(silence)...); !strings.Contains(explain(d), "nothing has come for") {
		t.Fatalf("nothing is in flight, and yet that is no silence: %s", explain(d))
	}
	for name, page := range map[string]map[signals.Metric]float64{
		"only what has ended":             {signals.RequestsFinished: 50, signals.GenerationTokens: 900},
		"and what runs":                   {signals.RequestsFinished: 50, signals.RequestsRunning: 0},
		"and what waits":                  {signals.RequestsFinished: 50, signals.RequestsWaiting: 0},
		"nothing but counters of tokens":  {signals.PromptTokens: 50, signals.GenerationTokens: 900},
		"one is in flight the whole time": {signals.RequestsFinished: 50, signals.RequestsInflight: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if d := pages(t, c, true, hours(page)...); d.Replicas == 0 || strings.Contains(explain(d), "nothing has come for") {
				t.Errorf("taken for silence: %s", explain(d))
			}
		})
	}
}
