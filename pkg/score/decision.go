package score

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// object appends the members of a JSON object; what is unknown is left out.
type object struct {
	b     []byte
	first bool
}

// key begins a member.
func (o *object) key(name string) {
	if !o.first {
		o.b = append(o.b, ',')
	}
	o.first = false
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) integer(name string, n int32) {
	o.key(name)
	o.b = appendInt(o.b, int64(n))
}

func (o *object) number(name string, x float64) {
	if finite(x) {
		o.key(name)
		o.b = appendFloat(o.b, x)
	}
}

func (o *object) seconds(name string, d time.Duration) {
	o.key(name)
	o.b = appendSeconds(o.b, d)
}

// text leaves out what is empty.
func (o *object) text(name, s string) {
	if s != "" {
		o.key(name)
		o.b = appendJSON(o.b, s)
	}
}

// flag leaves out what is false.
func (o *object) flag(name string, set bool) {
	if set {
		o.key(name)
		o.b = append(o.b, "true"...)
	}
}

// open begins an object inside, shut ends it.
func (o *object) open(name string) {
	o.key(name)
	o.b, o.first = append(o.b, '{'), true
}

func (o *object) shut() { o.b, o.first = append(o.b, '}'), false }

// appendDecision appends the members of a decision after the first ones.
func appendDecision(b []byte, d *scaling.Decision, g *baseline.Gateway) []byte {
	o := &object{b: b}
	o.integer("current", d.Current)
	o.integer("replicas", d.Replicas)
	o.integer("ready", d.Ready)
	o.integer("starting", d.Starting)
	o.integer("unschedulable", d.Unschedulable)
	o.text("reason", string(d.Reason))
	if d.DemandKnown {
		o.number("demand", d.Demand)
		o.number("waiting", d.Waiting)
		o.number("running", d.Running)
	}
	o.number("queued", g.Queued)
	o.number("in_flight", g.InFlight)
	o.forecast(d.Forecast)
	o.leadTime(d.LeadTime)
	o.capacity(d.Capacity)
	if d.Needed > 0 {
		o.integer("needed", d.Needed)
	}
	o.flag("limited", d.Limited)
	o.flag("blind", d.Blind)
	o.unseen(d.Unseen)
	o.steps(d.Steps)
	return o.b
}

func (o *object) forecast(f forecast.Forecast) {
	if !f.Known() {
		return
	}
	o.open("forecast")
	o.number("point", f.Point)
	o.number("upper", f.Upper)
	o.number("quantile", f.Quantile)
	o.seconds("horizon_s", f.Horizon)
	o.text("model", f.Model)
	o.text("withdrawn", f.Withdrawn)
	o.shut()
}

func (o *object) leadTime(e leadtime.Estimate) {
	if e.P50 <= 0 && e.P90 <= 0 {
		return
	}
	o.open("lead_time")
	o.seconds("p50_s", e.P50)
	o.seconds("p90_s", e.P90)
	o.text("source", string(e.Source))
	o.integer("samples", int32(e.Samples))
	o.shut()
}

func (o *object) capacity(e capacity.Estimate) {
	if !e.Known() {
		return
	}
	o.open("capacity")
	o.number("requests_per_s", e.PerReplica)
	if e.Concurrency > 0 {
		o.number("concurrency", e.Concurrency)
	}
	o.text("source", string(e.Source))
	o.text("text", e.Text)
	o.shut()
}

func (o *object) unseen(names []string) {
	if len(names) > 0 {
		o.key("unseen")
		o.list(len(names), func(i int) string { return names[i] })
	}
}

func (o *object) steps(steps []scaling.Step) {
	if len(steps) > 0 {
		o.key("steps")
		o.list(len(steps), func(i int) string { return steps[i].String() })
	}
}

func (o *object) list(n int, at func(int) string) {
	o.b = append(o.b, '[')
	for i := range n {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendJSON(o.b, at(i))
	}
	o.b = append(o.b, ']')
}
