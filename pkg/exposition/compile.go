package exposition

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// program is a profile made ready to run: sample names are numbered, so that a page is read once and each series of
// interest is kept under the number of its name (its family).
type program struct {
	families  map[string]int32
	started   []candidate
	metrics   [signals.NumMetrics][]candidate
	latencies [signals.NumLatencies][]histogramTerm
	// rejected are the families that show that the page is not the engine's own.
	rejected []int32
}

type candidate struct {
	term              term
	plus, times, over []term
	atMost            float64
}

type term struct {
	family     int32
	where      []selector
	product    []string
	zeroAbsent bool
	scale      float64
	// folds are applied in turn, final makes one value of what is left.
	folds []fold
	final final
}

// fold makes one of the series that are equal but for labels.
type fold struct {
	fn     function
	labels []string
}

// final makes one value of all series.
type final struct {
	fn     function
	weight signals.Metric
	// on are the labels by which weights are matched; no weight is used where there are none.
	on []string
}

type histogramTerm struct {
	bucket, sum, count int32
	where              []selector
	scale              float64
}

type selector struct {
	label  string
	values []string
}

// function is how several values become one.
type function uint8

const (
	sumOf function = iota
	maxOf
	meanOf
	countOf
	firstOf // of duplicates
)

// compiler collects the faults of one profile.
type compiler struct {
	program *program
	reduce  []stepSpec
	faults  []error
}

func (c *compiler) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// compile checks a profile and makes it ready to run; the error names every fault.
func compile(spec *profileSpec) (*program, error) {
	c := &compiler{program: &program{families: map[string]int32{}}, reduce: spec.Reduce}
	c.checkHead(spec)
	for _, name := range spec.Detect.None {
		c.program.rejected = append(c.program.rejected, c.family(name))
	}
	c.program.started = c.candidates("started", spec.Started)
	for _, name := range slices.Sorted(maps.Keys(spec.Metrics)) {
		m, ok := signals.MetricNamed(name)
		if !ok {
			c.fault("metrics: %q is not a metric of the vocabulary", name)
			continue
		}
		c.program.metrics[m] = c.candidates(name, spec.Metrics[name])
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Latencies)) {
		l, ok := signals.LatencyNamed(name)
		if !ok {
			c.fault("latencies: %q is not a latency of the vocabulary", name)
			continue
		}
		c.program.latencies[l] = c.histograms(name, spec.Latencies[name])
	}
	return c.program, errors.Join(c.faults...)
}

func (c *compiler) checkHead(spec *profileSpec) {
	if spec.Name == "" {
		c.fault("name is missing")
	}
	if spec.Port < 1 || spec.Port > 65535 {
		c.fault("port %d is not between 1 and 65535", spec.Port)
	}
	if spec.Path == "" || spec.Path[0] != '/' {
		c.fault("path %q does not begin with /", spec.Path)
	}
	if len(spec.Detect.Prefixes)+len(spec.Detect.All) == 0 {
		c.fault("detect has neither prefixes nor all")
	}
	if len(spec.Detect.All) > 63 {
		c.fault("detect.all has more than 63 names")
	}
	if len(spec.Metrics)+len(spec.Latencies) == 0 {
		c.fault("neither metrics nor latencies are given")
	}
}

// family numbers a sample name.
func (c *compiler) family(name string) int32 {
	if id, ok := c.program.families[name]; ok {
		return id
	}
	id := int32(len(c.program.families))
	c.program.families[name] = id
	return id
}

func (c *compiler) candidates(of string, specs []candidateSpec) []candidate {
	out := make([]candidate, len(specs))
	for i, s := range specs {
		at := fmt.Sprintf("%s[%d]", of, i)
		out[i] = candidate{
			term:   c.term(at, s.termSpec),
			plus:   c.terms(at+".plus", s.Plus),
			times:  c.terms(at+".times", s.Times),
			over:   c.terms(at+".over", s.Over),
			atMost: s.AtMost,
		}
	}
	return out
}

func (c *compiler) terms(of string, specs []termSpec) []term {
	out := make([]term, len(specs))
	for i, s := range specs {
		out[i] = c.term(fmt.Sprintf("%s[%d]", of, i), s)
	}
	return out
}

func (c *compiler) term(of string, s termSpec) term {
	if s.Sample == "" {
		c.fault("%s: sample is missing", of)
	}
	t := term{
		family: c.family(s.Sample), where: selectors(s.Where), product: s.Product,
		zeroAbsent: s.ZeroAbsent, scale: c.scale(of, s.Scale),
	}
	steps := s.Reduce
	if len(steps) == 0 {
		steps = c.reduce
	}
	t.folds, t.final = c.steps(of, steps)
	return t
}

func (c *compiler) scale(of string, scale float64) float64 {
	switch {
	case scale == 0:
		return 1
	case scale < 0:
		c.fault("%s: scale %v is negative", of, scale)
	}
	return scale
}

// steps compiles a reduction. No steps at all add everything.
func (c *compiler) steps(of string, specs []stepSpec) ([]fold, final) {
	if len(specs) == 0 {
		return nil, final{fn: sumOf}
	}
	var folds []fold
	for i, s := range specs {
		fn, labels := c.step(of, s)
		last, everything := i == len(specs)-1, slices.Equal(labels, []string{"*"})
		if last != everything {
			c.fault(`%s: the last step of reduce, and no other, must fold ["*"]`, of)
		}
		if !everything {
			folds = append(folds, fold{fn, labels})
			continue
		}
		return folds, c.final(of, fn, s)
	}
	return folds, final{}
}

// step returns the one function of a step and its labels.
func (c *compiler) step(of string, s stepSpec) (function, []string) {
	byFn := map[function][]string{sumOf: s.Sum, maxOf: s.Max, meanOf: s.Mean, countOf: s.Count}
	maps.DeleteFunc(byFn, func(_ function, labels []string) bool { return len(labels) == 0 })
	if len(byFn) != 1 {
		c.fault("%s: a step of reduce must have exactly one of sum, max, mean, count", of)
	}
	for fn, labels := range byFn {
		return fn, labels
	}
	return sumOf, nil
}

func (c *compiler) final(of string, fn function, s stepSpec) final {
	f := final{fn: fn}
	if s.Weight == "" {
		return f
	}
	m, ok := signals.MetricNamed(s.Weight)
	if !ok || fn != meanOf || len(s.By) == 0 {
		c.fault("%s: weight must name a metric, with a mean and the labels to match it on", of)
		return f
	}
	return final{fn: fn, weight: m, on: s.By}
}

func (c *compiler) histograms(of string, specs []histogramSpec) []histogramTerm {
	out := make([]histogramTerm, len(specs))
	for i, s := range specs {
		if s.Sample == "" {
			c.fault("%s[%d]: sample is missing", of, i)
		}
		out[i] = histogramTerm{
			bucket: c.family(s.Sample + "_bucket"), sum: c.family(s.Sample + "_sum"), count: c.family(s.Sample + "_count"),
			where: selectors(s.Where), scale: c.scale(of, s.Scale),
		}
	}
	return out
}

func selectors(where map[string]selectorSpec) []selector {
	out := make([]selector, 0, len(where))
	for _, name := range slices.Sorted(maps.Keys(where)) {
		out = append(out, selector{name, where[name]})
	}
	return out
}

// accepts reports whether a label's value, nil where it is absent, is selected.
func (s *selector) accepts(value []byte) bool {
	for _, want := range s.values {
		if want == "*" && len(value) > 0 || string(value) == want {
			return true
		}
	}
	return false
}
