package trace

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// collect opens and reads a spec.
func collect(t *testing.T, spec string, o Options) []Request {
	t.Helper()
	in, err := Open(spec, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Collect(in)
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, got)
	return got
}

func TestGapsHaveTheirCVAndAMeanOfOne(t *testing.T) {
	for _, a := range []Arrivals{
		{}, {Process: Gamma, CV: 0.3}, {Process: Gamma, CV: 2}, {Process: Weibull, CV: 0.3}, {Process: Weibull}, {Process: Weibull, CV: 3},
	} {
		g := newGaps(a, source(1, forArrivals))
		const n = 400_000
		sum, squares := 0.0, 0.0
		for range n {
			v := g.next()
			sum, squares = sum+v, squares+v*v
		}
		mean := sum / n
		cv := math.Sqrt(squares/n-mean*mean) / mean
		want := a.CV
		if want == 0 {
			want = 1
		}
		if !near(mean, 1, 0.02) || !near(cv, want, 0.04) {
			t.Errorf("%+v: mean %.4f, cv %.3f", a, mean, cv)
		}
	}
}

// TestAWindowHasTheSameMeanFromItsStart would fail by hundreds if the first gap were drawn like the others: a bursty
// process that starts with an arrival brings (cv²-1)/2 too many.
func TestAWindowHasTheSameMeanFromItsStart(t *testing.T) {
	rates := Rates{Period: time.Minute, PerSecond: []float64{1}}
	for _, a := range []Arrivals{{}, {Process: Gamma, CV: 4}, {Process: Weibull, CV: 4}, {Process: Gamma, CV: 0.2}} {
		const runs = 8000
		total, firstSecond := 0, 0
		for seed := range int64(runs) {
			got, err := Collect(rates.Draw(fixed{1, 1}, Options{Seed: seed, Arrivals: a}))
			if err != nil {
				t.Fatal(err)
			}
			total += len(got)
			for _, q := range got {
				if q.At < 6*s {
					firstSecond++
				}
			}
		}
		if !near(float64(total), runs*60, 0.05) || !near(float64(firstSecond), runs*6, 0.12) {
			t.Errorf("%+v: %.2f requests a minute and %.3f in the first 6 s, want 60 and 6", a, float64(total)/runs, float64(firstSecond)/runs)
		}
	}
}

func TestRatesAreFollowedAcrossPeriodsAndWindows(t *testing.T) {
	rates := Rates{Period: time.Minute, PerSecond: []float64{100, 0, math.NaN(), 50, 200}}
	o := Options{Seed: 2, From: 30 * s, For: 3*time.Minute + 45*s, Rate: 2}
	got, err := Collect(rates.Draw(fixed{1, 1}, o))
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, got)
	counts := map[time.Duration]int{}
	for _, q := range got {
		counts[(q.At+30*s)/time.Minute]++
	}
	for period, want := range map[time.Duration]float64{0: 6000, 1: 0, 2: 0, 3: 6000, 4: 6000} {
		if math.Abs(float64(counts[period])-want) > 6*math.Sqrt(want) {
			t.Errorf("period %d: %d requests, want about %v", period, counts[period], want)
		}
	}
	if want := rates.expected(o); want != 18000 {
		t.Errorf("%d are expected, want 18000", want)
	}
}

func TestMeanSizesOfPeriodsAreFollowed(t *testing.T) {
	rates := Rates{
		Period: time.Hour, PerSecond: []float64{5, 5, 5},
		Prompt: []float64{3000, math.NaN(), 100}, Output: []float64{50, math.NaN(), 400},
	}
	mix := ChatMix()
	got, err := Collect(rates.Draw(mix, Options{Seed: 1}))
	if err != nil {
		t.Fatal(err)
	}
	prompt, output := mix.Means()
	for hour, want := range [][2]float64{{3000, 50}, {prompt, output}, {100, 400}} {
		var n, in, out float64
		for _, q := range got {
			if int(q.At/time.Hour) == hour {
				n, in, out = n+1, in+float64(q.PromptTokens), out+float64(q.OutputTokens)
			}
		}
		if !near(in/n, want[0], 0.03) || !near(out/n, want[1], 0.04) {
			t.Errorf("hour %d: mean sizes %.0f and %.0f, want %.0f and %.0f", hour, in/n, out/n, want[0], want[1])
		}
	}
}

