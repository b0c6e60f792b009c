package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

// forecastOptions are what the flags of forecast say.
type forecastOptions struct {
	named     []string // by --series
	files     []string // those, and those without a flag
	step      time.Duration
	of        string
	origins   string
	every     span
	horizons  list[time.Duration]
	quantiles list[float64]
	statistic string
	zone      string
	holidays  []string
	workers   int
	out       outputOptions
	given     func(flag string) bool
}

// ownOrigins is how many origins a series has where nobody says which.
const ownOrigins = 1000

func newForecast(s streams) *cobra.Command {
	o := &forecastOptions{
		horizons:  durationList(time.Minute, 5*time.Minute, 10*time.Minute, 30*time.Minute),
		quantiles: numberList(0.5, 0.9, 0.95, 0.99), statistic: string(forecast.Value), zone: "UTC", of: string(series.Requests), workers: runtime.GOMAXPROCS(0),
		out: outputOptions{format: "table", formats: []string{"table", "json", "yaml", "csv"}},
	}
	cmd := &cobra.Command{
		Use:   "forecast --series FILE…",
		Short: "Forecast recorded demand as Preheat would have, and score it beside doing nothing clever",
		Long: "Feed a recorded series to Preheat's forecaster row by row, ask it at many instants what comes, and hold the answers\n" +
			"against what came: how much it loses beside the last value and other simple rules with quantiles calibrated in the\n" +
			"same way, and how often each quantile held.\n\n" +
			"A row's time is the start of its interval. An origin is the end of a row; the forecast for a horizon is of the row that\n" +
			"ends that much later, and rests on rows that end at or before the origin alone. An origin within a row counts as the\n" +
			"end of the row before, from which its horizons count too. Where rows are unknown, the forecast is made from those before.",
		Example: "  # How good is it on your own demand?\n" +
			"  preheatctl forecast --series demand.csv --out forecast\n\n" +
			"  # A trace of requests, a forecast every ten minutes, of the largest minute until then\n" +
			"  preheatctl forecast --series requests.csv.gz --every 10m --statistic max\n\n" +
			"  # Forecasts at instants of your own choice, for your own score\n" +
			"  preheatctl forecast --series a.csv --series b.csv.gz --origins origins.csv --horizons 60s,300s -o csv",
		Args: cobra.ArbitraryArgs, // further files, as a shell makes them of *.csv
	}
	attach(cmd, []group{{"The series", o.seriesFlags()}, {"What is forecast", o.askFlags()}, {"Output", o.outFlags()}})
	completeWith(cmd, "output", o.out.formats)
	completeWith(cmd, "of", quantities())
	completeWith(cmd, "statistic", []string{string(forecast.Value), string(forecast.Maximum)})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.files, o.given = slices.Concat(o.named, args), cmd.Flags().Changed
		if err := o.validate(); err != nil {
			return err
		}
		return o.run(cmd.Context(), s, forecastLine(cmd, args))
	}
	return cmd
}

// quantities are what may be forecast of a trace.
func quantities() []string {
	var words []string
	for _, q := range series.Quantities() {
		words = append(words, string(q))
	}
	return words
}

// forecastLine is the command that makes the same results again, files without their flag among it.
func forecastLine(cmd *cobra.Command, args []string) string {
	words := []string{commandLine(cmd)}
	for _, a := range args {
		words = append(words, quoted(a))
	}
	return strings.Join(words, " ")
}

func (o *forecastOptions) seriesFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("series", pflag.ContinueOnError)
	fs.StringSliceVar(&o.named, "series", nil, "`Files` to forecast, gzipped or not: CSV of timestamp_unix,value, or any trace that replay reads, as requests per second (see --of). "+
		"May be repeated; further files may follow without the flag")
	fs.DurationVar(&o.step, "step", 0, "Length of a row, a multiple of the file's. Absent: that of the file; a minute of requests and of finer rates")
	fs.StringVar(&o.of, "of", o.of, "What of a trace is forecast, per second, a `word`: requests, prompt-tokens or generation-tokens, counted when their request arrives")
	fs.StringVar(&o.zone, "time-zone", o.zone, "Time `zone` by which days and weeks go, as Europe/Berlin")
	fs.StringSliceVar(&o.holidays, "holidays", nil, "`Dates` on which demand is as on a day off, as 2026-12-25, or files with one a line")
	return fs
}

func (o *forecastOptions) askFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("ask", pflag.ContinueOnError)
	fs.StringVar(&o.origins, "origins", "", "`File` with the instants to forecast at: CSV of series,origin_unix, where series is a file's name without its extensions")
	fs.Var(&o.every, "every", fmt.Sprintf("Forecast each time this much has passed, over the whole series. Absent: at about %d instants in its second half", ownOrigins))
	fs.Var(&o.horizons, "horizons", "How far ahead; of these a series has the whole multiples of its step")
	fs.Var(&o.quantiles, "quantiles", "Quantiles of the demand to come, each above 0 and below 1")
	fs.StringVar(&o.statistic, "statistic", o.statistic, "What is forecast, a `word`: value, of the row at the horizon; max, of the rows until then")
	return fs
}

func (o *forecastOptions) outFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("out", pflag.ContinueOnError)
	fs.StringVarP(&o.out.format, "output", "o", o.out.format, "Output as a `format`: "+strings.Join(o.out.formats, ", ")+
		"; csv has the forecasts, the others the scores")
	fs.StringVar(&o.out.dir, "out", "", "Write "+strings.Join(forecastFiles, ", ")+" into this `directory`")
	fs.BoolVar(&o.out.force, "force", false, "Write into --out even where it holds files that no forecast wrote")
	fs.IntVar(&o.workers, "workers", o.workers, "Passes over a series at once, at most; results do not depend on it")
	return fs
}

