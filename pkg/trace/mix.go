package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Mix draws the sizes of requests.
type Mix interface {
	// Draw returns the tokens of one request, each at least one.
	Draw(rng *rand.Rand) (prompt, output int)
	// Means are the means of what Draw returns.
	Means() (prompt, output float64)
}

// Lognormal is one size distribution: exp(Mu + Sigma·N(0,1)) tokens, at least
// one and at most Max.
type Lognormal struct {
	Mu, Sigma float64
	Max       int
}

// Draw returns one size.
func (l Lognormal) Draw(rng *rand.Rand) int { return l.at(rng.NormFloat64()) }

// at is the size at a number of standard deviations from the median.
func (l Lognormal) at(deviations float64) int {
	v := math.Exp(l.Mu + l.Sigma*deviations)
	return max(1, int(math.Min(v, float64(l.Max))))
}

// Mean is the mean of Draw, with its bounds: over equally probable quantiles, within 0.5 %.
func (l Lognormal) Mean() float64 {
	const quantiles = 4000
	sum := 0
	for i := range quantiles {
		sum += l.at(math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/quantiles-1))
	}
	return float64(sum) / quantiles
}

// lognormals draws prompt and output independently: measured correlations are weak (ServeGen, NSDI 2026).
type lognormals struct{ prompt, output Lognormal }

// Draw draws both sizes.
func (m lognormals) Draw(rng *rand.Rand) (prompt, output int) {
	return m.prompt.Draw(rng), m.output.Draw(rng)
}

// Means are those of the two distributions.
func (m lognormals) Means() (prompt, output float64) { return m.prompt.Mean(), m.output.Mean() }

// namedMix is a mix with its name; the parameters are the median and the spread that gives the mean.
type namedMix struct {
	name string
	lognormals
}

func spread(median, sigma float64, most int) Lognormal {
	return Lognormal{Mu: math.Log(median), Sigma: sigma, Max: most}
}

// namedMixes have the medians and means of public data, in tokens:
//
//	chat       1020 and 1.2k in, 129 and 207 out: Azure LLM inference 2023, conversation
//	code       1500 and 2.0k in, 13 and 27 out: Azure LLM inference 2023, code (medians: Splitwise, ISCA 2024)
//	rag        6.9k and 12k in, 310 and 342 out: Mooncake conversation, documents in the prompt; also long-context
//	summarise  2.5k and 2.7k in, 170 and 230 out: papers of some pages, for an abstract of some paragraphs; chosen, not measured
//	short      40 and 115 in, 3 and 14 out: ServeGen m-small, classification and extraction
var namedMixes = []namedMix{
	{"chat", lognormals{spread(1020, 0.6, 14000), spread(129, 0.99, 1500)}},
	{"code", lognormals{spread(1500, 0.79, 8000), spread(13, 1.24, 2000)}},
	{"rag", lognormals{spread(6909, 1.05, 120000), spread(310, 0.45, 2000)}},
	{"long-context", lognormals{spread(6909, 1.05, 120000), spread(310, 0.45, 2000)}},
	{"summarise", lognormals{spread(2500, 0.4, 8000), spread(170, 0.78, 2000)}},
	{"short", lognormals{spread(40, 1.48, 8000), spread(3, 1.79, 1000)}},
}

// MixNames are the names that NamedMix knows.
func MixNames() []string {
	var names []string
	for _, m := range namedMixes {
		names = append(names, m.name)
	}
	return names
}

// ChatMix has the marginals of a public chat trace: what NamedMix knows as chat.
func ChatMix() Mix { return namedMixes[0].lognormals }

// NamedMix is a mix of MixNames, or fixed:PROMPT/OUTPUT for requests that are all alike.
func NamedMix(name string) (Mix, error) {
	if sizes, ok := strings.CutPrefix(name, "fixed:"); ok {
		return parseFixed(sizes)
	}
	i := slices.IndexFunc(namedMixes, func(m namedMix) bool { return m.name == name })
	if i < 0 {
		return nil, fmt.Errorf("mix %q: want one of %s, fixed:PROMPT/OUTPUT, or the path of a request trace", name,
			strings.Join(MixNames(), ", "))
	}
	return namedMixes[i].lognormals, nil
}

// fixed is the one size of all requests.
type fixed struct{ prompt, output int }

// Draw returns the one size.
func (f fixed) Draw(*rand.Rand) (prompt, output int) { return f.prompt, f.output }

// Means are the one size.
func (f fixed) Means() (prompt, output float64) { return float64(f.prompt), float64(f.output) }

func between(s string, low, high int) (n int, err error) {
	if n, err = strconv.Atoi(s); err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not a whole number between %d and %d", s, low, high)
	}
	return n, nil
}

func parseFixed(sizes string) (Mix, error) {
	prompt, output, _ := strings.Cut(sizes, "/")
	p, err := between(prompt, 1, maxTokens)
	if err != nil {
		return nil, fmt.Errorf("mix fixed:%s: prompt tokens: %w", sizes, err)
	}
	o, err := between(output, 1, maxTokens)
	if err != nil {
		return nil, fmt.Errorf("mix fixed:%s: output tokens: %w; write fixed:PROMPT/OUTPUT", sizes, err)
	}
	return fixed{p, o}, nil
}

// Empirical draws pairs that were seen together, so that their correlation stays.
type Empirical struct{ pairs []fixed }

// maxPairs bounds what an Empirical mix keeps.
const maxPairs = 100_000

// NewEmpirical keeps the sizes of a stream's requests; of more than 100,000, a sample in which each has the same chance.
func NewEmpirical(s Stream) (*Empirical, error) {
	m := &Empirical{}
	rng := source(0, forSizes)
	for n := int64(1); ; n++ {
		q, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		pair := fixed{q.PromptTokens, q.OutputTokens}
		if len(m.pairs) < maxPairs {
			m.pairs = append(m.pairs, pair)
		} else if i := rng.Int64N(n); i < maxPairs {
			m.pairs[i] = pair
		}
	}
	if len(m.pairs) == 0 {
		return nil, errors.New("no requests to take sizes from")
	}
	return m, nil
}

// Draw returns one of the pairs.
func (m *Empirical) Draw(rng *rand.Rand) (prompt, output int) {
	pair := m.pairs[rng.IntN(len(m.pairs))]
	return pair.prompt, pair.output
}

// Means are those of the pairs.
func (m *Empirical) Means() (prompt, output float64) {
	for _, pair := range m.pairs {
		prompt += float64(pair.prompt)
		output += float64(pair.output)
	}
	n := float64(len(m.pairs))
	return prompt / n, output / n
}

// mix resolves Options.Mix.
func (o Options) mix() (Mix, error) {
	if o.Mix == "" {
		return ChatMix(), nil
	}
	named, err := NamedMix(o.Mix)
	if err == nil || !exists(o.Mix) {
		return named, err
	}
	in, err := openRequests(o.Mix, Options{})
	if err != nil {
		return nil, fmt.Errorf("mix: %w", err)
	}
	defer in.Close()
	pairs, err := NewEmpirical(in)
	if err != nil {
		return nil, fmt.Errorf("mix %s: %w", o.Mix, err)
	}
	return pairs, nil
}
