package forecast

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/stat"
)

// maxPast is how many rows are kept to find seasons in: five weeks of minutes.
const maxPast = 5 * 7 * 24 * 60

// Past holds the newest rows, oldest overwritten.
type Past struct {
	Values []float32
	// Next is where the next one goes once there are maxPast, Sought the number of rows seen at the last search.
	Next, Sought int
	// Long and Short are the periods in rows that the last search found better than those of the day's and the hour's
	// clock; a clock turns to what two searches in a row have found.
	Long, Short int
}

func (p *Past) push(v float64) {
	if len(p.Values) < maxPast {
		p.Values = append(p.Values, float32(v))
		return
	}
	p.Values[p.Next] = float32(v)
	p.Next = (p.Next + 1) % maxPast
}

// drop forgets the newest n rows.
func (p *Past) drop(n int) {
	p.Values = append(p.Values[p.Next:], p.Values[:p.Next]...)
	p.Values, p.Next = p.Values[:max(0, len(p.Values)-n)], 0
}

func (p *Past) skip(n int) {
	for range min(n, maxPast) {
		p.push(unknown)
	}
}

// at returns the i-th row, the oldest first.
func (p *Past) at(i int) float32 {
	if i += p.Next; i >= len(p.Values) {
		i -= len(p.Values)
	}
	return p.Values[i]
}

const (
	// minSought is the fewest rows that seasons are sought in; they are sought again when there are a quarter more, at the
	// latest after soughtAgain.
	minSought   = 64
	soughtAgain = 24 * time.Hour
	// maxBins bounds the series whose autocorrelation is taken.
	maxBins = 2048
	// between parts the periods of the hour's clock from those of the day's, longest is the greatest of these.
	between, longest = 90 * time.Minute, 36 * time.Hour
	// minRounds is the fewest times that a period must have come round.
	minRounds = 3
	// minCorrelation is the least autocorrelation at a season, and the least by which it stands above the valley before it.
	minCorrelation = 0.4
	// clearly is by how much another period must be better than the one in use, nearly by how much it may be worse where it
	// is shorter and goes into that one.
	clearly, nearly = 0.1, 0.02
)

// seek looks for seasons: the clocks of the hour and the day take the period at which the series resembles itself most,
// where that is clearly better than theirs.
func (f *Forecaster) seek(s *Spec) {
	again := max(1, min(f.Past.Sought/4, int(soughtAgain/s.Step)))
	if f.Seen < max(minSought, f.Past.Sought+again) {
		return
	}
	f.Past.Sought = f.Seen
	n := len(f.Past.Values)
	least := rowsIn(between, s.Step)
	all, newest := f.Past.correlate(n, 0), f.Past.correlate(min(n, maxBins), least)
	used, day := rowsIn(f.Day.Period, s.Step), rowsIn(24*time.Hour, s.Step)
	long := f.Past.refine(all.season(least, rowsIn(longest, s.Step), used, day), used, day, all.bin)
	if alike(long, f.Past.Long) {
		f.turn(s, &f.Day, time.Duration(long)*s.Step)
	}
	short := newest.season(4, least, rowsIn(f.Hour.Period, s.Step), rowsIn(time.Hour, s.Step))
	if alike(short, f.Past.Short) {
		f.turn(s, &f.Hour, time.Duration(short)*s.Step)
	}
	f.Past.Long, f.Past.Short = long, short
}

// alike reports whether two periods that were found are about the same.
func alike(a, b int) bool { return a > 0 && math.Abs(float64(a-b)) <= 0.03*float64(a) }

func rowsIn(span, step time.Duration) int { return int((span + step/2) / step) }

// turn gives a clock another period and lets it learn from the past.
func (f *Forecaster) turn(s *Spec, c *Clock, period time.Duration) {
	*c = newClock(period, s.Step, len(c.Newest), c.Share)
	if c.Period == 0 {
		return
	}
	n := len(f.Past.Values)
	for i := range n {
		if v := f.Past.at(i); v >= 0 {
			c.take(s.place(f.End.Add(-time.Duration(n-1-i)*s.Step)), float64(v), true, s.Step)
		}
	}
}

// correlation is the autocorrelation of the newest rows, in bins of several.
type correlation struct {
	values    []float64
	rows, bin int
}

