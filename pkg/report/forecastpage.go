package report

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// The bounds of the page's data: forecasts that are drawn, in all and at least of each horizon, spans of time that coverage
// and loss are summed over, experts that are told apart, and misses that are listed.
const (
	mostFanPoints  = 60_000
	leastFanPoints = 200
	mostFanBins    = 80
	mostExperts    = 7
	mostMisses     = 20
)

// forecastPage is the data in the page. Times are in seconds since 1970; columns are places in Columns.
type forecastPage struct {
	Zone      string      `json:"zone"`
	Quantiles []number    `json:"quantiles"`
	Upper     int         `json:"upper"` // the place of the quantile that a miss lies above
	Tail      []number    `json:"tail"`
	Rules     []string    `json:"rules"`
	Series    []fanSeries `json:"series"`
	Columns   *columns    `json:"columns"`
	// What core.js reads of the page of a replay, which shares it.
	SLO      struct{}   `json:"slo"`
	Runs     []struct{} `json:"runs"`
	Policies []struct{} `json:"policies"`
	Results  []struct{} `json:"results"`
}

type fanSeries struct {
	Name     string            `json:"name"`
	Unit     string            `json:"unit"`
	About    string            `json:"about"`
	Verdict  string            `json:"verdict"`
	Loss     map[string]number `json:"loss"`
	Horizons []fanHorizon      `json:"horizons"`
}

type fanHorizon struct {
	Seconds   number            `json:"seconds"`
	Forecasts int               `json:"forecasts"`
	Withdrawn int               `json:"withdrawn"`
	Loss      map[string]number `json:"loss"`
	Coverage  []number          `json:"coverage"`
	// Of the forecasts that are drawn, one in Stride: At is when they are for, Actual what came, Values a column a quantile.
	Stride int   `json:"stride"`
	At     int   `json:"at"`
	Actual int   `json:"actual"`
	Values []int `json:"values"`
	// Bins are spans of time from Since on, by when a forecast is for: how many were scored, how many of each quantile
	// were not exceeded, in how many the last value stood in, and the sums of both losses.
	Since     instant     `json:"since"`
	Width     number      `json:"width"`
	Scored    int         `json:"scored"`
	Covered   []int       `json:"covered"`
	StoodIn   int         `json:"stood_in"`
	Losses    int         `json:"losses"`
	Reference int         `json:"reference"`
	Experts   []fanExpert `json:"experts"`
	WeightsAt int         `json:"weights_at"`
	Misses    []fanMiss   `json:"misses"`
}

// fanExpert is an expert and its share at each of the times of WeightsAt.
type fanExpert struct {
	Name   string `json:"name"`
	Shares int    `json:"shares"`
}

// fanMiss is a forecast that what came lay far above.
type fanMiss struct {
	Origin instant `json:"origin"`
	At     instant `json:"at"`
	Actual number  `json:"actual"`
	Lowest number  `json:"lowest"`
	Upper  number  `json:"upper"`
}

// newForecastPage puts forecasts into the page's data.
func newForecastPage(f *Forecasts) *forecastPage {
	p := &forecastPage{
		Zone: cmp.Or(f.Zone, "UTC"), Quantiles: numbers(f.Quantiles), Tail: []number{}, Rules: append([]string{}, f.Rules...), Series: []fanSeries{},
		Columns: &columns{}, Runs: []struct{}{}, Policies: []struct{}{}, Results: []struct{}{},
	}
	for _, k := range f.Tail {
		p.Tail, p.Upper = append(p.Tail, number(f.Quantiles[k])), k
	}
	all := 0
	for i := range f.Series {
		all += len(f.Series[i].Horizons)
	}
	for i := range f.Series {
		s := &f.Series[i]
		out := fanSeries{Name: s.Name, Unit: s.Unit, About: s.About, Verdict: s.Verdict, Loss: figures(s.Loss), Horizons: []fanHorizon{}}
		for j := range s.Horizons {
			out.Horizons = append(out.Horizons, p.horizon(&s.Horizons[j], max(leastFanPoints, mostFanPoints/all)))
		}
		p.Series = append(p.Series, out)
	}
	return p
}

func numbers(list []float64) []number {
	out := []number{}
	for _, v := range list {
		out = append(out, number(v))
	}
	return out
}

func figures(of map[string]float64) map[string]number {
	out := map[string]number{}
	for name, v := range of {
		out[name] = number(v)
	}
	return out
}

// instant is a time in seconds since 1970, of which a number would drop the last digits.
type instant float64

// MarshalJSON writes milliseconds at most.
func (i instant) MarshalJSON() ([]byte, error) { return thousandths(nil, float64(i)), nil }

