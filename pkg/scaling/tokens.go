package scaling

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// TokenRate is a rate in tokens per second; Known is false where nobody knows it, which is not zero.
type TokenRate struct {
	PerSecond float64
	Known     bool
}

// TokenRates are those of one replica between its last two readings: what it processed. While requests wait, more than
// that is offered; nothing is ordered by these rates.
type TokenRates struct{ Prompt, Generation TokenRate }

// TokenForecasters are what has been learned of a target's rates of tokens.
type TokenForecasters struct{ Prompt, Generation forecast.State }

// TokenDemand is the rate of one kind of tokens, all replicas together, and its forecast in tokens per second one lead
// time ahead. There is neither where the engines do not report these tokens.
type TokenDemand struct {
	TokenRate
	Forecast forecast.Forecast
}

// Tokens are what is known of a target's tokens. Prompt tokens count in full where the prefix cache served them.
type Tokens struct{ Prompt, Generation TokenDemand }

// tokenRates returns what was processed between two readings.
func tokenRates(earlier, later *signals.Reading) TokenRates {
	seconds := later.Time.Sub(earlier.Time).Seconds()
	rate := func(m signals.Metric) TokenRate {
		n, ok := signals.Increase(earlier, later, m)
		return ratePer(n, seconds, ok)
	}
	return TokenRates{rate(signals.PromptTokens), rate(signals.GenerationTokens)}
}

// firstTokens returns what a replica processed that became ready just before its first reading, over the same time as
// firstArrivals.
func firstTokens(r *Replica, unseen time.Duration) TokenRates {
	seconds, young := firstSpan(r, unseen)
	rate := func(m signals.Metric) TokenRate {
		n, ok := r.Reading.Value(m)
		return ratePer(n, seconds, ok && young)
	}
	return TokenRates{rate(signals.PromptTokens), rate(signals.GenerationTokens)}
}

// ratePer is n over a time, unknown where n is not known or no time has passed.
func ratePer(n, seconds float64, known bool) TokenRate {
	if !known || seconds <= 0 {
		return TokenRate{}
	}
	return TokenRate{PerSecond: n / seconds, Known: true}
}

// tokenSum is the rate of one kind of tokens over the measured replicas that report it.
type tokenSum struct {
	perSecond float64
	measured  int
}

func (s *tokenSum) add(r TokenRate) {
	if r.Known {
		s.perSecond += r.PerSecond
		s.measured++
	}
}

// learnTokens takes the tick's rates of tokens into their forecasts.
func (t *tick) learnTokens() {
	if !t.planner.config.ForecastTokens {
		return
	}
	t.decision.Tokens = Tokens{
		Prompt:     t.forecastTokens(t.sight.prompt, &t.state.Tokens.Prompt),
		Generation: t.forecastTokens(t.sight.generation, &t.state.Tokens.Generation),
	}
}

// forecastTokens states the rate of one kind of tokens of the whole target, as demand does for requests, and advances
// its forecast. Replicas that do not report it are taken for the equals of those that do.
func (t *tick) forecastTokens(sum tokenSum, f *forecast.State) TokenDemand {
	if sum.measured == 0 {
		f.Skip(t.obs.Time)
		return TokenDemand{}
	}
	all := float64(t.sight.measured + len(t.sight.unseen) + t.sight.unmeasured)
	rate := sum.perSecond * all / float64(sum.measured)
	return TokenDemand{
		TokenRate: TokenRate{PerSecond: rate, Known: true},
		Forecast:  f.Advance(t.obs.Time, rate, t.horizon(), t.planner.config.Forecast),
	}
}
