package scaling_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestTokensAreThoseOfTheWholeTarget(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(l *line)
		known bool
	}{
		"all replicas tell": {func(*line) {}, true},
		"a replica that tells no tokens is like another": {func(l *line) { l.pods[0].without = []signals.Metric{signals.GenerationTokens} }, true},
		"a replica that is not seen is like another":     {func(l *line) { l.pods[0].frozen = true }, true},
		"where none tells nothing is known": {func(l *line) {
			for _, p := range l.pods {
				p.without = []signals.Metric{signals.GenerationTokens}
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, config(), 4)
			l.ticks(2, 12)
			tt.spoil(l)
			got := l.ticks(20, 12).Tokens.Generation
			want := 12*200 + 4/tick.Seconds() // the pods add one token a tick
			if got.Known != tt.known || tt.known && math.Abs(got.PerSecond-want) > 1 {
				t.Errorf("%.1f tokens/s (known: %v), want %.1f (%v)", got.PerSecond, got.Known, want, tt.known)
			}
			if f := got.Forecast; f.Known() != tt.known || tt.known && (math.Abs(f.Point-want) > 0.05*want || f.Upper < f.Point) {
				t.Errorf("expects %.1f, at most %.1f (known: %v), want about %.1f", f.Point, f.Upper, f.Known(), want)
			}
		})
	}
}

func TestTokensThatNoEngineCountsAreNotForecast(t *testing.T) {
	l := newLine(t, config(), 2)
	if d := l.ticks(20, 6); d.Tokens.Prompt.Known || d.Tokens.Prompt.Forecast.Known() || l.state.Tokens.Prompt.Forecaster.Seen > 0 {
		t.Errorf("the pods count no prompt tokens, got %+v", d.Tokens.Prompt)
	}
}

func TestTokensAreForecastAsFarAheadAsRequests(t *testing.T) {
	l := newLine(t, config(), 2)
	d := l.ticks(20, 6)
	if a, b := d.Forecast, d.Tokens.Generation.Forecast; a.Horizon != b.Horizon || a.Quantile != b.Quantile || !a.At.Equal(b.At) {
		t.Errorf("requests for %v at %v, tokens for %v at %v", a.Horizon, a.At, b.Horizon, b.At)
	}
}

func TestTokensDecideNothing(t *testing.T) {
	with, without := config(), config()
	without.ForecastTokens = false
	a, b := newLine(t, with, 2), newLine(t, without, 2)
	for i := range 60 {
		rate := 6 + 4*math.Sin(float64(i)/9)
		x, y := a.tick(rate), b.tick(rate)
		if y.Tokens.Generation.Known || y.Tokens.Generation.Forecast.Known() {
			t.Fatalf("tokens are told although they are not wanted: %+v", y.Tokens)
		}
		x.Tokens = scaling.Tokens{}
		if diff := cmp.Diff(y, x); diff != "" {
			t.Fatalf("tick %d (-without +with tokens):\n%s", i, diff)
		}
	}
}

func TestARestartedEngineGeneratesNoTokensBackwards(t *testing.T) {
	l := newLine(t, config(), 2)
	l.ticks(10, 6)
	l.pods[0].tokens, l.pods[0].finished = 0, 0
	if got := l.tick(6).Tokens.Generation; got.PerSecond < 0 || got.PerSecond > 1.1*6*200 {
		t.Errorf("%.1f tokens/s after an engine restarted", got.PerSecond)
	}
}

func TestForecastsOfTokensOutliveTheProcess(t *testing.T) {
	l := newLine(t, config(), 2)
	before := l.ticks(30, 6).Tokens.Generation.Forecast
	var after scaling.State
	after.Restore(l.state.Learned(), l.now.Add(tick))
	if diff := cmp.Diff(before, after.Tokens.Generation.Newest); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	after.Restore(scaling.Learned{Tokens: scaling.TokenForecasters{Prompt: forecast.State{Newest: forecast.Forecast{At: l.now, Horizon: time.Minute}}}}, l.now.Add(time.Hour))
	if after.Tokens.Prompt.Newest.Known() {
		t.Error("a forecast of the past was restored")
	}
}
