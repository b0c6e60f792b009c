package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/report"
)

// foreseen is a forecast of two series at two horizons each, the second one without dates, over n rows of a minute.
func foreseen(n int) report.Forecasts {
	f := report.Forecasts{
		Title: "Forecast of web, tokens", Command: "preheatctl forecast web.csv tokens.csv", Version: "test", Zone: "Europe/Berlin",
		Setup:     []report.Fact{{Name: "forecast", Value: "demand at the horizon"}},
		Quantiles: []float64{0.5, 0.9, 0.95, 0.99}, Tail: []int{1, 2}, Rules: []string{"preheat", "recent-mean"},
	}
	for i, name := range []string{"web", "tokens"} {
		since := time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC) // the night in which clocks go forward
		if i == 1 {
			since = time.Unix(0, 0)
		}
		s := report.ForecastSeries{
			Name: name, Unit: "requests/s", About: name + ": rows of 1m", Verdict: "the forecast loses 17 % less than the last value.",
			Loss: map[string]float64{"preheat": 0.83, "recent-mean": 1.2},
		}
		for _, h := range []time.Duration{time.Minute, 30 * time.Minute} {
			s.Horizons = append(s.Horizons, foreseenAt(since, h, n, uint64(i)))
		}
		f.Series = append(f.Series, s)
	}
	return f
}

// foreseenAt is one horizon; a gap of forecasts is in it, and at its end nobody knows yet what came.
func foreseenAt(since time.Time, h time.Duration, n int, seed uint64) report.ForecastHorizon {
	rng := rand.New(rand.NewPCG(seed, 3))
	out := report.ForecastHorizon{Horizon: h, Forecasts: n, Withdrawn: n / 10, Loss: map[string]float64{"preheat": 0.8, "recent-mean": 1.1}, Coverage: []float64{0.5, 0.91, 0.94, 0.995}}
	for i := range n {
		if i > n/3 && i < n/3+n/20 {
			continue
		}
		level := 50 + 30*math.Sin(float64(i)/60)
		r := report.ForecastRow{
			Origin: since.Add(time.Duration(i) * time.Minute), Actual: max(0, level+8*rng.NormFloat64()), Loss: rng.Float64(), Reference: 0.2 + rng.Float64(),
			Values: []float64{level, level + 10, level + 13, level + 19}, Withdrawn: i > n/2 && i < n/2+n/5,
		}
		if i > n-10 {
			r.Actual, r.Loss, r.Reference = math.NaN(), math.NaN(), math.NaN()
		}
		if i%7 == 0 {
			rest := 1.0
			for k := range 12 {
				share := rest * (0.3 + 0.2*math.Sin(float64(i)/90+float64(k)))
				r.Weights = append(r.Weights, forecast.Weight{Expert: fmt.Sprintf("expert-%d", k), Share: share})
				rest -= share
			}
		}
		out.Rows = append(out.Rows, r)
	}
	return out
}

