package compare

import (
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/oracle"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// observer keeps what a run does.
type observer struct {
	replay.Sinks
	score   *score.Collector
	orders  *oracle.Orders
	picture *report.Recorder
	files   *score.RunFiles
}

func (c *comparison) observer(r *run) (*observer, error) {
	start := c.Cluster.Start
	o := &observer{
		score: score.NewCollector(score.Options{
			Policy: r.Policy, Seed: r.Seed, LeadTime: r.Lead, SLO: c.SLO, GPUs: c.Profile.GPUs, Price: c.Price, Start: start.Add(c.from), Zero: c.Min == 0,
		}),
	}
	o.Sinks = append(o.Sinks, c.counted(o.score))
	if slices.Contains(c.Policies, Oracle) && r.Policy != Oracle {
		o.orders = oracle.NewOrders("", start)
		o.Sinks = append(o.Sinks, o.orders)
	}
	if r.first {
		o.picture = report.NewRecorder(report.Options{
			Policy: r.Policy, Lead: r.Lead, Start: start, SLO: c.SLO, GPUs: c.Profile.GPUs,
			Among: len(c.Leads) * len(c.Policies),
		})
		o.Sinks = append(o.Sinks, o.picture)
	}
	if c.Sink != nil {
		if s := c.Sink(r.Key); s != nil {
			o.Sinks = append(o.Sinks, s)
		}
	}
	return o, o.write(c, r)
}

// write adds the files, where the run has any.
func (o *observer) write(c *comparison, r *run) error {
	if c.Files == nil {
		return nil
	}
	to := c.Files(r.Key)
	if to == nil {
		return nil
	}
	files, err := to.Begin(r.policy, r.Policy, "", c.Cluster.Start)
	if err != nil {
		return err
	}
	o.files = files
	o.Sinks = append(o.Sinks, files)
	return nil
}

// counted is a sink that is told of what counts.
func (c *comparison) counted(s replay.Sink) replay.Sink {
	if c.from == 0 {
		return s
	}
	return &later{Sink: s, from: c.from, start: c.Cluster.Start}
}

// finish gathers the results of a run that went through to its end.
func (o *observer) finish(r *run, total replay.Total) error {
	r.score = o.score.Score(total)
	r.score.Target = "" // there is one only
	if o.orders != nil {
		r.orders = oracle.Candidate{Name: r.Policy, Schedule: o.orders.Schedule()}
	}
	if o.picture != nil {
		picture := o.picture.Run()
		r.picture = &picture
	}
	if o.files != nil {
		if err := o.files.Finish(); err != nil {
			return err
		}
	}
	r.done = true
	return nil
}
