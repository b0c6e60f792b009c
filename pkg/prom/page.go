package prom

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
)

// upName is the series that Prometheus writes for each scrape of a target: 1 where it worked, with the target's labels.
const upName = "up"

// ownLabels tell targets apart where there is no up: what Prometheus, its operator, and the replicas of both add.
var ownLabels = []model.LabelName{
	"job", "instance", "endpoint", "service", "container", "node", "cluster", "prometheus", "prometheus_replica", "replica", "tenant_id",
}

// target is one of Prometheus' targets on a pod: a port with a page, as one of several Prometheus may have scraped it.
type target struct {
	// labels are those that Prometheus added to the page's own.
	labels model.LabelSet
	// up are the scrapes, empty where that is not recorded.
	up []model.SamplePair
	// series are the samples of the page, over several scrapes.
	series []*model.SampleStream
}

// key names a target.
func (t *target) key() string { return t.labels.String() }

// targets sorts the series of one pod by the target that they were scraped from: each has all labels of its target.
func targets(of []*model.SampleStream) []*target {
	var all []*target
	for _, s := range of {
		if s.Metric[model.MetricNameLabel] == upName {
			labels := model.LabelSet(s.Metric).Clone()
			delete(labels, model.MetricNameLabel)
			all = append(all, &target{labels: labels, up: s.Values})
		}
	}
	slices.SortFunc(all, func(a, b *target) int { // the one with the most labels first
		return cmp.Or(cmp.Compare(len(b.labels), len(a.labels)), strings.Compare(a.key(), b.key()))
	})
	others := map[string]*target{}
	for _, s := range of {
		if s.Metric[model.MetricNameLabel] == upName {
			continue
		}
		i := slices.IndexFunc(all, func(t *target) bool { return t.up != nil && t.has(s.Metric) })
		if i >= 0 {
			all[i].series = append(all[i].series, s)
			continue
		}
		t := unreported(s.Metric)
		if known := others[t.key()]; known != nil {
			t = known
		} else {
			others[t.key()] = t
		}
		t.series = append(t.series, s)
	}
	for _, key := range slices.Sorted(maps.Keys(others)) {
		all = append(all, others[key])
	}
	return all
}

// has reports whether a series has all labels of the target.
func (t *target) has(series model.Metric) bool {
	for name, value := range t.labels {
		if series[name] != value {
			return false
		}
	}
	return true
}

// unreported is the target of a series where no up tells of it.
func unreported(series model.Metric) *target {
	t := &target{labels: model.LabelSet{}}
	for _, name := range ownLabels {
		if value, ok := series[name]; ok {
			t.labels[name] = value
		}
	}
	return t
}

// scrapes are the times of the scrapes that worked, in order. Where up tells of them, a sample with another time is of none:
// that stood on the page.
func (t *target) scrapes() []model.Time {
	seen := map[model.Time]bool{}
	for _, v := range t.up {
		if v.Value == 1 {
			seen[v.Timestamp] = true
		}
	}
	for _, s := range t.series {
		for _, v := range s.Values {
			if t.up == nil {
				seen[v.Timestamp] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// failed is when the newest scrape failed, zero where it did not or nothing tells.
func (t *target) failed() model.Time {
	if n := len(t.up); n > 0 && t.up[n-1].Value != 1 {
		return t.up[n-1].Timestamp
	}
	return 0
}

// sampleAt returns what a scrape brought of a series, false where it was not on the page.
func sampleAt(s *model.SampleStream, at model.Time) (model.SampleValue, bool) {
	i, found := slices.BinarySearchFunc(s.Values, at, func(v model.SamplePair, at model.Time) int { return cmp.Compare(v.Timestamp, at) })
	if !found {
		return 0, false
	}
	return s.Values[i].Value, true
}

// samples returns how many samples one scrape brought.
func (t *target) samples(at model.Time) (n int) {
	for _, s := range t.series {
		if _, found := sampleAt(s, at); found {
			n++
		}
	}
	return n
}

// page writes what one scrape brought in the text format, without the labels that Prometheus added.
func (t *target) page(at model.Time) []byte {
	var b strings.Builder
	for _, s := range t.series {
		v, found := sampleAt(s, at)
		if !found {
			continue
		}
		b.WriteString(string(s.Metric[model.MetricNameLabel]))
		t.writeLabels(&b, s.Metric)
		b.WriteByte(' ')
		b.WriteString(v.String())
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// writeLabels writes a series' labels as they stood on the page: a label that gave way to the target's has a prefix now.
func (t *target) writeLabels(b *strings.Builder, series model.Metric) {
	separator := byte('{')
	for name, value := range series { // readers do not mind the order
		if name == model.MetricNameLabel || value != "" && t.labels[name] == value {
			continue
		}
		if bare, ok := strings.CutPrefix(string(name), "exported_"); ok && t.labels[model.LabelName(bare)] != "" {
			name = model.LabelName(bare)
		}
		b.WriteByte(separator)
		b.WriteString(string(name) + `="` + escape.Replace(string(value)) + `"`)
		separator = ','
	}
	if separator == ',' {
		b.WriteByte('}')
	}
}

// escape is as the text format has it.
var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
