// Command loadgen sends a trace to inference servers in real time and prints
// what the requests got, as JSON.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/loadgen"
)

type flags struct {
	file       string
	shape      trace.Options
	endpoints  string
	kubeconfig string
	pods       loadgen.Pods
	model      string
	timeout    time.Duration
	slo        loadgen.SLO
	records    string
}

func parse() flags {
	var f flags
	flag.StringVar(&f.file, "trace", "", "request trace to send (default: a generated chat workload)")
	flag.DurationVar(&f.shape.From, "from", 0, "start of the window of the trace")
	flag.DurationVar(&f.shape.For, "for", 0, "length of the window of the trace (default: to its end)")
	flag.Float64Var(&f.shape.Rate, "rate", 1, "factor on the number of requests")
	flag.Float64Var(&f.shape.Compress, "compress", 1, "factor by which time is compressed")
	flag.Int64Var(&f.shape.Seed, "seed", 1, "decides which requests are left out or repeated")
	flag.StringVar(&f.endpoints, "endpoints", "", "comma-separated host:port to send to")
	flag.StringVar(&f.kubeconfig, "kubeconfig", "", "send to the ready pods of this cluster instead")
	flag.StringVar(&f.pods.Namespace, "namespace", "default", "with -kubeconfig")
	flag.StringVar(&f.pods.Selector, "selector", "", "labels of the pods, with -kubeconfig")
	flag.IntVar(&f.pods.Port, "port", 8000, "of the pods, with -kubeconfig")
	flag.StringVar(&f.model, "model", "meta-llama/Llama-3.1-8B-Instruct", "model to ask for")
	flag.DurationVar(&f.timeout, "timeout", 2*time.Minute, "of one request")
	flag.DurationVar(&f.slo.TTFT, "slo-ttft", 2*time.Second, "time to the first token that counts as attained")
	flag.DurationVar(&f.slo.TPOT, "slo-tpot", 100*time.Millisecond, "time per further token that counts as attained")
	flag.StringVar(&f.records, "records", "", "file to write one JSON line per request to")
	flag.Parse()
	return f
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		slog.Error("loadgen failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	requests, err := load(f)
	if err != nil {
		return err
	}
	router := loadgen.NewRouter()
	if err := connect(ctx, f, router); err != nil {
		return err
	}
	driver, err := loadgen.New(loadgen.Options{Router: router, Model: f.model, Timeout: f.timeout})
	if err != nil {
		return err
	}
	slog.Info("sending", "requests", len(requests))
	broken := driver.Run(ctx, requests)
	records := driver.Records()
	summary, err := loadgen.Summarize(records, f.slo)
	if err != nil {
		return errors.Join(broken, err)
	}
	return errors.Join(broken, printSummary(summary), writeRecords(f.records, records))
}

func load(f flags) ([]trace.Request, error) {
	requests, err := trace.DefaultChat().Generate()
	if f.file != "" {
		requests, err = trace.ReadFile(f.file)
	}
	if err != nil {
		return nil, err
	}
	return trace.Apply(requests, f.shape)
}

// connect tells the router where to send.
func connect(ctx context.Context, f flags, router *loadgen.Router) error {
	if (f.endpoints == "") == (f.kubeconfig == "") {
		return errors.New("give either -endpoints or -kubeconfig")
	}
	if f.endpoints != "" {
		router.SetEndpoints(strings.Split(f.endpoints, ","))
		return nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	go func() {
		if err := loadgen.Follow(ctx, client, f.pods, router); err != nil {
			slog.Error("endpoints no longer followed", "error", err)
		}
	}()
	return nil
}

// outcome is a summary with its times in seconds.
type outcome struct {
	Requests   int     `json:"requests"`
	Errors     int     `json:"errors"`
	Attainment float64 `json:"attainment"`
	P50TTFT    float64 `json:"p50_ttft_s"`
	P90TTFT    float64 `json:"p90_ttft_s"`
	P99TTFT    float64 `json:"p99_ttft_s"`
}

func printSummary(s loadgen.Summary) error {
	out, err := json.MarshalIndent(outcome{
		s.Requests, s.Errors, s.Attainment, s.TTFTP50.Seconds(), s.TTFTP90.Seconds(), s.TTFTP99.Seconds(),
	}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(out))
	return err
}

// line is a record with its times in seconds.
type line struct {
	Arrival  float64 `json:"arrival_s"`
	Prompt   int     `json:"prompt_tokens"`
	Output   int     `json:"output_tokens"`
	TTFT     float64 `json:"ttft_s"`
	TPOT     float64 `json:"tpot_s"`
	E2E      float64 `json:"e2e_s"`
	Endpoint string  `json:"endpoint"`
	Attempts int     `json:"attempts"`
	Err      string  `json:"error,omitempty"`
}

func writeRecords(path string, records []loadgen.Record) (err error) {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, file.Close()) }()
	encoder := json.NewEncoder(file)
	for _, r := range records {
		err := encoder.Encode(line{
			r.Arrival.Seconds(), r.PromptTokens, r.Received, r.TTFT.Seconds(), r.TPOT.Seconds(), r.E2E.Seconds(), r.Endpoint, r.Attempts, r.Err,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
