package kube

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
)

// replenished is the share of the error budget below which one that was spent is so no more: about the edge it would
// otherwise be and not be with every few requests.
const replenished = 0.9

// spentAfter says whether the error budget is spent; was is what was last known, which stays while no request is judged.
func spentAfter(was bool, a capacity.Account) bool {
	switch {
	case !a.Known:
		return was
	case was:
		return a.Spent >= replenished
	}
	return a.Spent >= 1
}

// budgetAfter says whether the error budget is spent, and by how much.
func budgetAfter(a capacity.Account, spent bool) verdict {
	kind := v1alpha1.ConditionBudgetSpent
	switch {
	case !a.Known:
		return verdict{kind, metav1.ConditionUnknown, NothingJudged, "no request is judged: none was served, or the engines tell no latencies"}
	case spent && a.Spent < 1:
		return verdict{kind, metav1.ConditionTrue, BudgetSpent, fmt.Sprintf("it was spent and is not replenished until less than %.0f%% is used: %s", 100*replenished, a)}
	case spent:
		return verdict{kind, metav1.ConditionTrue, BudgetSpent, a.String()}
	}
	return verdict{kind, metav1.ConditionFalse, BudgetLeft, a.String()}
}

// budget tells that the error budget is spent, or no more so.
func (n *announcer) budget(a *v1alpha1.InferenceAutoscaler, v verdict) {
	kind := corev1.EventTypeNormal
	if v.status == metav1.ConditionTrue {
		kind = corev1.EventTypeWarning
	}
	n.say(a, kind, v.reason, v.message)
}

// budgetStatus returns the error budget in figures, nil where there is none to tell of.
func budgetStatus(a capacity.Account) *v1alpha1.ErrorBudgetStatus {
	if a.Wanted == 0 {
		return nil
	}
	s := &v1alpha1.ErrorBudgetStatus{Wanted: percentage(a.Wanted, 3), MissPrice: quantity(a.Price)}
	if a.Known {
		s.Attained = percentage(a.Attained, 3)
		s.SpentPercent = new(int32(math.Min(math.Round(100*a.Spent), math.MaxInt32)))
	}
	return s
}
