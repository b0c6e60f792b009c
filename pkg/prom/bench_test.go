package prom

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// fullPage has as many samples as a page of vLLM that are asked for.
func fullPage() string {
	var b strings.Builder
	b.WriteString(vllm(3, 40, 1000))
	for _, name := range []string{"time_to_first_token_seconds", "inter_token_latency_seconds", "request_time_per_output_token_seconds", "e2e_request_latency_seconds", "request_queue_time_seconds"} {
		for i := range 20 {
			fmt.Fprintf(&b, "vllm:%s_bucket{engine=\"0\",le=\"%d.0\",model_name=\"m\"} %d\n", name, i, 10*i)
		}
		fmt.Fprintf(&b, "vllm:%[1]s_bucket{engine=\"0\",le=\"+Inf\",model_name=\"m\"} 200\nvllm:%[1]s_count{engine=\"0\",model_name=\"m\"} 200\nvllm:%[1]s_sum{engine=\"0\",model_name=\"m\"} 90.5\n", name)
	}
	return b.String()
}

// What the readings of 64 pods cost, of 119 series each and five scrapes in the answer: to make them of the answer, and
// with the query, the server's part included.
func BenchmarkSixtyFourPods(b *testing.B) {
	w := newWorld(b)
	var batch []*member
	for i := range podsPerQuery {
		e := pod(fmt.Sprintf("vllm-%d", i))
		e.Profile = "vllm"
		w.endpoints = append(w.endpoints, e)
		for k := range 5 {
			w.scrape(start.Add(time.Duration(15*k-65)*time.Second), fullPage(), on(e.Pod.Name)...)
		}
		batch = append(batch, &member{Endpoint: e, state: &podState{interval: 15 * time.Second}})
	}
	found, err := w.reader.query(b.Context(), batch, start)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range batch {
		m.state.newest = 1 << 60 // no earlier scrapes
	}
	b.Run("readings", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, m := range batch {
				if err := w.reader.take(m, found[m.Pod.Name], start); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("query", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.reader.query(b.Context(), batch, start); err != nil {
				b.Fatal(err)
			}
		}
	})
}