// page is the page of forecasts.
func page(t *testing.T, f report.Forecasts) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteForecasts(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// embedded is the data in a page.
func embedded(t *testing.T, page string) map[string]any {
	t.Helper()
	_, rest, _ := strings.Cut(page, `<script type="application/json" id="data">`)
	text, _, _ := strings.Cut(rest, "</script>")
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestThePageOfAForecastIsOneFile(t *testing.T) {
	f := foreseen(2000)
	f.Title, f.Series[0].Name = `</script><b>"title"`, `<img src=x>`
	text := page(t, f)
	if text != page(t, f) {
		t.Error("the same forecasts give other bytes")
	}
	for _, forbidden := range []string{"http://", "https://", "<b>", "<img", "<link", "@import"} {
		if i := strings.Index(text, forbidden); i >= 0 {
			t.Errorf("the page has %q: %s", forbidden, text[max(0, i-40):i+40])
		}
	}
}

// However many forecasts there are, the file stays small; what is drawn is spread over all of the time.
func TestThePageOfManyForecastsStaysSmall(t *testing.T) {
	f := foreseen(40_000)
	text := page(t, f)
	if len(text) > 5_000_000 {
		t.Errorf("%d bytes", len(text))
	}
	data := embedded(t, text)
	h := data["series"].([]any)[0].(map[string]any)["horizons"].([]any)[0].(map[string]any)
	at := data["columns"].([]any)[int(h["at"].(float64))].([]any)
	rows := f.Series[0].Horizons[0].Rows
	last := rows[len(rows)-1].Origin.Add(time.Minute)
	if stride := int(h["stride"].(float64)); stride < 2 || len(at) != (len(rows)+stride-1)/stride {
		t.Errorf("one in %d drawn, %d of %d", stride, len(at), len(rows))
	}
	if shown := time.Unix(int64(at[len(at)-1].(float64)), 0); last.Sub(shown) > 10*time.Minute {
		t.Errorf("the last one drawn is for %v, of those until %v", shown, last)
	}
}

// The list of misses has the worst first, and of those that one event caused only one.
func TestTheWorstMissesAreEvents(t *testing.T) {
	f := foreseen(2000)
	rows := f.Series[0].Horizons[0].Rows
	for i := 500; i < 510; i++ {
		rows[i].Actual = 1000 + float64(i)
	}
	rows[1500].Actual = 900
	misses := embedded(t, page(t, f))["series"].([]any)[0].(map[string]any)["horizons"].([]any)[0].(map[string]any)["misses"].([]any)
	for i, want := range []float64{1509, 900} {
		if got := misses[i].(map[string]any)["actual"].(float64); got != want {
			t.Errorf("miss %d is of %v, want %v", i, got, want)
		}
	}
	if at := misses[0].(map[string]any)["origin"].(float64); at != float64(rows[509].Origin.Unix()) {
		t.Errorf("the worst miss was forecast at %.0f, want %d", at, rows[509].Origin.Unix())
	}
}

// A reader opens the page of a forecast, light and dark, wide and on a telephone, and clicks through it.
func TestThePageOfAForecastInABrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, []byte(page(t, foreseen(1500))), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 390} {
			b.screen(width, 900, scheme)
			b.open(path)
			b.run(fmt.Sprintf("%s, %d wide", scheme, width), func(t *testing.T) {
				v := &visit{browser: b, t: t}
				v.forecast(width)
				if *pictures != "" {
					for _, part := range []string{"all", "chart-fan", "chart-coverage", "missed"} {
						v.eval(fmt.Sprintf("document.getElementById(%q).scrollIntoView()", part), nil)
						v.shoot(filepath.Join(*pictures, fmt.Sprintf("forecast-%s-%d-%s.png", scheme, width, part)))
					}
				}
			})
		}
	}
	b.silent(path)
}

