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
	of := map[string]string{}
	pod := strings.Join(by, ", ")
	for _, q := range p.Queries(exposition.QueryOptions{Matchers: matchers, By: slices.Concat(by, targetLabels), Window: w}) {
		if q.Expr != "" {
			of[q.Name] = fmt.Sprintf("sum(max by (%s) (%s))", pod, q.Expr)
		}
	}
	out := map[series.Quantity]string{}
	for q, m := range map[series.Quantity]signals.Metric{
		series.PromptTokens: signals.PromptTokens, series.GenerationTokens: signals.GenerationTokens,
	} {
		if rate := of[m.String()]; rate != "" {
			out[q] = rate
		}
	}
	ended := of[signals.RequestsFinished.String()]
	if ended == "" {
		return out
	}
	inside := of[signals.RequestsInflight.String()]
	if waiting, running := of[signals.RequestsWaiting.String()], of[signals.RequestsRunning.String()]; waiting != "" && running != "" {
		inside = waiting + " + " + running
	}
	out[series.Demand] = ended
	if inside != "" && !p.CountsArrivals() {
		out[series.Demand] = fmt.Sprintf("clamp_min((%s + deriv((%s)[%s:30s])) or %s, 0)", ended, inside, w, ended)
	}
	return out
}

// podNames matches the names of all pods that a workload has or had: its own with a number, or with the hash of a template
// and a random ending. Their letters have no vowels, so that the pods of "chat" are not those of "chat-large".
func podNames(workload string) string {
	const safe = "[0-9bcdfghjklmnpqrstvwxz]"
	return regexp.QuoteMeta(workload) + "(-" + safe + "{1,10})?-" + safe + "{1,5}"
}

// matchers selects the pods of a target.
func (t *Target) matchers() string {
	texts := make([]string, 0, 2)
	for _, m := range []*labels.Matcher{
		{Type: labels.MatchEqual, Name: t.Naming.Namespace, Value: t.ID.Namespace},
		{Type: labels.MatchRegexp, Name: t.Naming.Pod, Value: podNames(t.Workload)},
	} {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, ",")
}
