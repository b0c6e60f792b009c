package scrape

import (
	"errors"
	"fmt"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// demanded are the samples without which nothing is known of a replica's demand; requests in flight stand in for the
// first two.
var demanded = []signals.Metric{signals.RequestsWaiting, signals.RequestsRunning, signals.RequestsFinished}

// lacking is a set of demanded, one bit each.
type lacking uint8

// lackingOf returns which of demanded a reading lacks.
func lackingOf(r *signals.Reading) lacking {
	var l lacking
	_, inflight := r.Value(signals.RequestsInflight)
	for i, m := range demanded {
		if _, ok := r.Value(m); !ok && !(inflight && m != signals.RequestsFinished) {
			l |= 1 << i
		}
	}
	return l
}

func (l lacking) metrics() []signals.Metric {
	var metrics []signals.Metric
	for i, m := range demanded {
		if l&(1<<i) != 0 {
			metrics = append(metrics, m)
		}
	}
	return metrics
}

// lack notes what a reading lacks, with what was sought and what comes nearest on the page. The page is looked through
// where what is lacking changes, one page at a time: a pod whose turn it is not is looked at with its next page.
func (s *Scraper) lack(e Endpoint, state *podState, p *exposition.Profile, r *signals.Reading, page []byte) {
	now := lackingOf(r)
	if now == state.lacks {
		return
	}
	if now == 0 {
		state.lacks = 0
		s.store.Lack(e.Pod, nil)
		return
	}
	if !s.looks.TryLock() {
		return
	}
	defer s.looks.Unlock()
	var says []string
	for _, l := range p.Lacks(page, now.metrics()) {
		says = append(says, l.String())
	}
	state.lacks = now
	err := fmt.Errorf("page of pod %s/%s at %s, engine %s: %s", e.Pod.Namespace, e.Pod.Name, e.URL, p.Name(), strings.Join(says, "; "))
	s.store.Lack(e.Pod, err)
	s.log.Debug("a page lacks what demand is made of", "error", err)
}

// estranged notes what a page without a known engine is most like, where that is not known yet; one page at a time.
func (s *Scraper) estranged(state *podState, page []byte) {
	if state.why == reasonNoEngine || !s.looks.TryLock() {
		return
	}
	defer s.looks.Unlock()
	state.why, state.strange = reasonNoEngine, s.profiles.Strange(page, demanded)
}

// explain adds to an error where it happened, what the page is most like and what to check.
func (state *podState) explain(e Endpoint, err error) error {
	if classify(err) != reasonNoEngine {
		state.why, state.strange = "", ""
	} else if state.strange != "" {
		err = fmt.Errorf("%w; %s", err, state.strange)
	}
	return explain(e, err)
}

// Reason is why a page could not be read, in a word of a closed set such as "timeout" or "no_engine"; empty for an error
// that is not of a scrape.
func Reason(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return string(f.reason)
	}
	return ""
}
