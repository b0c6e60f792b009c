package prom

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// SeriesAPI is the part of Prometheus' API that tells which series there were.
type SeriesAPI interface {
	Series(ctx context.Context, matches []string, from, to time.Time, opts ...v1.Option) ([]model.LabelSet, v1.Warnings, v1.Infos, error)
}

// Engine returns the profile of what matchers, as in namespace="ml",pod=~"chat-.*", select in a time: that of the first page on
// which one is found, nil where there is none.
func Engine(ctx context.Context, api SeriesAPI, profiles *exposition.Profiles, matchers string, from, to time.Time) (*exposition.Profile, error) {
	names := labels.Matcher{Type: labels.MatchRegexp, Name: model.MetricNameLabel, Value: strings.Join(append(profiles.SampleNames(), upName), "|")}
	found, warnings, _, err := api.Series(ctx, []string{fmt.Sprintf("{%s,%s}", names.String(), matchers)}, from, to)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("%w: %s", ErrPartial, strings.Join(warnings, "; "))
	}
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for the engine: %w", err)
	}
	series := make([]*model.SampleStream, len(found))
	for i, labels := range found { // a page of zeros: names and labels tell
		series[i] = &model.SampleStream{Metric: model.Metric(labels), Values: []model.SamplePair{{}}}
	}
	for _, t := range targets(series) {
		if p, err := profiles.Detect(t.page(0)); err == nil {
			return p, nil
		}
	}
	return nil, nil //nolint:nilnil // no page of an engine, which is no fault
}
