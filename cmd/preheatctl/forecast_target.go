package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/forecast/backtest"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

// forecastTarget is a series, what is asked of it, and what came out.
type forecastTarget struct {
	file string
	*series.Series
	spec forecast.Spec
	// left are the horizons that are no multiple of the step.
	left []time.Duration
	// origins are the ends of rows at which forecasts are made, ascending, none twice; rows has one forecast of each
	// horizon for each, without Values where nothing was known.
	origins []time.Time
	rows    []backtest.Row
	// reference are the last value's forecasts of the same, scores those of every forecaster by name; where scores are wanted.
	reference []backtest.Row
	scores    map[string]backtest.Score
	judged    seriesScore
}

func newForecastTarget(file string, s *series.Series, o *forecastOptions, c forecast.Calendar) *forecastTarget {
	t := &forecastTarget{file: file, Series: s, scores: map[string]backtest.Score{}}
	t.spec = forecast.Spec{Step: s.Step, Quantiles: o.quantiles.values, Statistic: forecast.Statistic(o.statistic), Calendar: c}
	t.spec.Horizons, t.left = backtest.Divisible(o.horizons.values, s.Step)
	return t
}

// noteHorizons says which horizons are left out.
func (t *forecastTarget) noteHorizons(out io.Writer) {
	if len(t.left) == 0 {
		return
	}
	text := fmt.Sprintf("left out %s, no whole multiple of the step %s", listed(t.left), shortly(t.Step))
	if len(t.spec.Horizons) == 0 {
		text += fmt.Sprintf(": nothing is forecast; give --horizons that are, as %v,%v", t.Step, 4*t.Step)
	}
	noteOf(out, t.Name, text)
}

// listed writes horizons as a user would.
func listed(horizons []time.Duration) string {
	var words []string
	for _, h := range horizons {
		words = append(words, shortly(h))
	}
	return strings.Join(words, ", ")
}

// recorded is the series up to its last origin, which may lie beyond its end: rows there are unknown.
func (t *forecastTarget) recorded() backtest.Series {
	values := t.Values
	if n := len(t.origins); n > 0 {
		last := int(t.origins[n-1].Sub(t.Start) / t.Step)
		values = slices.Concat(values, slices.Repeat([]float64{math.NaN()}, max(0, last-len(values))))
	}
	return backtest.Series{Name: t.Name, Start: t.Start, Step: t.Step, Values: values}
}

// forecastsAt are the forecasts made at the end of a row, by horizon; nil where there are none.
func (t *forecastTarget) forecastsAt(origin time.Time) []backtest.Row {
	i, there := slices.BinarySearchFunc(t.origins, origin, time.Time.Compare)
	n := len(t.spec.Horizons)
	if !there || n == 0 || t.rows == nil || t.rows[i*n].Values == nil {
		return nil
	}
	return t.rows[i*n : (i+1)*n]
}

// holidays are the dates that words name, or the files that they name hold.
func holidays(words []string, location *time.Location) ([]time.Time, error) {
	var out []time.Time
	for _, word := range words {
		if day, err := time.ParseInLocation(time.DateOnly, strings.TrimSpace(word), location); err == nil {
			out = append(out, day)
			continue
		}
		days, err := readHolidays(word, location)
		if err != nil {
			return nil, err
		}
		out = append(out, days...)
	}
	return out, nil
}

// readHolidays reads a date a line; what follows a comma is the day's name, and lines that begin with # are comments. A
// first line without a date heads the column.
func readHolidays(path string, location *time.Location) ([]time.Time, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--holidays %s: is neither a date like 2026-12-25 nor a file: %w", path, err)
	}
	defer file.Close()
	var out []time.Time
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		word, _, _ := strings.Cut(lines.Text(), ",")
		word = strings.TrimSpace(word)
		day, err := time.ParseInLocation(time.DateOnly, word, location)
		switch {
		case err == nil:
			out = append(out, day)
		case word != "" && word[0] != '#' && n > 1:
			return nil, &trace.Error{File: path, Line: n, Err: fmt.Errorf("%q is no date; write for example 2026-12-25", word)}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &trace.Error{File: path, Err: err}
	}
	return out, nil
}
