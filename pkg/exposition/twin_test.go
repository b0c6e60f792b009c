package exposition

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// The twin decodes slowly and simply: the reference parser into a flat list of samples with their labels in maps, then
// the profile as it is written, step by step. It is for pages without duplicate samples.
type twin struct {
	spec    *profileSpec
	samples map[string][]twinSample
}

type twinSample struct {
	labels map[string]string
	value  float64
}

func newTwin(t testing.TB, page string, p *Profile) *twin {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatalf("reference parser: %v", err)
	}
	tw := &twin{spec: &p.spec, samples: map[string][]twinSample{}}
	for name, family := range families {
		for _, m := range family.Metric {
			tw.flatten(name, m)
		}
	}
	return tw
}

func (tw *twin) put(name string, labels map[string]string, value float64) {
	tw.samples[name] = append(tw.samples[name], twinSample{labels, value})
}

func (tw *twin) flatten(name string, m *dto.Metric) {
	labels := map[string]string{}
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	switch {
	case m.Gauge != nil:
		tw.put(name, labels, m.Gauge.GetValue())
	case m.Counter != nil:
		tw.put(name, labels, m.Counter.GetValue())
	case m.Untyped != nil:
		tw.put(name, labels, m.Untyped.GetValue())
	case m.Histogram != nil:
		for _, b := range m.Histogram.Bucket {
			withLE := maps.Clone(labels)
			withLE["le"] = strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
			tw.put(name+"_bucket", withLE, float64(b.GetCumulativeCount()))
		}
		tw.put(name+"_count", labels, float64(m.Histogram.GetSampleCount()))
		tw.put(name+"_sum", labels, m.Histogram.GetSampleSum())
	}
}

func (tw *twin) scalar(m signals.Metric) (float64, bool) {
	for _, c := range tw.spec.Metrics[m.String()] {
		v, onPage := tw.candidate(c)
		if !onPage {
			continue
		}
		known := signals.Valid(v)
		if strings.HasSuffix(m.String(), "_ratio") && v > 1 {
			v = 1
		}
		return v, known
	}
	return 0, false
}

// candidate returns NaN for a value that is not usable.
func (tw *twin) candidate(c candidateSpec) (v float64, onPage bool) {
	if v, onPage = tw.term(c.termSpec); !onPage {
		return 0, false
	}
	for _, plus := range c.Plus {
		if more, ok := tw.term(plus); ok {
			v += more
		}
	}
	for _, minus := range c.Minus {
		less, ok := tw.term(minus)
		if !ok {
			return 0, false
		}
		if v -= less; v < 0 {
			v = 0
		}
	}
	for _, times := range c.Times {
		by, ok := tw.term(times)
		if !ok {
			return 0, false
		}
		v *= by
	}
	for _, over := range c.Over {
		by, ok := tw.term(over)
		if !ok {
			return 0, false
		}
		v /= by
	}
	return v, true
}

// selected returns the series of the first name of which some are selected.
func (tw *twin) selected(sel selectionSpec, names []string) []twinSample {
	for _, name := range names {
		var keep []twinSample
		for _, s := range tw.samples[name] {
			if tw.keeps(sel, s) {
				keep = append(keep, s)
			}
		}
		if len(keep) > 0 {
			return keep
		}
	}
	return nil
}

func (tw *twin) keeps(sel selectionSpec, s twinSample) bool {
	for name, values := range sel.Where {
		got := s.labels[name]
		if !slices.Contains(values, got) && !(got != "" && slices.Contains(values, "*")) {
			return false
		}
	}
	if sel.Like == nil {
		return true
	}
	for _, other := range tw.samples[sel.Like.Sample] {
		alike := true
		for _, name := range sel.Like.By {
			alike = alike && s.labels[name] == other.labels[name]
		}
		if alike {
			return true
		}
	}
	return false
}

// factor is what a term multiplies a series by, false where nothing says.
func (tw *twin) factor(e *eachSpec, s twinSample) (float64, bool) {
	largest, found := 0.0, false
	for _, other := range tw.selected(e.selectionSpec, e.Sample) {
		if !signals.Valid(other.value) {
			return 0, false
		}
		if slices.ContainsFunc(e.By, func(name string) bool { return s.labels[name] != other.labels[name] }) {
			continue
		}
		largest, found = max(largest, other.value), true
	}
	return largest, found
}

