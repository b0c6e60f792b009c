package front

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// errBlind says that a page does not tell what the gateway sees of a pool.
var errBlind = errors.New("the page does not tell")

// tally is what one page says of one pool.
type tally struct {
	// held is what waits in the gateway, heldKnown that it says so.
	held      float64
	heldKnown bool
	// passed is its count of requests since the process began, counted when each is, source the counter's name.
	passed  float64
	counted scaling.Counted
	source  string
	// inFlight are those not yet answered.
	inFlight      float64
	inFlightKnown bool
}

// behind is how many requests have come and are not counted yet, as far as the page tells.
func (t tally) behind() float64 {
	if t.counted == scaling.CountedArrived {
		return 0
	}
	if t.counted == scaling.CountedEnded {
		return t.inFlight
	}
	return t.held
}

// series are the samples of a page that some profile asks for, by name.
type series map[string][]sample

type sample struct {
	labels labels.Labels
	value  float64
}

// parsePage reads a metric page, as text or as OpenMetrics. A page that is cut off is none.
func parsePage(text []byte, contentType string) (series, error) {
	if !bytes.HasSuffix(text, []byte("\n")) && len(text) > 0 && !bytes.HasSuffix(text, []byte("# EOF")) {
		return nil, errors.New("not a whole metric page: it ends within a line")
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, errors.New("not a metric page: it is not text")
	}
	format := "text/plain"
	if strings.HasPrefix(contentType, "application/openmetrics-text") || bytes.HasSuffix(bytes.TrimSpace(text), []byte("# EOF")) {
		format = "application/openmetrics-text"
	}
	p, err := textparse.New(text, format, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, fmt.Errorf("not a metric page: %w", err)
	}
	found := series{}
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("not a metric page: %w", err)
		case entry == textparse.EntrySeries:
			err = found.add(p)
		}
		if err != nil {
			return nil, err
		}
	}
}

// add takes the parser's series where it is asked for.
func (found series) add(p textparse.Parser) error {
	line, _, value := p.Series()
	name, _, _ := bytes.Cut(line, []byte("{"))
	if !read[string(name)] {
		return nil
	}
	var own labels.Labels
	p.Labels(&own)
	for _, s := range found[string(name)] {
		if labels.Equal(s.labels, own) {
			return fmt.Errorf("not a metric page: %s is there twice", line)
		}
	}
	found[string(name)] = append(found[string(name)], sample{own, value})
	return nil
}

// of is what the page says of a gateway's pool. The error wraps errBlind where it says nothing, and of a gateway that holds
// requests where it does not say how many.
func (found series) of(g Gateway) (tally, error) {
	p := profiles[g.Kind]
	if p == nil {
		return tally{}, fmt.Errorf("spec.gateway.kind %q is not known to this version of the service", g.Kind)
	}
	var is tally
	var errs [3]error
	is.held, is.heldKnown, errs[0] = found.first(p.Waiting, g)
	is.inFlight, is.inFlightKnown, errs[1] = found.first(p.InFlight, g)
	for i := range p.Requests {
		n, known, err := found.value(&p.Requests[i], g)
		if errs[2] = err; known || err != nil {
			is.passed, is.counted, is.source = n, p.Requests[i].Counted, p.Requests[i].Sample[0]
			break
		}
	}
	if err := cmp.Or(errs[0], errs[1], errs[2]); err != nil {
		return tally{}, err
	}
	if p.Holds && !is.heldKnown {
		_, is.heldKnown, _ = found.first(p.Proof, g)
	}
	if known := is.heldKnown || !p.Holds && (is.counted != scaling.CountedNever || is.inFlightKnown); !known {
		return tally{}, fmt.Errorf("%w of %q: none of %s is there; %s", errBlind, g.Pool, strings.Join(p.sought(), ", "), p.Remedy)
	}
	return is, nil
}

// sought are the names without which the page does not tell.
func (p *profile) sought() (sought []string) {
	lists := [][]candidate{p.Requests}
	if p.Holds {
		lists = [][]candidate{p.Waiting[:1], p.Proof[:1]}
	}
	seen := map[string]bool{}
	for _, list := range lists {
		for i := range list {
			if name := list[i].Sample[0]; !seen[name] {
				seen[name] = true
				sought = append(sought, name)
			}
		}
	}
	return sought
}

// first is the value of the first candidate that is there.
func (found series) first(list []candidate, g Gateway) (float64, bool, error) {
	for i := range list {
		if v, known, err := found.value(&list[i], g); known || err != nil {
			return v, known, err
		}
	}
	return 0, false, nil
}

// value is that of a candidate, false where none of its series is there.
func (found series) value(c *candidate, g Gateway) (float64, bool, error) {
	for _, name := range c.Sample {
		v, known, err := found.sum(name, c, g)
		if err != nil {
			return 0, false, err
		}
		if known {
			return found.extend(v, c, g)
		}
	}
	return 0, false, nil
}

// extend adds and takes away what belongs to a value.
func (found series) extend(v float64, c *candidate, g Gateway) (float64, bool, error) {
	for sign, list := range map[float64][]candidate{1: c.Plus, -1: c.Minus} {
		for i := range list {
			more, _, err := found.value(&list[i], g)
			if err != nil {
				return 0, false, err
			}
			v += sign * more
		}
	}
	return math.Max(0, v), true, nil
}

// sum adds up the series of one name that a candidate selects.
func (found series) sum(name string, c *candidate, g Gateway) (total float64, known bool, _ error) {
	for _, s := range found[name] {
		if !c.selects(s.labels, g) {
			continue
		}
		if !(s.value >= 0) || math.IsInf(s.value, 0) { // NaN too
			return 0, false, fmt.Errorf("%w: %s is %v", errBlind, name, s.value)
		}
		total, known = total+s.value, true
	}
	return total, known, nil
}

// labelOf is the value of the first label that is there.
func labelOf(own labels.Labels, either string) string {
	for label := range strings.SplitSeq(either, "|") {
		if value := own.Get(label); value != "" {
			return value
		}
	}
	return ""
}

// selects reports whether a series is of the gateway's pool.
func (c *candidate) selects(own labels.Labels, g Gateway) bool {
	for label, patterns := range c.Where {
		value, matched := labelOf(own, label), false
		for _, p := range patterns {
			matched = matched || g.like(p, value)
		}
		if !matched {
			return false
		}
	}
	return true
}