// correlate takes the autocorrelation of the newest n rows by way of their power spectrum (Wiener-Khinchin), of the
// square roots, so that a few large values do not decide alone. Where trend is above zero, the mean over as many rows is
// taken off first.
func (p *Past) correlate(n, trend int) correlation {
	bin := (n + maxBins - 1) / maxBins
	bins := n / bin
	x := make([]float64, 2<<bits.Len(uint(bins-1))) // room for every lag, and a length that is quick to transform
	var sum, known float64
	seen := make([]bool, bins)
	for i := range bins {
		var v, k float64
		for j := range bin {
			if y := p.at(len(p.Values) - bins*bin + i*bin + j); y >= 0 {
				v, k = v+math.Sqrt(float64(y)), k+1
			}
		}
		if seen[i] = k > 0; seen[i] {
			x[i] = v / k
			sum, known = sum+x[i], known+1
		}
	}
	mean := sum / math.Max(known, 1)
	for i := range bins {
		if trend > 0 && i > 0 {
			mean += (x[i] - mean) / float64(min(i+1, trend))
		}
		if x[i] -= mean; !seen[i] {
			x[i] = 0
		}
	}
	fft := fourier.NewFFT(len(x))
	spectrum := fft.Coefficients(nil, x)
	for i, c := range spectrum {
		spectrum[i] = complex(real(c)*real(c)+imag(c)*imag(c), 0)
	}
	x = fft.Sequence(x, spectrum)
	out := correlation{values: x[:bins], rows: bins * bin, bin: bin}
	whole := x[0] / float64(bins)
	for lag := range out.values {
		if whole > 0 {
			out.values[lag] /= whole * float64(bins-lag)
		}
	}
	return out
}

// at is the autocorrelation at a lag of so many rows, zero where too few rows are that far apart.
func (c *correlation) at(rows int) float64 {
	if rows <= 0 || rows > c.rows*2/3 {
		return 0
	}
	return c.values[int(math.Round(float64(rows)/float64(c.bin)))%len(c.values)]
}

// season returns the period in rows, from least to most, at which the series resembles itself, zero where the one in
// use is as good. Of several that are as good the shortest is taken; one that is about the usual length, or a whole part
// of it, is so exactly, since bins are coarse.
func (c *correlation) season(least, most, used, usual int) int {
	peaks := c.peaks(least, min(most, c.rows/minRounds))
	if len(peaks) == 0 {
		return 0
	}
	best := slices.MaxFunc(peaks, func(a, b int) int { return cmp.Compare(c.values[a], c.values[b]) })
	best = peaks[slices.IndexFunc(peaks, func(lag int) bool { return c.values[lag] >= c.values[best]-nearly })]
	found := best * c.bin
	switch d := math.Abs(float64(found - usual)); {
	case d <= 0.03*float64(usual):
		found = usual
	case divides(found, usual):
		found = int(math.Round(float64(usual) / math.Round(float64(usual)/float64(found))))
	}
	if found == used || c.values[best] < needed(found, used, c.at(used)) {
		return 0
	}
	return found
}

// needed is the correlation that a period needs to take the place of the one in use, which has that of now.
func needed(found, used int, now float64) float64 {
	if divides(found, used) {
		return now - nearly
	}
	return now + clearly
}

// peaks are the lags in bins, from least to most rows, that stand out: above all within an eighth of them and above the
// valley before.
func (c *correlation) peaks(least, most int) []int {
	var out []int
	valley := 1.0
	for lag := 1; lag <= most/c.bin && lag+1 < len(c.values); lag++ {
		v := c.values[lag]
		valley = math.Min(valley, v)
		if lag*c.bin >= least && v >= minCorrelation && v-valley >= minCorrelation && c.tops(lag) {
			out = append(out, lag)
		}
	}
	return out
}

// refine says exactly which period it is, where bins of several rows said about which, zero where the one in use is as
// good after all: a clock that is a row off is wrong after as many rounds as it has rows.
func (p *Past) refine(found, used, usual, bin int) int {
	if found == 0 || bin == 1 {
		return found
	}
	best, most := found, p.resemblance(found)
	for lag := found - bin; found != usual && !divides(found, usual) && lag <= found+bin; lag++ {
		if r := p.resemblance(lag); r > most {
			best, most = lag, r
		}
	}
	if best == used || most < needed(best, used, p.resemblance(used)) {
		return 0
	}
	return best
}

// resemblance is the correlation of the roots of the newest rows with those of lag rows before.
func (p *Past) resemblance(lag int) float64 {
	const enough = 8192 // rows; more would take long and tell no more
	var x, y []float64
	for i := max(lag, len(p.Values)-max(enough, 4*lag)); i < len(p.Values); i++ {
		if a, b := p.at(i), p.at(i-lag); a >= 0 && b >= 0 {
			x, y = append(x, math.Sqrt(float64(a))), append(y, math.Sqrt(float64(b)))
		}
	}
	if r := stat.Correlation(x, y, nil); !math.IsNaN(r) {
		return r
	}
	return 0
}

// tops reports whether nothing within an eighth of a lag resembles the series more.
func (c *correlation) tops(lag int) bool {
	for i := max(1, lag-lag/8); i <= lag+lag/8 && i < len(c.values); i++ {
		if c.values[i] > c.values[lag] {
			return false
		}
	}
	return true
}

// divides reports whether a period goes into another whole times, about: then it is learned sooner.
func divides(period, whole int) bool {
	if period == 0 {
		return false
	}
	times := math.Round(float64(whole) / float64(period))
	return times > 1 && math.Abs(float64(whole)-times*float64(period)) <= 0.03*float64(period)
}