// seconds is an instant in the page.
func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// horizon puts one horizon into the data, with at most so many of its forecasts.
func (p *forecastPage) horizon(h *ForecastHorizon, most int) fanHorizon {
	rows := slices.DeleteFunc(slices.Clone(h.Rows), func(r ForecastRow) bool { return len(r.Values) != len(p.Quantiles) })
	out := fanHorizon{
		Seconds: number(h.Horizon.Seconds()), Forecasts: h.Forecasts, Withdrawn: h.Withdrawn, Loss: figures(h.Loss), Coverage: numbers(h.Coverage),
		Stride: max(1, (len(rows)+most-1)/most), Values: []int{}, Covered: []int{}, Experts: []fanExpert{}, Misses: []fanMiss{},
	}
	var drawn []ForecastRow
	for i := 0; i < len(rows); i += out.Stride {
		drawn = append(drawn, rows[i])
	}
	due := func(r *ForecastRow) float64 { return seconds(r.Origin.Add(h.Horizon)) }
	out.At = p.Columns.add(pick(drawn, due), thousandths)
	out.Actual = p.Columns.add(pick(drawn, func(r *ForecastRow) float64 { return r.Actual }), significant)
	for k := range p.Quantiles {
		out.Values = append(out.Values, p.Columns.add(pick(drawn, func(r *ForecastRow) float64 { return r.Values[k] }), significant))
	}
	p.bins(&out, rows, due)
	p.weights(&out, rows, due)
	out.Misses = append(out.Misses, p.misses(rows, h.Horizon)...)
	return out
}

// bins sums up coverage and loss over spans of time.
func (p *forecastPage) bins(out *fanHorizon, rows []ForecastRow, due func(*ForecastRow) float64) {
	if len(rows) == 0 {
		return
	}
	const fewest = 5 // forecasts a span, on average
	n := max(1, min(mostFanBins, len(rows)/fewest))
	first, last := due(&rows[0]), due(&rows[len(rows)-1])
	width := (last - first) / float64(n)
	sums := make([][]float64, 4+len(p.Quantiles)) // scored, loss, reference, withdrawn, covered of each quantile
	for i := range sums {
		sums[i] = make([]float64, n)
	}
	for i := range rows {
		r := &rows[i]
		if math.IsNaN(r.Actual) || math.IsNaN(r.Loss) || math.IsNaN(r.Reference) {
			continue
		}
		b := 0
		if width > 0 {
			b = min(n-1, int((due(r)-first)/width))
		}
		sums[0][b]++
		sums[1][b] += r.Loss
		sums[2][b] += r.Reference
		if r.Withdrawn {
			sums[3][b]++
		}
		for k, v := range r.Values {
			if r.Actual <= v {
				sums[4+k][b]++
			}
		}
	}
	out.Since, out.Width = instant(first), number(width)
	out.Scored, out.Losses, out.Reference = p.Columns.add(sums[0], whole), p.Columns.add(sums[1], significant), p.Columns.add(sums[2], significant)
	out.StoodIn = p.Columns.add(sums[3], whole)
	for k := range p.Quantiles {
		out.Covered = append(out.Covered, p.Columns.add(sums[4+k], whole))
	}
}

// others is what the experts are called together that are not told apart.
const others = "others"

// weights puts the experts' shares over time, the largest on average first, the small ones together.
func (p *forecastPage) weights(out *fanHorizon, rows []ForecastRow, due func(*ForecastRow) float64) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r ForecastRow) bool { return len(r.Weights) == 0 })
	out.WeightsAt = p.Columns.add(pick(rows, due), thousandths)
	sums := map[string]float64{}
	for i := range rows {
		for _, w := range rows[i].Weights {
			sums[w.Expert] += w.Share
		}
	}
	var names []string
	for name := range sums {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b)) })
	told := names[:min(mostExperts, len(names))]
	for _, name := range told {
		out.Experts = append(out.Experts, fanExpert{name, p.Columns.add(pick(rows, func(r *ForecastRow) float64 { return shareOf(r.Weights, name) }), thousandths)})
	}
	if len(told) < len(names) {
		rest := pick(rows, func(r *ForecastRow) float64 {
			sum := 0.0
			for _, name := range names[len(told):] {
				sum += shareOf(r.Weights, name)
			}
			return sum
		})
		out.Experts = append(out.Experts, fanExpert{others, p.Columns.add(rest, thousandths)})
	}
}

// shareOf is the weight of an expert, zero where it has none.
func shareOf(weights []forecast.Weight, name string) float64 {
	for _, w := range weights {
		if w.Expert == name {
			return w.Share
		}
	}
	return 0
}

// misses are the forecasts that what came lay furthest above, the worst first, one for each time that many miss together.
func (p *forecastPage) misses(rows []ForecastRow, horizon time.Duration) []fanMiss {
	over := func(r *ForecastRow) float64 { return r.Actual - r.Values[p.Upper] }
	var missed []*ForecastRow
	for i := range rows {
		if over(&rows[i]) > 0 {
			missed = append(missed, &rows[i])
		}
	}
	slices.SortStableFunc(missed, func(a, b *ForecastRow) int { return cmp.Compare(over(b), over(a)) })
	var out []fanMiss
	var told []*ForecastRow
	for _, r := range missed {
		if len(out) == mostMisses {
			break
		}
		near := func(x *ForecastRow) bool { return x.Origin.Sub(r.Origin).Abs() < max(horizon, time.Hour) }
		if slices.ContainsFunc(told, near) {
			continue
		}
		told = append(told, r)
		out = append(out, fanMiss{
			Origin: instant(seconds(r.Origin)), At: instant(seconds(r.Origin.Add(horizon))), Actual: number(r.Actual), Lowest: number(r.Values[0]), Upper: number(r.Values[p.Upper]),
		})
	}
	return out
}
