package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/simulations/demo/ledger"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

const (
	// controllerQPS keeps Kubernetes' own controllers from being what a compressed run waits for.
	controllerQPS = 100
	gpusPerNode   = 8
	// podRate is the request rate of the emulated kubelets, in requests per second.
	podRate = 100
	// pollPeriod is the time between two looks while something is awaited.
	pollPeriod = 250 * time.Millisecond
)

// setUp brings everything up to the moment before the first request, or fails at the deadline.
func (d *demo) setUp(b *background, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(b, deadline)
	defer cancel()
	d.console.say("%s: %d requests in %v for each of %s", d.source, len(d.requests), length(d.requests).Round(time.Second), strings.Join(d.options.Policies, ", "))
	for _, step := range []struct {
		name string
		do   func(context.Context, *background) error
	}{
		{"start the control plane", d.startCluster},
		{"add GPU nodes", d.addNodes},
		{"define InferenceAutoscaler and the service's rights", d.installAPI},
		{"start the emulated engines", d.startEngines},
		{"create the Deployments", d.createWorkloads},
		{"start Preheat and register its APIs", d.startService},
		{"wait for the replicas to load", d.awaitReplicas},
		{"wait for their metrics in the metrics API", d.awaitMetrics},
		{"create the HPAs", d.createHPAs},
	} {
		if err := d.console.during(step.name, func() error { return step.do(ctx, b) }); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (d *demo) startCluster(ctx context.Context, b *background) error {
	cluster, err := testbed.Start(ctx, testbed.Options{
		HPASync: d.times.HPASync, HPADownscaleStabilization: d.times.Stabilization, ControllerQPS: controllerQPS, LogDir: d.logDir(),
		// Simulated nodes send no heartbeats; nobody is to take them for lost.
		ControllerManagerArgs: []string{"--node-monitor-grace-period=24h"},
	})
	if err != nil {
		return err
	}
	d.cluster = cluster
	for _, name := range []string{testbed.Etcd, testbed.APIServer, testbed.ControllerManager, testbed.Scheduler, testbed.Kwok} {
		b.start(d.guard(name))
	}
	if d.kube, err = kubernetes.NewForConfig(cluster.Config()); err != nil {
		return err
	}
	if d.autoscalers, err = client.New(cluster.Config()); err != nil {
		return err
	}
	d.metrics = newMetricsReader(d.kube)
	return nil
}

// addNodes makes room for every policy at its maximum, with draining replicas beside: GPUs are not what is short here.
func (d *demo) addNodes(ctx context.Context, _ *background) error {
	perNode := gpusPerNode / min(gpusPerNode, d.profile.GPUs)
	replicas := len(d.lanes) * (d.options.Max + d.options.Max/2)
	_, err := d.cluster.AddGPUNodes(ctx, (replicas+perNode-1)/perNode, max(gpusPerNode, d.profile.GPUs))
	return err
}

// installAPI applies what a user would, but for what makes the service run in the cluster.
func (d *demo) installAPI(ctx context.Context, _ *background) error {
	if err := d.cluster.Apply(ctx, crds.All()); err != nil {
		return err
	}
	if err := d.registerService(ctx); err != nil {
		return err
	}
	rights, err := os.ReadFile(filepath.Join(root(), "deploy", "base", "rbac.yaml"))
	if err != nil {
		return fmt.Errorf("read the service's rights: %w", err)
	}
	return d.cluster.Apply(ctx, rights)
}

func (d *demo) startEngines(_ context.Context, b *background) error {
	config := d.cluster.Config()
	config.QPS, config.Burst = podRate, 2*podRate
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.logDir(), "engines.log"))
	if err != nil {
		return fmt.Errorf("make log of the engines: %w", err)
	}
	fleet, err := emulator.NewFleet(emulator.FleetOptions{
		Client: kube, Engine: emulator.Options{Profile: d.profile}, LoadTime: d.times.LoadTime, LoadJitter: loadJitter,
		Seed: d.options.Seed, Port: enginePort, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		return err
	}
	b.start(func(ctx context.Context) error {
		return errors.Join(fleet.Run(ctx), log.Close())
	})
	return nil
}

// createWorkloads makes the Deployments and their InferenceAutoscalers, watched from the first moment.
func (d *demo) createWorkloads(ctx context.Context, b *background) error {
	if err := d.watch(ctx, b); err != nil {
		return err
	}
	for _, l := range d.lanes {
		for _, file := range []string{"deployment.yaml.tmpl", "autoscaler.yaml.tmpl"} {
			if err := d.apply(ctx, file, l.policy); err != nil {
				return err
			}
		}
	}
	return nil
}

// createHPAs comes last: an HPA that sees no load would start to scale down at once.
func (d *demo) createHPAs(ctx context.Context, _ *background) error {
	for _, l := range d.lanes {
		if l.policy.Metric == "" {
			continue
		}
		if err := d.apply(ctx, "hpa.yaml.tmpl", l.policy); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) apply(ctx context.Context, file string, p policy) error {
	manifest, err := d.render(file, p)
	if err != nil {
		return err
	}
	return d.cluster.Apply(ctx, manifest)
}

func (d *demo) awaitReplicas(ctx context.Context, _ *background) error {
	return await(ctx, func(context.Context) error {
		for _, l := range d.lanes {
			if ready := l.books.Count(ledger.Serving); ready < d.options.Initial || l.router.Stats().Endpoints < d.options.Initial {
				return fmt.Errorf("%d of %d replicas of %s are ready", ready, d.options.Initial, l.policy.Name)
			}
		}
		return nil
	})
}

// awaitMetrics waits until an HPA would see each replica, and until Preheat has decided for each target.
func (d *demo) awaitMetrics(ctx context.Context, _ *background) error {
	return await(ctx, func(ctx context.Context) error {
		for _, l := range d.lanes {
			for _, metric := range []string{"inference_requests_waiting", "inference_requests_running"} {
				if err := d.served(ctx, l, metric); err != nil {
					return err
				}
			}
			if l.diary.glance().reason == "" {
				return fmt.Errorf("nothing is decided about %s yet", l.policy.Name)
			}
		}
		return nil
	})
}

// served complains where the metrics API has no value of a metric for each of a lane's pods.
func (d *demo) served(ctx context.Context, l *lane, metric string) error {
	n, err := d.metrics.pods(ctx, l.policy.Name, metric)
	if err == nil && n < d.options.Initial {
		err = fmt.Errorf("the metrics API has %s for %d of %d pods of %s", metric, n, d.options.Initial, l.policy.Name)
	}
	return err
}

// await looks until there is nothing to complain about, and returns the last complaint at the end of ctx.
func await(ctx context.Context, check func(context.Context) error) error {
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
