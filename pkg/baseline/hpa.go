package baseline

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// hpaSync is the controller's --horizontal-pod-autoscaler-sync-period, and the usual scrape interval of Prometheus.
// scrapeLag is how old a sample is at least when a query can return it: fetched and appended.
const (
	hpaSync   = 15 * time.Second
	scrapeLag = time.Second
)

// hpa is a HorizontalPodAutoscaler's controller for one target. What its metrics propose comes from its user: the same
// law executes what KEDA and WVA compute.
type hpa struct {
	low, high int32
	tolerance tolerance
	behavior  hpaBehavior
	memory    hpaMemory
	known     bool
}

// decide turns the proposals of the metrics into the replicas wanted, and adds its steps to the draft.
func (h *hpa) decide(d *draft, proposals []proposal) scaling.Decision {
	if !h.known {
		h.known = true
		h.memory.recommended = append(h.memory.recommended, dated{d.Time, d.Current})
	}
	switch {
	case d.Current == 0 && h.low > 0:
		return d.hold(scaling.ScaledToZeroByOther, "hpa", "0 replicas asked for by somebody else: the HPA is switched off")
	case d.Current > h.high, d.Current < h.low:
		out := d.bound(d.Current, h.low, h.high, scaling.DemandMet)
		h.memory.scaled(h.behavior, d.Time, d.Current, out.Replicas)
		return out
	}
	wanted, held, ok := h.highest(d, proposals)
	if !ok {
		return held
	}
	return h.actuate(d, wanted)
}

// highest returns the largest proposal. Where a metric is missing nothing is scaled down, and nothing at all where none
// is there; ok is false then and held is the decision.
func (h *hpa) highest(d *draft, proposals []proposal) (wanted proposal, held scaling.Decision, ok bool) {
	missing := 0
	for _, p := range proposals {
		if !p.ok {
			missing++
			continue
		}
		if !wanted.ok || p.replicas > wanted.replicas {
			wanted = p
		}
	}
	switch {
	case missing == len(proposals) && d.Ready == 0:
		return wanted, d.hold(scaling.NoReadyReplica, "hpa", "no metric could be had while no pod is ready: nothing changes"), false
	case missing == len(proposals):
		return wanted, d.hold(scaling.NoFreshData, "hpa", "no metric could be had: nothing changes"), false
	case missing > 0 && wanted.replicas < d.Current:
		return wanted, d.hold(scaling.PartialData, "hpa", "%d of %d metrics could not be had: nothing is scaled down", missing, len(proposals)), false
	}
	return wanted, held, true
}

// actuate applies stabilization, rate limits and bounds.
func (h *hpa) actuate(d *draft, p proposal) scaling.Decision {
	reason := direction(d.Current, p.replicas)
	if p.within {
		reason = scaling.WithinTolerance
	}
	d.step("hpa", p.replicas, "%d wanted of %d", p.replicas, d.Current)
	d.Needed = p.replicas
	n := h.memory.stabilized(h.behavior, d.Time, d.Current, p.replicas)
	if n != p.replicas {
		reason = scaling.ScaleDownStabilized
		if n < p.replicas {
			reason = scaling.ScaleUpStabilized
		}
		d.step("stabilization", n, "%d within the recommendations of the last %v up and %v down", n, h.behavior.up.window, h.behavior.down.window)
	}
	if up, down := h.memory.upLimit(h.behavior, d.Time, d.Current), h.memory.downLimit(h.behavior, d.Time, d.Current); n > up || n < down {
		if bounded := min(max(n, h.low), h.high); bounded > up || bounded < down {
			n, reason, d.Limited = min(max(n, down), up), scaling.RateLimited, n > up
			d.step("rate", n, "the scaling policies allow %d to %d now", down, up)
		}
	}
	out := d.bound(n, h.low, h.high, reason)
	h.memory.scaled(h.behavior, d.Time, d.Current, out.Replicas)
	return out
}
