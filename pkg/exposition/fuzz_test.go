package exposition

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// FuzzDecodeNumbers decodes well-formed pages with odd numbers. Whatever they are, no value is negative, NaN, infinite
// or blank, ratios stay within 0 and 1, histograms are cumulative, and the sum over data-parallel engines is right.
func FuzzDecodeNumbers(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 0.5, 1e308, math.NaN(), math.Inf(1), 9.3e18, 5e-324, math.Copysign(0, -1)} {
		f.Add(uint8(3), byte('g'), binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
	}
	f.Add(uint8(8), byte('e'), []byte("a number of bytes that make up a few floating point numbers"))
	p := mustNamed(f, "vllm")
	f.Fuzz(func(t *testing.T, engines uint8, format byte, numbers []byte) {
		n := int(engines)%8 + 1
		next := numberSource(format, numbers)
		var page strings.Builder
		page.WriteString("vllm:num_preemptions_total 1\n")
		running, usable := 0.0, true
		for e := range n {
			text, v := next()
			running += v + 0
			usable = usable && signals.Valid(v)
			fmt.Fprintf(&page, "vllm:num_requests_running{engine=\"%d\"} %s\n", e, text)
			for _, name := range []string{"kv_cache_usage_perc", "prompt_tokens_total", "e2e_request_latency_seconds_count", "e2e_request_latency_seconds_sum"} {
				text, _ := next()
				fmt.Fprintf(&page, "vllm:%s{engine=\"%d\"} %s\n", name, e, text)
			}
			for range 4 {
				le, _ := next()
				count, _ := next()
				fmt.Fprintf(&page, "vllm:e2e_request_latency_seconds_bucket{engine=\"%d\",le=\"%s\"} %s\n", e, le, count)
			}
		}
		r, err := Decode([]byte(page.String()), "", p)
		if err != nil {
			t.Fatalf("%v\n%s", err, page.String())
		}
		checkReading(t, r, page.String())
		got, known := r.Value(signals.RequestsRunning)
		usable = usable && signals.Valid(running)
		if known != usable || known && got != running {
			t.Errorf("running = %v %v, want %v %v\n%s", got, known, running, usable, page.String())
		}
	})
}

// numberSource returns a function that makes numbers of bytes, 8 each, zeros after the last.
func numberSource(format byte, b []byte) func() (string, float64) {
	if strings.IndexByte("eEfgG", format) < 0 {
		format = 'g'
	}
	return func() (string, float64) {
		var word [8]byte
		b = b[copy(word[:], b):]
		v := math.Float64frombits(binary.LittleEndian.Uint64(word[:]))
		return strconv.FormatFloat(v, format, -1, 64), v
	}
}

// FuzzDecodeBytes decodes anything at all: it must neither panic nor hang, and what it yields must be sane.
func FuzzDecodeBytes(f *testing.F) {
	f.Add([]byte("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 1\n"), false)
	f.Add([]byte("vllm:num_requests_running{engine=\"0\",pid=\"1\"} 1 17 # {a=\"b\"} 1\n# EOF\n"), true)
	f.Add([]byte("{\"vllm:num_requests_running\",a=\"\\\"\\\\\"} 1e3\nvllm:kv_cache_usage_perc NaN"), false)
	f.Add([]byte("sglang:token_usage{dp_rank=\"1\"} .5\nsglang:max_total_num_tokens{dp_rank=\"1\"} 0\n"), false)
	f.Add([]byte("vllm:time_to_first_token_seconds_bucket{le=\"1\"} 1\nvllm:time_to_first_token_seconds_bucket{le=\"+Inf\"} 2\nvllm:time_to_first_token_seconds_sum 1\n"), false)
	f.Add([]byte("vllm:cache_config_info{num_gpu_blocks=\"1e300\",block_size=\"1e300\"} 1\n"), false)
	f.Add([]byte("<html>"), false)
	for _, page := range testPages(f) {
		f.Add(page, false)
	}
	ps := mustLoad(f)
	f.Fuzz(func(t *testing.T, page []byte, openMetrics bool) {
		contentType := ""
		if openMetrics {
			contentType = openMetricsType
		}
		for _, name := range ps.Names() {
			p, _ := ps.Named(name)
			r, err := Decode(page, contentType, p)
			if (r == nil) == (err == nil) {
				t.Fatalf("Decode = %v, %v", r, err)
			}
			if err == nil {
				checkReading(t, r, string(page))
			}
		}
		p, err := ps.Detect(page)
		if (p == nil) == (err == nil) {
			t.Fatalf("Detect = %v, %v", p, err)
		}
		in, err := ps.Inspect(page, contentType, nil)
		if (in == nil) == (err == nil) {
			t.Fatalf("Inspect = %v, %v", in, err)
		}
		if err == nil && len(in.Values)+len(in.Missing) != vocabulary {
			t.Fatalf("%d values and %d missing ones are not the whole vocabulary", len(in.Values), len(in.Missing))
		}
	})
}

