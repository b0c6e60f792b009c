package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/apiservice"
	"github.com/preheat-autoscaler/preheat/pkg/kube"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// staleAfter is the age at which a status proves nothing any more: one is written every half minute.
const staleAfter = 3 * time.Minute

// stale says whether nobody has decided lately, and with what words.
func (e *examination) stale(t *target) (text string, stale bool) {
	d := t.Status.LastDecision
	switch {
	case d == nil && len(t.Status.Conditions) == 0:
		return "Preheat has said nothing about it", true
	case d == nil:
		return "", false // condition Ready says why
	}
	if age := e.clock().Sub(d.Time.Time); age > staleAfter {
		return fmt.Sprintf("the last decision is %s old, and one is due every few seconds", since(age)), true
	}
	return "", false
}

// unattended is what to do where nobody decides on a target.
func (e *examination) unattended(t *target) string {
	if watch := e.settings.watch; watch != "" && watch != t.Namespace {
		return fmt.Sprintf("--watch-namespace=%s of the service leaves namespace %s out: change the flag", watch, t.Namespace)
	}
	return fmt.Sprintf("kubectl -n %s logs deployment/%s, and see checks service and leader", e.System, serviceName)
}

// decision says whether somebody decides, and what stands in the way of it.
func (e *examination) decision(_ context.Context, w *ward, t *target) {
	if text, stale := e.stale(t); stale {
		if e.clock().Sub(t.CreationTimestamp.Time) < time.Minute {
			w.unknown("look again in a minute", "it was just made: %s", text)
			return
		}
		w.problem(e.unattended(t), "%s", text)
		return
	}
	if d := t.Status.LastDecision; d != nil {
		if ahead := d.Time.Sub(e.clock()); ahead > skewAllowed {
			w.warn("set the clock of the leader's node", "the last decision is of %s from now, by the leader's clock", since(ahead))
		}
	}
	if t.Status.ObservedGeneration < t.Generation {
		w.warn(e.unattended(t), "the spec was changed since the last decision")
	}
	e.ready(w, t)
	for _, kind := range []string{v1alpha1.ConditionConflict, v1alpha1.ConditionLimited, v1alpha1.ConditionDraining, v1alpha1.ConditionBudgetSpent} {
		if c := meta.FindStatusCondition(t.Status.Conditions, kind); c != nil && c.Status == metav1.ConditionTrue {
			e.standing(w, t, c)
		}
	}
}

// ready says what condition Ready does.
func (e *examination) ready(w *ward, t *target) {
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionReady)
	explain := fmt.Sprintf("preheatctl explain %s -n %s", t.Name, t.Namespace)
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown:
		w.unknown(explain, "whether decisions are carried out is not told (condition Ready)")
	case c.Status == metav1.ConditionTrue:
		w.ok("decides and carries out (%s)", c.Reason)
	case c.Reason == string(scaling.Paused):
		w.warn(t.edit()+": set spec.paused to false", "paused: the replicas stay as they are")
	case c.Reason == string(scaling.ScaledToZeroByOther):
		w.warn("scale "+t.ref()+" to one replica or more to go on", "somebody else has scaled it to zero: nothing is decided")
	case c.Reason == string(scaling.NoReadyReplica):
		w.warn("see check pods of it", "no replica is ready: nothing is known of demand")
	default:
		w.problem(explain, "not ready (%s): %s", c.Reason, oneText(c.Message))
	}
}

// standing says what a condition that is True means.
func (e *examination) standing(w *ward, t *target, c *metav1.Condition) {
	message := oneText(c.Message)
	switch c.Type {
	case v1alpha1.ConditionConflict:
		w.problem(conflictRemedy(t, c.Reason), "conflict (%s), nothing is written: %s", c.Reason, message)
	case v1alpha1.ConditionLimited:
		w.warn(limitRemedy(t, c.Reason), "limited (%s): %s", c.Reason, message)
	case v1alpha1.ConditionBudgetSpent:
		w.warn(t.edit()+": more in spec.maxReplicas, or less in spec.slo", "the error budget is spent: %s", message)
	case v1alpha1.ConditionDraining:
		bound := 5 * time.Minute
		if d := t.Spec.Drain.Timeout; d != nil {
			bound = d.Duration
		}
		// Several drains may follow each other without the condition ending.
		if e.clock().Sub(c.LastTransitionTime.Time) > 3*bound+time.Minute {
			w.warn(fmt.Sprintf("kubectl -n %s get pods -l '%s'", t.Namespace, t.selected()), "has been draining since %s, spec.drain.timeout is %s: %s",
				c.LastTransitionTime.UTC().Format(time.RFC3339), bound, message)
			return
		}
		w.ok("draining: %s", message)
	}
}

func conflictRemedy(t *target, reason string) string {
	switch reason {
	case string(kube.SharedPods):
		return "make the selectors of the workloads disjoint"
	case string(kube.ForeignWrite):
		return "keep others (GitOps: ignore spec.replicas) from setting the replicas of " + t.ref() + ", or set spec.mode to Advise"
	}
	return "see check rivals of it"
}

func limitRemedy(t *target, reason string) string {
	switch scaling.Reason(reason) {
	case scaling.AtMaximum:
		return t.edit() + ": raise spec.maxReplicas, or that of the schedule in force"
	case scaling.AtGPUBudget:
		return t.edit() + ": raise spec.maxGPUs; where a WarmPool divides them, its spec.gpus"
	case scaling.GPUsUnavailable:
		return fmt.Sprintf("free GPUs or add nodes; what waits: kubectl -n %s get pods -l '%s' --field-selector status.phase=Pending", t.Namespace, t.selected())
	case scaling.RateLimited, scaling.ScaleUpStabilized:
		return "nothing, it goes on by itself; spec.behavior.scaleUp sets the pace"
	default:
		return fmt.Sprintf("preheatctl explain %s -n %s", t.Name, t.Namespace)
	}
}

