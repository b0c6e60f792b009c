package backfill

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// targetLabels tell apart several scrapes of one pod: by two jobs, or by two Prometheus whose samples a store has both of.
// They are on no engine's page.
var targetLabels = []string{"job", "instance", "prometheus", "prometheus_replica"}

// asked are the expressions of a target's past over one window.
type asked struct {
	of map[series.Quantity]string
	// present is how many pods had a count of requests, whether or not a rate can be made of it.
	present string
}

// queries returns an expression by quantity, of what a profile's engines counted over a window before each instant; nothing
// where the profile has no counter for it. Where fewer pods have a rate than have a count they say nothing: a part of them
// looks like a quiet time. A pod that is scraped twice counts once.
//
// What was offered is what ended plus what came to be in the engine meanwhile, as pkg/scaling has it: under overload, engines
// end fewer requests than come.
func queries(p *exposition.Profile, matchers string, by []string, window time.Duration) asked {
	w := model.Duration(window).String()
	rates, counts := perPod(p, matchers, by, w), perPod(p, matchers, by, "")
	out := asked{of: map[series.Quantity]string{}}
	if count := counts[signals.RequestsFinished]; count != "" {
		out.present = "count(" + count + ")"
	}
	for q, m := range map[series.Quantity]signals.Metric{
		series.Demand: signals.RequestsFinished, series.PromptTokens: signals.PromptTokens, series.GenerationTokens: signals.GenerationTokens,
	} {
		rate := rates[m]
		if rate == "" {
			continue
		}
		all := "sum(" + rate + ")"
		if inside := inside(counts); q == series.Demand && inside != "" && !p.CountsArrivals() {
			// Of each pod: one of which nothing was recorded for a while does not shrink or grow meanwhile.
			all = fmt.Sprintf("clamp_min((%s + sum(deriv((%s)[%s:30s]))) or %s, 0)", all, inside, w, all)
		}
		out.of[q] = fmt.Sprintf("(%s) and on () (count(%s) >= count(%s))", all, rate, counts[m])
	}
	return out
}

// inside is what is in each pod, empty where nothing tells.
func inside(counts map[signals.Metric]string) string {
	if waiting, running := counts[signals.RequestsWaiting], counts[signals.RequestsRunning]; waiting != "" && running != "" {
		return waiting + " + " + running
	}
	return counts[signals.RequestsInflight]
}

// perPod is a profile as one value for each pod: rates over a window where there is one, else counters as they stand.
func perPod(p *exposition.Profile, matchers string, by []string, window string) map[signals.Metric]string {
	of := map[signals.Metric]string{}
	for _, q := range p.Queries(exposition.QueryOptions{Matchers: matchers, By: slices.Concat(by, targetLabels), Window: window}) {
		if m, ok := signals.MetricNamed(q.Name); ok && q.Expr != "" {
			of[m] = fmt.Sprintf("max by (%s) (%s)", strings.Join(by, ", "), q.Expr)
		}
	}
	return of
}

// podNames matches the names of all pods that a workload has or had: its own with a number, or with the hash of a template
// and a random ending, as its kind has them. Letters of these have no vowels. Of a kind that is not known they may be any of
// these, and with them the pods of "chat-v2" may be taken for those of "chat".
func podNames(kind, workload string) string {
	const safe = "[0-9bcdfghjklmnpqrstvwxz]"
	endings := map[string]string{
		"Deployment": "-" + safe + "{1,10}-" + safe + "{5}", "ReplicaSet": "-" + safe + "{5}",
		"StatefulSet": "-[0-9]+", "LeaderWorkerSet": "-[0-9]+(-[0-9]+)?",
	}
	ending, known := endings[kind]
	if !known {
		ending = "(-" + safe + "{1,10})?-" + safe + "{1,5}"
	}
	return regexp.QuoteMeta(workload) + ending
}

// matchers selects the pods of a target.
func (t *Target) matchers() string {
	texts := make([]string, 0, 2)
	for _, m := range []*labels.Matcher{
		{Type: labels.MatchEqual, Name: t.Naming.Namespace, Value: t.ID.Namespace},
		{Type: labels.MatchRegexp, Name: t.Naming.Pod, Value: podNames(t.Kind, t.Workload)},
	} {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ",")
}
