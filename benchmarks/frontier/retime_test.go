package main

import (
	"math"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// same compares loads field by field.
var same = cmp.AllowUnexported(load{}, row{})

func TestLoadsAreWithinTheirBounds(t *testing.T) {
	names := map[string]bool{}
	for _, l := range append(loads(), perturbed()...) {
		if l.need < leastNeed || l.need > mostNeed || l.warm <= 0 || l.warm >= 1 {
			t.Errorf("%s: need %v, warm-up %v", l.name, l.need, l.warm)
		}
	}
	for _, l := range loads() {
		if names[l.name] {
			t.Errorf("%s stands there twice", l.name)
		}
		names[l.name] = true
	}
}

func TestSeedOneIsTheTableAsWritten(t *testing.T) {
	for _, l := range loads() {
		if diff := cmp.Diff(l, l.retimed(1), same); diff != "" {
			t.Errorf("%s: %s", l.name, diff)
		}
	}
}

func TestOtherSeedsRetimeWithinHalfAndDouble(t *testing.T) {
	for _, l := range loads() {
		var dilations []float64
		for seed := uint64(2); seed < 200; seed++ {
			x := l.retimed(seed)
			if diff := cmp.Diff(x, l.retimed(seed), same); diff != "" {
				t.Fatalf("%s, seed %d is not the same twice: %s", l.name, seed, diff)
			}
			dilation, scale := l.compression()/x.compression(), x.need/l.need
			if dilation < 0.5 || dilation > 2 || scale < 0.5 || scale > 2 || x.need < leastNeed || x.need > mostNeed {
				t.Errorf("%s, seed %d: times by %v, need %v by %v", l.name, seed, dilation, x.need, scale)
			}
			if moved := x.from - l.from; moved.Abs() > x.length/2 || x.from < 0 {
				t.Errorf("%s, seed %d: a window of %v moved by %v", l.name, seed, x.length, moved)
			}
			lasts := float64(x.length) / x.compression()
			if l.length > 0 && math.Abs(lasts-float64(l.length)/l.compression()) > 1e3 {
				t.Errorf("%s, seed %d: lasts %v", l.name, seed, time.Duration(lasts))
			}
			dilations = append(dilations, dilation)
		}
		if dilations[0] == dilations[1] {
			t.Errorf("%s: seeds 2 and 3 are the same", l.name)
		}
	}
}

func TestThePartThatIsAskedFor(t *testing.T) {
	got := rows([]load{{name: "a"}, {name: "b"}}, []string{"llama-3.1-8b-a100", "odd"}, []time.Duration{30 * time.Second, 2 * time.Minute},
		regexp.MustCompile("^a/8b|^b/odd/120s"))
	want := []row{
		{load{name: "a"}, "llama-3.1-8b-a100", []time.Duration{30 * time.Second, 2 * time.Minute}},
		{load{name: "b"}, "odd", []time.Duration{2 * time.Minute}},
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
}

func TestLoadsWithoutTheirTraceAreLeftOut(t *testing.T) {
	kept, missing := present(filepath.Join(t.TempDir(), "nowhere"), loads())
	if len(kept) == 0 || len(missing) == 0 {
		t.Fatalf("%d kept, missing %v", len(kept), missing)
	}
	for _, l := range kept {
		if !l.generated() {
			t.Errorf("%s is kept without its trace", l.name)
		}
	}
}

// crowd is a generated load of some minutes that needs no file.
func crowd() load {
	return load{name: "crowd", class: bursty, file: ":flash-crowd:length=16m,low=1,high=3,at=8m", mix: "fixed:1000/100", need: 3, warm: 0.25}
}

const small = "llama-3.1-8b-a100"

func TestALoadIsScaledToItsNeed(t *testing.T) {
	s, err := prepare(crowd(), small, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.rate() / s.capacity; math.Abs(got/3-1) > 0.05 {
		t.Errorf("keeps %.2f replicas busy, want 3", got)
	}
	if s.slo.TPOT != 50*time.Millisecond || s.warmUp() != 4*time.Minute {
		t.Errorf("TPOT %v, warm-up %v", s.slo.TPOT, s.warmUp())
	}
}

func TestTooManyRequestsLowerTheNeedThenCutTheEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		capacity, need float64
		wantNeed       float64
		wantLength     time.Duration
	}{
		"few enough":              {1, 9, 9, 0},
		"a lower need suffices":   {1e6 / 3600. / 5, 9, 6, 0},
		"the end goes beyond":     {1e6 / 3600. / 1, 9, 3, 2 * 1440 * time.Second}, // of which 1.2 of 3 replicas are left
		"a need that is the most": {1e6 / 3600. / 10, 12, 12, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &subject{load: load{need: tc.need, compress: 2}, capacity: tc.capacity}
			s.fit(hour)
			if math.Abs(s.need-tc.wantNeed) > 1e-9 || (s.length-tc.wantLength).Abs() > time.Millisecond {
				t.Errorf("need %v, length %v", s.need, s.length)
			}
		})
	}
}

func TestArrivalsAreToldApart(t *testing.T) {
	a := arrivals{[]trace.Request{{At: 1, PromptTokens: 2, OutputTokens: 3}, {At: 4, PromptTokens: 5, OutputTokens: 6}}, time.Hour}
	changed := func(change func(*arrivals)) arrivals {
		b := arrivals{append([]trace.Request{}, a.requests...), a.span}
		change(&b)
		return b
	}
	if a.hash() != changed(func(*arrivals) {}).hash() {
		t.Error("the same requests hash to another value")
	}
	for name, b := range map[string]arrivals{
		"a time":    changed(func(b *arrivals) { b.requests[1].At++ }),
		"a prompt":  changed(func(b *arrivals) { b.requests[0].PromptTokens++ }),
		"an answer": changed(func(b *arrivals) { b.requests[1].OutputTokens++ }),
		"a request": changed(func(b *arrivals) { b.requests = b.requests[:1] }),
		"the end":   changed(func(b *arrivals) { b.span++ }),
	} {
		if a.hash() == b.hash() {
			t.Errorf("%s more or less hashes to the same", name)
		}
	}
}

func TestSplicedRequestsAreOfOneLoadThenOfTheOther(t *testing.T) {
	list := func(tokens int, at ...time.Duration) arrivals {
		a := arrivals{span: at[len(at)-1]}
		for _, t := range at {
			a.requests = append(a.requests, trace.Request{At: t, PromptTokens: tokens})
		}
		return a
	}
	got := spliced(list(1, 0, 5, 10, 15), list(2, 0, 6, 10, 16), 10)
	want := []trace.Request{{At: 0, PromptTokens: 1}, {At: 5, PromptTokens: 1}, {At: 10, PromptTokens: 2}, {At: 16, PromptTokens: 2}}
	if diff := cmp.Diff(want, got.requests); diff != "" || got.span != 16 {
		t.Errorf("until %v: %s", got.span, diff)
	}
}