// metricsVersion finds, once, the version of the custom metrics API that is ours and answers; empty where there is none.
func (e *examination) metricsVersion() func(ctx context.Context) string {
	var once sync.Once
	var path string
	return func(ctx context.Context) string {
		once.Do(func() {
			for _, name := range apiservice.CustomMetrics() {
				svc, err := e.readAPIService(ctx, name)
				if err != nil || svc == nil || !e.ours(svc) {
					continue
				}
				if status, _ := available(svc); string(status) == string(metav1.ConditionTrue) {
					path = "/apis/" + svc.Spec.Group + "/" + svc.Spec.Version
					return
				}
			}
		})
		return path
	}
}

// metrics says whether the engines are seen, by the status, and whether their values can be read.
func (e *examination) metrics(ctx context.Context, w *ward, t *target, version func(context.Context) string) {
	sight := fmt.Sprintf("see that each pod serves its metric page (spec.metrics: engine, port, path) and that the service may reach it (NetworkPolicy, mesh); "+
		"preheatctl doctor -n %s --probe asks the pods", t.Namespace)
	c := meta.FindStatusCondition(t.Status.Conditions, v1alpha1.ConditionBlind)
	text, stale := e.stale(t)
	switch {
	case stale:
		w.unknown("see check decision of it", "whether the engines are seen is not known: %s", text)
	case c == nil || c.Status == metav1.ConditionUnknown:
		w.unknown("see checks decision and pods of it", "whether the engines are seen is not told (condition Blind)")
	case c.Status == metav1.ConditionTrue:
		w.problem(sight, "blind since %s: %s", c.LastTransitionTime.UTC().Format(time.RFC3339), oneText(c.Message))
	case c.Reason == string(scaling.PartialData):
		w.warn(sight, "partly blind, so nothing is scaled down: %s", oneText(c.Message))
	default:
		e.fresh(w, t)
	}
	if path := version(ctx); path != "" {
		e.served(ctx, w, t, path)
	}
}

// fresh is what the status tells of demand while it is not blind.
func (e *examination) fresh(w *ward, t *target) {
	d := t.Status.Demand
	if d == nil || d.Time == nil {
		w.unknown("look again in a minute; preheatctl explain "+t.Name+" -n "+t.Namespace, "every ready replica is said to be seen, and no sample is told of (status.demand)")
		return
	}
	age := e.clock().Sub(d.Time.Time)
	if bound := t.Spec.Metrics.StalenessBound.Duration + staleAfter; age > bound {
		w.warn("see check decision of it", "the newest sample is %s old", since(age))
		return
	}
	w.ok("every ready replica is seen, the newest sample %s ago", since(max(age, 0)))
}

// flowing are metrics of which every engine has one at least.
var flowing = []string{
	signals.RequestsRunning.String(), signals.RequestsWaiting.String(), signals.RequestsInflight.String(), "inference_requests_per_second",
}

// served asks the custom metrics API for the values of the target's pods.
func (e *examination) served(ctx context.Context, w *ward, t *target, version string) {
	pods, err := t.pods()
	if err != nil {
		return // check pods says so
	}
	ready := 0
	for i := range pods {
		if isReady(&pods[i]) {
			ready++
		}
	}
	if ready == 0 {
		return
	}
	for _, m := range flowing {
		got, err := e.Raw.Get(ctx, fmt.Sprintf("%s/namespaces/%s/pods/*/%s?labelSelector=%s", version, t.Namespace, m, url.QueryEscape(t.selected())))
		var values custommetrics.MetricValueList
		switch {
		case err != nil:
			w.unread(right{"get", "pods/" + m + ".custom.metrics.k8s.io", t.Namespace}, err)
			return
		case got.Code == http.StatusForbidden || got.Code == http.StatusUnauthorized:
			w.unknown("kubectl create clusterrolebinding metrics-reader --clusterrole=preheat-metrics-reader --user=YOU",
				"the custom metrics API was not asked: you lack the right to get pods/%s.custom.metrics.k8s.io in namespace %s", m, t.Namespace)
			return
		case got.Code == http.StatusOK && json.Unmarshal(got.Body, &values) == nil && len(values.Items) > 0:
			e.values(w, m, &values, ready)
			return
		case got.Code != http.StatusOK && got.Code != http.StatusNotFound:
			w.problem(fmt.Sprintf("kubectl -n %s logs deployment/%s", e.System, serviceName), "the custom metrics API answers with HTTP %d for %s", got.Code, m)
			return
		}
	}
	w.problem("see that its pods serve a metric page of a known engine: preheatctl doctor -n "+t.Namespace+" --probe",
		"the custom metrics API has none of %s of any of %d ready pods", strings.Join(flowing, ", "), ready)
}

// values says how old what is served is, and of how many pods.
func (e *examination) values(w *ward, m string, values *custommetrics.MetricValueList, ready int) {
	oldest := time.Duration(0)
	for _, v := range values.Items {
		oldest = max(oldest, e.clock().Sub(v.Timestamp.Time))
	}
	switch {
	case oldest > 2*time.Minute:
		w.problem("see that those pods still serve their metric page, and the clocks", "the custom metrics API serves %s that is %s old", m, since(oldest))
	case len(values.Items) < ready:
		w.warn("see that each pod serves its metric page", "the custom metrics API has %s of %d of %d ready pods", m, len(values.Items), ready)
	default:
		w.ok("the custom metrics API has %s of %d pods, at most %s old", m, len(values.Items), since(oldest))
	}
}
