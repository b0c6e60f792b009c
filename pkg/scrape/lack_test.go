package scrape

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pageServer serves a page that can change, and scrapes it a second later each time.
func pageServer(t *testing.T) (scrape func(page string), r *rig) {
	t.Helper()
	var page atomic.Value
	r = newRig(t, Options{})
	r.source.set(Endpoint{Pod: podID(1), URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page.Load().(string)) })})
	at := start
	r.clock = func() time.Time { return at }
	return func(text string) {
		page.Store(text)
		at = at.Add(time.Second)
		r.Tick(t.Context(), at)
	}, r
}

func TestWhatAPageLacksIsToldWithWhatComesNearest(t *testing.T) {
	const rest = "vllm:num_requests_running 1\nvllm:request_success_total 2\n"
	scrape, r := pageServer(t)
	scrape(rest + "vllm:num_requests_waiting 0\n")
	if err := r.store.Lacking(podID(1)); err != nil {
		t.Errorf("a whole page lacks %v", err)
	}
	scrape(rest + "vllm:num_waiting_requests 0\n")
	const want = "sought vllm:num_requests_waiting; not on the page; nearest present: vllm:num_waiting_requests"
	err := r.store.Lacking(podID(1))
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "pod-1") {
		t.Errorf("says %v, want %q", err, want)
	}
	scrape(rest + "vllm:other_requests_waiting 0\n")
	if again := r.store.Lacking(podID(1)); !errors.Is(again, err) {
		t.Errorf("the page was looked through again although the same is lacking: %v", again)
	}
	scrape(rest + "vllm:num_requests_waiting 0\n")
	if err := r.store.Lacking(podID(1)); err != nil {
		t.Errorf("a page that is whole again lacks %v", err)
	}
}

func TestAPageOfAnUnknownEngineIsToldByWhatItIsMostLike(t *testing.T) {
	const strange = "acme_num_requests_waiting 1\nacme_num_requests_running 1\nacme_request_success_total 4\n"
	scrape, r := pageServer(t)
	for range 2 { // it is told each time, and looked into once
		scrape(strange)
		_, err := r.store.Problem(podID(1))
		if err == nil || !strings.Contains(err.Error(), "nearest present: acme_num_requests_waiting") {
			t.Errorf("says %v", err)
		}
		if Reason(err) != "no_engine" {
			t.Errorf("reason is %q", Reason(err))
		}
	}
}

func TestAPageIsNotLookedThroughWhileAnotherIs(t *testing.T) {
	scrape, r := pageServer(t)
	r.looks.Lock()
	scrape("vllm:num_requests_running 1\n")
	if err := r.store.Lacking(podID(1)); err != nil {
		t.Errorf("told %v", err)
	}
	r.looks.Unlock()
	scrape("vllm:num_requests_running 2\n")
	if err := r.store.Lacking(podID(1)); err == nil {
		t.Error("the next page was not looked through")
	}
}
