package kube

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// account is a budget of which so much is spent.
func account(spent float64) capacity.Account {
	return capacity.Account{Known: true, Attained: 1 - 0.01*spent, Wanted: 0.99, Spent: spent, Price: 20}
}

// judged is a decision while so much of the budget is spent.
func judged(at time.Time, a capacity.Account) scaling.Decision {
	d := decision(at)
	d.Budget = a
	return d
}

// condition is the status and the reason of one in short.
func (w *world) condition(kind string) string {
	if c := meta.FindStatusCondition(w.status().Conditions, kind); c != nil {
		return fmt.Sprintf("%s/%s", c.Status, c.Reason)
	}
	return "none"
}

// TestTheBudgetIsSpentAndReplenished: it does not flap about the edge, each change is told once, and what is not known
// changes nothing.
func TestTheBudgetIsSpentAndReplenished(t *testing.T) {
	w := ownWorld(t)
	w.record(decision(t0), nil)
	<-w.said.Events // the number
	unknown := capacity.Account{Wanted: 0.99, Price: 80}
	for i, tt := range []struct {
		account capacity.Account
		want    string
		event   string // its beginning, empty for none
	}{
		{account(0.99), "False/BudgetLeft", ""},
		{account(1), "True/BudgetSpent", "Warning BudgetSpent 99.00% of requests within the objectives over the last hours, 99% wanted: the error budget is spent (1.0 times)"},
		{account(0.95), "True/BudgetSpent", ""},
		{account(1.2), "True/BudgetSpent", ""},
		{unknown, "Unknown/NothingJudged", ""},
		{account(0.95), "True/BudgetSpent", ""},
		{account(0.9), "True/BudgetSpent", ""},
		{account(0.89), "False/BudgetLeft", "Normal BudgetLeft 99.11% of requests"},
		{account(0.95), "False/BudgetLeft", ""},
		{capacity.Account{}, "Unknown/NothingJudged", ""}, // a blind tick
		{account(3), "True/BudgetSpent", "Warning BudgetSpent"},
	} {
		w.record(judged(t0.Add(time.Duration(i+1)*time.Second), tt.account), nil)
		if got := w.condition(v1alpha1.ConditionBudgetSpent); got != tt.want {
			t.Errorf("step %d: condition %s, want %s", i, got, tt.want)
		}
		event := ""
		if len(w.said.Events) > 0 {
			event = <-w.said.Events
		}
		if !strings.HasPrefix(event, tt.event) || (event == "") != (tt.event == "") {
			t.Errorf("step %d: event %q, want %q", i, event, tt.event)
		}
	}
}

func TestABudgetThatWasSpentSaysWhenItIsNoMoreSo(t *testing.T) {
	if got := budgetAfter(account(0.95), true).message; !strings.HasPrefix(got, "it was spent and is not replenished until less than 90% is used: 99.05%") {
		t.Error(got)
	}
}

// TestANewLeaderGoesByTheBudgetInTheStatus: the leader of that time saw it replenished.
func TestANewLeaderGoesByTheBudgetInTheStatus(t *testing.T) {
	w := ownWorld(t)
	w.record(judged(t0, account(1.5)), nil)
	w.status()
	w.leader.lead(false)
	w.record(judged(t0.Add(time.Second), account(0.95)), nil)
	meta.FindStatusCondition(w.autoscalers.all[vllm].Status.Conditions, v1alpha1.ConditionBudgetSpent).Status = metav1.ConditionFalse
	w.writeStatuses() // what the informer sees
	w.leader.lead(true)
	for len(w.said.Events) > 0 {
		<-w.said.Events
	}
	w.record(judged(t0.Add(2*time.Second), account(0.95)), nil)
	if got := w.condition(v1alpha1.ConditionBudgetSpent); got != "False/BudgetLeft" || len(w.said.Events) != 0 {
		t.Errorf("condition %s and %d events, want budget left, and no event", got, len(w.said.Events))
	}
}

func TestBudgetOfATargetThatCannotBeDecidedOnIsUnknown(t *testing.T) {
	w := ownWorld(t)
	w.record(judged(t0, account(1.5)), nil)
	w.Recorder.fault(vllm, t0.Add(time.Second), &Fault{Reason: ReadFailed, Message: "gone"})
	if got := w.condition(v1alpha1.ConditionBudgetSpent); got != "Unknown/ReadFailed" {
		t.Errorf("got %s", got)
	}
}

func TestBudgetInFigures(t *testing.T) {
	for name, tt := range map[string]struct {
		account capacity.Account
		want    *v1alpha1.ErrorBudgetStatus
	}{
		"nothing was decided on demand": {capacity.Account{}, nil},
		"nothing was judged":            {capacity.Account{Wanted: 0.995, Price: 84}, &v1alpha1.ErrorBudgetStatus{Wanted: "99.5%", MissPrice: new(resource.MustParse("84"))}},
		"spent twice": {account(2), &v1alpha1.ErrorBudgetStatus{
			Attained: "98%", Wanted: "99%", SpentPercent: new(int32(200)), MissPrice: new(resource.MustParse("20")),
		}},
		"without bound": {capacity.Account{Known: true, Wanted: 1, Spent: math.Inf(1), Price: math.NaN()}, &v1alpha1.ErrorBudgetStatus{
			Attained: "0%", Wanted: "100%", SpentPercent: new(int32(math.MaxInt32)),
		}},
	} {
		if diff := cmp.Diff(tt.want, budgetStatus(tt.account)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
