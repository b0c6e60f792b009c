// Command preheat is the service: it scrapes inference engines, serves what they report as Kubernetes custom and external
// metrics, and scales InferenceAutoscalers' targets ahead of demand. It is thin: flags → options → service → run.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and the image has none

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "preheat:", err)
		os.Exit(1)
	}
}

// run is the whole program.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "activator" {
		return runActivator(ctx, args[1:])
	}
	o := newOptions()
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.printVersion {
		fmt.Println("preheat", version)
		return nil
	}
	if err := o.validate(flags.Args()); err != nil {
		return err
	}
	log, err := logger(os.Stderr, o.logLevel, o.logFormat)
	if err != nil {
		return err
	}
	klog.SetSlogLogger(log.With("component", "client")) // the one bridge: client-go and the API server library log there
	log.Info("starting", "version", version, "interval", o.interval, "scrape-interval", o.scrapeInterval, "external-metrics", o.externalMetrics)
	service, err := newService(ctx, o, log)
	if err != nil {
		return err
	}
	err = service.run(ctx)
	log.Info("stopped", "error", err)
	return err
}

// logger returns a logger of the wanted format and level.
func logger(out *os.File, atLeast, format string) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(atLeast)); err != nil {
		return nil, fmt.Errorf("--log-level: %w; write debug, info, warn or error", err)
	}
	handler := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(out, handler)), nil
	}
	return slog.New(slog.NewTextHandler(out, handler)), nil
}
