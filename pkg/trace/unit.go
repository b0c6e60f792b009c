package trace

import (
	"fmt"
	"math"
	"time"
)

// rateUnit is how the value column of a rate file is to be read.
type rateUnit struct {
	column string
	per    time.Duration // zero: a count per period
}

// valueColumn is what tools call a column that they know nothing of. Public series (NAB) keep counts in it, monitoring
// rates: the two are a factor of the period in seconds apart.
const valueColumn = "value"

var rateUnits = []rateUnit{
	{"rate_rps", time.Second}, {"req_per_min_mid", time.Minute}, {"count", 0}, {valueColumn, 0},
}

// forced is the unit that a format says outright, whatever the file calls it; false where it says none.
func (f Format) forced() (per time.Duration, ok bool) {
	switch f {
	case RatesPerSecond:
		return time.Second, true
	case CountsPerPeriod:
		return 0, true
	default:
		return 0, false
	}
}

// unitOf is the unit of numbers that are requests per the given time by what is known of the layout, unless want says
// otherwise.
func (f Format) unitOf(per time.Duration) time.Duration {
	if forced, ok := f.forced(); ok {
		return forced
	}
	return per
}

// checkCount refuses a part of a request where nothing but the assumption says that values are counts.
func checkCount(v float64) error {
	if math.IsNaN(v) || v == math.Trunc(v) {
		return nil
	}
	return fmt.Errorf("%v is no count of requests, which this column is taken for: give the format %s if it is requests per second, %s if it is a mean count",
		v, RatesPerSecond, CountsPerPeriod)
}

// assumed says what the values of an unnamed unit were taken for.
func assumed(period time.Duration) string {
	return fmt.Sprintf("the column %s is taken for requests per period of %v; the format %s takes it for requests per second",
		valueColumn, period, RatesPerSecond)
}

// perSecondAssumed says the same of an answer of Prometheus.
var perSecondAssumed = fmt.Sprintf("the values are taken for requests per second, as rate() gives them; the format %s takes them for requests per step, as increase() does",
	CountsPerPeriod)
