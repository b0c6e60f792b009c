package prom

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// take makes readings of what Prometheus has of a pod and stores those that are new. The error says why the newest is not
// to be had, or not to be believed.
func (r *Reader) take(m *member, a *answer, now time.Time) error {
	if a == nil || len(a.series) == 0 {
		return fmt.Errorf("it has no samples of the pod (labels %s=%q, %s=%q); see that it scrapes the pod, and that metrics.prometheus.labels names the labels that it gives to pods",
			m.Naming.Namespace, m.Pod.Namespace, m.Naming.Pod, m.Pod.Name)
	}
	all := targets(a.series)
	p, err := r.newestPage(m, all, now)
	if p == nil {
		m.state.profile = nil // another engine may have come: look again next time
		return r.blame(all, err)
	}
	for _, at := range p.target.scrapes() {
		if at > m.state.newest && at < p.at && m.Expressions == nil && !at.Time().Before(m.Since) {
			if earlier, err := exposition.Decode(p.target.page(at), "", p.profile); err == nil {
				earlier.Time = at.Time()
				r.o.Store.Put(m.Pod, earlier)
			}
		}
	}
	if err := m.express(p.reading, a.values); err != nil {
		return err
	}
	p.reading.Time = p.at.Time()
	r.o.Store.Put(m.Pod, p.reading)
	m.state.profile, m.state.target, m.state.samples, m.state.newest = p.profile, p.target.key(), p.samples, p.at
	if interval := p.target.interval(); interval > 0 {
		m.state.interval = interval
		r.o.Store.Expect(m.Pod, interval)
	}
	return stale(m, p, now)
}

// stale says that the newest samples are older than is believed, and why that may be.
func stale(m *member, p *page, now time.Time) error {
	age := now.Sub(p.at.Time())
	if m.Staleness == 0 || age <= m.Staleness {
		return nil
	}
	if failed := p.target.failed(); failed != 0 {
		return fmt.Errorf("its scrapes of the pod have failed since %s (up is 0); see its page of targets for why", p.at.Time().UTC().Format(time.TimeOnly))
	}
	return fmt.Errorf("its newest samples are %v old, above the staleness bound of %v; it scrapes every %v: raise metrics.stalenessBound to three times that, or scrape more often",
		age.Round(time.Second), m.Staleness, m.state.interval)
}

// blame says why no target of a pod could be read.
func (r *Reader) blame(all []*target, err error) error {
	for _, t := range all {
		if len(t.scrapes()) == 0 && t.failed() != 0 {
			return fmt.Errorf("its scrapes of %s fail (up is 0); see its page of targets for why", t.labels["instance"])
		}
	}
	if err == nil {
		return errors.New("no scrape of the running engine has arrived yet; it will with the next ones, else see that its clock and ours agree")
	}
	return err
}

// page is the newest scrape of a target that can be read.
type page struct {
	target  *target
	profile *exposition.Profile // nil where the spec's expressions are all that is known
	at      model.Time
	samples int
	reading *signals.Reading
}

// newestPage chooses the target whose page is the engine's: the one of the last reading while it lasts, else the one
// whose profile is the more telling, then the newer. The error is of the last one that was none.
func (r *Reader) newestPage(m *member, all []*target, now time.Time) (best *page, err error) {
	for _, t := range all {
		p, fault := r.pageOf(m, t, now)
		if fault != nil {
			err = fault
		}
		if p != nil && (best == nil || r.better(m, p, best) < 0) {
			best = p
		}
	}
	return best, err
}

func (r *Reader) better(m *member, a, b *page) int {
	kept := func(p *page) int {
		if p.target.key() == m.state.target && (m.Staleness == 0 || b.at.Sub(a.at).Abs() < m.Staleness) {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(kept(a), kept(b)), cmp.Compare(r.rank(a), r.rank(b)), cmp.Compare(b.at, a.at), cmp.Compare(a.target.key(), b.target.key()))
}

// rank is the place of a page's profile in the order of detection.
func (r *Reader) rank(p *page) int {
	names := r.o.Profiles.Names()
	if p.profile == nil {
		return len(names)
	}
	return slices.Index(names, p.profile.Name())
}

// pageOf returns the newest scrape of a target that is an engine's, nil where there is none.
func (r *Reader) pageOf(m *member, t *target, now time.Time) (*page, error) {
	at, samples := t.newest(m, now)
	if at == 0 {
		return nil, nil //nolint:nilnil // nothing was scraped, which is no fault
	}
	p := &page{target: t, at: at, samples: samples}
	var err error
	if p.profile, err = r.profileOf(m, t, at, samples); err == nil {
		p.reading, err = exposition.Decode(t.page(at), "", p.profile)
	}
	switch {
	case err == nil:
		return p, nil
	case m.Expressions != nil:
		p.profile, p.reading = nil, &signals.Reading{}
		return p, nil
	}
	return nil, fmt.Errorf("what it scraped of %s: %w", t.labels["instance"], err)
}

// profileOf returns the profile that the spec names, that was found before, or that the page tells.
func (r *Reader) profileOf(m *member, t *target, at model.Time, samples int) (*exposition.Profile, error) {
	switch {
	case samples == 0:
		return nil, exposition.ErrNoEngine
	case m.Profile == "" && m.state.profile != nil && m.state.target == t.key():
		return m.state.profile, nil
	case m.Profile == "":
		return r.o.Profiles.Detect(t.page(at))
	}
	p, known := r.o.Profiles.Named(m.Profile)
	if !known {
		return nil, fmt.Errorf("no engine profile is named %q, known are %v; correct the engine name in the spec", m.Profile, r.o.Profiles.Names())
	}
	return p, nil
}

// newest is the time of the newest scrape that is the running engine's and has arrived as a whole, zero where there is
// none, and how many samples it has. One that has fewer than the one before may still be on its way.
func (t *target) newest(m *member, now time.Time) (model.Time, int) {
	before := 0
	if t.key() == m.state.target {
		before = m.state.samples
	}
	all := t.scrapes()
	for i := len(all) - 1; i >= 0 && !all[i].Time().Before(m.Since); i-- {
		samples, least := t.samples(all[i]), before
		if i > 0 {
			least = t.samples(all[i-1])
		}
		if samples >= least || now.Sub(all[i].Time()) >= settled {
			return all[i], samples
		}
	}
	return 0, 0
}

// interval is the shortest time between two scrapes, zero where there were not two. One that failed counts where up tells of it.
func (t *target) interval() time.Duration {
	var shortest time.Duration
	all := t.scrapes()
	if len(t.up) > 0 {
		all = all[:0]
		for _, v := range t.up {
			all = append(all, v.Timestamp)
		}
	}
	for i := 1; i < len(all); i++ {
		if d := all[i].Sub(all[i-1]); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return shortest
}

// express puts the values of the spec's expressions in the place of the page's.
func (m *member) express(into *signals.Reading, values map[signals.Metric]float64) error {
	if m.Expressions == nil {
		return nil
	}
	for metric, expression := range m.Expressions.Of {
		v, ok := values[metric]
		if !ok || !signals.Valid(v) {
			return fmt.Errorf("%s by spec.metrics.prometheus.expressions has no usable value for the pod: %s must give one with the label %s", metric, expression, m.Naming.Pod)
		}
		into.Set(metric, v)
	}
	return nil
}
