package exposition

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// Inspection says what a page tells, where each value comes from, and what is missing.
type Inspection struct {
	// Engine is the name of the profile by which the page was read.
	Engine string
	// Versions is what the page tells of the engine's version, Notes what a reader should know of the engine.
	Versions, Notes []string
	// Reading is what Decode makes of the page.
	Reading *signals.Reading
	// Values are the scalars and distributions that are known, and Missing those that are not, in the vocabulary's order.
	Values  []Value
	Missing []Missing
}

// Value is one normalised value.
type Value struct {
	// Name is the normalised name, Source what it was made of.
	Name, Source string
	// Scalar is the value of a scalar, the mean of a distribution (0 where nothing was observed).
	Scalar float64
	// Distribution is nil for a scalar.
	Distribution *signals.Histogram
	// Derived says that it is made of other normalised values: of such a counter only its increase means anything, which
	// is made of theirs.
	Derived bool
}

// Missing is one normalised name without a value.
type Missing struct {
	Name, Reason string
	// Sought are the sample names that would tell, in the order in which they are asked.
	Sought []string
	// Matters is what cannot be known without it.
	Matters string
}

// Reasons of Missing; another names a sample that is there without a usable number.
const (
	// NotTold is that the engine's profile has no sample that would tell.
	NotTold = "the engine does not tell"
	// NotOnPage is that it has, and none of them is there.
	NotOnPage = "none of the samples that tell is on the page"
)

// Inspect detects the page's engine and explains what it tells; with a profile, that one is used. An engine that has
// nothing to tell yet has no values. The error wraps ErrNotExposition, ErrTorn or ErrNoEngine.
func (ps *Profiles) Inspect(text []byte, contentType string, p *Profile) (*Inspection, error) {
	detected := p == nil
	if detected {
		var err error
		if p, err = ps.Detect(text); err != nil {
			if p = ps.declared(text); p == nil {
				return nil, err
			}
		}
	}
	pg := &page{}
	r, err := pg.decode(text, contentType, p)
	notes := p.Notes()
	if detected && errors.Is(err, errNothingTold) {
		r, err = &signals.Reading{}, nil
		notes = slices.Insert(notes, 0, strings.TrimSuffix(nothingYet+"; "+p.Remedy(), "; "))
	}
	if err != nil {
		return nil, err
	}
	in := &Inspection{Engine: p.Name(), Versions: p.Evidence(text), Notes: notes, Reading: r}
	for m := range signals.NumMetrics {
		in.scalar(pg, p.program, m)
	}
	for l := range signals.NumLatencies {
		in.latency(pg, p, l)
	}
	return in, nil
}

// nothingYet is the first note on a page without values.
const nothingYet = "The page is this engine's, and has no value yet: send it a request and look again"

// declared is the profile of which a page declares families (# TYPE) without a sample, nil where there is none.
func (ps *Profiles) declared(text []byte) *Profile {
	if h, err := ps.Hint(text); err == nil && h.Idle && h.Kind == "" {
		return h.Nearest
	}
	return nil
}

func (in *Inspection) scalar(pg *page, p *program, m signals.Metric) {
	v, c, got := pg.present(p, p.metrics[m])
	// Of the ratio, the counters say more than what the engine makes of them in a time of its own.
	if d, ok := derive(in.Reading, m); ok && (got == absent || m == signals.PrefixCacheHitRatio) {
		in.Values = append(in.Values, d)
		return
	}
	if got == found {
		in.Values = append(in.Values, Value{Name: m.String(), Source: pg.candidateText(p, c), Scalar: v})
		return
	}
	missing := Missing{Name: m.String(), Reason: NotTold, Matters: scalarMatters[m]}
	for i := range p.metrics[m] {
		missing.seek(p, &p.metrics[m][i].term.selection)
	}
	missing.because(got, func() string { return pg.candidateText(p, c) })
	in.Missing = append(in.Missing, missing)
}

func (in *Inspection) latency(pg *page, p *Profile, l signals.Latency) {
	prog := p.program
	h, t, got := pg.presentHistogram(prog.latencies[l], p.interned)
	if got == found {
		mean, _ := h.Mean()
		in.Values = append(in.Values, Value{Name: l.String(), Source: pg.histogramText(prog, t), Scalar: mean, Distribution: h})
		return
	}
	missing := Missing{Name: l.String(), Reason: NotTold, Matters: latencyMatters[l]}
	for i := range prog.latencies[l] {
		missing.seek(prog, &prog.latencies[l][i].sum)
	}
	missing.because(got, func() string { return pg.histogramText(prog, t) })
	in.Missing = append(in.Missing, missing)
}

