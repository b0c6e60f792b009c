package main

import (
	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// variants are Preheat with a part off, or with a constant that is another: --ablate runs each as "preheat/NAME", and
// --policies takes that name too. A line here is all that another one needs.
func variants() []compare.Variant {
	return []compare.Variant{
		{Name: "without-forecast", Change: func(c *scaling.Config) { c.Forecast.Disabled = true }},
		{Name: "last-value-forecast", Change: func(c *scaling.Config) { c.Forecast.Only = forecast.LastValue }},
	}
}