func (tw *twin) matching(t termSpec) (matching []twinSample, onPage bool) {
	chosen := tw.selected(t.selectionSpec, t.Sample)
	newest := math.Inf(-1)
	for _, s := range chosen {
		if s.value > newest {
			newest = s.value
		}
	}
	bad := false
	for _, s := range chosen {
		if t.Newest && s.value != newest {
			continue
		}
		if len(t.Product) > 0 {
			s.value = 1
			for _, name := range t.Product {
				factor, err := strconv.ParseFloat(s.labels[name], 64)
				if err != nil || factor <= 0 {
					return nil, false
				}
				s.value *= factor
			}
		}
		if t.Names != "" {
			s.value = float64(len(strings.FieldsFunc(s.labels[t.Names], func(r rune) bool { return r == ',' })))
		}
		if t.ZeroAbsent && s.value == 0 {
			return nil, false
		}
		bad = bad || !signals.Valid(s.value)
		matching = append(matching, s)
	}
	if bad {
		return []twinSample{{nil, math.NaN()}}, true
	}
	for i := range matching {
		if t.Each == nil {
			break
		}
		factor, ok := tw.factor(t.Each, matching[i])
		if !ok {
			return nil, false
		}
		matching[i].value *= factor
	}
	return matching, len(matching) > 0
}

func (tw *twin) steps(t termSpec) []stepSpec {
	switch {
	case len(t.Reduce) > 0:
		return t.Reduce
	case len(tw.spec.Reduce) > 0:
		return tw.spec.Reduce
	}
	return []stepSpec{{Sum: []string{"*"}}}
}

func (tw *twin) term(t termSpec) (float64, bool) {
	samples, onPage := tw.matching(t)
	if !onPage {
		return 0, false
	}
	if len(samples) == 1 && math.IsNaN(samples[0].value) {
		return math.NaN(), true
	}
	for _, step := range tw.steps(t) {
		if step.Weight != "" {
			if v, ok := tw.weighted(samples, step); ok {
				return v, true
			}
		}
		samples = twinFold(samples, step)
	}
	return samples[0].value, true
}

func (tw *twin) weighted(samples []twinSample, step stepSpec) (float64, bool) {
	for _, c := range tw.spec.Metrics[step.Weight] {
		weights, onPage := tw.matching(c.termSpec)
		if !onPage {
			continue
		}
		if math.IsNaN(weights[0].value) {
			return 0, false
		}
		steps := tw.steps(c.termSpec)
		for _, s := range steps[:len(steps)-1] {
			weights = twinFold(weights, s)
		}
		above, below := 0.0, 0.0
		for _, s := range samples {
			w := 0.0
			for _, candidate := range weights {
				if alikeBy(step.By, candidate.labels, s.labels) {
					w += candidate.value
				}
			}
			if w == 0 {
				return 0, false
			}
			above += w * s.value
			below += w
		}
		return above / below, true
	}
	return 0, false
}

func twinFold(samples []twinSample, step stepSpec) []twinSample {
	away := slices.Concat(step.Sum, step.Max, step.Mean, step.Count)
	groups := map[string][]float64{}
	kept := map[string]map[string]string{}
	for _, s := range samples {
		labels := maps.Clone(s.labels)
		maps.DeleteFunc(labels, func(name, value string) bool {
			return slices.Contains(away, name) || away[0] == "*" || value == ""
		})
		key := fmt.Sprint(labels)
		kept[key] = labels
		groups[key] = append(groups[key], s.value)
	}
	var out []twinSample
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		values, v := groups[key], 0.0
		for _, x := range values {
			v += x
		}
		switch {
		case step.Max != nil:
			v = slices.Max(values)
		case step.Mean != nil:
			v /= float64(len(values))
		case step.Count != nil:
			v = float64(len(values))
		}
		out = append(out, twinSample{kept[key], v})
	}
	return out
}

func alikeBy(names []string, a, b map[string]string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return a[name] != b[name] })
}

// latency adds the histograms of all engines; they have the same buckets.
func (tw *twin) latency(l signals.Latency) *signals.Histogram {
	return tw.histograms(tw.spec.Latencies[l.String()])
}

func (tw *twin) histograms(cs []histogramSpec) *signals.Histogram {
	for _, c := range cs {
		names := c.Sample
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			if h := tw.histogram(c, name); h != nil {
				return h
			}
		}
	}
	return nil
}

func orName(given words, name string) words {
	if len(given) > 0 {
		return given
	}
	return words{name}
}

