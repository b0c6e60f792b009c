package prom

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// ErrPartial says that Prometheus warned: what is missing in its answer is not zero.
var ErrPartial = errors.New("the answer is in doubt")

// errAnswer says that an answer is not of the kind that was asked for.
var errAnswer = errors.New("an unexpected answer")

// answer is what Prometheus has of one pod.
type answer struct {
	series []*model.SampleStream
	// values are those of the spec's own expressions; what is missing had no value.
	values map[signals.Metric]float64
}

// query asks for all that is wanted of a batch, by pod name.
func (r *Reader) query(ctx context.Context, b []*member, now time.Time) (map[string]*answer, error) {
	found := map[string]*answer{}
	value, err := r.ask(ctx, r.selector(b), now)
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("%w: a %v in place of a matrix", errAnswer, value.Type())
	}
	naming := b[0].Naming
	of := func(m model.Metric) *answer {
		name := string(m[model.LabelName(naming.Pod)])
		if found[name] == nil {
			found[name] = &answer{values: map[signals.Metric]float64{}}
		}
		return found[name]
	}
	for _, s := range matrix {
		a := of(s.Metric)
		a.series = append(a.series, s)
	}
	if b[0].Expressions == nil {
		return found, nil
	}
	for m, expression := range b[0].Expressions.Of {
		vector, err := r.evaluate(ctx, expression, b, now)
		if err != nil {
			return nil, fmt.Errorf("%s by spec.metrics.prometheus.expressions: %w", m, err)
		}
		for _, s := range vector {
			values := of(s.Metric).values
			if _, twice := values[m]; twice {
				s.Value = model.SampleValue(math.NaN()) // nobody knows which of them counts
			}
			values[m] = float64(s.Value)
		}
	}
	return found, nil
}

// evaluate asks for an expression of the spec, confined to the pods of the batch.
func (r *Reader) evaluate(ctx context.Context, expression string, b []*member, now time.Time) (model.Vector, error) {
	naming := b[0].Naming
	confined, err := confine(expression, b[0].Staleness,
		&labels.Matcher{Type: labels.MatchEqual, Name: naming.Namespace, Value: b[0].Pod.Namespace},
		&labels.Matcher{Type: labels.MatchRegexp, Name: naming.Pod, Value: podNames(b)})
	if err != nil {
		return nil, err
	}
	value, err := r.ask(ctx, confined, now)
	if err != nil {
		return nil, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%w: a %v in place of a vector", errAnswer, value.Type())
	}
	return vector, nil
}

// ask sends one query. A warning is a failure: a partial answer looks like idleness.
func (r *Reader) ask(ctx context.Context, query string, now time.Time) (model.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	began := r.o.Clock()
	value, warnings, _, err := r.o.API.Query(ctx, query, now)
	r.metrics.duration.Observe(r.o.Clock().Sub(began).Seconds())
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("%w: %s", ErrPartial, strings.Join(warnings, "; "))
	}
	if err == nil {
		return value, nil
	}
	why := reasonOf(err)
	r.metrics.failures.WithLabelValues(why.name).Inc()
	return nil, fmt.Errorf("%w; %s", cause(err, r.o.Timeout), why.remedy)
}

// selector is the raw samples of a batch over as long as four scrapes take.
func (r *Reader) selector(b []*member) string {
	names := []string{upName}
	lookback := leastLookback
	for _, m := range b {
		switch p, ok := r.o.Profiles.Named(m.Profile); {
		case ok:
			names = append(names, p.SampleNames()...)
		case m.state.profile != nil:
			names = append(names, m.state.profile.SampleNames()...)
		default:
			names = append(names, r.o.Profiles.SampleNames()...)
		}
		lookback = max(lookback, 4*m.state.interval)
		if m.state.interval == 0 {
			lookback = max(lookback, firstLookback)
		}
	}
	slices.Sort(names)
	matchers := []*labels.Matcher{
		{Type: labels.MatchRegexp, Name: model.MetricNameLabel, Value: strings.Join(slices.Compact(names), "|")},
		{Type: labels.MatchEqual, Name: b[0].Naming.Namespace, Value: b[0].Pod.Namespace},
		{Type: labels.MatchRegexp, Name: b[0].Naming.Pod, Value: podNames(b)},
	}
	texts := make([]string, len(matchers))
	for i, m := range matchers {
		texts[i] = m.String()
	}
	return fmt.Sprintf("{%s}[%s]", strings.Join(texts, ","), model.Duration(lookback.Round(time.Second)))
}

// podNames matches the names of a batch's pods.
func podNames(b []*member) string {
	names := make([]string, len(b))
	for i, m := range b {
		names[i] = regexp.QuoteMeta(m.Pod.Name)
	}
	slices.Sort(names)
	return strings.Join(names, "|")
}
