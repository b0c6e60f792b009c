package trace

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rates is a load known only by its rate.
type Rates struct {
	// Period is the time each rate holds.
	Period time.Duration
	// PerSecond are requests per second, one for each period. A hole in the
	// record is NaN: absent, not zero.
	PerSecond []float64
}

// rateUnit is how the value column of a rate file is to be read.
type rateUnit struct {
	column string
	per    time.Duration // zero: a count per period
}

var rateUnits = []rateUnit{
	{"rate_rps", time.Second}, {"req_per_min_mid", time.Minute}, {"count", 0}, {"value", 0},
}

// ReadRatesFile reads a rate file, gzipped or not: either numbers separated by
// white space, one a second, or a CSV with a time column followed by rate_rps,
// req_per_min_mid, count or value, of which the last two are requests per
// period. The period is the median step of the time column.
func ReadRatesFile(path string) (Rates, error) {
	file, err := os.Open(path)
	if err != nil {
		return Rates{}, fmt.Errorf("read rates: %w", err)
	}
	defer file.Close()
	return ReadRates(file, path)
}

// ReadRates is ReadRatesFile on an open stream; name is used in errors.
func ReadRates(r io.Reader, name string) (Rates, error) {
	in, err := plainText(r)
	if err != nil {
		return Rates{}, fmt.Errorf("%s: %w", name, err)
	}
	start, err := in.Peek(1)
	if err != nil {
		return Rates{}, fmt.Errorf("%s: %w: empty", name, ErrFormat)
	}
	var out Rates
	if strings.ContainsAny(string(start), "0123456789.-+N \n") {
		out, err = readRateList(in)
	} else {
		out, err = readRateCSV(in)
	}
	if err != nil {
		return Rates{}, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

func readRateList(in *bufio.Reader) (Rates, error) {
	out := Rates{Period: time.Second}
	scan := bufio.NewScanner(in)
	scan.Split(bufio.ScanWords)
	for scan.Scan() {
		v, err := parseRate(scan.Text())
		if err != nil {
			return out, fmt.Errorf("number %d: %w", len(out.PerSecond)+1, err)
		}
		out.PerSecond = append(out.PerSecond, v)
	}
	return out, scan.Err()
}

// parseRate accepts what a rate can be, and NaN for a hole.
func parseRate(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, err
	}
	if v < 0 || v > 1e9 {
		return 0, fmt.Errorf("rate %v: must be between 0 and 1e9", v)
	}
	return v, nil
}

func readRateCSV(in *bufio.Reader) (Rates, error) {
	records := csv.NewReader(in)
	header, err := records.Read()
	if err != nil {
		return Rates{}, fmt.Errorf("header: %w", err)
	}
	unit, column, err := rateColumn(header)
	if err != nil {
		return Rates{}, err
	}
	var times []time.Time
	var values []float64
	for {
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return evenRates(times, values, unit)
		}
		if err != nil {
			return Rates{}, err
		}
		line, _ := records.FieldPos(0)
		at, err := parseTime(record[0])
		if err != nil {
			return Rates{}, fmt.Errorf("line %d: %w", line, err)
		}
		v, err := parseRate(record[column])
		if err != nil {
			return Rates{}, fmt.Errorf("line %d: %w", line, err)
		}
		times, values = append(times, at), append(values, v)
	}
}

func rateColumn(header []string) (rateUnit, int, error) {
	for _, u := range rateUnits {
		if i := slices.Index(header, u.column); i > 0 {
			return u, i, nil
		}
	}
	return rateUnit{}, 0, fmt.Errorf("%w: header %q", ErrFormat, strings.Join(header, ","))
}

func parseTime(s string) (time.Time, error) {
	if t, err := parseSeconds(s); err == nil {
		return t, nil
	}
	return parseStamp(s)
}

// evenRates puts rows on a grid of their median step; rows that are missing
// become NaN, and of two rows in one period the later wins.
func evenRates(times []time.Time, values []float64, unit rateUnit) (Rates, error) {
	if len(times) < 2 {
		return Rates{}, errors.New("at least two rows are needed to know the period")
	}
	steps := make([]time.Duration, len(times)-1)
	for i := range steps {
		steps[i] = times[i+1].Sub(times[i])
		if steps[i] < 0 {
			return Rates{}, fmt.Errorf("row %d is earlier than the one before", i+2)
		}
	}
	slices.Sort(steps)
	period := steps[len(steps)/2]
	span := times[len(times)-1].Sub(times[0])
	if period <= 0 || span > maxSpan || int(span/period) > 100*len(times) {
		return Rates{}, fmt.Errorf("%d rows over %v with a median step of %v do not make an even series", len(times), span, period)
	}
	per := unit.per
	if per == 0 {
		per = period
	}
	out := Rates{Period: period, PerSecond: make([]float64, int((span+period/2)/period)+1)}
	for i := range out.PerSecond {
		out.PerSecond[i] = math.NaN()
	}
	for i, t := range times {
		out.PerSecond[(t.Sub(times[0])+period/2)/period] = values[i] / per.Seconds()
	}
	return out, nil
}

// TokenMix draws the size of one request.
type TokenMix func(rng *rand.Rand) (prompt, output int)

// Lognormal is one size distribution: exp(Mu + Sigma·N(0,1)) tokens, at least
// one and at most Max.
type Lognormal struct {
	Mu, Sigma float64
	Max       int
}

// Draw returns one size.
func (l Lognormal) Draw(rng *rand.Rand) int {
	v := math.Exp(l.Mu + l.Sigma*rng.NormFloat64())
	return max(1, int(math.Min(v, float64(l.Max))))
}

// ChatMix has the marginals of a public chat trace (Azure 2023, conversation):
// prompts of 1020 tokens in the median and 1.2k in the mean, outputs of 129 and
// 211.
func ChatMix() TokenMix {
	prompt := Lognormal{Mu: math.Log(1020), Sigma: 0.6, Max: 14000}
	output := Lognormal{Mu: math.Log(129), Sigma: 0.99, Max: 1500}
	return func(rng *rand.Rand) (int, int) { return prompt.Draw(rng), output.Draw(rng) }
}

// Requests draws Poisson arrivals at the given rates. Nothing arrives in a hole.
func (r Rates) Requests(rng *rand.Rand, mix TokenMix) []Request {
	return draw(r, rng, mix, 1)
}

// draw makes gamma-distributed gaps with a coefficient of variation of cv (1 is
// Poisson) in operational time, in which the rate is one.
func draw(r Rates, rng *rand.Rand, mix TokenMix, cv float64) []Request {
	shape := 1 / (cv * cv)
	var out []Request
	need := gamma(rng, shape) / shape
	for i, rate := range r.PerSecond {
		if !(rate > 0) {
			continue
		}
		from, left := 0.0, r.Period.Seconds() // within the period, in seconds
		for need <= left*rate {
			from, left = from+need/rate, left-need/rate
			at := time.Duration(i)*r.Period + time.Duration(from*float64(time.Second))
			prompt, output := mix(rng)
			out = append(out, Request{At: at, PromptTokens: prompt, OutputTokens: output})
			need = gamma(rng, shape) / shape
		}
		need -= left * rate
	}
	return out
}

// gamma draws from the gamma distribution with the given shape and scale 1,
// after Marsaglia and Tsang, "A simple method for generating gamma variables",
// ACM TOMS 26(3), 2000.
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rng, shape+1) * math.Pow(1-rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := math.Pow(1+c*x, 3)
		if v > 0 && math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
