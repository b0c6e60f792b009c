package trace

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestApplyWindowAndCompression(t *testing.T) {
	in := []Request{{0, 1, 1, nil}, {10 * s, 2, 2, nil}, {20 * s, 3, 3, nil}, {30 * s, 4, 4, nil}}
	tests := map[string]struct {
		options Options
		want    []Request
	}{
		"nothing changes by default":         {Options{}, in},
		"a window starts at zero":            {Options{From: 10 * s, For: 20 * s}, []Request{{0, 2, 2, nil}, {10 * s, 3, 3, nil}}},
		"compression divides times":          {Options{Compress: 10}, []Request{{0, 1, 1, nil}, {s, 2, 2, nil}, {2 * s, 3, 3, nil}, {3 * s, 4, 4, nil}}},
		"the window is in the trace's times": {Options{From: 30 * s, Compress: 5}, []Request{{0, 4, 4, nil}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(in)
			got, err := Apply(in, tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, in); diff != "" {
				t.Errorf("the input changed:\n%s", diff)
			}
		})
	}
}

func TestApplyScalesTheRate(t *testing.T) {
	in := make([]Request, 10000)
	for i := range in {
		in[i] = Request{At: time.Duration(i) * s, PromptTokens: 1, OutputTokens: 1}
	}
	for _, factor := range []float64{0.1, 0.5, 1, 1.7, 3} {
		got, err := Apply(in, Options{Rate: factor, Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		if want := factor * float64(len(in)); math.Abs(float64(len(got))-want) > 5*math.Sqrt(float64(len(in))/4) {
			t.Errorf("factor %v: %d requests, want about %v", factor, len(got), want)
		}
		if !slices.IsSortedFunc(got, func(a, b Request) int { return int(a.At - b.At) }) {
			t.Errorf("factor %v: out of order", factor)
		}
		again, err := Apply(in, Options{Rate: factor, Seed: 4})
		if err != nil || !equal(got, again) {
			t.Errorf("factor %v: the same seed gives another trace (%v)", factor, err)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"a negative window": {From: -s}, "a negative factor": {Rate: -1}, "a factor that is no number": {Rate: math.NaN()},
		"negative compression": {Compress: -2}, "compression that is no number": {Compress: math.NaN()},
	} {
		if _, err := Apply(nil, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRatesBecomeArrivals(t *testing.T) {
	rates := Rates{Period: time.Minute, PerSecond: []float64{10, 0, math.NaN(), 40}}
	got, err := Collect(rates.Draw(fixed{1, 1}, Options{Seed: 1}))
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, 4)
	for _, q := range got {
		counts[q.At/time.Minute]++
	}
	// Six standard deviations of Poisson counts.
	if math.Abs(float64(counts[0]-600)) > 6*math.Sqrt(600) || math.Abs(float64(counts[3]-2400)) > 6*math.Sqrt(2400) {
		t.Errorf("counts %v, want about 600 and 2400", counts)
	}
	if counts[1] != 0 || counts[2] != 0 {
		t.Errorf("arrivals at zero rate or in a hole: %v", counts)
	}
}

func TestBurstinessOfGaps(t *testing.T) {
	rates := Rates{Period: time.Hour, PerSecond: []float64{10}}
	for _, cv := range []float64{0.5, 1, 2.5} {
		got, err := Collect(rates.Draw(fixed{1, 1}, Options{Seed: 3, Arrivals: Arrivals{Process: Gamma, CV: cv}}))
		if err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for i := 1; i < len(got); i++ {
			gap := (got[i].At - got[i-1].At).Seconds()
			sum, squares = sum+gap, squares+gap*gap
		}
		n := float64(len(got) - 1)
		mean := sum / n
		measured := math.Sqrt(squares/n-mean*mean) / mean
		if math.Abs(measured/cv-1) > 0.05 || math.Abs(mean/0.1-1) > 0.06 {
			t.Errorf("cv %v: measured %.3f with mean gap %.4f s", cv, measured, mean)
		}
	}
}

func TestChatHasAChatServicesShape(t *testing.T) {
	c := DefaultChat()
	got, err := c.Generate()
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Generate()
	if err != nil || !equal(got, again) {
		t.Fatalf("the same seed gives another workload (%v)", err)
	}
	var trough, peak, prompt, output int
	for _, q := range got {
		if q.At >= c.Length {
			t.Fatalf("%v is beyond the length", q.At)
		}
		prompt, output = prompt+q.PromptTokens, output+q.OutputTokens
		switch minute := int(q.At.Minutes()) % 30; {
		case minute < 2 || minute >= 28:
			trough++
		case minute >= 13 && minute < 17:
			peak++
		}
	}
	if ratio := float64(peak) / float64(trough); ratio < 3 || ratio > 7 {
		t.Errorf("peak/trough = %.1f, want about 5", ratio)
	}
	n := float64(len(got))
	if mean := float64(prompt) / n; mean < 1100 || mean > 1350 {
		t.Errorf("mean prompt %.0f tokens", mean)
	}
	if mean := float64(output) / n; mean < 180 || mean > 230 {
		t.Errorf("mean output %.0f tokens", mean)
	}
}

func TestChatRefuses(t *testing.T) {
	for name, change := range map[string]func(*Chat){
		"no length": func(c *Chat) { c.Length = 0 }, "high below low": func(c *Chat) { c.High = 1 },
		"no burstiness": func(c *Chat) { c.Burstiness = 0 }, "a rate that is no number": func(c *Chat) { c.High = math.NaN() },
	} {
		c := DefaultChat()
		change(&c)
		if _, err := c.Generate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
