package backtest

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/forecast"
)

// Series is a recorded series on an even grid.
type Series struct {
	Name string
	// Start is when the first row begins, Step how long each row is.
	Start time.Time
	Step  time.Duration
	// Values are the rows, each a mean over its step in the series' unit. A row of which nothing is known is NaN; what is
	// negative or infinite is taken as unknown too.
	Values []float64
}

// Validate reports every fault of the series.
func (s *Series) Validate() error {
	var faults []error
	if s.Step <= 0 {
		faults = append(faults, fmt.Errorf("step %v: must be positive", s.Step))
	}
	if len(s.Values) == 0 {
		faults = append(faults, errors.New("no rows"))
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("series %s: %w", s.Name, err)
	}
	return nil
}

// End is when the row of index i ends: an instant at which a forecast can be made that knows this row.
func (s *Series) End(i int) time.Time { return s.Start.Add(time.Duration(i+1) * s.Step) }

// Row is the index of the row that ends at the instant, false where none does.
func (s *Series) Row(end time.Time) (int, bool) {
	since := end.Sub(s.Start)
	if s.Step <= 0 || since%s.Step != 0 {
		return 0, false
	}
	i := int(since/s.Step) - 1
	return i, i >= 0 && i < len(s.Values)
}

// Mean is the mean of the known rows, NaN where there is none.
func (s *Series) Mean() float64 {
	sum, n := 0.0, 0
	for _, v := range s.Values {
		if known(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}

// Actual is what came true of a forecast made at the end of row i for so many rows ahead: the value of the row that is so
// far ahead, or the largest of the rows up to it. It is NaN where one of those rows is unknown or beyond the series: the
// largest of some of them would be too low.
func (s *Series) Actual(i, ahead int, statistic forecast.Statistic) float64 {
	if i+ahead >= len(s.Values) {
		return math.NaN()
	}
	from := i + ahead
	if statistic == forecast.Maximum {
		from = i + 1
	}
	return largest(s.Values[from : i+ahead+1])
}

// Cut is the series from the row of index i on, at most n rows of it; it shares the rows.
func (s *Series) Cut(i, n int) Series {
	out := *s
	out.Start = s.Start.Add(time.Duration(i) * s.Step)
	out.Values = s.Values[i:min(len(s.Values), i+n)]
	return out
}

// largest is the largest of the values, NaN where one of them is unknown or there is none.
func largest(values []float64) float64 {
	most := math.NaN()
	for _, v := range values {
		if !known(v) {
			return math.NaN()
		}
		if !(most >= v) {
			most = v
		}
	}
	return most
}

// known says whether a row's value is one.
func known(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }
