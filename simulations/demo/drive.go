package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/simulations/demo/report"
)

const (
	samplePeriod = time.Second
	// plainEvery is how many samples there are to a line where the output is no terminal.
	plainEvery = 10
)

// drive sends the requests to every lane at once and returns when the last has ended, at the deadline at the latest.
func (d *demo) drive(b *background, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(b, deadline.Add(-reserve))
	defer cancel()
	d.machine = &machine{}
	d.started = time.Now()
	faults := make(chan error, len(d.lanes))
	var driving sync.WaitGroup
	for _, l := range d.lanes {
		driving.Go(func() { faults <- l.driver.Run(ctx, d.requests) })
	}
	done := make(chan struct{})
	go func() {
		driving.Wait()
		close(done)
	}()
	d.sampleUntil(ctx, done)
	<-done
	close(faults)
	for err := range faults {
		// At the deadline requests are cut and count as failed; that is part of the result.
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("send requests: %w", err)
		}
	}
	return nil
}

// sampleUntil looks at everything once a second and shows it.
func (d *demo) sampleUntil(ctx context.Context, done <-chan struct{}) {
	ticker := time.NewTicker(samplePeriod)
	defer ticker.Stop()
	for n := 0; ; n++ {
		if time.Since(d.started) <= length(d.requests)+samplePeriod {
			d.machine.look()
		}
		d.sample(ctx)
		d.show(n)
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

// sample asks the metrics API what it says of each lane now.
func (d *demo) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, samplePeriod)
	defer cancel()
	var asking sync.WaitGroup
	for _, l := range d.lanes {
		asking.Go(func() {
			waiting, err := d.metrics.object(ctx, l.policy.Name, "deployments.apps/"+workload, "inference_requests_waiting")
			l.diary.queued(waiting, err == nil)
			if l.policy.Name == report.Preheat {
				d.sampleForecast(ctx, l)
			}
		})
	}
	asking.Wait()
}

// sampleForecast notes the demand that Preheat expects, at the time for which it does.
func (d *demo) sampleForecast(ctx context.Context, l *lane) {
	const object = "inferenceautoscalers.preheat.dev/" + workload
	now := time.Now()
	value, err := d.metrics.object(ctx, l.policy.Name, object, "inference_demand_forecast_requests_per_second")
	if err != nil {
		return
	}
	lead, err := d.metrics.object(ctx, l.policy.Name, object, "inference_lead_time_seconds")
	if err != nil {
		return
	}
	l.diary.expected(value, now.Add(time.Duration(lead*float64(time.Second))))
}
