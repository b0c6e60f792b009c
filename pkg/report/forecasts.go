package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// Forecasts is everything that the page of a forecast shows.
type Forecasts struct {
	// Title heads the page, as "Forecast of demand".
	Title string
	// Command is the command line that makes the same page again; Version is of the program that made it. Either may be
	// empty.
	Command, Version string
	// Setup are the conditions, for people to read, in order.
	Setup []Fact
	// Zone is the IANA name of the time zone in which times are shown; empty is UTC.
	Zone string
	// Quantiles are those of every forecast, ascending. Losses are over those of Tail, by their places.
	Quantiles []float64
	Tail      []int
	// Rules are the names of the forecasters that are held against the last value, the one that is shown first.
	Rules  []string
	Series []ForecastSeries
}

// ForecastSeries is a series and how it was forecast.
type ForecastSeries struct {
	// Name is the series', Unit that of its values, About says in a line what it holds, Verdict how the forecasts did.
	Name, Unit, About, Verdict string
	// Loss is each rule's over that of the last value, over all horizons; rules that were not scored are absent.
	Loss map[string]float64
	// Horizons are the forecasts, by how far ahead they are.
	Horizons []ForecastHorizon
}

// ForecastHorizon is one horizon of a series.
type ForecastHorizon struct {
	Horizon time.Duration
	// Forecasts is how many were scored, Withdrawn in how many of them the last value stood in.
	Forecasts, Withdrawn int
	// Loss is as that of the series, Coverage the share of forecasts that was not exceeded, one for each quantile; empty
	// where nothing was scored.
	Loss     map[string]float64
	Coverage []float64
	// Rows are the forecasts by time.
	Rows []ForecastRow
}

// ForecastRow is one forecast and what came.
type ForecastRow struct {
	Origin time.Time
	// Values are the quantiles; without any the row is left out.
	Values []float64
	// Actual is what came, Loss that of this forecast and Reference that of the last value's, over the quantiles of Tail;
	// all of them NaN where nobody knows.
	Actual, Loss, Reference float64
	// Withdrawn says that the last value stood in for the forecast.
	Withdrawn bool
	// Weights are the experts' shares, largest first; nil where they were not kept.
	Weights []forecast.Weight
}

// forecastScripts are the parts of the page's program, in order; the first ones are those of the page of a replay.
var forecastScripts = []string{"core.js", "plot.js", "lanes.js", "fan.js", "fantime.js", "fancharts.js", "fanmain.js"}

// WriteForecasts writes the page of a forecast: one HTML file that needs nothing else. The same forecasts give the same
// bytes. Forecasts are thinned where there are many, so that the file stays below some 5 MB; figures are over all of them.
func WriteForecasts(w io.Writer, f Forecasts) error {
	fail := func(err error) error { return fmt.Errorf("write the page of a forecast: %w", err) }
	data, err := json.Marshal(newForecastPage(&f))
	if err != nil {
		return fail(err)
	}
	t, err := template.ParseFS(assets, "assets/fan.html.tmpl")
	if err != nil {
		return fail(err)
	}
	content := forecastDocument{Forecasts: &f, Style: template.CSS(asset("style.css") + asset("fan.css")), Data: template.JS(data)}
	for _, name := range forecastScripts {
		content.Script += template.JS(asset(name))
	}
	var page bytes.Buffer
	if err := t.Execute(&page, content); err != nil {
		return fail(err)
	}
	if _, err := page.WriteTo(w); err != nil {
		return fail(err)
	}
	return nil
}

// forecastDocument is what the template is filled with.
type forecastDocument struct {
	*Forecasts
	Style  template.CSS
	Script template.JS
	Data   template.JS
}
