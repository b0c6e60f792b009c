package record

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Queries are the expressions of a record. Several series of one are summed.
type Queries struct {
	// Rate is of requests per second; offered rather than served where the engine tells.
	Rate string
	// Prompt and Output are the mean tokens of a request; empty where they are not wanted.
	Prompt, Output string
}

// Engines are those that Default knows.
func Engines() []string { return []string{"vllm", "sglang"} }

// Default are the expressions for an engine. Rates are taken over the window: with less than four scrape intervals a lost
// scrape leaves a hole, with less than two there is no data at all. The selector holds label matchers, as in namespace="llm",model_name="chat";
// empty takes everything that Prometheus scrapes.
//
// What is offered is what got its first token plus what the queue grew by. Engines count requests when they end, which is
// late by the time they run and, under overload, says what was served and not what was asked for.
func Default(engine, selector string, window time.Duration) (Queries, error) {
	if err := checkSelector(selector); err != nil {
		return Queries{}, err
	}
	fill := strings.NewReplacer("$sel", selector, "$w", model.Duration(window).String()).Replace
	switch engine {
	case "vllm":
		return Queries{
			Rate: fill(`clamp_min(sum(rate(vllm:time_to_first_token_seconds_count{$sel}[$w])) + ` +
				`(sum(deriv(vllm:num_requests_waiting{$sel}[$w])) or vector(0)), 0)`),
			Prompt: fill(`sum(rate(vllm:request_prompt_tokens_sum{$sel}[$w])) / sum(rate(vllm:request_prompt_tokens_count{$sel}[$w]))`),
			Output: fill(`sum(rate(vllm:request_generation_tokens_sum{$sel}[$w])) / sum(rate(vllm:request_generation_tokens_count{$sel}[$w]))`),
		}, nil
	case "sglang": // with --enable-metrics-for-all-schedulers each rank of a tensor reports the same queue
		return Queries{
			Rate: fill(`clamp_min(sum(rate(sglang:time_to_first_token_seconds_count{$sel}[$w])) + ` +
				`(sum(max without (tp_rank, pp_rank, moe_ep_rank) (deriv(sglang:num_queue_reqs{priority="",$sel}[$w]))) or vector(0)), 0)`),
			Prompt: fill(`sum(rate(sglang:prompt_tokens_total{$sel}[$w])) / sum(rate(sglang:num_requests_total{$sel}[$w]))`),
			Output: fill(`sum(rate(sglang:generation_tokens_total{$sel}[$w])) / sum(rate(sglang:num_requests_total{$sel}[$w]))`),
		}, nil
	default:
		return Queries{}, fmt.Errorf("engine %q: want one of %s, or give the query", engine, strings.Join(Engines(), ", "))
	}
}

// checkSelector refuses what would break out of the braces; Prometheus checks the rest.
func checkSelector(selector string) error {
	if strings.HasPrefix(strings.TrimSpace(selector), "{") {
		return errors.New("selector: write the matchers without braces, as in namespace=\"llm\",model_name=\"chat\"")
	}
	return nil
}
