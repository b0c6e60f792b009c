package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Rates is a load known only by its rate.
type Rates struct {
	// Start is the date of the first period, the zero time where none is known.
	Start time.Time
	// Period is the time each rate holds.
	Period time.Duration
	// PerSecond are requests per second, one for each period. A hole in the
	// record is NaN: absent, not zero.
	PerSecond []float64
	// Prompt and Output are the mean tokens of the requests of each period, NaN where unknown; nil where the record has
	// none.
	Prompt, Output []float64
}

// Length is the time that the rates cover.
func (r Rates) Length() time.Duration { return time.Duration(len(r.PerSecond)) * r.Period }

// holes counts the periods without a rate.
func (r Rates) holes() int {
	n := 0
	for _, v := range r.PerSecond {
		if math.IsNaN(v) {
			n++
		}
	}
	return n
}

// point is a row of a rate series.
type point struct {
	at             int64 // nanoseconds
	value          float64
	prompt, output float64
}

// evenRates puts rows on a grid of their step; rows that are missing become NaN, and of two rows of the same time the
// later wins. The values are requests per the given time, or per period where it is zero.
func evenRates(rows []point, per time.Duration) (Rates, error) {
	slots, period, err := grid(rows)
	if err != nil {
		return Rates{}, err
	}
	if per == 0 {
		per = period
	}
	n := slots[len(slots)-1] + 1
	out := Rates{Period: period, PerSecond: holes(n), Prompt: holes(n), Output: holes(n)}
	sized := false
	for i, row := range rows {
		out.PerSecond[slots[i]] = row.value / per.Seconds()
		out.Prompt[slots[i]], out.Output[slots[i]] = row.prompt, row.output
		sized = sized || row.prompt > 0 || row.output > 0
	}
	if !sized {
		out.Prompt, out.Output = nil, nil
	}
	return out, nil
}

func holes(n int) []float64 {
	return slices.Repeat([]float64{math.NaN()}, n)
}

// grid numbers the rows' periods. The median step tells which steps pass over missing rows; the period then is the mean
// step, so that steps of 7:12 and 7:13 do not drift from the record's dates.
func grid(rows []point) (slots []int, period time.Duration, err error) {
	if len(rows) < 2 {
		return nil, 0, errors.New("at least two rows are needed to know the period")
	}
	steps := make([]int64, len(rows)-1)
	for i := range steps {
		steps[i] = rows[i+1].at - rows[i].at
		if steps[i] < 0 {
			return nil, 0, fmt.Errorf("row %d is earlier than the one before: sort the rows by time", i+2)
		}
	}
	sorted := slices.Sorted(slices.Values(steps))
	median, span := sorted[len(sorted)/2], rows[len(rows)-1].at-rows[0].at
	if median <= 0 || span > int64(maxSpan) || span/median > int64(100*len(rows)) {
		return nil, 0, fmt.Errorf("%d rows over %v with a median step of %v do not make an even series",
			len(rows), time.Duration(span), time.Duration(median))
	}
	slots = make([]int, len(rows))
	for i, step := range steps {
		slots[i+1] = slots[i] + int((step+median/2)/median)
	}
	return slots, time.Duration(math.Round(float64(span) / float64(slots[len(slots)-1]))), nil
}

// Draw makes a stream of requests at the rates. Nothing arrives in a hole. Of the options, the arrival process, window,
// rate factor and seed are used; From and For need not be at a period's bounds.
func (r Rates) Draw(mix Mix, o Options) Stream {
	rng := source(o.Seed, forArrivals)
	d := &drawn{rates: r, gaps: newGaps(o.Arrivals, rng), mix: mix, sizes: source(o.Seed, forSizes), factor: 1}
	if o.Rate > 0 {
		d.factor = o.Rate
	}
	d.start, d.end = o.From, r.Length()
	if o.For > 0 {
		d.end = min(d.end, o.From+o.For)
	}
	d.meanPrompt, d.meanOutput = mix.Means()
	d.now = d.start
	d.need = d.gaps.first()
	return d
}

// drawn draws requests from rates, holding nothing but the rates.
type drawn struct {
	rates  Rates
	gaps   *gaps
	mix    Mix
	sizes  *rand.Rand
	factor float64
	// start and end are the window.
	start, end time.Duration
	// now is the time reached, need what is left of the gap in operational time.
	now  time.Duration
	need float64

	meanPrompt, meanOutput float64
}

// Next goes through operational time, in which the rate is one, until the gap is used up.
func (d *drawn) Next() (Request, error) {
	for d.now < d.end {
		period := int(d.now / d.rates.Period)
		until := min(d.end, time.Duration(period+1)*d.rates.Period)
		rate := d.rates.PerSecond[period] * d.factor
		if !(rate > 0) {
			d.now = until
			continue
		}
		area := (until - d.now).Seconds() * rate
		if d.need >= area {
			d.need -= area
			d.now = until
			continue
		}
		at := d.now + time.Duration(d.need/rate*float64(time.Second))
		d.now = min(at, until-1)
		d.need = d.gaps.next()
		return d.request(period), nil
	}
	return Request{}, io.EOF
}

// request draws the sizes of a request at the time reached.
func (d *drawn) request(period int) Request {
	prompt, output := d.mix.Draw(d.sizes)
	if d.rates.Prompt != nil {
		prompt = scaled(prompt, d.rates.Prompt[period], d.meanPrompt)
		output = scaled(output, d.rates.Output[period], d.meanOutput)
	}
	return Request{At: d.now - d.start, PromptTokens: prompt, OutputTokens: output}
}

// scaled keeps a size's shape and gives it another mean; an unknown mean leaves it as it is.
func scaled(size int, want, have float64) int {
	if !(want > 0) {
		return size
	}
	return max(1, int(math.Min(math.Round(float64(size)*want/have), maxTokens)))
}

// expected is the mean number of requests that Draw yields.
func (r Rates) expected(o Options) int64 {
	sum := 0.0
	end := r.Length()
	if o.For > 0 {
		end = min(end, o.From+o.For)
	}
	for i, rate := range r.PerSecond {
		from := max(o.From, time.Duration(i)*r.Period)
		until := min(end, time.Duration(i+1)*r.Period)
		if rate > 0 && until > from {
			sum += rate * (until - from).Seconds()
		}
	}
	if o.Rate > 0 {
		sum *= o.Rate
	}
	return int64(math.Round(sum))
}
