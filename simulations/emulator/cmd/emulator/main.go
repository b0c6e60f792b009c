// Command emulator plays vLLM: one replica on an address, or every emulated Pod
// of a cluster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
)

type flags struct {
	profile, model         string
	streamInterval         int
	loadTime               time.Duration
	listen                 string
	grace                  time.Duration
	kubeconfig, namespace  string
	admin                  string
	seed                   int64
	jitter                 float64
	maxSeqs, batchedTokens int
	sleepMode              bool
	sleepTimes             emulator.SleepTimes
	ledger                 string
	numberTokens           bool
}

func parse() flags {
	var f flags
	flag.StringVar(&f.profile, "profile", "llama-3.1-8b-h100", "serving profile: "+strings.Join(replica.ProfileNames(), ", "))
	flag.StringVar(&f.model, "model", "", "served model name (default: the profile's)")
	flag.IntVar(&f.streamInterval, "stream-interval", emulator.DefaultStreamInterval, "tokens per streamed chunk")
	flag.IntVar(&f.maxSeqs, "max-num-seqs", 0, "sequences in the batch (default: the profile's)")
	flag.IntVar(&f.batchedTokens, "max-num-batched-tokens", 0, "tokens per step (default: the profile's)")
	flag.DurationVar(&f.loadTime, "load-time", 30*time.Second, "time to load the model; for pods the median where no annotation says otherwise")
	flag.StringVar(&f.listen, "listen", "", "serve one replica on this address, for example :8000")
	flag.DurationVar(&f.grace, "grace", 30*time.Second, "how long running streams may go on after SIGTERM, with -listen")
	flag.StringVar(&f.kubeconfig, "kubeconfig", "", "serve every pod labelled "+emulator.EngineSelector+" of this cluster")
	flag.StringVar(&f.namespace, "namespace", "", "only pods of this namespace")
	flag.StringVar(&f.admin, "admin", "", "loopback address for fault injection, with -kubeconfig")
	flag.Int64Var(&f.seed, "seed", 1, "decides the load times, with -kubeconfig")
	flag.Float64Var(&f.jitter, "load-jitter", 0.1, "sigma of the lognormal load time, with -kubeconfig")
	flag.BoolVar(&f.sleepMode, "enable-sleep-mode", false, "have the endpoints of vLLM's sleep mode, as with VLLM_SERVER_DEV_MODE=1")
	flag.StringVar(&f.ledger, "ledger", "", "file to which the X-Request-Id of each completion is appended when it is taken")
	flag.BoolVar(&f.numberTokens, "number-tokens", false, "put its number after each token of an answer")
	times := emulator.DefaultSleepTimes
	flag.DurationVar(&f.sleepTimes.Copy, "sleep-copy-time", times.Copy, "time to copy the weights between GPU and host, either way")
	flag.DurationVar(&f.sleepTimes.Map, "sleep-map-time", times.Map, "time to free or allocate the GPU memory of one tag")
	flag.DurationVar(&f.sleepTimes.Reload, "sleep-reload-time", times.Reload, "time to read the weights from disk after level 2")
	flag.Parse()
	return f
}

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse(), log); err != nil {
		log.Error("emulator failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags, log *slog.Logger) error {
	profile, err := replica.ProfileNamed(f.profile)
	if err != nil {
		return err
	}
	profile.StreamInterval = f.streamInterval
	if f.maxSeqs > 0 {
		profile.MaxNumSeqs = f.maxSeqs
	}
	if f.batchedTokens > 0 {
		profile.MaxNumBatchedTokens = f.batchedTokens
	}
	options := emulator.Options{Profile: profile, ModelName: f.model, SleepMode: f.sleepMode, SleepTimes: f.sleepTimes, NumberTokens: f.numberTokens}
	if f.ledger != "" {
		took, err := ledger(f.ledger)
		if err != nil {
			return err
		}
		options.Took = took
	}
	switch {
	case (f.listen == "") == (f.kubeconfig == ""):
		return errors.New("give either -listen or -kubeconfig")
	case f.listen != "":
		return single(ctx, f, options, log)
	default:
		return fleet(ctx, f, options, log)
	}
}

// ledger appends lines to a file that several processes share: a short write to a file opened for appending is one piece.
func ledger(path string) (func(string), error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return func(line string) { _, _ = fmt.Fprintln(file, line) }, nil
}

// single serves one replica. After SIGTERM it refuses new work, lets running
// streams finish and keeps its metric page up meanwhile.
func single(ctx context.Context, f flags, options emulator.Options, log *slog.Logger) error {
	pod, err := emulator.New(options)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- pod.Serve(listener) }()
	loaded := time.AfterFunc(f.loadTime, func() {
		pod.MarkLoaded()
		log.Info("loaded", "profile", options.Profile.Name)
	})
	defer loaded.Stop()
	log.Info("loading", "address", listener.Addr().String(), "time", f.loadTime)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "streams", pod.Inflight())
	grace, cancel := context.WithTimeout(context.Background(), f.grace)
	defer cancel()
	return errors.Join(pod.Drain(grace), pod.Shutdown(grace))
}

func fleet(ctx context.Context, f flags, options emulator.Options, log *slog.Logger) error {
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 50, 100 // many pods may become ready at once
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	fleet, err := emulator.NewFleet(emulator.FleetOptions{
		Client: client, Namespace: f.namespace, Engine: options, Log: log,
		LoadTime: f.loadTime, LoadJitter: f.jitter, Seed: f.seed,
	})
	if err != nil {
		return err
	}
	if f.admin != "" {
		if err := serveAdmin(ctx, f.admin, fleet.Admin()); err != nil {
			return err
		}
	}
	log.Info("serving pods", "selector", emulator.EngineSelector, "namespace", f.namespace)
	return fleet.Run(ctx)
}

func serveAdmin(ctx context.Context, address string, h http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("admin address %s is not loopback", address), listener.Close())
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return nil
}
