// Command testbed starts a cluster to play with, prints how to reach it, and stops it on Ctrl-C:
//
//	simulations/cluster/build.sh controlplane
//	go run ./simulations/testbed/cmd/testbed -nodes 4 -gpus 8
//
// With -box there is a real node beside the simulated ones; this needs root. It leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

func main() {
	nodes := flag.Int("nodes", 2, "simulated GPU nodes")
	gpus := flag.Int("gpus", 8, "GPUs of each simulated node")
	box := flag.Bool("box", false, "add a real node; needs root")
	hpaSync := flag.Duration("hpa-sync", 15*time.Second, "period of the HPA controller")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	options := testbed.Options{HPASync: *hpaSync, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	start := testbed.Start
	if *box {
		start = startBox
	}
	if err := run(ctx, start, options, *nodes, *gpus); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func startBox(ctx context.Context, o testbed.Options) (*testbed.Cluster, error) {
	b, err := testbed.StartBox(ctx, testbed.BoxOptions{Options: o})
	if err != nil {
		return nil, err
	}
	return b.Cluster, nil
}

func run(ctx context.Context, start func(context.Context, testbed.Options) (*testbed.Cluster, error), o testbed.Options, nodes, gpus int) (err error) {
	c, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if _, err := c.AddGPUNodes(ctx, nodes, gpus); err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig())
	fmt.Printf("# %s; logs in %s; Ctrl-C stops the cluster\n", c.Command(ctx, filepath.Join(c.BinDir, "kubectl"), "get", "nodes"), c.LogDir)
	<-ctx.Done()
	return nil
}
