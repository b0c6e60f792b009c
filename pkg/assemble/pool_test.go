package assemble

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

func TestMembersOfAPoolGetWhatOthersLeave(t *testing.T) {
	l := pool.NewLedger(pool.Budget{GPUs: 10, Memory: 300, Asleep: -1})
	if s := Share(l, "chat"); s.Serving < 1000 || s.Standby < 1000 || s.Asleep < 1000 {
		t.Errorf("one that has yet to say what it wishes for may have %+v", s)
	}
	terms := Terms{Name: "chat", GPUs: 2, Memory: 100, Min: 1}
	l.Put(Member(terms, scaling.Decision{Current: 2, Worth: scaling.Worth{Serving: []float64{5, 4}, Asleep: []float64{1}}}))
	got := Share(l, "chat")
	if diff := cmp.Diff(scaling.Share{Serving: 5, Standby: 3, Asleep: 3, Why: "has all that is worth its price"}, got); diff != "" {
		t.Errorf("alone, beyond what it wishes for too (-want +got):\n%s", diff)
	}
	terms.Name, terms.Priority = "code", 1
	l.Put(Member(terms, scaling.Decision{Worth: scaling.Worth{Serving: []float64{3, 2, 1, 1}, Standby: []float64{0.5}}}))
	if s := Share(l, "chat"); s.Serving != 1 || s.Asleep != 3 {
		t.Errorf("beside one of a higher priority that wishes for 5: %+v", s)
	}
	l.Drop("code")
	if s := Share(l, "chat"); s.Serving != 5 {
		t.Errorf("once that is gone: %+v", s)
	}
}
