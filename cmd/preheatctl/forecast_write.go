package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

// The files of a forecast, the page first.
const (
	forecastsFile = "forecasts.csv"
	scoresFile    = "scores.json"
)

var forecastFiles = []string{reportFile, scoresFile, forecastsFile}

// forecastResult is all that came out.
type forecastResult struct {
	targets []*forecastTarget
	asked   []asking
	options *forecastOptions
	command string
}

// judge sums up every series.
func (r *forecastResult) judge() {
	for _, t := range r.targets {
		t.judge()
	}
}

// print writes what was asked for to the output.
func (r *forecastResult) print(s streams) error {
	switch r.options.out.format {
	case "csv":
		return r.writeCSV(s.Out)
	case "table":
		return r.writeTable(s.Out)
	}
	return encode(s.Out, r.options.out.format, r.summary())
}

// forecastSummary is what scores.json holds.
type forecastSummary struct {
	Version   string        `json:"preheatctl"`
	Command   string        `json:"command"`
	Of        string        `json:"of,omitempty"`
	Statistic string        `json:"statistic"`
	TimeZone  string        `json:"time_zone"`
	Series    []seriesScore `json:"series"`
}

func (r *forecastResult) summary() forecastSummary {
	out := forecastSummary{Version: version, Command: r.command, Statistic: r.options.statistic, TimeZone: r.options.zone}
	if r.options.of != string(series.Requests) {
		out.Of = r.options.of
	}
	for _, t := range r.targets {
		out.Series = append(out.Series, t.judged)
	}
	return out
}

// writeCSV writes every forecast, a row a quantile, in the order in which they were asked for.
func (r *forecastResult) writeCSV(out io.Writer) error {
	buffered := bufio.NewWriter(out)
	w := csv.NewWriter(buffered)
	record := []string{"series", "origin_unix", "horizon_s", "quantile", "value"}
	_ = w.Write(record) // errors are kept until Flush
	for _, a := range r.asked {
		record[0], record[1] = a.name, a.text
		for _, row := range a.target.forecastsAt(a.at) {
			record[2] = strconv.FormatFloat(row.Horizon.Seconds(), 'f', -1, 64)
			for k, q := range a.target.spec.Quantiles {
				record[3] = strconv.FormatFloat(q, 'g', -1, 64)
				record[4] = strconv.FormatFloat(row.Values[k], 'g', -1, 64)
				_ = w.Write(record) // as above
			}
		}
	}
	w.Flush()
	if err := errors.Join(w.Error(), buffered.Flush()); err != nil {
		return fmt.Errorf("write the forecasts: %w", err)
	}
	return nil
}

// writeTable writes what was forecast, how well, and what follows.
func (r *forecastResult) writeTable(out io.Writer) error {
	var text bytes.Buffer
	for _, t := range r.targets {
		fmt.Fprintln(&text, t.described())
	}
	fmt.Fprintln(&text)
	if err := r.scoreTable(&text); err != nil {
		return err
	}
	fmt.Fprintf(&text, "\n%s\n\n", r.legend())
	for _, t := range r.targets {
		fmt.Fprintf(&text, "%s: %s\n", t.Name, t.judged.Verdict)
	}
	_, err := text.WriteTo(out)
	return err
}

// described says what a series is.
func (t *forecastTarget) described() string {
	text := fmt.Sprintf("%s: %s rows of %s from %s to %s", t.Name, thousands(int64(len(t.Values))), shortly(t.Step), t.Start.Format(time.RFC3339), t.End().Format(time.RFC3339))
	if n := t.judged.Unknown; n > 0 {
		text += fmt.Sprintf(", %s of them unknown", thousands(int64(n)))
	}
	mean := amountText(t.judged.Mean)
	if t.Unit != "value" {
		mean += " " + t.Unit
	}
	return text + fmt.Sprintf("; %s on average; forecast at %s instants", mean, thousands(int64(len(t.origins))))
}

