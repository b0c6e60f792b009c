package pools

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

var (
	poolLabels   = []string{"namespace", "pool"}
	memberLabels = []string{"namespace", "pool", "name"}

	gpus    = prometheus.NewDesc("preheat_pool_gpus", "GPUs that the members of a WarmPool share.", poolLabels, nil)
	held    = prometheus.NewDesc("preheat_pool_held_gpus", "GPUs that their replicas hold or have been asked for.", poolLabels, nil)
	missing = prometheus.NewDesc("preheat_pool_faults", "Members that take no part, see condition Ready of the WarmPool.", poolLabels, nil)
	awake   = prometheus.NewDesc("preheat_pool_member_awake_replicas", "Replicas that hold their GPUs or have been asked for.", memberLabels, nil)
	allowed = prometheus.NewDesc("preheat_pool_member_allowed_replicas", "Replicas that a member may have awake at present.", memberLabels, nil)
	wanted  = prometheus.NewDesc("preheat_pool_member_wanted_replicas", "Replicas that a member would have awake.", memberLabels, nil)
)

// Describe implements prometheus.Collector.
func (p *Pools) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gpus, held, missing, awake, allowed, wanted} {
		to <- d
	}
}

// Collect implements prometheus.Collector: who has what now. Members that nobody bounds have no allowed series.
func (p *Pools) Collect(to chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.books {
		labels, total := []string{b.pool.Namespace, b.pool.Name}, int64(0)
		gauge := func(d *prometheus.Desc, v float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
		members := b.ledger.Members()
		for i, s := range b.ledger.Shares() {
			total += members[i].GPUsHeld()
			of := append(labels[:2:2], s.Name)
			gauge(awake, float64(members[i].Busy), of...)
			_, m, terms, ok := p.find(controlloop.TargetID{Namespace: b.pool.Namespace, Name: s.Name})
			if !ok || terms.Passive {
				continue
			}
			gauge(allowed, float64(s.Awake), of...)
			gauge(wanted, float64(m.wanted), of...)
		}
		gauge(gpus, float64(b.pool.Spec.GPUs), labels...)
		gauge(held, float64(total), labels...)
		gauge(missing, float64(len(b.faults)), labels...)
	}
}