// histogram is for pages on which a histogram is either complete or not at all.
func (tw *twin) histogram(c histogramSpec, name string) *signals.Histogram {
	counts := tw.chosen(c, tw.selected(c.selectionSpec, orName(c.Count, name+"_count")))
	if len(counts) == 0 {
		return nil
	}
	h := &signals.Histogram{}
	byBound, total := map[float64]float64{}, 0.0
	for _, n := range counts {
		total += n.value
		for _, s := range tw.selected(c.selectionSpec, orName(c.Sum, name+"_sum")) {
			if maps.Equal(s.labels, n.labels) {
				h.Sum += s.value
			}
		}
		for _, b := range tw.selected(c.selectionSpec, orName(c.Bucket, name+"_bucket")) {
			labels := maps.Clone(b.labels)
			delete(labels, "le")
			if maps.Equal(labels, n.labels) {
				le, _ := strconv.ParseFloat(b.labels["le"], 64)
				byBound[le] += b.value
			}
		}
	}
	delete(byBound, math.Inf(1))
	scale := c.Scale
	if scale == 0 {
		scale = 1
	}
	h.Sum *= scale
	for _, le := range slices.Sorted(maps.Keys(byBound)) {
		h.Bounds = append(h.Bounds, le*scale)
		h.Counts = append(h.Counts, byBound[le])
	}
	h.Counts = append(h.Counts, total)
	for _, stage := range c.Then {
		next := tw.histograms([]histogramSpec{stage})
		if next == nil || total > 0 && next.Count() == 0 {
			return nil
		}
		h = &signals.Histogram{Counts: []float64{total}, Sum: h.Sum}
		if next.Count() > 0 {
			h.Sum += total * next.Sum / next.Count()
		}
	}
	return h
}

// chosen keeps of counts that are alike but for OneOf the one with the lowest values.
func (tw *twin) chosen(c histogramSpec, counts []twinSample) []twinSample {
	if len(c.OneOf) == 0 {
		return counts
	}
	best, lowest := map[string]twinSample{}, map[string]string{}
	for _, n := range counts {
		labels, values := maps.Clone(n.labels), ""
		for _, name := range c.OneOf {
			values += labels[name] + "\x00"
			delete(labels, name)
		}
		key := fmt.Sprint(labels)
		if old, ok := lowest[key]; !ok || values < old {
			best[key], lowest[key] = n, values
		}
	}
	return slices.Collect(maps.Values(best))
}

// generator writes random pages of a profile: some of its samples, for several engines and processes, in random order,
// with values that are odd at times.
type generator struct {
	*rand.Rand
	page bytes.Buffer
}

func (g *generator) value() string {
	switch g.IntN(40) {
	case 0:
		return "NaN"
	case 1:
		return "-1"
	case 2:
		return "+Inf"
	case 3:
		return "9223372036854775794"
	case 4:
		return "0"
	case 5:
		return strconv.FormatFloat(g.Float64()*1e6, 'e', -1, 64)
	case 6:
		return "1.5e+006"
	default:
		return strconv.FormatFloat(math.Trunc(g.Float64()*1000)/8, 'f', 3, 64)
	}
}

// labels returns label sets that differ: in the engine, the process or rank, a label that the profile selects by, and
// the model that it compares.
func (g *generator) labels(spec *profileSpec) []string {
	values := map[string][]string{"model": {"a", "b"}, "version": {"1", "2"}}
	dimensions := [][]string{{"engine", "dp_rank"}, {"pid", "tp_rank"}, {"model", "version"}, selectorsOf(spec, values)}
	sets := []string{`model_name="m"`}
	for _, names := range dimensions {
		if len(names) == 0 || g.IntN(3) == 0 {
			continue
		}
		name := names[g.IntN(len(names))]
		options := values[name]
		for i := range 1 + g.IntN(3) {
			if values[name] == nil {
				options = append(options, strconv.Itoa(i))
			}
		}
		var wider []string
		for _, set := range sets {
			for _, v := range options {
				wider = append(wider, fmt.Sprintf("%s=%q,%s", name, v, set))
			}
		}
		sets = wider
	}
	return sets
}

