package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/simulations/testbed"
)

// demo is one run. Its fields are set in the order in which run's verbs need them.
type demo struct {
	options Options
	console *console

	times    times
	profile  replica.Profile
	source   string // of the requests
	requests []trace.Request
	lanes    []*lane

	cluster     *testbed.Cluster
	servicePort int
	kube        kubernetes.Interface
	autoscalers *client.Client
	metrics     *metricsReader
	machine     *machine
	// started is when the first request was due; set before anyone who reads it runs.
	started time.Time
}

// run is the whole demo. Whatever happens, nothing it started is left when it returns.
func (d *demo) run(ctx context.Context) (err error) {
	if err := d.prepare(); err != nil {
		return err
	}
	background := newBackground(ctx)
	defer func() { err = errors.Join(err, d.stop(background)) }()
	deadline := d.console.began.Add(d.options.Duration + allowance)
	if err := d.setUp(background, deadline.Add(-tail-reserve-shortest)); err != nil {
		return background.cause(err)
	}
	d.fit(deadline.Add(-tail - reserve))
	if err := d.drive(background, deadline); err != nil {
		return background.cause(err)
	}
	summary, err := d.report()
	if err != nil {
		return err
	}
	if d.options.Keep {
		d.console.say("the cluster stays up until Ctrl-C: export KUBECONFIG=%s", d.cluster.Kubeconfig())
	} else if err := d.stop(background); err != nil {
		return err
	}
	d.console.print(summary + "\n")
	if !d.options.Keep {
		return nil
	}
	<-background.Done()
	if ctx.Err() != nil { // Ctrl-C is how this ends
		return nil
	}
	return context.Cause(background)
}

// prepare checks what can be checked before anything is started.
func (d *demo) prepare() error {
	var err error
	if d.profile, err = replica.ProfileNamed(d.options.Profile); err != nil {
		return err
	}
	d.times = d.options.compressed()
	if err := d.loadRequests(); err != nil {
		return err
	}
	if err := d.checkService(); err != nil {
		return err
	}
	for _, name := range d.options.Policies {
		l, err := newLane(policyNamed(name), d.profile)
		if err != nil {
			return err
		}
		d.lanes = append(d.lanes, l)
	}
	return d.makeFolder()
}

// fit cuts the requests to those that can be sent before a moment, which matters where setting up took long.
func (d *demo) fit(before time.Time) {
	left := time.Until(before)
	if length(d.requests) <= left {
		return
	}
	n := 0
	for n < len(d.requests) && d.requests[n].At <= left {
		n++
	}
	d.console.say("setting up took long: the trace is cut from %v to %v to end in time", length(d.requests).Round(time.Second), left.Round(time.Second))
	d.requests = d.requests[:n]
}

// length is the time from the start until the last request, which are in order.
func length(requests []trace.Request) time.Duration {
	if len(requests) == 0 {
		return 0
	}
	return requests[len(requests)-1].At
}

// stop ends everything and may be called again. Engines go first: without their Pods they would only complain.
func (d *demo) stop(b *background) error {
	b.stop()
	if d.cluster == nil {
		return nil
	}
	if err := d.cluster.Stop(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}
