package score

import (
	"math"
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
	o.tokens(d.Tokens)
	o.leadTime(d.LeadTime)
	o.capacity(d.Capacity)
	o.breakEven(&d.BreakEven)
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
	o.skill(f)
	o.weights(f.Weights)
	o.shut()
}

// skill says how the forecasts have done; nothing while too few have come due.
func (o *object) skill(f forecast.Forecast) {
	k := f.Skill
	if k.Due > 0 {
		o.integer("due", int32(min(k.Due, math.MaxInt32)))
	}
	if !k.Known {
		return
	}
	o.number("skill_hours", k.Hours)
	o.number("skill_days", k.Days)
	if k.Seasonal != 0 {
		o.number("skill_seasonal", k.Seasonal)
	}
	o.number("coverage", f.Coverage())
	o.number("bias", k.Bias)
}

// maxWeights is how many experts of a mixture are named.
const maxWeights = 3

// weights names the largest shares, as an object whose keys are in their order.
func (o *object) weights(weights []forecast.Weight) {
	if len(weights) == 0 {
		return
	}
	o.open("weights")
	for _, w := range weights[:min(len(weights), maxWeights)] {
		o.number(w.Expert, math.Round(1000*w.Share)/1000)
	}
	o.shut()
}

// tokens are the rates and forecasts of the kinds that are known.
func (o *object) tokens(t scaling.Tokens) {
	for _, k := range []struct {
		name string
		of   scaling.TokenDemand
	}{{"prompt_tokens", t.Prompt}, {"generation_tokens", t.Generation}} {
		if !k.of.Known {
			continue
		}
		o.open(k.name)
		o.number("per_s", k.of.PerSecond)
		if f := k.of.Forecast; f.Known() {
			o.number("point", f.Point)
			o.number("upper", f.Upper)
		}
		o.shut()
	}
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

func (o *object) breakEven(b *scaling.BreakEven) {
	if !b.Weighed() {
		return
	}
	o.open("break_even")
	o.seconds("quiet_s", b.Quiet)
	o.seconds("expected_s", b.Expected)
	o.seconds("load_s", b.Load)
	o.seconds("wait_s", b.Wait)
	if b.Late > 0 {
		o.number("late", b.Late)
		o.number("spare", b.Spare)
	}
	o.flag("pays", b.Pays)
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
