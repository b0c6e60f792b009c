package exposition

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// program is a profile made ready to run: sample names are numbered, so that a page is read once and each series of
// interest is kept under the number of its name (its family).
type program struct {
	families  map[string]int32
	names     []string // of the families
	started   []candidate
	metrics   [signals.NumMetrics][]candidate
	latencies [signals.NumLatencies][]histogramTerm
	// rejected are the families that show that the page is not the engine's own.
	rejected []int32
}

type candidate struct {
	term                     term
	plus, minus, times, over []term
	atMost                   float64 // 1 for a ratio, else infinite
}

// selection is which series of which families count; of the families, the first of which a series does.
type selection struct {
	families []int32
	where    []selector
	// like, if not negative, is a family; a series counts whose labels by are as those of one of that family.
	like int32
	by   []string
}

type term struct {
	selection
	newest     bool
	product    []string
	names      string
	zeroAbsent bool
	each       *each
	scale      float64
	// folds are applied in turn, final makes one value of what is left.
	folds []fold
	final final
}

// each is what each series of a term is multiplied by: the largest of those whose labels by are as its own.
type each struct {
	selection
	by []string
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
	bucket, sum, count selection
	oneOf              []string
	then               [][]histogramTerm
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
	faults  []specFault
}

// specFault is a fault of what stands at a path of a profile, for example "metrics.inference_requests_max[1]".
type specFault struct {
	path string
	err  error
}

func (c *compiler) fault(path, format string, args ...any) {
	c.faults = append(c.faults, specFault{path, fmt.Errorf(format, args...)})
}

// compile checks a profile and makes it ready to run; it returns every fault.
func compile(spec *profileSpec) (*program, []specFault) {
	c := &compiler{program: &program{families: map[string]int32{}}, reduce: spec.Reduce}
	c.checkHead(spec)
	c.checkPatterns(spec)
	for _, name := range spec.Detect.None {
		if p, err := parsePattern(name); err == nil && !p.prefix && !p.comment && len(p.has)+len(p.lacks) == 0 {
			c.program.rejected = append(c.program.rejected, c.family(name))
		}
	}
	c.program.started = c.candidates("started", spec.Started)
	for _, name := range slices.Sorted(maps.Keys(spec.Metrics)) {
		at := "metrics." + name
		m, ok := signals.MetricNamed(name)
		if !ok {
			c.fault(at, "%q is not a metric of the vocabulary", name)
			continue
		}
		c.program.metrics[m] = c.candidates(at, spec.Metrics[name])
		c.checkDifferences(at, m, c.program.metrics[m])
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Latencies)) {
		at := "latencies." + name
		l, ok := signals.LatencyNamed(name)
		if !ok {
			c.fault(at, "%q is not a latency of the vocabulary", name)
			continue
		}
		c.program.latencies[l] = c.histograms(at, spec.Latencies[name])
	}
	return c.program, c.faults
}

// nameForm is what the API takes for the name of an engine.
var nameForm = regexp.MustCompile("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")

func (c *compiler) checkHead(spec *profileSpec) {
	if !nameForm.MatchString(spec.Name) {
		c.fault("name", "%q has other characters than small letters, digits and dashes within", spec.Name)
	}
	if spec.Port < 1 || spec.Port > 65535 {
		c.fault("port", "%d is not between 1 and 65535", spec.Port)
	}
	if len(spec.Path) == 0 {
		c.fault("path", "is missing")
	}
	for _, path := range spec.Path {
		if path == "" || path[0] != '/' {
			c.fault("path", "%q does not begin with /", path)
		}
	}
	if len(spec.Detect.Any)+len(spec.Detect.All) == 0 {
		c.fault("detect", "has neither any nor all")
	}
	if len(spec.Metrics)+len(spec.Latencies) == 0 {
		c.fault("", "neither metrics nor latencies are given")
	}
}

func (c *compiler) checkPatterns(spec *profileSpec) {
	check := func(at string, texts []string) {
		for i, text := range texts {
			if _, err := parsePattern(text); err != nil {
				c.fault(fmt.Sprintf("%s[%d]", at, i), "%w", err)
			}
		}
	}
	check("detect.any", spec.Detect.Any)
	check("detect.all", spec.Detect.All)
	check("detect.none", spec.Detect.None)
	for i, e := range spec.Evidence {
		at := fmt.Sprintf("evidence[%d]", i)
		check(at+".present", e.Present)
		check(at+".absent", e.Absent)
		if e.Versions == "" {
			c.fault(at, "versions is missing")
		}
	}
	for i, r := range spec.Rename {
		if len(r.To) == 0 || spec.Extends == "" {
			c.fault(fmt.Sprintf("rename[%d]", i), "needs to, and a profile that is extended")
		}
	}
}

