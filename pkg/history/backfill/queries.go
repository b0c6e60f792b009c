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

// queries returns an expression by quantity, of what a profile's engines counted over a window before each instant;
// nothing where the profile has no counter for it.
// A pod that is scraped twice counts once.
//
// What was offered is what ended plus what came to be in the engine meanwhile, as pkg/scaling has it: under overload, engines
// end fewer requests than come.
func queries(p *exposition.Profile, matchers string, by []string, window time.Duration) map[series.Quantity]string {
	w := model.Duration(window).String()
	perPod := map[string]string{}
	pod := strings.Join(by, ", ")
	for _, q := range p.Queries(exposition.QueryOptions{Matchers: matchers, By: slices.Concat(by, targetLabels), Window: w}) {
		if q.Expr != "" {
			perPod[q.Name] = fmt.Sprintf("max by (%s) (%s)", pod, q.Expr)
		}
	}
	out := map[series.Quantity]string{}
	for q, m := range map[series.Quantity]signals.Metric{
		series.Demand: signals.RequestsFinished, series.PromptTokens: signals.PromptTokens, series.GenerationTokens: signals.GenerationTokens,
	} {
		if rate := perPod[m.String()]; rate != "" {
			out[q] = "sum(" + rate + ")"
		}
	}
	inside := perPod[signals.RequestsInflight.String()]
	if waiting, running := perPod[signals.RequestsWaiting.String()], perPod[signals.RequestsRunning.String()]; waiting != "" && running != "" {
		inside = waiting + " + " + running
	}
	if ended := out[series.Demand]; ended != "" && inside != "" && !p.CountsArrivals() {
		// Of each pod: one of which nothing was recorded for a while does not shrink or grow meanwhile.
		out[series.Demand] = fmt.Sprintf("clamp_min((%s + sum(deriv((%s)[%s:30s]))) or %s, 0)", ended, inside, w, ended)
	}
	return out
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