func TestMixesHaveTheMeansTheyClaim(t *testing.T) {
	claims := map[string][2]float64{ // what the documentation of the mixes says
		"chat": {1220, 207}, "code": {2000, 27}, "rag": {11900, 342}, "long-context": {11900, 342}, "summarise": {2700, 230}, "short": {115, 14},
		"fixed:512/64": {512, 64},
	}
	if len(claims) != len(MixNames())+1 {
		t.Errorf("%d claims for the mixes %v", len(claims), MixNames())
	}
	for name, claim := range claims {
		mix, err := NamedMix(name)
		if err != nil {
			t.Fatal(err)
		}
		prompt, output := mix.Means()
		if !near(prompt, claim[0], 0.03) || !near(output, claim[1], 0.05) {
			t.Errorf("%s: means %.0f and %.1f, documented are %v", name, prompt, output, claim)
		}
		rng := source(1, forSizes)
		var in, out float64
		const n = 200_000
		for range n {
			p, o := mix.Draw(rng)
			in, out = in+float64(p), out+float64(o)
		}
		if !near(in/n, prompt, 0.02) || !near(out/n, output, 0.02) {
			t.Errorf("%s: drawn means %.1f and %.2f, Means says %.1f and %.2f", name, in/n, out/n, prompt, output)
		}
	}
}

func TestMixRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"poem": "summarise", "fixed:": "prompt tokens", "fixed:10": "output tokens", "fixed:0/1": "prompt tokens", "fixed:1/x": "PROMPT/OUTPUT",
	} {
		if _, err := NamedMix(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", name, err, want)
		}
		if _, err := Open("steady", Options{Mix: name}); err == nil {
			t.Errorf("Open takes the mix %q", name)
		}
	}
}

func TestSizesFromATraceKeepTheirPairs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pairs.csv")
	text := "arrival_s,input_tokens,output_tokens\n0,10,1\n1,2000,300\n2,2000,300\n3,2000,300\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	counts := map[fixed]int{}
	got := collect(t, "steady:rate=10,length=10m", Options{Mix: path, Seed: 3})
	for _, q := range got {
		counts[fixed{q.PromptTokens, q.OutputTokens}]++
	}
	if len(counts) != 2 || !near(float64(counts[fixed{2000, 300}]), 0.75*float64(len(got)), 0.05) {
		t.Errorf("sizes %v, want 3/4 of 2000/300 and the rest 10/1", counts)
	}
	mix, err := Options{Mix: path}.mix()
	if err != nil {
		t.Fatal(err)
	}
	if prompt, output := mix.Means(); !near(prompt, 1502.5, 1e-9) || !near(output, 225.25, 1e-9) {
		t.Errorf("means %v and %v", prompt, output)
	}
	if err := os.WriteFile(path, []byte("arrival_s,input_tokens,output_tokens\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("steady", Options{Mix: path}); err == nil || !strings.Contains(err.Error(), "no requests") {
		t.Errorf("a trace without requests for a mix: %v", err)
	}
}

func TestALongTraceIsSampledForItsPairs(t *testing.T) {
	in := make([]Request, 3*maxPairs)
	for i := range in {
		in[i] = Request{PromptTokens: i + 1, OutputTokens: 1}
	}
	mix, err := NewEmpirical(FromSlice(in))
	if err != nil {
		t.Fatal(err)
	}
	prompt, _ := mix.Means()
	if len(mix.pairs) != maxPairs || !near(prompt, 1.5*maxPairs, 0.01) {
		t.Errorf("%d pairs with a mean of %.0f, want %d and %d", len(mix.pairs), prompt, maxPairs, 3*maxPairs/2)
	}
}
