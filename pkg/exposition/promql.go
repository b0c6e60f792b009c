package exposition

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// QueryOptions say how a profile is written as PromQL.
type QueryOptions struct {
	// Matchers are added to each selector, as in namespace="ml",pod=~"chat-.*".
	Matchers string
	// By are the labels that tell pods apart; none are namespace and pod.
	By []string
	// Window, such as "2m", makes rates of counters, and of latencies the 95th percentile. Empty: counters and buckets as
	// they stand.
	Window string
}

// Query is a normalised name as PromQL, of the samples that Prometheus scraped off an engine's page.
type Query struct {
	// Name is the normalised name.
	Name string
	// Expr gives one value for each pod, or one for each pod and bucket (le). It is empty where PromQL cannot say it.
	Expr string
	// Note says what Expr leaves out, empty where that is nothing.
	Note string
}

// SampleNames returns the names of all samples that Decode asks for.
func (p *Profile) SampleNames() []string { return slices.Clone(p.program.names) }

// SampleNames returns what the names of all samples match, as regular expressions, that tell engines apart or that any
// profile's Decode asks for. A page of them alone is detected as the whole one is, but for what only comments tell.
func (ps *Profiles) SampleNames() []string {
	var names []string
	for _, p := range ps.all {
		names = append(names, p.program.names...)
		for _, text := range slices.Concat(p.spec.Detect.Any, p.spec.Detect.All, p.spec.Detect.None) {
			if pt, err := parsePattern(text); err == nil && !pt.prefix && !pt.comment {
				names = append(names, pt.text)
			}
		}
		for _, text := range slices.Concat(p.spec.Detect.All, p.spec.Detect.None) { // of any, the names that are asked for are enough
			if pt, err := parsePattern(text); err == nil && pt.prefix && len(pt.has) == 0 {
				names = append(names, pt.text+".+")
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Queries returns the profile as PromQL, in the order of the vocabulary. The first candidate that a pod shows wins, as
// in Decode; but an unusable value (NaN, negative) is not told from others, and a mean is not weighted.
func (p *Profile) Queries(o QueryOptions) []Query {
	w := &queryWriter{names: p.program.names, options: o}
	if len(o.By) == 0 {
		w.options.By = []string{"namespace", "pod"}
	}
	var all []Query
	for m := range signals.NumMetrics {
		if len(p.program.metrics[m]) > 0 {
			all = append(all, w.metric(m, p.program.metrics[m]))
		}
	}
	for l := range signals.NumLatencies {
		if len(p.program.latencies[l]) > 0 {
			all = append(all, w.latency(l, p.program.latencies[l]))
		}
	}
	return all
}

// queryWriter writes what one profile says.
type queryWriter struct {
	names   []string
	options QueryOptions
	notes   []string // of the query that is being written
}

func (w *queryWriter) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.notes, text) {
		w.notes = append(w.notes, text)
	}
}

// query ends a query of candidates, each of which stands where the ones before are absent.
func (w *queryWriter) query(name string, candidates []string) Query {
	q := Query{Name: name, Expr: strings.Join(candidates, " or "), Note: strings.Join(w.notes, "; ")}
	w.notes = nil
	return q
}

func (w *queryWriter) metric(m signals.Metric, candidates []candidate) Query {
	window := w.options.Window
	if m.Kind() != signals.Counter {
		window = ""
	}
	var texts []string
	for i := range candidates {
		if text, ok := w.candidate(&candidates[i], window); ok {
			texts = append(texts, text)
		}
	}
	return w.query(m.String(), texts)
}

// candidate writes a candidate, false where PromQL cannot say it.
func (w *queryWriter) candidate(c *candidate, window string) (string, bool) {
	text, ok := w.term(&c.term, window)
	if !ok {
		return "", false
	}
	operate := func(terms []term, window, form string) {
		for i := range terms {
			by, said := w.term(&terms[i], window)
			ok = ok && said
			text = strings.NewReplacer("$a", text, "$b", by).Replace(form)
		}
	}
	operate(c.plus, window, "(($a + $b) or $a)")
	operate(c.minus, window, "clamp_min($a - $b, 0)")
	operate(c.times, "", "($a * $b)")
	operate(c.over, "", "($a / $b)")
	if !math.IsInf(c.atMost, 1) {
		text = fmt.Sprintf("clamp_max(%s, %v)", text, c.atMost)
	}
	return text, ok
}

// term writes the reduction of a term's series to one value for each pod, of the first of its samples that the pod shows.
func (w *queryWriter) term(t *term, window string) (string, bool) {
	if len(t.product) > 0 || t.names != "" || t.newest {
		w.note("%s is left out, of which a label is the value", w.names[t.families[0]])
		return "", false
	}
	if len(t.final.on) > 0 {
		w.note("engines of one pod count alike in the mean, whatever their capacity")
	}
	var texts []string
	for _, family := range t.families {
		text := w.series(family, &t.selection, window)
		if t.zeroAbsent {
			text += " > 0"
		}
		if t.each != nil {
			text = w.multiplied(text, t.each)
		}
		for _, f := range t.folds {
			text = fmt.Sprintf("%s without (%s) (%s)", functionNames[f.fn], strings.Join(f.labels, ", "), text)
		}
		texts = append(texts, fmt.Sprintf("%s by (%s) (%s)", functionNames[t.final.fn], strings.Join(w.options.By, ", "), text))
	}
	return scaled(alternatives(texts), t.scale), true
}

// multiplied writes series with a factor for each.
func (w *queryWriter) multiplied(text string, e *each) string {
	by := strings.Join(slices.Concat(w.options.By, e.by), ", ")
	factors := make([]string, len(e.families))
	for i, family := range e.families {
		factors[i] = fmt.Sprintf("max by (%s) (%s)", by, w.series(family, &e.selection, ""))
	}
	return fmt.Sprintf("(%s) * on (%s) group_left () %s", text, by, alternatives(factors))
}

var functionNames = map[function]string{sumOf: "sum", maxOf: "max", meanOf: "avg", countOf: "count", firstOf: "max"}

// alternatives joins what stands where the ones before are absent, so that it can be an operand.
func alternatives(texts []string) string {
	if len(texts) == 1 {
		return texts[0]
	}
	return "(" + strings.Join(texts, " or ") + ")"
}

func scaled(text string, by float64) string {
	if by == 1 {
		return text
	}
	return fmt.Sprintf("(%s * %s)", text, strconv.FormatFloat(by, 'g', -1, 64))
}

// series writes the selected series of one name, as rates over a window where there is one.
func (w *queryWriter) series(family int32, s *selection, window string) string {
	matchers := make([]string, 0, len(s.where)+1)
	if w.options.Matchers != "" {
		matchers = append(matchers, w.options.Matchers)
	}
	for i := range s.where {
		matchers = append(matchers, s.where[i].matchers()...)
	}
	text := w.names[family] + "{" + strings.Join(matchers, ",") + "}"
	if window != "" {
		text = fmt.Sprintf("rate(%s[%s])", text, window)
	}
	if s.like >= 0 {
		by := strings.Join(slices.Concat(w.options.By, s.by), ", ")
		text = fmt.Sprintf("(%s and on (%s) %s{%s})", text, by, w.names[s.like], w.options.Matchers)
	}
	return text
}

// matchers writes a selector; none where it accepts everything.
func (s *selector) matchers() []string {
	any, empty := slices.Contains(s.values, "*"), slices.Contains(s.values, "")
	switch {
	case any && empty:
		return nil
	case any:
		return []string{s.label + `!=""`}
	case len(s.values) == 1:
		return []string{fmt.Sprintf("%s=%q", s.label, s.values[0])}
	}
	quoted := make([]string, len(s.values))
	for i, v := range s.values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return []string{fmt.Sprintf("%s=~%q", s.label, strings.Join(quoted, "|"))}
}

func (w *queryWriter) latency(l signals.Latency, candidates []histogramTerm) Query {
	var texts []string
	for i := range candidates {
		texts = append(texts, w.buckets(&candidates[i])...)
	}
	on := strings.Join(w.options.By, ", ")
	out := slices.Clone(texts)
	for i := range out { // not bucket by bucket: those of two names differ
		for _, before := range texts[:i] {
			out[i] = fmt.Sprintf("(%s unless on (%s) %s)", out[i], on, before)
		}
		if w.options.Window != "" {
			out[i] = fmt.Sprintf("histogram_quantile(0.95, %s)", out[i])
		}
	}
	return w.query(l.String(), out)
}

// buckets writes a histogram's buckets, added for each pod, for each of its names; nothing where that is not what is read.
func (w *queryWriter) buckets(t *histogramTerm) []string {
	if len(t.then) > 0 || len(t.oneOf) > 0 || t.scale != 1 || len(t.bucket.families) == 0 {
		w.note("%s is left out, of which buckets are not simply added", w.names[t.sum.families[0]])
		return nil
	}
	by := strings.Join(append(slices.Clone(w.options.By), "le"), ", ")
	texts := make([]string, len(t.bucket.families))
	for i, family := range t.bucket.families {
		texts[i] = fmt.Sprintf("sum by (%s) (%s)", by, w.series(family, &t.bucket, w.options.Window))
	}
	return texts
}