// amountText writes three significant digits, and all of the whole part.
func amountText(x float64) string {
	if math.Abs(x) >= 100 {
		return thousands(int64(math.Round(x)))
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// scoreTable has a row a series and horizon.
func (r *forecastResult) scoreTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	longest := len("SERIES")
	for _, t := range r.targets {
		longest = max(longest, len(t.Name))
	}
	fmt.Fprintf(w, "%-*s\tHORIZON\tFORECASTS\t", longest, "SERIES")
	for _, name := range forecasters() {
		fmt.Fprintf(w, "%s\t", upper(name))
	}
	for _, q := range r.options.quantiles.values {
		fmt.Fprintf(w, "BELOW-%v\t", q)
	}
	fmt.Fprintln(w, "WITHDRAWN\t")
	for _, t := range r.targets {
		for _, h := range t.judged.Horizons {
			writeHorizon(w, fmt.Sprintf("%-*s", longest, t.Name), h, len(r.options.quantiles.values))
		}
	}
	return w.Flush()
}

func upper(name string) string { return string(bytes.ToUpper([]byte(name))) }

// writeHorizon writes a row of the table; a dash stands for what is not known.
func writeHorizon(w io.Writer, name string, h horizonScore, quantiles int) {
	fmt.Fprintf(w, "%s\t%s\t%d\t", name, shortly(h.duration()), h.Forecasts)
	for _, rival := range forecasters() {
		if x, known := h.Loss[rival]; known {
			fmt.Fprintf(w, "%s\t", factor(x))
		} else {
			fmt.Fprint(w, "-\t")
		}
	}
	for k := range quantiles {
		if h.Forecasts > 0 {
			fmt.Fprintf(w, "%.1f%%\t", 100*h.Quantiles[k].Coverage)
		} else {
			fmt.Fprint(w, "-\t")
		}
	}
	if h.Forecasts == 0 {
		fmt.Fprintln(w, "-\t")
		return
	}
	fmt.Fprintf(w, "%.0f%%\t\n", 100*float64(h.Withdrawn)/float64(h.Forecasts))
}

// legend explains the columns.
func (r *forecastResult) legend() string {
	over := "all quantiles"
	if len(tailOf(r.options.quantiles.values)) == 2 && len(r.options.quantiles.values) != 2 {
		over = "0.9 and 0.95"
	}
	names := forecasters()
	return fmt.Sprintf("%s to %s: pinball loss at %s as a multiple of the last value's, whose quantiles are calibrated in the same way; below 1 is better.\n"+
		"BELOW-q: how often demand was at most that quantile, which should be q. WITHDRAWN: forecasts in which the last value stood in.",
		upper(names[0]), upper(names[len(names)-1]), over)
}

// forecastOutput is the directory of a forecast; with an empty name nothing is written.
type forecastOutput struct{ dir string }

// openForecastOutput prepares the directory: what a forecast before left there goes.
func openForecastOutput(o outputOptions) (*forecastOutput, error) {
	if o.dir == "" {
		return &forecastOutput{}, nil
	}
	entries, err := os.ReadDir(o.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--out: %w", err)
	}
	if len(entries) > 0 && !o.force && !ofForecast(entries) {
		return nil, usageError{fmt.Errorf("--out %s: holds files and no forecast that wrote them (%s); name another directory, or give --force to replace those of the same names",
			o.dir, entries[0].Name())}
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	for _, name := range forecastFiles {
		if err := os.Remove(filepath.Join(o.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--out: %w", err)
		}
	}
	return &forecastOutput{o.dir}, nil
}

// ofForecast says whether a forecast wrote into a directory.
func ofForecast(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == forecastsFile }) &&
		slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == scoresFile })
}

// write makes the files.
func (d *forecastOutput) write(r *forecastResult) error {
	if d.dir == "" {
		return nil
	}
	files := output{dir: d.dir}
	return errors.Join(
		files.write(forecastsFile, r.writeCSV),
		files.write(scoresFile, func(w io.Writer) error { return encode(w, "json", r.summary()) }),
		files.write(reportFile, r.writePage),
	)
}

// tell names the files.
func (d *forecastOutput) tell(out io.Writer) {
	if d.dir == "" {
		return
	}
	fmt.Fprintln(out)
	for _, name := range forecastFiles {
		fmt.Fprintln(out, filepath.Join(d.dir, name))
	}
}
