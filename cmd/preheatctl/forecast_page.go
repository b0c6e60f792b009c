package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

// writePage writes the page with the fan charts.
func (r *forecastResult) writePage(out io.Writer) error {
	o := r.options
	page := report.Forecasts{
		Title: r.title(), Command: r.command, Version: version, Setup: r.setup(), Zone: o.zone,
		Quantiles: o.quantiles.values, Tail: tailOf(o.quantiles.values), Rules: forecasters(),
	}
	for _, t := range r.targets {
		page.Series = append(page.Series, t.shown())
	}
	return report.WriteForecasts(out, page)
}

// title names the series where there are few.
func (r *forecastResult) title() string {
	const few = 3
	if len(r.targets) > few {
		return fmt.Sprintf("Forecast of %d series", len(r.targets))
	}
	var names []string
	for _, t := range r.targets {
		names = append(names, t.Name)
	}
	return "Forecast of " + strings.Join(names, ", ")
}

// setup are the conditions of the forecast.
func (r *forecastResult) setup() []report.Fact {
	o := r.options
	forecast := "demand at the horizon"
	if o.statistic != "value" {
		forecast = "the largest demand until the horizon"
	}
	if o.of != string(series.Requests) {
		forecast += " in " + o.of + " per second"
	}
	facts := []report.Fact{
		{Name: "forecast", Value: forecast},
		{Name: "horizons", Value: strings.ReplaceAll(o.horizons.String(), ",", ", ")},
		{Name: "quantiles", Value: strings.ReplaceAll(o.quantiles.String(), ",", ", ")},
		{Name: "time zone", Value: o.zone},
	}
	if len(o.holidays) > 0 {
		facts = append(facts, report.Fact{Name: "holidays", Value: strings.Join(o.holidays, ", ")})
	}
	when := fmt.Sprintf("about %d in the second half of each series", ownOrigins)
	switch {
	case o.origins != "":
		when = "those of " + o.origins
	case o.every > 0:
		when = "one every " + shortly(time.Duration(o.every))
	}
	return append(facts, report.Fact{Name: "origins", Value: when})
}

// shown is the series as the page has it.
func (t *forecastTarget) shown() report.ForecastSeries {
	s := &t.judged
	out := report.ForecastSeries{Name: t.Name, Unit: t.Unit, About: t.described(), Verdict: s.Verdict, Loss: s.Loss}
	tail := tailOf(t.spec.Quantiles)
	for i, h := range s.Horizons {
		shown := report.ForecastHorizon{Horizon: h.duration(), Forecasts: h.Forecasts, Withdrawn: h.Withdrawn, Loss: h.Loss}
		for _, q := range h.Quantiles {
			shown.Coverage = append(shown.Coverage, q.Coverage)
		}
		for j := i; j < len(t.rows); j += len(s.Horizons) {
			row := &t.rows[j]
			shown.Rows = append(shown.Rows, report.ForecastRow{
				Origin: row.Origin, Values: row.Values, Actual: row.Actual, Weights: row.Weights, Withdrawn: row.Withdrawn != "",
				Loss: rowLoss(row, t.spec.Quantiles, tail), Reference: t.referenceLoss(j, tail),
			})
		}
		out.Horizons = append(out.Horizons, shown)
	}
	return out
}

// referenceLoss is that of the last value's forecast in the same place, NaN where there is none.
func (t *forecastTarget) referenceLoss(j int, tail []int) float64 {
	if j >= len(t.reference) {
		return math.NaN()
	}
	return rowLoss(&t.reference[j], t.spec.Quantiles, tail)
}
