package baseline

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// rayPush is how often Ray Serve's replicas and handles push what they hold.
const rayPush = 10 * time.Second

// raySpec is an autoscaling_config (ray-project/ray@00590c4 python/ray/serve/autoscaling_policy.py).
type raySpec struct {
	target           float64
	upDelay, dnDelay time.Duration
	upFactor, factor float64
}

// rayServe is Ray Serve's policy on ongoing requests.
type rayServe struct {
	raySpec
	low, high int32
	lookBack  time.Duration
	log       gatewayLog
	streak    streak
}

// streak is since when decisions point into one direction.
type streak struct {
	sign  int
	since time.Time
}

func rayServePolicy() maker {
	return maker{
		name: "ray-serve",
		knobs: []Knob{
			number("target", 2, 0.01, 1e6, "ongoing requests per replica, queued ones included").tuned(2, 8, 16, 32, 48, 64),
			seconds("downscale-delay", 600, "time that fewer replicas must have been wanted").tuned(300, 600),
			seconds("upscale-delay", 30, "time that more replicas must have been wanted"),
			number("look-back", 30, 10, 86400, "time over which requests are averaged, in seconds"),
			number("upscaling-factor", 1, 0.01, 100, "factor on the change upwards"),
			number("downscaling-factor", 1, 0.01, 100, "factor on the change downwards"),
		},
		build: func(s Setup, v values) (Policy, error) {
			return &rayServe{
				raySpec: raySpec{
					target: v.of("target"), upDelay: v.duration("upscale-delay"), dnDelay: v.duration("downscale-delay"),
					upFactor: v.of("upscaling-factor"), factor: v.of("downscaling-factor"),
				},
				low: s.Min, high: s.Max, lookBack: v.duration("look-back"), log: gatewayLog{keep: v.duration("look-back")},
			}, nil
		},
	}
}

// Path implements Policy: what is pushed every 10 s is decided on.
func (p *rayServe) Path() Path { return Path{Interval: rayPush, Scrape: rayPush} }

// Decide implements Policy.
func (p *rayServe) Decide(o Observation) scaling.Decision {
	d := begin(&o, p.lookBack)
	p.log.add(o.Gateway)
	from, to, ok := p.log.window(p.lookBack)
	if !ok || o.Time.Sub(to.Time) > p.lookBack {
		d.missGateway()
		return d.hold(scaling.NoFreshData, "window", "nothing was pushed within %v: nothing changes", p.lookBack)
	}
	ongoing := concurrency(from, to)
	if d.Ready == 0 {
		return p.wake(d, max(ongoing, to.Queued+to.InFlight))
	}
	wanted := p.desired(float64(d.Ready), ongoing)
	d.step("policy", whole(wanted), "%.3g ongoing over %v, %g per replica: %g of %d running wanted", ongoing, p.lookBack, p.target, wanted, d.Ready)
	bounded := min(max(whole(wanted), p.low), p.high)
	n, waited := p.delayed(o.Time, o.Desired, bounded)
	reason := direction(o.Desired, n)
	switch {
	case n == bounded && bounded != whole(wanted):
		return d.bound(whole(wanted), p.low, p.high, reason)
	case n == o.Desired && bounded > o.Desired:
		reason = scaling.ScaleUpStabilized
		d.step("delay", n, "%d wanted for %v, not yet for %v", bounded, waited, p.upDelay)
	case n == o.Desired && bounded < o.Desired:
		reason = scaling.ScaleDownStabilized
		d.step("delay", n, "%d wanted for %v, not yet for %v", bounded, waited, p.dnDelay)
	}
	return d.bound(n, p.low, p.high, reason)
}

// wake decides without a running replica: one at once where there is a request, without a delay.
func (p *rayServe) wake(d *draft, ongoing float64) scaling.Decision {
	if ongoing <= 0 {
		d.step("policy", d.Current, "no replica runs and nothing is asked for")
		return d.bound(d.Current, p.low, p.high, scaling.DemandMet)
	}
	n := max(d.Current, ceil(p.upFactor))
	d.step("policy", n, "no replica runs, %.3g requests are there", ongoing)
	return d.bound(n, p.low, p.high, direction(d.Current, n))
}

// desired is the law with its scaling factors (_core_replica_queue_length_policy, _apply_scaling_factors).
func (p *raySpec) desired(running, ongoing float64) float64 {
	raw := ongoing / p.target
	factor := p.factor
	if raw > running {
		factor = p.upFactor
	}
	n := math.Ceil(running + factor*(raw-running) - 1e-9)
	if math.Ceil(raw) < running && n == running {
		n--
	}
	return max(0, n)
}

// delayed lets a change through once decisions have pointed its way for longer than the delay; the last replica goes
// only from one (_apply_delay_logic). waited is how long they have.
func (p *rayServe) delayed(now time.Time, current, wanted int32) (n int32, waited time.Duration) {
	sign, delay := 0, p.upDelay
	switch {
	case wanted > current:
		sign = 1
	case wanted < current:
		sign, delay = -1, p.dnDelay
		if current > 1 {
			wanted = max(1, wanted)
		}
	}
	if sign != p.streak.sign {
		p.streak = streak{sign, now}
	}
	if waited = now.Sub(p.streak.since); sign == 0 || waited < delay {
		return current, waited
	}
	p.streak = streak{}
	return wanted, waited
}
