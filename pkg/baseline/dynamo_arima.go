package baseline

import (
	"math"
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/baseline/arima"
)

// arimaPoints are the values before which the last one stands in (minimum_data_points). arimaWindow bounds the values that a
// model rests on; upstream keeps all, and so takes longer with each.
const (
	arimaPoints = 5
	arimaWindow = 500
)

// autoARIMA is upstream's default. It chooses a model as soon as there are five values that differ, and never another: each
// value after these only moves the model's parameters. So few values seldom speak for more than a mean.
type autoARIMA struct {
	values  []float64
	pending []float64 // those that the model does not know yet
	model   *arima.Model
	logs    bool // the model is one of log(1+x)
	// expected is the forecast from these values; asked again, it is not computed again.
	expected float64
	known    bool
}

func (p *autoARIMA) add(x float64) {
	x = max(0, finite(x))
	if len(p.values) == 0 && x == 0 {
		return
	}
	p.values = append(p.values, x)
	p.values = p.values[max(0, len(p.values)-arimaWindow):]
	p.pending = append(p.pending, x)
	p.known = false
}

func (p *autoARIMA) next() float64 {
	if !p.known {
		p.expected, p.known = p.forecast(), true
	}
	return p.expected
}

// forecast is the model's, or the last value where there is none: too few values, one value all the time, or one that no
// model fits. What a failed update brought stays unknown to the model.
func (p *autoARIMA) forecast() float64 {
	if len(p.values) == 0 {
		return 0
	}
	last := p.values[len(p.values)-1]
	if len(p.values) < arimaPoints || p.model == nil && len(slices.Compact(slices.Clone(p.values))) == 1 {
		return last
	}
	err := p.learn()
	p.pending = nil
	if err != nil {
		return last
	}
	x := p.model.Forecast()
	if p.logs {
		x = math.Expm1(x)
	}
	if math.IsInf(x, 0) {
		return last
	}
	return max(0, x)
}

// learn takes the pending values into the model, or chooses one. Where the best one has neither lags nor a moving average, one
// of the logarithms is chosen instead, for series with spikes.
func (p *autoARIMA) learn() error {
	if p.model != nil {
		return p.model.Update(arimaWindow, p.scaled(p.pending)...)
	}
	model, err := arima.Auto(p.values)
	if err != nil {
		return err
	}
	p.model = model
	if o := model.Order(); o.P > 0 || o.Q > 0 {
		return nil
	}
	p.logs = true
	if model, err := arima.Auto(p.scaled(p.values)); err == nil {
		p.model = model
		return nil
	}
	p.logs = false
	return nil
}

// scaled are the values as the model has them.
func (p *autoARIMA) scaled(values []float64) []float64 {
	if !p.logs {
		return values
	}
	out := make([]float64, len(values))
	for i, x := range values {
		out[i] = math.Log1p(x)
	}
	return out
}
