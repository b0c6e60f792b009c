package fidelity

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const header = "exp,model,tp,stage,rate,inp,out,kv_tokens,max_seqs,mbt,ttft_mean,ttft_p99,itl,e2e\n"

// measured reads a file of measurements beside the repository.
func measured(t *testing.T, name string) []Point {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "..", "..", "shared", "profiles", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no measured runs beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read := ReadPoints
	if name == "measured_serving_points.csv" {
		read = ReadServing
	}
	points, err := read(file, name)
	if err != nil {
		t.Fatal(err)
	}
	return points
}

// The medians of the errors stay within what was set out to reach, with
// coefficients that have not seen the model too.
func TestMediansOnMeasuredRuns(t *testing.T) {
	all, err := Compare(measured(t, "vllm_H100_measured_with_rates.csv"), Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := CrossValidate(all, Default()); err != nil {
		t.Fatal(err)
	}
	if len(all) < 9 {
		t.Fatalf("only %d points", len(all))
	}
	for name, pick := range map[string]func(Comparison) *Latencies{
		"as it is":               func(c Comparison) *Latencies { return &c.Predicted },
		"calibrated on the rest": func(c Comparison) *Latencies { return c.Unseen },
	} {
		m := Medians(all, pick)
		t.Logf("%s: ITL %.1f %%, TTFT %.1f %%, E2E %.1f %%", name, 100**m.ITL, 100**m.TTFT, 100**m.E2E)
		if *m.ITL > 0.08 || *m.TTFT > 0.20 || *m.E2E > 0.12 {
			t.Errorf("%s: ITL %.3f, TTFT %.3f, E2E %.3f; want at most 0.08, 0.20, 0.12", name, *m.ITL, *m.TTFT, *m.E2E)
		}
	}
}

func TestMediansOnOtherVersionsAndGPUs(t *testing.T) {
	all, err := Compare(measured(t, "measured_serving_points.csv"), Default())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 6 {
		t.Fatalf("only %d points", len(all))
	}
	m := Medians(all, func(c Comparison) *Latencies { return &c.Predicted })
	if *m.ITL > 0.15 {
		t.Errorf("median error of ITL %.3f, want at most 0.15", *m.ITL)
	}
}

func TestReadPoints(t *testing.T) {
	got, err := ReadPoints(strings.NewReader(header+
		"1,Llama-3.1-70B-Instruct,4,-1,,547,248,484016,128,8192,53.7,75.9,18.3,4502\n"+ // no rate
		"1,Llama-3.1-70B-Instruct,4,0,2.5,547,248,484016,128,8192,52,88.1,17.1,4207.9\n"+
		"2,Qwen2.5-7B-Instruct,1,-1,6,750,251,,,,26.7,44.7,7,\n"+
		"3,Qwen2.5-7B-Instruct,1,-1,6,750,251,,,,26.7,44.7,7,\n"+ // its only stage follows
		"3,Qwen2.5-7B-Instruct,1,0,6,750,251,,,,26.7,44.7,7,\n"), "runs.csv")
	if err != nil {
		t.Fatal(err)
	}
	qwen := Point{Run: "2", Stage: -1, Model: "Qwen2.5-7B-Instruct", GPU: "H100", TP: 1, Rate: 6, Prompt: 750, Output: 251, Measured: Latencies{TTFT: 26.7, ITL: 7}}
	staged := qwen
	staged.Run, staged.Stage = "3", 0
	want := []Point{{
		Run: "1", Model: "Llama-3.1-70B-Instruct", GPU: "H100", TP: 4, Rate: 2.5, Prompt: 547, Output: 248,
		KVTokens: 484016, MaxNumSeqs: 128, MaxNumBatchedTokens: 8192, Measured: Latencies{TTFT: 52, ITL: 17.1, E2E: 4207.9},
	}, qwen, staged}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
}

func TestARunMaySayWhatItsPrefixCacheSupplied(t *testing.T) {
	got, err := ReadPoints(strings.NewReader("computed_share,"+header+"1,1,x,1,0,2.5,5,2,,,,1,1,1,1\n,2,x,1,0,2.5,5,2,,,,1,1,1,1\n"), "runs.csv")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ComputedShare != 1 || got[1].ComputedShare != 0 {
		t.Errorf("points %+v, want shares 1 and untold", got)
	}
}

func TestReadPointsSaysWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct{ csv, want string }{
		"no header":        {"", "header"},
		"a missing column": {"exp,model\n1,x\n", `no column "tp"`},
		"a word":           {header + "1,x,one,0,2.5,5,2,,,,1,1,1,1\n", `line 2: column tp: "one" is not a number`},
		"no lengths":       {header + "1,x,1,0,2.5,,2,,,,1,1,1,1\n", "line 2: tp 1, inp 0"},
		"an odd share": {
			"computed_share," + header + "1.2,1,x,1,0,2.5,5,2,,,,1,1,1,1\n", "line 2: computed_share 1.2: must be from 0 to 1",
		},
		"a short line": {header + "1,x,1\n", "runs.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadPoints(strings.NewReader(tc.csv), "runs.csv")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestReadServingTakesWhatCanBePredicted(t *testing.T) {
	got, err := ReadServing(strings.NewReader("model,gpu,tp,inp,out,load,achieved_rps,concurrency,ttft_ms,itl_ms,out_tok_s,source,kv_tokens\n"+
		"a,A100,1,200,200,poisson@2.00,1.9,3,284.6,8.1,380,with a network offset,\n"+
		"a,A100,1,200,200,poisson@64.00,31,3,284.6,8.1,380,overloaded,\n"+
		"b,H100,1,128,128,closed c=64,56,64,26,8.7,7252,s,\n"+
		"b,H100,1,short,short,closed c=64,56,64,26,8.7,7252,s,\n"+
		"b,H100,1,128,128,open 2.5/s,56,64,26,8.7,7252,s,\n"+
		"c,RTX4090,1,128,128,closed c=64,56,64,26,8.7,7252,s,\n"), "serving.csv")
	if err != nil {
		t.Fatal(err)
	}
	want := []Point{
		{Run: "with a network offset", Model: "a", GPU: "A100", TP: 1, Rate: 2, Prompt: 200, Output: 200, ComputedShare: 1, Measured: Latencies{ITL: 8.1}},
		{Run: "s", Model: "b", GPU: "H100", TP: 1, Clients: 64, Prompt: 128, Output: 128, ComputedShare: 1, Measured: Latencies{TTFT: 26, ITL: 8.7}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
}

// A lone request can be reckoned by hand: overhead, one step with 13 computed
// prompt tokens, then steps of one sequence.
func TestPredictALoneClient(t *testing.T) {
	p := Point{Model: "Llama-3.1-70B", GPU: "H100", TP: 4, Clients: 1, Prompt: 130, Output: 3}
	a := Default()
	got, err := a.Predict(p)
	if err != nil {
		t.Fatal(err)
	}
	profile, err := a.profile(p)
	if err != nil {
		t.Fatal(err)
	}
	token := profile.StepBase + profile.StepPerSequence + 131.5*profile.StepPerContextToken
	first := 5 + profile.StepBase + 13*profile.PrefillPerToken
	for name, v := range map[string][2]float64{"ITL": {got.ITL, token}, "TTFT": {got.TTFT, first}, "E2E": {got.E2E, first + 2*token}} {
		if math.Abs(v[0]/v[1]-1) > 0.005 {
			t.Errorf("%s %v ms, want %v", name, v[0], v[1])
		}
	}
}

func TestPredictRefuses(t *testing.T) {
	good := Point{Model: "Llama-3.1-8B", GPU: "H100", TP: 1, Rate: 1, Prompt: 100, Output: 10}
	for name, tc := range map[string]struct {
		change func(*Point)
		want   string
	}{
		"an unknown model":                       {func(p *Point) { p.Model = "gpt-5" }, `"gpt-5"`},
		"an unknown GPU":                         {func(p *Point) { p.GPU = "TPU" }, `"TPU"`},
		"a model that is too big":                {func(p *Point) { p.Model = "Llama-3.1-405B" }, "kv_tokens"},
		"a prompt that is longer than the cache": {func(p *Point) { p.Prompt, p.KVTokens = 1000, 512 }, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			tc.change(&p)
			if _, err := Default().Predict(p); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %s", err, tc.want)
			}
		})
	}
}

func TestCompareGoesOnWithoutWhatItCannotPredict(t *testing.T) {
	good := Point{Run: "1", Model: "Llama-3.1-8B", GPU: "H100", TP: 1, Rate: 1, Prompt: 100, Output: 10}
	bad := good
	bad.Run, bad.Model = "2", "gpt-5"
	all, err := Compare([]Point{bad, good}, Default())
	if len(all) != 1 || all[0].Run != "1" {
		t.Errorf("compared %v, want run 1 alone", all)
	}
	if err == nil || !strings.Contains(err.Error(), `run 2, stage 0: no known shape for the model "gpt-5"`) {
		t.Errorf("error %v, want one that names run 2 and its model", err)
	}
}

func TestMedians(t *testing.T) {
	at := func(measured, predicted float64) Comparison {
		return Comparison{Point: Point{Measured: Latencies{ITL: measured}}, Predicted: Latencies{ITL: predicted}}
	}
	m := Medians([]Comparison{at(10, 11), at(10, 7), at(10, 12), at(0, 5)}, func(c Comparison) *Latencies { return &c.Predicted })
	if math.Abs(*m.ITL-0.2) > 1e-9 || m.TTFT != nil || m.E2E != nil {
		t.Errorf("medians %v %v %v, want 0.2 and two nil", *m.ITL, m.TTFT, m.E2E)
	}
	none := Medians([]Comparison{at(10, 11)}, func(c Comparison) *Latencies { return c.Unseen })
	if none.ITL != nil {
		t.Errorf("a median of nothing is %v", *none.ITL)
	}
}

// A model's own points must not reach what predicts it unseen.
func TestCrossValidationDoesNotSeeTheModel(t *testing.T) {
	points := func(ofQwen float64) []Comparison {
		all, err := Compare([]Point{
			{Model: "Qwen2.5-7B", GPU: "H100", TP: 1, Rate: 2, Prompt: 500, Output: 50, Measured: Latencies{TTFT: ofQwen, ITL: ofQwen, E2E: ofQwen}},
			{Model: "Llama-3.1-8B", GPU: "H100", TP: 1, Rate: 2, Prompt: 500, Output: 50, Measured: Latencies{TTFT: 30, ITL: 14, E2E: 700}},
		}, Default())
		if err != nil {
			t.Fatal(err)
		}
		if err := CrossValidate(all, Default()); err != nil {
			t.Fatal(err)
		}
		return all
	}
	a, b := points(20), points(200)
	if diff := cmp.Diff(a[0].Unseen, b[0].Unseen); diff != "" {
		t.Errorf("the prediction of a model depends on its own measurements:\n%s", diff)
	}
	if cmp.Equal(a[1].Unseen, b[1].Unseen) {
		t.Error("the prediction of a model does not depend on the other's measurements")
	}
	if factor := a[0].Unseen.ITL / a[0].Predicted.ITL; math.Abs(factor-14/a[1].Predicted.ITL) > 0.05 {
		t.Errorf("ITL was scaled by %v, the other model is %v slower than predicted", factor, 14/a[1].Predicted.ITL)
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	err := Print(&b, []Comparison{{
		Point:     Point{Model: "m", TP: 2, GPU: "H100", Rate: 2.5, Prompt: 547, Output: 248, Measured: Latencies{TTFT: 50, ITL: 10}},
		Predicted: Latencies{TTFT: 55, ITL: 9, E2E: 2500}, Unseen: &Latencies{TTFT: 40, ITL: 10.5, E2E: 2600},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"2 H100", "2.5/s", "547/248", "-10.0 %", "+5.0 %", "+10.0 %", "-20.0 %", "2500.0"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is not in:\n%s", part, b.String())
		}
	}
}

// Whatever is read is refused or can be predicted, or says why not.
func FuzzReadPoints(f *testing.F) {
	f.Add(header + "1,Llama-3.1-70B-Instruct,4,0,2.5,547,248,484016,128,8192,52,88.1,17.1,4207.9\n")
	f.Add(header + "1,x,-1,0,NaN,Inf,1e300,,,,1,1,1,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		points, err := ReadPoints(strings.NewReader(text), "fuzz.csv")
		if err != nil {
			return
		}
		for _, p := range points {
			if !(p.Rate > 0) || p.TP < 1 || !(p.Prompt >= 1) || !(p.Output >= 1) || math.IsInf(p.Rate*p.Prompt*p.Output, 0) {
				t.Errorf("a point of no use: %+v", p)
			}
		}
	})
}
