package exposition

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// pages holds the working memory of finished decodings for the next ones.
var pages = sync.Pool{New: func() any { return new(page) }}

// Decode reads an engine's page, text 0.0.4 or OpenMetrics 1.0 as its content type says (text where that is missing or
// another). The reading's Time is left to the caller. The error wraps ErrNotExposition, ErrTorn or ErrNoEngine and
// says what was sought. It does not keep the page.
func Decode(text []byte, contentType string, p *Profile) (*signals.Reading, error) {
	pg := pages.Get().(*page)
	r, err := pg.decode(text, contentType, p)
	if !pg.oversized() {
		pages.Put(pg)
	}
	return r, err
}

func (pg *page) decode(text []byte, contentType string, p *Profile) (*signals.Reading, error) {
	prog := p.program
	if err := pg.collect(text, prog.families, isOpenMetrics(contentType)); err != nil {
		return nil, fmt.Errorf("read %s page: %w", p.Name(), err)
	}
	for _, family := range prog.rejected {
		if pg.families[family].head >= 0 {
			return nil, fmt.Errorf("read %s page: %w: %s is not of its own page, but of a router's or of another engine's", p.Name(), ErrNoEngine, prog.names[family])
		}
	}
	r := &signals.Reading{}
	for m := range signals.NumMetrics {
		if v, ok := pg.firstPresent(prog, prog.metrics[m]); ok {
			r.Set(m, v)
		}
	}
	for l := range signals.NumLatencies {
		r.SetHistogram(l, pg.histogram(prog.latencies[l], p.interned))
	}
	if p.spec.Arrivals {
		r.SetArrivals()
	}
	if p.spec.CachesBlocks {
		r.SetCachesBlocks()
	}
	if p.spec.Partial {
		r.SetPartial()
	}
	if r.Empty() {
		return nil, pg.noEngine(p)
	}
	if s, ok := pg.firstPresent(prog, prog.started); ok {
		r.Started = unixTime(s)
	}
	return r, nil
}

// Decode detects the page's engine and reads it; the profile found is nil where none is.
func (ps *Profiles) Decode(text []byte, contentType string) (*signals.Reading, *Profile, error) {
	p, err := ps.Detect(text)
	if err != nil {
		return nil, nil, err
	}
	r, err := Decode(text, contentType, p)
	return r, p, err
}

// noEngine says what was sought and what was there instead.
func (pg *page) noEngine(p *Profile) error {
	err := fmt.Errorf("read %s page: %w: sought samples of %s for %s, found %d others, the first is %s",
		p.Name(), errNothingTold, strings.Join(slices.Concat(p.spec.Detect.Any, p.spec.Detect.All), ", "),
		strings.Join(p.names(), ", "), pg.samples, excerpt(pg.first))
	if p.spec.Remedy == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, p.spec.Remedy)
}

// unixTime converts seconds since 1970, zero where they are out of any sensible range.
func unixTime(seconds float64) time.Time {
	const year3000 = 32503680000
	if !(seconds > 0 && seconds < year3000) {
		return time.Time{}
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)).UTC()
}
