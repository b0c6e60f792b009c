package trace

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inOrder fails where requests are not ones that a Stream may yield.
func inOrder(t *testing.T, requests []Request) {
	t.Helper()
	last := time.Duration(0)
	for i, q := range requests {
		if q.At < last || q.PromptTokens < 1 || q.OutputTokens < 1 {
			t.Fatalf("request %d: %+v after %v", i, q, last)
		}
		last = q.At
	}
}

// equal compares requests; cmp takes minutes for as many.
func equal(a, b []Request) bool {
	return slices.EqualFunc(a, b, func(p, q Request) bool {
		return p.At == q.At && p.PromptTokens == q.PromptTokens && p.OutputTokens == q.OutputTokens && slices.Equal(p.Blocks, q.Blocks)
	})
}

// every is a request each step.
func every(step time.Duration, n int) []Request {
	out := make([]Request, n)
	for i := range out {
		out[i] = Request{At: time.Duration(i) * step, PromptTokens: 1 + i, OutputTokens: 1}
	}
	return out
}

func TestReshapeInTurn(t *testing.T) {
	in := every(10*s, 10)
	got, err := Apply(in, Options{From: 20 * s, For: 40 * s, Compress: 2, Offset: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want := []Request{{60 * s, 3, 1, nil}, {65 * s, 4, 1, nil}, {70 * s, 5, 1, nil}, {75 * s, 6, 1, nil}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("window, compression, offset (-want +got):\n%s", diff)
	}
}

func TestJitterSpreadsATickAndKeepsOrderAndSizes(t *testing.T) {
	var in []Request
	for tick := range 200 {
		for i := range 30 {
			in = append(in, Request{At: time.Duration(tick) * 3 * s, PromptTokens: tick*30 + i + 1, OutputTokens: 1, Blocks: []uint64{uint64(i)}})
		}
	}
	got, err := Apply(in, Options{Jitter: 3 * s, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, got)
	if len(got) != len(in) {
		t.Fatalf("%d requests, want %d", len(got), len(in))
	}
	offsets := 0.0
	for _, q := range got {
		was := in[q.PromptTokens-1]
		moved := q.At - was.At
		if moved < 0 || moved >= 3*s || q.Blocks[0] != was.Blocks[0] {
			t.Fatalf("%+v was %+v", q, was)
		}
		offsets += moved.Seconds()
	}
	if mean := offsets / float64(len(got)); math.Abs(mean-1.5) > 0.05 {
		t.Errorf("moved by %.3f s in the mean, want 1.5", mean)
	}
}

func TestAStreamHoldsOnlyWhatADelayNeeds(t *testing.T) {
	n := 0
	s := Options{Rate: 2, Seed: 1}.resize(streamFunc(func() (Request, error) {
		n++
		return Request{At: time.Duration(n) * time.Second, PromptTokens: 1, OutputTokens: 1}, nil
	}))
	for range 100_000 {
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if held := len(s.(*delayed).held.rows); held > 100 {
		t.Errorf("%d requests are held of a rate of one a second, copied up to 30 s later", held)
	}
}

// streamFunc is a Stream without end.
type streamFunc func() (Request, error)

func (f streamFunc) Next() (Request, error) { return f() }

func TestStreamsKeepReturningTheirEnd(t *testing.T) {
	bad := errors.New("broken")
	n := 0
	broken := streamFunc(func() (Request, error) {
		n++
		if n > 3 {
			return Request{}, bad
		}
		return Request{At: time.Duration(n), PromptTokens: 1, OutputTokens: 1}, nil
	})
	for name, tc := range map[string]struct {
		s    Stream
		want error
	}{
		"a slice":                {FromSlice(every(s, 3)), io.EOF},
		"a window":               {Options{For: s}.cut(FromSlice(every(s, 3))), io.EOF},
		"copies":                 {Options{Rate: 3}.resize(FromSlice(every(s, 3))), io.EOF},
		"thinned":                {Options{Rate: 0.5}.resize(FromSlice(every(s, 3))), io.EOF},
		"jitter":                 {Options{Jitter: s}.spread(FromSlice(every(s, 3))), io.EOF},
		"a fault through copies": {Options{Rate: 3}.resize(broken), bad},
	} {
		var err error
		for range 20 {
			_, err = tc.s.Next()
		}
		for range 3 {
			if _, again := tc.s.Next(); !errors.Is(again, tc.want) || !errors.Is(err, tc.want) {
				t.Errorf("%s: %v, then %v", name, err, again)
			}
		}
	}
}

// TestEveryChangeIsDeterministicAndInOrder goes through all options on all kinds of sources.
func TestEveryChangeIsDeterministicAndInOrder(t *testing.T) {
	sources := []string{"steady:rate=5,length=20m", "on-off:length=30m,on=2m,off=1m", "diurnal:hours=1,process=gamma,cv=2"}
	changes := map[string]Options{
		"nothing": {}, "half": {Rate: 0.5}, "two and a half": {Rate: 2.5}, "a window": {From: 5 * time.Minute, For: 10 * time.Minute},
		"jitter": {Jitter: 3 * s}, "compressed": {Compress: 7}, "stretched": {Compress: 0.3}, "later": {Offset: time.Hour},
		"all": {Rate: 1.5, From: time.Minute, Jitter: s, Compress: 2, Offset: s},
	}
	for _, spec := range sources {
		for name, o := range changes {
			runs := map[int64][]Request{}
			for _, seed := range []int64{1, 1, 2} {
				o.Seed = seed
				in, err := Open(spec, o)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Collect(in)
				if err != nil {
					t.Fatal(err)
				}
				inOrder(t, got)
				if before, ok := runs[seed]; ok && !equal(before, got) {
					t.Errorf("%s, %s: the same seed gives another trace", spec, name)
				}
				runs[seed] = got
			}
			if equal(runs[1], runs[2]) {
				t.Errorf("%s, %s: another seed gives the same trace", spec, name)
			}
		}
	}
}

func TestScalingKeepsTheMeanAndTheShape(t *testing.T) {
	for _, factor := range []float64{0.2, 0.9, 1.4, 3} {
		got, err := Apply(every(100*time.Millisecond, 20_000), Options{Rate: factor, Seed: 9})
		if err != nil {
			t.Fatal(err)
		}
		half := 0
		for _, q := range got {
			if q.At < 1000*s {
				half++
			}
		}
		want := factor * 20_000
		if !near(float64(len(got)), want, 0.03) || !near(float64(half), want/2, 0.05) {
			t.Errorf("factor %v: %d requests, %d in the first half, want %v", factor, len(got), half, want)
		}
	}
}

func TestOptionsReportEveryFault(t *testing.T) {
	err := Options{
		From: -1, Jitter: -1, Offset: -1, Rate: 2000, Compress: math.Inf(1), Format: "pdf",
		Arrivals: Arrivals{Process: "pareto"},
	}.Validate()
	for _, want := range []string{"window", "jitter", "offset", "rate factor", "compression", "format \"pdf\"", "azure-llm", "pareto", "weibull"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	for _, a := range []Arrivals{{CV: 2}, {Process: Gamma, CV: 100}, {Process: Weibull, CV: 0.001}, {Process: Gamma, CV: math.NaN()}} {
		if (Options{Arrivals: a}).Validate() == nil {
			t.Errorf("%+v: no error", a)
		}
	}
	if _, err := Open("steady", Options{Rate: -1}); err == nil {
		t.Error("Open takes options that are not valid")
	}
}

// dumbOrder sorts all there is: what the window must give for rows that are late by less than it.
func dumbOrder(rows []row) []row {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b row) int { return int(a.at - b.at) })
	return out
}

// rowList is a rowReader of a slice.
type rowList struct {
	left []row
	line int
}

func (r *rowList) here() *Error   { return &Error{File: "list", Line: r.line} }
func (r *rowList) dropped() int64 { return 0 }
func (r *rowList) next() (row, error) {
	if len(r.left) == 0 {
		return row{}, io.EOF
	}
	out := r.left[0]
	r.left, r.line = r.left[1:], r.line+1
	return out, nil
}

func TestRowsAreOrderedWithinTheWindow(t *testing.T) {
	rng := source(1, 1)
	for range 200 {
		const window = 16
		rows := make([]row, 1+rng.IntN(100))
		for i := range rows { // late by fewer rows than the window
			rows[i] = row{at: int64(i*10 - rng.IntN(10*window-10)), prompt: i}
		}
		o := newOrdered(&rowList{left: rows}, window)
		var got []row
		for {
			r, err := o.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		if diff := cmp.Diff(dumbOrder(rows), got, cmp.AllowUnexported(row{})); diff != "" {
			t.Fatalf("(-sorted +window):\n%s", diff)
		}
	}
}

func TestRowsBeyondTheWindowAreAFault(t *testing.T) {
	rows := []row{{at: 10}, {at: 20}, {at: 30}, {at: 40}, {at: 5}}
	o := newOrdered(&rowList{left: rows}, 3)
	var err error
	for err == nil {
		_, err = o.next()
	}
	for _, want := range []string{"list", "line 5", "sort the file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, again := o.next(); again == nil || errors.Is(again, io.EOF) {
		t.Errorf("after a fault: %v", again)
	}
}

func TestWriterRoundTrip(t *testing.T) {
	want := []Request{
		{0, 1, 1, nil},
		{1, 2, 3, []uint64{0, math.MaxUint64}},
		{1500 * time.Millisecond, 67108864, 5, nil},
		{time.Hour + 123456789, 7, 8, []uint64{5}},
	}
	for _, blocks := range []bool{false, true} {
		var b bytes.Buffer
		w := NewWriter(&b)
		w.Blocks = blocks
		if err := w.Copy(FromSlice(want)); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&b, "x")
		if err != nil {
			t.Fatal(err)
		}
		without := slices.Clone(want)
		for i := range without {
			if !blocks {
				without[i].Blocks = nil
			}
		}
		if diff := cmp.Diff(without, got); diff != "" {
			t.Errorf("blocks %v (-want +got):\n%s", blocks, diff)
		}
	}
	var b bytes.Buffer
	if err := NewWriter(&b).Flush(); err != nil || b.String() != plainHeader+"\n" {
		t.Errorf("a trace without requests is %q (%v)", b.String(), err)
	}
}

func TestRatesRoundTrip(t *testing.T) {
	nan := math.NaN()
	for _, want := range []Rates{
		{Period: time.Minute, PerSecond: []float64{1, nan, 0, 1.0 / 3}},
		{Start: date("2026-11-01T00:00:00Z"), Period: 90 * s, PerSecond: []float64{1, 2, nan, 4}, Prompt: []float64{nan, 1, 2, 3}, Output: []float64{5, nan, 7.5, 8}},
	} {
		var b bytes.Buffer
		if err := WriteRates(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRates(&b, "x")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, equateNaNs); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
