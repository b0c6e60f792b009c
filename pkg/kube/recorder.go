package kube

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Recorder tells people what was decided: in the status of the InferenceAutoscaler, and in events. It returns at once;
// statuses are written by workers of its own, the latest one only where they cannot keep up. While this process does not
// lead it does nothing. It is safe for concurrent use.
type Recorder struct {
	targets *Targets
	views   *views
	leader  Leader
	options Options
	events  *announcer
	writer  *statusWriter
	memory  perTarget[recorded]
	// history is the condition of the history of demand, nil while that is not known.
	history atomic.Pointer[verdict]
}

// recorded is what is remembered of one target's status.
type recorded struct {
	mu sync.Mutex
	// latest is the last status made here, nil where another process may have written since.
	latest *v1alpha1.InferenceAutoscalerStatus
	// handed is the last one given to be written, and when.
	handed   glance
	handedAt time.Time
	// scaledAt is when Preheat last changed something.
	scaledAt time.Time
	// spent says whether the error budget was spent when it was last known.
	spent bool
	// draining says what is drained, empty where nothing is.
	draining string
	told     told
}

func newRecorder(targets *Targets, views *views, leader Leader, options Options, writer *statusWriter, events *announcer) *Recorder {
	return &Recorder{targets: targets, views: views, leader: leader, options: options, writer: writer, events: events}
}

// Record takes notice of a decision and of what came of it.
func (r *Recorder) Record(_ context.Context, id controlloop.TargetID, d scaling.Decision, actuated error) {
	fault := faultOf(actuated, WriteFailed)
	seen, _ := r.views.of(id)
	r.record(id, d.Time, func(a *v1alpha1.InferenceAutoscaler, mem *recorded, base v1alpha1.InferenceAutoscalerStatus) v1alpha1.InferenceAutoscalerStatus {
		r.events.decided(a, &mem.told, d, fault)
		status := statusAfter(a, base, seen, d, fault)
		verdicts := []verdict{r.budget(a, mem, d.Budget)}
		if mem.draining != "" || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionDraining) != nil {
			verdicts = append(verdicts, drainingAs(mem.draining))
		}
		if kept := r.history.Load(); kept != nil {
			verdicts = append(verdicts, *kept)
		}
		status.Conditions = apply(status.Conditions, verdicts, a.Generation, d.Time)
		return status
	})
}

// budget is the condition of the error budget, told of where it is spent from now on or no more.
func (r *Recorder) budget(a *v1alpha1.InferenceAutoscaler, mem *recorded, account capacity.Account) verdict {
	was := mem.spent
	mem.spent = spentAfter(was, account)
	v := budgetAfter(account, mem.spent)
	if mem.spent != was {
		r.events.budget(a, v)
	}
	return v
}

// fault takes notice of why nothing could be decided for a target.
func (r *Recorder) fault(id controlloop.TargetID, at time.Time, err error) {
	fault := faultOf(err, ReadFailed)
	if fault == nil {
		return
	}
	r.record(id, at, func(a *v1alpha1.InferenceAutoscaler, mem *recorded, base v1alpha1.InferenceAutoscalerStatus) v1alpha1.InferenceAutoscalerStatus {
		r.events.faulted(a, &mem.told, fault, at)
		return faultStatus(a, base, fault, at)
	})
}

// record makes the next status of a target from its last one, and hands it to the writer where it is due.
func (r *Recorder) record(id controlloop.TargetID, now time.Time, next func(*v1alpha1.InferenceAutoscaler, *recorded, v1alpha1.InferenceAutoscalerStatus) v1alpha1.InferenceAutoscalerStatus) {
	a, ok := r.targets.Autoscaler(id)
	if !ok {
		return
	}
	mem := r.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if !r.leader.IsLeader() {
		mem.latest = nil
		return
	}
	base := a.Status
	if mem.latest != nil {
		base = *mem.latest
	} else {
		mem.spent = meta.IsStatusConditionTrue(base.Conditions, v1alpha1.ConditionBudgetSpent)
	}
	status := next(a, mem, base)
	mem.stampScale(&status)
	first := mem.latest == nil
	mem.latest = &status
	if g := glanceAt(status); first || g != mem.handed || now.Sub(mem.handedAt) >= r.options.StatusPeriod {
		mem.handed, mem.handedAt = g, now
		r.writer.put(id, status)
	}
}

// scaled takes notice that the replicas, or a minimum, were changed.
func (r *Recorder) scaled(id controlloop.TargetID, d scaling.Decision) {
	mem := r.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	mem.scaledAt = d.Time
}

// HistoryKept takes notice of whether the history of demand is on disk, and if not, why; a nil reason says that nobody gave
// it a volume. The next statuses tell.
func (r *Recorder) HistoryKept(onDisk bool, reason error) {
	v := historyKept(onDisk, reason)
	r.history.Store(&v)
}

// drains takes notice of what is drained.
func (r *Recorder) drains(id controlloop.TargetID, text string) {
	if _, ok := r.targets.Autoscaler(id); !ok {
		return
	}
	mem := r.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	mem.draining = text
}

// stampScale sets the time of the last change, where there was one in this process.
func (m *recorded) stampScale(s *v1alpha1.InferenceAutoscalerStatus) {
	if !m.scaledAt.IsZero() {
		s.LastScaleTime = newTime(m.scaledAt)
	}
}

// statusFailed makes the next record hand its status over again, since the last one was not written.
func (r *Recorder) statusFailed(id controlloop.TargetID) {
	mem := r.memory.of(id)
	mem.mu.Lock()
	defer mem.mu.Unlock()
	mem.handedAt = time.Time{}
}