// checkDifferences refuses a difference of counters: its terms do not move at the same instant, so it may fall, which
// looks as if the engine had begun anew.
func (c *compiler) checkDifferences(at string, m signals.Metric, cs []candidate) {
	for i := range cs {
		if m.Kind() == signals.Counter && len(cs[i].minus) > 0 {
			c.fault(fmt.Sprintf("%s[%d].minus", at, i), "a counter must not be a difference, for that may fall")
		}
	}
}

// family numbers a sample name.
func (c *compiler) family(name string) int32 {
	if id, ok := c.program.families[name]; ok {
		return id
	}
	id := int32(len(c.program.families))
	c.program.families[name] = id
	c.program.names = append(c.program.names, name)
	return id
}

func (c *compiler) candidates(of string, specs []candidateSpec) []candidate {
	out := make([]candidate, len(specs))
	atMost := math.Inf(1)
	if strings.HasSuffix(of, "_ratio") {
		atMost = 1
	}
	for i, s := range specs {
		at := fmt.Sprintf("%s[%d]", of, i)
		out[i] = candidate{
			term:   c.term(at, s.termSpec),
			plus:   c.terms(at+".plus", s.Plus),
			minus:  c.terms(at+".minus", s.Minus),
			times:  c.terms(at+".times", s.Times),
			over:   c.terms(at+".over", s.Over),
			atMost: atMost,
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
	if len(s.Sample) == 0 {
		c.fault(of, "sample is missing")
	}
	if len(s.Product) > 0 && s.Names != "" {
		c.fault(of, "product and names exclude each other")
	}
	t := term{
		selection: c.selection(of, s.selectionSpec, s.Sample), newest: s.Newest, product: s.Product, names: s.Names,
		zeroAbsent: s.ZeroAbsent, scale: c.scale(of, s.Scale),
	}
	steps := s.Reduce
	if len(steps) == 0 {
		steps = c.reduce
	}
	t.folds, t.final = c.steps(of, steps)
	if s.Each != nil {
		if len(s.Each.Sample) == 0 || len(s.Each.By) == 0 {
			c.fault(of+".each", "needs sample and by")
		}
		t.each = &each{c.selection(of+".each", s.Each.selectionSpec, s.Each.Sample), s.Each.By}
	}
	return t
}

func (c *compiler) selection(of string, s selectionSpec, names []string) selection {
	sel := selection{where: selectors(s.Where), like: -1}
	for _, name := range names {
		sel.families = append(sel.families, c.family(name))
	}
	if s.Like == nil {
		return sel
	}
	if s.Like.Sample == "" || len(s.Like.By) == 0 {
		c.fault(of+".like", "needs sample and by")
	}
	sel.like, sel.by = c.family(s.Like.Sample), s.Like.By
	return sel
}

func (c *compiler) scale(of string, scale float64) float64 {
	switch {
	case scale == 0:
		return 1
	case scale < 0:
		c.fault(of+".scale", "%v is negative", scale)
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
			c.fault(of, `the last step of reduce, and no other, must fold ["*"]`)
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
		c.fault(of, "a step of reduce must have exactly one of sum, max, mean, count")
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
		c.fault(of, "weight must name a metric, with a mean and the labels to match it on")
		return f
	}
	return final{fn: fn, weight: m, on: s.By}
}

func (c *compiler) histograms(of string, specs []histogramSpec) []histogramTerm {
	var out []histogramTerm
	for i, s := range specs {
		at := fmt.Sprintf("%s[%d]", of, i)
		if len(s.Sample) == 0 && (len(s.Sum) == 0 || len(s.Count) == 0) {
			c.fault(at, "sample is missing, and so is a pair of sum and count")
		}
		h := histogramTerm{
			bucket: c.selection(at, s.selectionSpec, s.Bucket),
			sum:    c.selection(at, s.selectionSpec, s.Sum), count: c.selection(at, s.selectionSpec, s.Count),
			oneOf: s.OneOf, scale: c.scale(at, s.Scale),
		}
		for j, stage := range s.Then {
			h.then = append(h.then, c.histograms(fmt.Sprintf("%s.then[%d]", at, j), []histogramSpec{stage}))
		}
		if len(s.Sample) == 0 {
			out = append(out, h)
		}
		for _, name := range s.Sample {
			named := h
			c.orNamed(&named.bucket, name+"_bucket")
			c.orNamed(&named.sum, name+"_sum")
			c.orNamed(&named.count, name+"_count")
			out = append(out, named)
		}
	}
	return out
}

// orNamed gives a selection its family where none was named.
func (c *compiler) orNamed(s *selection, name string) {
	if len(s.families) == 0 {
		s.families = []int32{c.family(name)}
	}
}

func selectors(where map[string]words) []selector {
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
