package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var tokenNames = []string{
	"preheat_target_tokens_per_second", "preheat_target_forecast_tokens_per_second", "preheat_target_forecast_upper_tokens_per_second",
	"preheat_target_forecast_tokens_skill_ratio",
}

const tokensOfLlama = `
# HELP preheat_target_forecast_tokens_per_second Tokens expected to be processed one lead time ahead.
# TYPE preheat_target_forecast_tokens_per_second gauge
preheat_target_forecast_tokens_per_second{kind="generation",name="llama",namespace="default"} 420
# HELP preheat_target_forecast_tokens_skill_ratio 1 - pinball loss of the forecast of tokens / that of repeating the last value, over the last hours or days; above 0 the forecast is the better one.
# TYPE preheat_target_forecast_tokens_skill_ratio gauge
preheat_target_forecast_tokens_skill_ratio{kind="generation",name="llama",namespace="default",over="days"} 0.2
preheat_target_forecast_tokens_skill_ratio{kind="generation",name="llama",namespace="default",over="hours"} -0.1
# HELP preheat_target_forecast_upper_tokens_per_second Upper quantile of the tokens processed one lead time ahead; preheat_target_forecast_quantile_ratio says which.
# TYPE preheat_target_forecast_upper_tokens_per_second gauge
preheat_target_forecast_upper_tokens_per_second{kind="generation",name="llama",namespace="default"} 500
# HELP preheat_target_tokens_per_second Tokens that the engines processed, all replicas together; prompt tokens count in full where the prefix cache served them.
# TYPE preheat_target_tokens_per_second gauge
preheat_target_tokens_per_second{kind="generation",name="llama",namespace="default"} 400
preheat_target_tokens_per_second{kind="prompt",name="llama",namespace="default"} 0
`

func TestTokensAreTold(t *testing.T) {
	m, registry := newMetrics(t)
	d := full()
	d.Tokens = scaling.Tokens{
		Prompt: scaling.TokenDemand{TokenRate: scaling.TokenRate{Known: true}}, // none, which is known, and no forecast yet
		Generation: scaling.TokenDemand{
			TokenRate: scaling.TokenRate{PerSecond: 400, Known: true},
			Forecast:  forecast.Forecast{Horizon: time.Minute, Point: 420, Upper: 500, Skill: forecast.Skill{Known: true, Hours: -0.1, Days: 0.2}},
		},
	}
	m.Record(t.Context(), llama, d, nil)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(tokensOfLlama), tokenNames...); err != nil {
		t.Error(err)
	}
	for name, end := range map[string]func(){
		"no tokens are counted any more": func() { m.Record(t.Context(), llama, full(), nil) },
		"the target is not seen":         func() { m.Unobserved(llama) },
		"the target is gone":             func() { m.Forget(llama) },
	} {
		m.Record(t.Context(), llama, d, nil)
		end()
		if n, err := testutil.GatherAndCount(registry, tokenNames...); n != 0 || err != nil {
			t.Errorf("%s: %d series (%v)", name, n, err)
		}
	}
}
