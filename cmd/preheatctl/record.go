package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/pkg/trace/record"
)

// recordFlags are what the command line says.
type recordFlags struct {
	connection record.Connection

	engine, selector           string
	query, inputQuery, outputQ string
	from, to                   string
	step, window, timeout      time.Duration
	out                        string
	force                      bool
}

// newRecord returns the command that reads a live service's load out of Prometheus.
func newRecord(s streams) *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record --prometheus URL -o FILE",
		Short: "Record the load of a live service from Prometheus, to be replayed",
		Long: "Record asks a Prometheus that scrapes your engines for the rate of requests and their mean sizes, and writes a CSV\n" +
			"that replay and tune read: timestamp, rate_rps, mean_input_tokens, mean_output_tokens. What is recorded is the load\n" +
			"that was offered, as far as the engine tells: requests that got their first token, plus what the queue grew by.\n" +
			"A period without data is left empty: absent, not zero.",
		Example: "  # Two weeks of a vLLM service, per minute\n" +
			"  preheatctl record --prometheus https://prometheus.example:9090 --selector 'namespace=\"llm\"' --from 14d -o load.csv.gz\n\n" +
			"  # Any rate in requests per second, such as a gateway's\n" +
			"  preheatctl record --prometheus http://localhost:9090 --query 'sum(rate(gateway_requests_total[1m]))' -o load.csv",
		Args: cobra.NoArgs,
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), s, time.Now()) }
	return cmd
}

func (f *recordFlags) bind(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.connection.URL, "prometheus", "", "Address of Prometheus: http(s)://[USER:PASSWORD@]HOST:PORT[/PREFIX]")
	fs.StringVarP(&f.out, "output", "o", "", "File to write; gzipped where the name ends in .gz; - for standard output")
	fs.BoolVar(&f.force, "force", false, "Replace the file if there is one")
	fs.StringVar(&f.engine, "engine", "vllm", "Whose metrics to ask for: "+strings.Join(record.Engines(), ", "))
	fs.StringVar(&f.selector, "selector", "", `Label matchers of the service, as in namespace="llm",model_name="chat"`)
	fs.StringVar(&f.from, "from", "24h", "Start: a date (RFC 3339), or how long before --to: 90m, 24h, 14d")
	fs.StringVar(&f.to, "to", "now", "End: a date (RFC 3339), how long ago, or now")
	fs.DurationVar(&f.step, "step", time.Minute, "Period of the record")
	fs.DurationVar(&f.window, "window", 0, "Time that the engine's rates are taken over: four scrape intervals at least. Absent: "+
		"2m, or the step where that is longer")
	fs.StringVar(&f.query, "query", "", "PromQL for requests per second, in place of the engine's; several series are summed")
	fs.StringVar(&f.inputQuery, "input-tokens-query", "", "PromQL for the mean prompt tokens of a request")
	fs.StringVar(&f.outputQ, "output-tokens-query", "", "PromQL for the mean output tokens of a request")
	fs.StringVar(&f.connection.TokenFile, "bearer-token-file", "", "File with a bearer token")
	fs.StringVar(&f.connection.CAFile, "ca-file", "", "File with the certificates (PEM) to check the server's against")
	fs.BoolVar(&f.connection.Insecure, "insecure-skip-tls-verify", false, "Take any certificate of the server")
	fs.DurationVar(&f.timeout, "timeout", 2*time.Minute, "Longest time for one query")
}

// run records and writes.
func (f *recordFlags) run(ctx context.Context, s streams, now time.Time) error {
	o, err := f.options(now)
	if err != nil {
		return err
	}
	api, err := record.Connect(f.connection)
	if err != nil {
		return err
	}
	got, err := record.Run(ctx, api, o)
	if err != nil {
		return f.advised(err)
	}
	if err := f.write(s, got.Rates); err != nil {
		return err
	}
	for _, w := range got.Warnings {
		fmt.Fprintln(s.Err, "warning:", w)
	}
	fmt.Fprintln(s.Err, summary(f.out, got.Rates))
	return nil
}

// remedies are what to do about a Prometheus that does not answer.
var remedies = []struct {
	of   error
	text string
}{
	{record.ErrUnreachable, "check the host and the port of --prometheus, and that it runs; one inside a cluster is reached with " +
		"'kubectl port-forward -n NAMESPACE svc/PROMETHEUS 9090:9090' and --prometheus http://localhost:9090"},
	{record.ErrUntrusted, "give --ca-file the certificates that it is signed by, or --insecure-skip-tls-verify"},
	{record.ErrDenied, "give --bearer-token-file, or a user in the address: --prometheus https://USER:PASSWORD@HOST:PORT"},
	{record.ErrElsewhere, "check --prometheus: http or https, the port, and the path before /api/v1 if there is one, as in http://HOST:PORT/PREFIX"},
	{context.DeadlineExceeded, "give a longer --timeout, or ask for less with a longer --step or a later --from"},
}

// advised adds to a fault of recording what to do about it.
func (f *recordFlags) advised(err error) error {
	if errors.Is(err, record.ErrNoData) {
		return fmt.Errorf("%w; %s", err, f.noData())
	}
	for _, r := range remedies {
		if errors.Is(err, r.of) {
			return fmt.Errorf("%w; %s", err, r.text)
		}
	}
	return err
}

