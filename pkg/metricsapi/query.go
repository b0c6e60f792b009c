package metricsapi

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// query is what a selector over the labels of a metric asks for.
type query struct {
	series series
	// objects is the selector without its part on the quantile.
	objects labels.Selector
	// quantile is the one asked for, 0 for none.
	quantile float64
}

// parse finds the series that a metric name and a selector mean.
func (c catalog) parse(metric string, selector labels.Selector) (query, error) {
	all, ok := c[metric]
	if !ok {
		return query{}, notFound("there is no metric %s; these are served: %s", metric,
			strings.Join(c.names(func(series) bool { return true }), ", "))
	}
	quantile, objects, err := splitQuantile(selector)
	if err != nil {
		return query{}, err
	}
	s, ok := defaultSeries(all)
	switch {
	case quantile == 0 && !ok:
		return query{}, badRequest("%s is a distribution: select one quantile by the label %s=%s, or ask for %s_p95 or %s_avg",
			metric, QuantileLabel, quantilesOf(all), metric, metric)
	case quantile != 0 && s.isMeasured() || len(all) > 1 && quantile != 0:
		if s, ok = withQuantile(all, quantile); !ok {
			return query{}, notFound("%s has no series with %s=%v; its quantiles: %s", metric, QuantileLabel, quantile, quantilesOf(all))
		}
	}
	return query{series: s, objects: objects, quantile: quantile}, nil
}

func quantilesOf(all []series) string {
	var qs []string
	for _, s := range all {
		if s.quantile != 0 {
			qs = append(qs, strconv.FormatFloat(s.quantile, 'g', -1, 64))
		}
	}
	if len(qs) == 0 {
		return "none"
	}
	slices.Sort(qs)
	return strings.Join(qs, "|")
}

// splitQuantile takes the quantile out of a selector; it must be one value.
func splitQuantile(selector labels.Selector) (quantile float64, rest labels.Selector, err error) {
	requirements, selectable := selector.Requirements()
	at := slices.IndexFunc(requirements, func(r labels.Requirement) bool { return r.Key() == QuantileLabel })
	if at < 0 || !selectable {
		return 0, selector, nil
	}
	rest = labels.NewSelector()
	for _, r := range requirements {
		if r.Key() != QuantileLabel {
			rest = rest.Add(r)
			continue
		}
		q, ok := exactly(r)
		value, parseErr := strconv.ParseFloat(q, 64)
		if !ok || parseErr != nil || !(value > 0 && value < 1) || quantile != 0 {
			return 0, nil, badRequest("selector %q: %s must equal one number between 0 and 1", selector, QuantileLabel)
		}
		quantile = value
	}
	return quantile, rest, nil
}

// exactly returns the one value that a requirement allows, false where it allows none or several.
func exactly(r labels.Requirement) (string, bool) {
	switch r.Operator() {
	case selection.Equals, selection.DoubleEquals, selection.In:
		if values := r.ValuesUnsorted(); len(values) == 1 {
			return values[0], true
		}
	default: // several values, or all but some
	}
	return "", false
}

// merged returns the union of label sets, later ones winning.
func merged(sets ...map[string]string) labels.Set {
	all := labels.Set{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}