// forecast clicks through the page of a forecast.
func (v *visit) forecast(width int) {
	v.t.Helper()
	v.equal("document.documentElement.scrollWidth <= window.innerWidth", "true")
	v.equal("document.querySelector('#verdict').textContent.startsWith('web: the forecast loses 17')", "true")
	v.equal("document.querySelectorAll('#series tbody tr').length", "2")
	v.equal("document.querySelectorAll('#horizons tbody tr').length", "2")
	v.equal("document.querySelectorAll('#charts figure:not([hidden])').length", "4")
	v.equal("document.querySelectorAll('#misses tbody tr').length > 3", "true")
	// summer time: 21:00 UTC is 22:00 in Berlin on the day before the change, 23:00 on the day after
	v.equal("stamp(Date.UTC(2026, 2, 28, 21) / 1000)", "Sat 28 Mar 2026 22:00")
	v.equal("stamp(Date.UTC(2026, 2, 29, 21) / 1000)", "Sun 29 Mar 2026 23:00")
	v.equal("column(horizonNow().weights_at).length > 100 && horizonNow().experts.length", "8")
	v.equal("Math.abs(horizonNow().experts.reduce((s, e) => s + column(e.shares)[20], 0) - 1) < 0.02", "true")

	v.click("#horizons tbody tr:nth-child(1)")
	v.equal("F.horizon", "0")
	v.click("#misses tbody tr:nth-child(1) td")
	v.equal("F.view[1] - F.view[0] < whole()[1] - whole()[0] && F.hover.t > F.view[0] && F.hover.t < F.view[1]", "true")
	v.equal("document.querySelector('#chart-fan .legend b').textContent === num(horizonNow().misses[0].actual)", "true")
	v.eval("showWhole()", nil)
	if width > 1000 {
		x, y, w, h := v.place("#chart-fan .canvas")
		v.drag(x+w/4, y+h/2, x+w/2, y+h/2)
		v.equal("F.view[1] - F.view[0] < 0.4 * (whole()[1] - whole()[0])", "true")
		v.press("ArrowRight")
		v.press("-")
		v.press("0")
		v.equal("F.view[1] - F.view[0] === whole()[1] - whole()[0]", "true")
	}
	v.click("#series tbody tr:nth-child(2)")
	v.equal("document.querySelector('#verdict').textContent.startsWith('tokens: ')", "true")
	v.equal("document.querySelector('#misses tbody th').textContent.includes(':')", "true")
	v.equal("document.querySelector('#drawn').textContent.includes('no dates')", "true")
	v.choose("#pick-series", "web")
	v.equal("F.series", "0")
	v.choose("#pick-horizon", "30 min")
	v.equal("F.horizon", "1")
}

// Pages of next to nothing are pages too.
func TestOddForecastsInABrowser(t *testing.T) {
	unknown := foreseen(30)
	for i := range unknown.Series[0].Horizons {
		h := &unknown.Series[0].Horizons[i]
		h.Forecasts, h.Loss, h.Coverage = 0, nil, nil
		for j := range h.Rows {
			h.Rows[j].Actual, h.Rows[j].Loss, h.Rows[j].Reference, h.Rows[j].Weights = math.NaN(), math.NaN(), math.NaN(), nil
		}
	}
	still := foreseen(50)
	for i := range still.Series[0].Horizons[0].Rows {
		r := &still.Series[0].Horizons[0].Rows[i]
		r.Values, r.Actual, r.Loss, r.Reference = []float64{0, 0, 0, 0}, 0, 0, 0
	}
	lone := foreseen(1)
	lone.Series, lone.Quantiles, lone.Tail = lone.Series[:1], []float64{0.9}, []int{0}
	for i := range lone.Series[0].Horizons {
		lone.Series[0].Horizons[i].Rows = []report.ForecastRow{{Origin: time.Unix(1_700_000_000, 0), Values: []float64{3}, Actual: 5, Loss: 1, Reference: 1}}
		lone.Series[0].Horizons[i].Coverage = []float64{0}
	}
	unfit := foreseen(100)
	unfit.Series[0].Horizons = nil
	b := newBrowser(t)
	b.screen(1280, 900, "light")
	for name, f := range map[string]report.Forecasts{
		"nothing": {}, "nobody knows what came": unknown, "demand of nothing": still, "one forecast of one quantile": lone, "a series that no horizon fits": unfit,
	} {
		b.run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "report.html")
			if err := os.WriteFile(path, []byte(page(t, f)), 0o644); err != nil {
				t.Fatal(err)
			}
			b.open(path)
			b.eval(`for (let i = 0; i < D.series.length; i++) { chooseSeries(i);
				for (let j = 0; j < seriesNow().horizons.length; j++) { chooseHorizon(j); zoomBy(0.5); moveBy(1); F.hover = {t: F.view[0], frame: fans[0]}; placeFans(); showWhole(); } }`, nil)
			b.silent(path)
		})
	}
}
