package series_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

const lengths = "arrival_s,input_tokens,output_tokens\n0,100,10\n30,200,20\n60,300,30\n119,600,90\n180,1,1\n"

func TestWhatRowsCount(t *testing.T) {
	for name, tc := range map[string]struct {
		file, text string
		of         series.Quantity
		want       []float64 // a minute, as sums
		unit       string
	}{
		"requests unless told otherwise":        {"a.csv", lengths, "", []float64{2, 2, 0}, "requests/s"},
		"requests":                              {"a.csv", lengths, series.Requests, []float64{2, 2, 0}, "requests/s"},
		"tokens of prompts when they arrive":    {"a.csv", lengths, series.PromptTokens, []float64{300, 900, 0}, "tokens/s"},
		"tokens to be generated as they arrive": {"a.csv", lengths, series.GenerationTokens, []float64{30, 120, 0}, "tokens/s"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := series.Open(save(t, tc.file, tc.text), series.Options{Of: tc.of})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(s.Values))
			for i, v := range s.Values {
				got[i] = 60 * v
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" || s.Unit != tc.unit {
				t.Errorf("in %s (-want +got):\n%s", s.Unit, diff)
			}
		})
	}
}

func TestTokensNeedLengths(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a CSV of values":       {"timestamp_unix,value\n0,1\n60,2\n", "leave --of out"},
		"rates without lengths": {strings.Repeat("3\n", 300), "no token counts"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, of := range []series.Quantity{series.PromptTokens, series.GenerationTokens} {
				path := save(t, "a.csv", tc.text)
				if _, err := series.Open(path, series.Options{}); err != nil {
					t.Fatalf("as requests: %v", err)
				}
				_, err := series.Open(path, series.Options{Of: of})
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "a.csv") {
					t.Errorf("%s: got %v, want one with %q", of, err, tc.want)
				}
			}
		})
	}
}

// A generated workload has lengths of its own mix.
func TestTokensOfAWorkload(t *testing.T) {
	s, err := series.Open("steady:rate=50,length=30m", series.Options{Of: series.PromptTokens})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range s.Values {
		if !(v > 50*100) || math.IsInf(v, 0) {
			t.Errorf("row %d is %v tokens/s", i, v)
		}
	}
}
