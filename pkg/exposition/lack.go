package exposition

import (
	"fmt"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// mostNear is how many of the nearest names are told of each normalised one.
const mostNear = 3

// Lack is a normalised name that a page does not tell, with what was sought and what is there instead.
type Lack struct {
	// Metric is the normalised name.
	Metric signals.Metric
	// Engine is the profile by which it was sought.
	Engine string
	// Sought are the sample names that would tell; none where the profile knows of none.
	Sought []string
	// OnPage are those of Sought that are on the page, without a usable number or with other labels.
	OnPage []string
	// Nearest are the names on the page that are most like Sought and mean nothing else to the profile, best first.
	Nearest []string
}

// String says it in one sentence.
func (l Lack) String() string {
	switch {
	case len(l.Sought) == 0:
		return fmt.Sprintf("%v: engine %s has no sample that tells it", l.Metric, l.Engine)
	case len(l.OnPage) > 0:
		return fmt.Sprintf("%v: %s is on the page, but with other labels than engine %s has, or without a usable number",
			l.Metric, listed(l.OnPage), l.Engine)
	}
	text := fmt.Sprintf("%v: sought %s; not on the page", l.Metric, listed(l.Sought))
	if len(l.Nearest) > 0 {
		text += "; nearest present: " + listed(l.Nearest)
	}
	return text
}

// Lacks says of normalised names that a reading of the page lacks what was sought for them and what comes nearest. It goes
// through the whole page: call it where that has changed.
func (p *Profile) Lacks(text []byte, metrics []signals.Metric) []Lack {
	names, _ := namesOn(text)
	others := newNameIndex(slices.DeleteFunc(slices.Clone(names), p.asksFor))
	lacks := make([]Lack, len(metrics))
	for i, m := range metrics {
		l := Lack{Metric: m, Engine: p.Name(), Sought: p.sought(m)}
		for _, name := range l.Sought {
			if slices.Contains(names, name) {
				l.OnPage = append(l.OnPage, name)
			}
		}
		l.Nearest = others.nearestOf(l.Sought, mostNear)
		lacks[i] = l
	}
	return lacks
}

// sought are the sample names that tell a metric, in the order in which they are asked.
func (p *Profile) sought(m signals.Metric) []string {
	var missing Missing
	for i := range p.program.metrics[m] {
		missing.seek(p.program, &p.program.metrics[m][i].term.selection)
	}
	return missing.Sought
}

// Strange says what a page without a known engine is or is most like, with what was sought of the given normalised names
// and what comes nearest; empty where it is like none. It goes through the whole page for every profile: call it where
// that has changed.
func (ps *Profiles) Strange(text []byte, metrics []signals.Metric) string {
	h, err := ps.Hint(text)
	if err != nil {
		return ""
	}
	if h.Kind != "" || h.Idle {
		return h.String()
	}
	p := h.Nearest
	if p == nil {
		p = ps.likest(text, metrics)
	}
	if p == nil {
		return ""
	}
	says := []string{h.String()}
	if h.Nearest == nil {
		says[0] = "the page is most like one of " + p.Name()
	}
	for _, l := range p.Lacks(text, metrics) {
		if len(l.Nearest) > 0 {
			says = append(says, l.String())
		}
	}
	return strings.Join(says, "; ")
}

// likest is the profile whose samples for the metrics the names on a page are most like, nil where they are like none;
// of a profile and one that extends it the former.
func (ps *Profiles) likest(text []byte, metrics []signals.Metric) *Profile {
	names, _ := namesOn(text)
	v := newNameIndex(names)
	known := map[string]float64{} // how like the page is to a sought name
	like := func(name string) float64 {
		l, ok := known[name]
		if !ok {
			if n := v.nearest(name); len(n) > 0 {
				l = n[0].like
			}
			known[name] = l
		}
		return l
	}
	var likest *Profile
	most := 0.
	for _, p := range ps.all {
		sum := 0.
		for _, m := range metrics {
			best := 0.
			for _, name := range p.sought(m) {
				best = max(best, like(name))
			}
			sum += best
		}
		if sum > most+1e-9 || likest != nil && sum > most-1e-9 && likest.spec.Extends == p.Name() {
			likest, most = p, sum
		}
	}
	return likest
}