// noData is what to look at where there is no data.
func (f *recordFlags) noData() string {
	const scraped = "check that Prometheus scrapes the engines, and the labels"
	if f.query != "" {
		return scraped
	}
	return scraped + fmt.Sprintf("; where it scrapes less often than every %v, give --window four scrape intervals", f.rateWindow()/4)
}

// options checks the flags and reports every fault.
func (f *recordFlags) options(now time.Time) (record.Options, error) {
	var bad faults
	bad.check(f.connection.URL != "", "--prometheus is required: the address of the Prometheus that scrapes the engines")
	if f.connection.URL != "" {
		bad.add(wrapFlag("--prometheus", f.connection.Validate()))
	}
	bad.check(f.out != "", "-o is required: the file to write, - for standard output")
	bad.check(f.force || !exists(f.out), "-o %s: is there already; name another file, or give --force to replace it", f.out)
	to, err := moment(f.to, now)
	bad.add(wrapFlag("--to", err))
	from, err := moment(f.from, to)
	bad.add(wrapFlag("--from", err))
	f.checkWindow(&bad)
	queries, err := f.queries()
	bad.add(err)
	if err := bad.err(); err != nil {
		return record.Options{}, err
	}
	// Whole steps, so that records of the same service lie on the same grid.
	o := record.Options{
		Queries: queries, Step: f.step, Timeout: f.timeout,
		From: from.UTC().Truncate(max(f.step, 1)), To: to.UTC().Truncate(max(f.step, 1)),
	}
	bad.add(o.Validate())
	return o, bad.err()
}

// exists says whether a file is there that would be lost; standard output is none.
func exists(name string) bool {
	if name == "-" {
		return false
	}
	_, err := os.Stat(name)
	return err == nil
}

// usualWindow is four times the longest scrape interval that is common.
const usualWindow = 2 * time.Minute

// rateWindow is what the engine's rates are taken over.
func (f *recordFlags) rateWindow() time.Duration {
	if f.window != 0 {
		return f.window
	}
	return max(f.step, usualWindow)
}

func (f *recordFlags) checkWindow(bad *faults) {
	if f.window == 0 {
		return
	}
	bad.check(f.window >= f.step, "--window %v: must be the step, %v, at least: the load between two windows would not be seen", f.window, f.step)
	bad.check(f.query == "", "--window %v: a query has its window in itself; leave out --window or --query", f.window)
}

func wrapFlag(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// queries are the engine's, unless they were given. A query of one's own for the rate leaves out the engine's sizes, which
// may be those of other requests.
func (f *recordFlags) queries() (record.Queries, error) {
	if f.query != "" {
		if (f.inputQuery == "") != (f.outputQ == "") {
			return record.Queries{}, errors.New("--input-tokens-query and --output-tokens-query go together")
		}
		return record.Queries{Rate: f.query, Prompt: f.inputQuery, Output: f.outputQ}, nil
	}
	q, err := record.Default(f.engine, f.selector, f.rateWindow())
	if err != nil {
		return q, err
	}
	if f.inputQuery != "" {
		q.Prompt = f.inputQuery
	}
	if f.outputQ != "" {
		q.Output = f.outputQ
	}
	return q, nil
}

// moment reads a date, now, or a time before the reference.
func moment(text string, reference time.Time) (time.Time, error) {
	if text == "now" {
		return reference, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := trace.ParseLength(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q: want a date like 2026-11-01T00:00:00Z, or a time before like 90m, 24h or 14d", text)
	}
	return reference.Add(-ago), nil
}

// write puts the record in its place when it is whole.
func (f *recordFlags) write(s streams, rates trace.Rates) error {
	if f.out == "-" {
		return trace.WriteRates(s.Out, rates)
	}
	file, err := os.CreateTemp(filepath.Dir(f.out), ".record-*")
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // gone once it was renamed
	out := zipped(f.out, file)
	err = errors.Join(trace.WriteRates(out, rates), out.Close(), file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), f.out)
	}
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// zipped compresses where the name asks for it. Closing it leaves the file open.
func zipped(name string, file io.Writer) io.WriteCloser {
	if strings.HasSuffix(name, ".gz") {
		return gzip.NewWriter(file)
	}
	return plainWriter{file}
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }

// summary says what was recorded.
func summary(name string, r trace.Rates) string {
	n, sum, peak := 0, 0.0, 0.0
	for _, v := range r.PerSecond {
		if !math.IsNaN(v) {
			n++
			sum += v
			peak = max(peak, v)
		}
	}
	sizes := "no sizes: replay draws them from a mix"
	if r.Prompt != nil {
		sizes = "with mean sizes"
	}
	return fmt.Sprintf("%s: %d periods of %v from %s, %d without data; mean %.3g and peak %.3g requests/s; %s",
		name, len(r.PerSecond), r.Period, r.Start.Format(time.RFC3339), len(r.PerSecond)-n, sum/float64(n), peak, sizes)
}
