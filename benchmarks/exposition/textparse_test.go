package exposition_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// wantedNames begin the samples that our vLLM profile takes from the page.
var wantedNames = [][]byte{
	[]byte("vllm:num_"), []byte("vllm:kv_"), []byte("vllm:prefix_"), []byte("vllm:prompt_tokens"), []byte("vllm:generation_"),
	[]byte("vllm:request_success"), []byte("vllm:time_to_first"), []byte("vllm:inter_token"), []byte("vllm:e2e_"),
	[]byte("vllm:request_time_per"), []byte("vllm:request_queue"), []byte("vllm:cache_config"), []byte("vllm:engine_sleep"),
}

// BenchmarkTextparse is what Prometheus' own scraper would cost where our scanner stands: it only reads the samples
// and makes labels for those that are wanted, without aggregating them. It is why we have a scanner of our own.
func BenchmarkTextparse(b *testing.B) {
	page := vllmPage(1000)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if n := textparseWanted(b, page); n < 100 {
			b.Fatalf("%d samples are wanted, expected more than 100", n)
		}
	}
	profile := vllmProfile(b)
	ours := func() { _, _ = exposition.Decode(page, "", profile) }
	b.ReportMetric(timeRatio(func() { textparseWanted(b, page) }, ours), "x-ours")
}

func textparseWanted(tb testing.TB, page []byte) (wanted int) {
	tb.Helper()
	p, err := textparse.New(page, "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	var ls labels.Labels
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return wanted
		}
		if err != nil {
			tb.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		series, _, _ := p.Series()
		for _, name := range wantedNames {
			if bytes.HasPrefix(series, name) {
				p.Labels(&ls)
				wanted++
				break
			}
		}
	}
}
