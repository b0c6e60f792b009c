package compare_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

func TestWhatNoReplicaCanHoldIsCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		model, kv int // tokens
		want      compare.Outsized
	}{
		"longer than the model takes":     {1000, 400_000, compare.Outsized{Requests: 2, Tokens: 1000, Field: "max_model_len"}},
		"more than the KV cache's blocks": {131_072, 1007, compare.Outsized{Requests: 2, Tokens: 992, Field: "kv_tokens"}},
		"nothing is too long":             {131_072, 400_000, compare.Outsized{Tokens: 131_072, Field: "max_model_len"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := experiment(t)
			e.Profile.MaxModelLen, e.Profile.KVTokens = tc.model, tc.kv
			e.Policies, e.Seeds, e.Leads = []string{"preheat", "kpa"}, e.Seeds[:1], e.Leads[:1]
			requests := []trace.Request{{PromptTokens: 10, OutputTokens: 10}}
			for i, tokens := range []int{tc.want.Tokens, tc.want.Tokens + 1, tc.want.Tokens + 16} {
				if tc.want.Requests > 0 {
					requests = append(requests, trace.Request{At: time.Duration(i+1) * time.Second, PromptTokens: tokens - 10, OutputTokens: 10})
				}
			}
			e.Load = slice(requests...)
			got, err := compare.Run(t.Context(), e, compare.Tools{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Outsized); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, s := range got.Scores {
				if int64(s.Requests.Rejected) != tc.want.Requests {
					t.Errorf("%s: replicas rejected %d requests, want %d", s.Policy, s.Requests.Rejected, tc.want.Requests)
				}
			}
			checkBound(t, e.Profile, tc.want.Tokens)
		})
	}
}

// checkBound makes sure that a replica draws the line where it was counted.
func checkBound(t *testing.T, p replica.Profile, tokens int) {
	t.Helper()
	r, err := replica.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Submit(0, replica.Request{ID: 1, PromptTokens: tokens - 10, OutputTokens: 10}); err != nil {
		t.Errorf("%d tokens are refused: %v", tokens, err)
	}
	err = r.Submit(0, replica.Request{ID: 2, PromptTokens: tokens - 9, OutputTokens: 10})
	if !errors.Is(err, replica.ErrTooLong) {
		t.Errorf("%d tokens: error is %v, want %v", tokens+1, err, replica.ErrTooLong)
	}
}
