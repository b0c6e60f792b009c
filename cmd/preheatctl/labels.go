package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/report"
)

// labels are what the files say of the command.
func (o *options) labels(e compare.Experiment, result compare.Outcome, command string) compare.Labels {
	facts := o.conditions(e, result)
	settings := map[string]string{}
	for _, f := range facts {
		settings[f.Name] = f.Value
	}
	return compare.Labels{
		Title: "Replay of " + e.Load.Name, Command: command, Version: version, Settings: settings, Facts: facts,
	}
}

// conditions are those of the replay, defaults included, for people to read.
func (o *options) conditions(e compare.Experiment, result compare.Outcome) []report.Fact {
	c, l := &o.cluster, &o.load
	facts := []report.Fact{
		{Name: "trace", Value: loadText(e.Load.Name, result.Facts)},
		{Name: "replica", Value: profileText(e, result) + "; " + e.Profile.Source},
		{Name: "lead time", Value: c.leadText()},
		{Name: "replicas", Value: fmt.Sprintf("%d to %d, %d ready at the start", result.Min, result.Max, result.Initial)},
		{Name: "autoscaler", Value: orElse(o.target.autoscaler, "the defaults of an InferenceAutoscaler")},
		{Name: "start", Value: e.Cluster.Start.Format(time.RFC3339)},
		{Name: "router", Value: c.router},
		{Name: "timeout", Value: limit(c.timeout)},
		{Name: "GPUs in stock", Value: limit(c.gpus)},
		{Name: "seeds", Value: strings.Trim(fmt.Sprint(e.Seeds), "[]")},
	}
	add := func(set bool, name string, value any) {
		if set {
			facts = append(facts, report.Fact{Name: name, Value: fmt.Sprint(value)})
		}
	}
	add(e.WarmUp > 0, "warm-up, not scored", e.WarmUp)
	add(l.from > 0, "from", &l.from)
	add(l.length > 0, "for", &l.length)
	add(l.rate != 1, "requests multiplied by", l.rate)
	add(l.compress > 0, "times divided by", l.compress)
	add(l.dilate > 0, "times multiplied by", l.dilate)
	add(l.offset > 0, "offset", &l.offset)
	add(l.jitter > 0, "jitter", l.jitter)
	add(l.mix != "", "token lengths", l.mix)
	add(l.process != "", "process", l.process)
	add(l.cv > 0, "CV of arrivals", l.cv)
	add(c.nodeGPUs > 0, "GPUs on nodes that exist", c.nodeGPUs)
	add(c.maxOutstanding > 0, "requests in a replica", c.maxOutstanding)
	add(c.queueLimit > 0, "requests queued", c.queueLimit)
	add(c.apiLag > 0, "API lag", c.apiLag)
	add(c.scrapeLoss > 0, "share of scrapes lost", float64(c.scrapeLoss))
	add(c.crashesPerHour > 0, "crashes per replica and hour", c.crashesPerHour)
	return append(facts, o.notes...)
}

// leadText says how long replicas take, by phase.
func (c *clusterOptions) leadText() string {
	var words []string
	for _, lead := range c.lead {
		words = append(words, lead.String())
	}
	text := fmt.Sprintf("%s (median; %.0f %% load, the rest warm-up, sigma %v)", strings.Join(words, ", "), 100*compare.LoadShare, c.jitter)
	if c.pull > 0 {
		text += fmt.Sprintf(", image %v", c.pull)
	}
	if c.node > 0 {
		text += fmt.Sprintf(", node %v", c.node)
	}
	return text
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// limit writes a bound, of which zero is none.
func limit[T comparable](v T) string {
	var zero T
	if v == zero {
		return "no limit"
	}
	return fmt.Sprint(v)
}