func (m *Missing) seek(p *program, s *selection) {
	for _, family := range s.families {
		if name := p.names[family]; !slices.Contains(m.Sought, name) {
			m.Sought = append(m.Sought, name)
		}
	}
}

func (m *Missing) because(got outcome, source func() string) {
	switch {
	case got == invalid:
		m.Reason = source() + " is on the page, but not as a usable number"
	case len(m.Sought) > 0:
		m.Reason = NotOnPage
	}
}

// derive makes a normalised value of others where the engine does not state it.
func derive(r *signals.Reading, m signals.Metric) (Value, bool) {
	v := Value{Name: m.String(), Derived: true}
	ok := false
	switch m {
	case signals.RequestsInflight:
		v.Scalar, v.Source, ok = combine(r, signals.RequestsWaiting, " + ", signals.RequestsRunning)
	case signals.PrefixCacheHitRatio:
		v.Scalar, v.Source, ok = combine(r, signals.PrefixCacheHits, " / ", signals.PrefixCacheQueries)
		v.Scalar = min(v.Scalar, 1)
	case signals.PromptTokensComputed:
		if v.Scalar, v.Source, ok = combine(r, signals.PromptTokens, " - ", signals.PromptTokensCached); !ok && !r.CachesBlocks() {
			v.Scalar, v.Source, ok = combine(r, signals.PromptTokens, " - ", signals.PrefixCacheHits)
		}
	default:
		return v, false
	}
	return v, ok && signals.Valid(v.Scalar)
}

func combine(r *signals.Reading, a signals.Metric, operator string, b signals.Metric) (float64, string, bool) {
	x, okX := r.Value(a)
	y, okY := r.Value(b)
	v := x + y
	switch operator {
	case " - ":
		v = x - y
	case " / ":
		v = x / y
	}
	return v, a.String() + operator + b.String(), okX && okY
}

// candidateText writes what a candidate is made of on this page.
func (pg *page) candidateText(p *program, c *candidate) string {
	var text strings.Builder
	text.WriteString(pg.termText(p, &c.term))
	for _, part := range []struct {
		operator string
		terms    []term
	}{{" + ", c.plus}, {" - ", c.minus}, {" * ", c.times}, {" / ", c.over}} {
		for i := range part.terms {
			if len(pg.selects(nil, &part.terms[i].selection)) > 0 {
				text.WriteString(part.operator + pg.termText(p, &part.terms[i]))
			}
		}
	}
	return text.String()
}

func (pg *page) termText(p *program, t *term) string {
	text := pg.selectionText(p, &t.selection)
	if names := slices.Concat(t.product, []string{t.names}); strings.Join(names, "") != "" {
		text += " label " + strings.TrimSuffix(strings.Join(names, " * "), " * ")
	}
	if t.each != nil {
		text += " * " + pg.selectionText(p, &t.each.selection)
	}
	if t.final.fn == countOf {
		return "count(" + text + ")" // not their values
	}
	return text
}

// histogramText names a histogram as PromQL does, or the pair of counters of which its mean is made.
func (pg *page) histogramText(p *program, t *histogramTerm) string {
	text := pg.selectionText(p, &t.sum) + " / " + pg.selectionText(p, &t.count)
	if len(pg.selects(nil, &t.bucket)) > 0 {
		text = pg.selectionText(p, &t.bucket)
	}
	for i := range t.then {
		text += " + " + pg.histogramText(p, &t.then[i][0])
	}
	return text
}

// selectionText writes the sample that a selection found, the first that it sought where it found none, with its
// selectors as PromQL has them.
func (pg *page) selectionText(p *program, s *selection) string {
	name := p.names[s.families[0]]
	if found := pg.selects(nil, s); len(found) > 0 {
		name = p.names[pg.familyOf(s, found[0])]
	}
	var where []string
	for _, w := range s.where {
		switch {
		case slices.Equal(w.values, []string{"*"}):
			where = append(where, w.label+`!=""`)
		case len(w.values) == 1:
			where = append(where, fmt.Sprintf("%s=%q", w.label, w.values[0]))
		default:
			where = append(where, fmt.Sprintf("%s=~%q", w.label, strings.Join(w.values, "|")))
		}
	}
	if len(where) == 0 {
		return name
	}
	return name + "{" + strings.Join(where, ",") + "}"
}

// familyOf returns which of a selection's families a series belongs to.
func (pg *page) familyOf(s *selection, of int32) int32 {
	for _, family := range s.families {
		for at := pg.families[family].head; at >= 0; at = pg.series[at].next {
			if at == of {
				return family
			}
		}
	}
	return s.families[0]
}