// testPages returns the pages of testdata, which are of all engines.
func testPages(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.prom")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages := make([][]byte, len(files))
	for i, file := range files {
		if pages[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// FuzzProfiles loads anything at all as a user's profile beside ours: it must neither panic nor hang, and a profile that
// passes reads every page without harm.
func FuzzProfiles(f *testing.F) {
	files, err := fs.Glob(embedded, "profiles/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := embedded.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("name: a\nextends: a\n"))
	f.Add([]byte("name: a\nmetrics: {inference_engines: [{sample: b, like: {sample: c, by: [d]}, newest: true, names: e}]}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	sub, err := fs.Sub(embedded, "profiles")
	if err != nil {
		f.Fatal(err)
	}
	ours, err := readProfiles(sub)
	if err != nil {
		f.Fatal(err)
	}
	pages := testPages(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		own, err := parseProfile("own.yaml", text)
		if err != nil {
			return
		}
		all := map[string]*profileFile{}
		for _, o := range ours {
			all[o.spec.Name] = o
		}
		all[own.spec.Name] = own
		p, err := own.profile(all, newBoundsTable())
		if err != nil {
			return
		}
		for _, page := range pages {
			if r, err := Decode(page, "", p); err == nil {
				checkReading(t, r, string(page)+string(text))
			}
			p.Evidence(page)
		}
	})
}

// checkReading fails where a reading holds what an engine cannot mean.
func checkReading(t *testing.T, r *signals.Reading, page string) {
	t.Helper()
	for m := range signals.NumMetrics {
		v, known := r.Value(m)
		if known && !signals.Valid(v) || math.Signbit(v) {
			t.Fatalf("%v = %v\n%s", m, v, page)
		}
	}
	if v, known := r.Value(signals.KVCacheUtilization); known && v > 1 {
		t.Fatalf("KV-cache utilization = %v\n%s", v, page)
	}
	for l := range signals.NumLatencies {
		checkHistogram(t, r.Histogram(l), page)
	}
}

func checkHistogram(t *testing.T, h *signals.Histogram, page string) {
	t.Helper()
	if h == nil {
		return
	}
	if len(h.Counts) != len(h.Bounds)+1 {
		t.Fatalf("%d counts for %d bounds\n%s", len(h.Counts), len(h.Bounds), page)
	}
	for i, c := range h.Counts {
		if !signals.Valid(c) || i > 0 && c < h.Counts[i-1] {
			t.Fatalf("counts %v\n%s", h.Counts, page)
		}
	}
	for i, b := range h.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= h.Bounds[i-1] {
			t.Fatalf("bounds %v\n%s", h.Bounds, page)
		}
	}
	if !signals.Valid(h.Sum) {
		t.Fatalf("sum %v\n%s", h.Sum, page)
	}
	if q, _, ok := h.Quantile(0.95); ok && (math.IsNaN(q) || math.IsInf(q, 0)) {
		t.Fatalf("quantile %v of %v\n%s", q, h, page)
	}
}