// selectorsOf returns the labels by which a profile selects, and their values with one more.
func selectorsOf(spec *profileSpec, values map[string][]string) []string {
	var names []string
	for _, sel := range selectionsOf(spec) {
		for name, vs := range sel.Where {
			if name == "engine" || name == "tp_rank" {
				continue
			}
			names = append(names, name)
			values[name] = append(values[name], "else")
			for _, v := range vs {
				if v != "*" {
					values[name] = append(values[name], v)
				}
			}
			slices.Sort(values[name])
			values[name] = slices.Compact(values[name])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func selectionsOf(spec *profileSpec) []selectionSpec {
	var all []selectionSpec
	for _, t := range termsOf(spec) {
		all = append(all, t.selectionSpec)
		if t.Each != nil {
			all = append(all, t.Each.selectionSpec)
		}
	}
	for _, cs := range spec.Latencies {
		for _, c := range cs {
			all = append(all, c.selectionSpec)
			for _, stage := range c.Then {
				all = append(all, stage.selectionSpec)
			}
		}
	}
	return all
}

func termsOf(spec *profileSpec) []termSpec {
	var all []termSpec
	for _, cs := range spec.Metrics {
		for _, c := range cs {
			all = append(append(all, c.termSpec), slices.Concat(c.Plus, c.Minus, c.Times, c.Over)...)
		}
	}
	return all
}

// write writes some of a profile's histograms, pairs of counters that stand for one, and other samples.
func (g *generator) write(spec *profileSpec) string {
	written := map[string]bool{}
	for _, name := range histogramsOf(spec) {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			written[name+part] = true
		}
		if g.IntN(2) == 0 {
			g.histogram(spec, name)
		}
	}
	g.pairs(spec, written)
	var names []string
	for _, t := range termsOf(spec) {
		names = append(names, t.Sample...)
		if t.Like != nil {
			names = append(names, t.Like.Sample)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if g.IntN(2) == 0 && !written[name] {
			g.scalar(spec, name)
		}
	}
	return g.page.String()
}

func histogramsOf(spec *profileSpec) []string {
	var names []string
	for _, cs := range spec.Latencies {
		for _, c := range cs {
			names = append(names, c.Sample...)
			for _, stage := range c.Then {
				names = append(names, stage.Sample...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// pairs writes counters of which a mean is made, all with the same labels.
func (g *generator) pairs(spec *profileSpec, written map[string]bool) {
	sets := g.labels(spec)
	for _, l := range slices.Sorted(maps.Keys(spec.Latencies)) {
		for _, c := range spec.Latencies[l] {
			for _, name := range slices.Concat(c.Sum, c.Count) {
				if written[name] {
					continue
				}
				written[name] = true
				for _, set := range sets {
					fmt.Fprintf(&g.page, "%s{%s} %d\n", name, set, g.IntN(1000))
				}
			}
		}
	}
}

func (g *generator) scalar(spec *profileSpec, name string) {
	if g.IntN(2) == 0 {
		fmt.Fprintf(&g.page, "# TYPE %s gauge\n", name)
	}
	for _, set := range g.labels(spec) {
		value := g.value()
		if strings.HasSuffix(name, "_info") {
			set = fmt.Sprintf(`block_size="16",num_gpu_blocks="%d",page_size="1",num_pages="%d",%s`, 100+g.IntN(900), g.IntN(3), set)
			set = fmt.Sprintf(`running_lora_adapters="a,b%d",waiting_lora_adapters="",max_lora="%d",max_batch_size="8",%s`, g.IntN(3), g.IntN(3), set)
			if g.IntN(3) == 0 {
				set = `kv_cache_size_tokens="None",` + set
			}
		}
		fmt.Fprintf(&g.page, "%s{%s} %s\n", name, set, value)
	}
}

func (g *generator) histogram(spec *profileSpec, name string) {
	fmt.Fprintf(&g.page, "# TYPE %s histogram\n", name)
	for _, set := range g.labels(spec) {
		count := 0
		for _, le := range []string{"0.1", "0.5", "1.0", "2.5"} {
			count += g.IntN(20)
			fmt.Fprintf(&g.page, "%s_bucket{le=%q,%s} %d\n", name, le, set, count)
		}
		count += g.IntN(20)
		fmt.Fprintf(&g.page, "%s_bucket{%s,le=\"+Inf\"} %d\n%s_count{%s} %d\n%s_sum{%s} %v\n",
			name, set, count, name, set, count, name, set, float64(count)*g.Float64())
	}
}

func TestDecodeEqualsItsTwin(t *testing.T) {
	compared := 0
	for _, engine := range mustLoad(t).Names() {
		p := mustNamed(t, engine)
		for seed := range uint64(30) {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
			page := g.write(&p.spec)
			r, err := Decode([]byte(page), "", p)
			if err != nil {
				continue // a page of which nothing is usable
			}
			tw := newTwin(t, page, p)
			for m := range signals.NumMetrics {
				got, known := r.Value(m)
				want, wantKnown := tw.scalar(m)
				if known != wantKnown || known && !cmp.Equal(got, want, approx) {
					t.Fatalf("%s seed %d: %v = %v %v, want %v %v\n%s", engine, seed, m, got, known, want, wantKnown, page)
				}
				compared++
			}
			for l := range signals.NumLatencies {
				if diff := cmp.Diff(tw.latency(l), r.Histogram(l), approx); diff != "" {
					t.Fatalf("%s seed %d: %v (-want +got):\n%s\n%s", engine, seed, l, diff, page)
				}
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d values compared: the generated pages are too poor", compared)
	}
}
