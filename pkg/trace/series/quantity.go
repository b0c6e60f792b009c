package series

import (
	"errors"
	"fmt"
	"math"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// Quantity is what the rows of a trace count, per second.
type Quantity string

// The quantities of a trace. Tokens are counted when their request arrives, generation tokens too.
const (
	Requests         Quantity = "requests"
	PromptTokens     Quantity = "prompt-tokens"
	GenerationTokens Quantity = "generation-tokens"
)

// Quantities returns all of them, the usual one first.
func Quantities() []Quantity { return []Quantity{Requests, PromptTokens, GenerationTokens} }

// unit is what a row is in.
func (q Quantity) unit() string {
	if q.tokens() {
		return "tokens/s"
	}
	return "requests/s"
}

// tokens says whether lengths of requests are needed.
func (q Quantity) tokens() bool { return q == PromptTokens || q == GenerationTokens }

// in is what a request counts for.
func (q Quantity) in(r trace.Request) float64 {
	switch q {
	case PromptTokens:
		return float64(r.PromptTokens)
	case GenerationTokens:
		return float64(r.OutputTokens)
	default:
		return 1
	}
}

// rates are those of a record of rates, an error where it has no lengths. A period without requests has no tokens; one
// with requests of unknown length is unknown.
func (q Quantity) rates(r *trace.Rates) ([]float64, error) {
	lengths := r.Prompt
	if q == GenerationTokens {
		lengths = r.Output
	}
	if !q.tokens() {
		return r.PerSecond, nil
	}
	if lengths == nil {
		return nil, q.missing()
	}
	out := make([]float64, len(r.PerSecond))
	for i, rate := range r.PerSecond {
		if rate > 0 || math.IsNaN(rate) {
			out[i] = rate * lengths[i]
		}
	}
	return out, nil
}

// missing is the error of a file without lengths.
func (q Quantity) missing() error {
	return fmt.Errorf("its requests have no token counts, or not all of them: --of %s needs a trace that has; --of %s does not", q, Requests)
}

// errOneQuantity refuses to count something of a CSV of values.
var errOneQuantity = errors.New("is a CSV of times and values, which are what they are: leave --of out, or give a trace of requests")