// validate reports every fault of the flags at once, and puts horizons and quantiles in order.
func (o *forecastOptions) validate() error {
	var f faults
	f.check(len(o.files) > 0, "--series: name one or more files, CSV of timestamp_unix,value or traces")
	o.validateNames(&f)
	f.check(o.step >= 0 && (o.step > 0 || !o.given("step")), "--step %v: must be above 0s; leave it out for the file's own", o.step)
	f.check(o.origins == "" || !o.given("every"), "--origins and --every both say when: give one of them")
	f.check(o.every > 0 || !o.given("every"), "--every %v: must be above 0s", &o.every)
	o.horizons.tidy()
	o.quantiles.tidy()
	f.check(len(o.horizons.values) > 0, "--horizons: give one or more, as 60s,300s,600s,1800s")
	for _, h := range o.horizons.values {
		f.check(h > 0 && h <= 7*24*time.Hour, "--horizons %v: must be above 0s and at most a week", h)
	}
	f.check(len(o.quantiles.values) > 0, "--quantiles: give one or more, as 0.5,0.9,0.99")
	for _, q := range o.quantiles.values {
		f.check(q > 0 && q < 1, "--quantiles %v: must be above 0 and below 1", q)
	}
	f.check(o.statistic == string(forecast.Value) || o.statistic == string(forecast.Maximum), "--statistic %q: must be value or max", o.statistic)
	f.check(slices.Contains(quantities(), o.of), "--of %q: must be %s", o.of, strings.Join(quantities(), ", "))
	if _, err := time.LoadLocation(o.zone); err != nil || o.zone == "Local" {
		f.check(false, "--time-zone %q: is no time zone; write for example Europe/Berlin or UTC", o.zone)
	}
	f.check(o.workers >= 1 && o.workers <= 1024, "--workers %d: must be from 1 to 1024", o.workers)
	o.validateOut(&f)
	return f.err()
}

// validateOut checks where the results go.
func (o *forecastOptions) validateOut(f *faults) {
	f.check(slices.Contains(o.out.formats, o.out.format), "--output %s: known are %s", o.out.format, strings.Join(o.out.formats, ", "))
	f.check(o.out.dir != "" || !o.out.force, "--force: nothing is written; give --out, the directory")
	if info, err := os.Stat(o.out.dir); o.out.dir != "" && err == nil {
		f.check(info.IsDir(), "--out %s: is a file; name a directory", o.out.dir)
	}
	for _, end := range []string{".csv", ".csv.gz", ".html", ".json"} {
		f.check(!strings.HasSuffix(o.out.dir, end), "--out %s: a directory is wanted; for one file take the standard output, as in -o csv > FILE", o.out.dir)
	}
}

// validateNames refuses two files of one name, between which a list of origins could not tell.
func (o *forecastOptions) validateNames(f *faults) {
	of := map[string]string{}
	for _, file := range o.files {
		name := series.NameOf(file)
		f.check(of[name] == "", "--series %s: its series is called %s, as that of %s; rename one of the files", file, name, of[name])
		of[name] = file
	}
}

// run is the command once its flags are known to be good.
func (o *forecastOptions) run(ctx context.Context, s streams, command string) error {
	calendar, err := o.calendar()
	if err != nil {
		return err
	}
	targets, err := o.open(s, calendar)
	if err != nil {
		return err
	}
	asked, err := o.ask(s, targets)
	if err != nil {
		return err
	}
	dir, err := openForecastOutput(o.out)
	if err != nil {
		return err
	}
	if err := o.pass(ctx, s, targets); err != nil {
		return err
	}
	noteUnanswered(s.Err, targets, asked)
	r := forecastResult{targets: targets, asked: asked, options: o, command: command}
	if o.scored() {
		r.judge()
	}
	unwritten := dir.write(&r)
	unprinted := r.print(s)
	if err := errors.Join(unwritten, unprinted); err != nil {
		return err
	}
	dir.tell(o.out.notes(s))
	return nil
}

// scored says whether scores are wanted, for which the baselines are run too.
func (o *forecastOptions) scored() bool { return o.out.format != "csv" || o.out.dir != "" }

// calendar is the local time of the series.
func (o *forecastOptions) calendar() (forecast.Calendar, error) {
	location, err := time.LoadLocation(o.zone)
	if err != nil {
		return forecast.Calendar{}, fmt.Errorf("--time-zone: %w", err)
	}
	days, err := holidays(o.holidays, location)
	return forecast.Calendar{Location: location, Holidays: days}, err
}

// open reads the series and says what is to be known of them. It reports the faults of all files at once.
func (o *forecastOptions) open(s streams, c forecast.Calendar) ([]*forecastTarget, error) {
	var errs []error
	out := make([]*forecastTarget, len(o.files))
	for i, file := range o.files {
		got, err := series.Open(file, series.Options{Step: o.step, Of: series.Quantity(o.of)})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, note := range got.Notes {
			noteOf(s.Err, got.Name, note)
		}
		out[i] = newForecastTarget(file, got, o, c)
		out[i].noteHorizons(s.Err)
	}
	return out, errors.Join(errs...)
}

// noteOf writes what is to be known of one series.
func noteOf(out io.Writer, name, text string) { fmt.Fprintf(out, "Note: %s: %s\n", name, text) }
