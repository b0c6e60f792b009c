package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// crew carries out which of a target's pods serve, are drained, stand by and sleep. It is for the process that leads, asks so
// before each write, and is safe for concurrent use with different targets.
type crew struct {
	writer  *podWriter
	hands   *hands
	ledgers *perTarget[lockedLedger]
	pods    pods
	births  *births
	leader  Leader
	now     func() time.Time
	// page returns where a pod's metric page is.
	page func(*corev1.Pod, v1alpha1.MetricsSource) (string, error)
	// say makes an event of a target.
	say func(a *v1alpha1.InferenceAutoscaler, kind string, reason scaling.Reason, text string)
	// drains is told what is drained.
	drains func(id controlloop.TargetID, text string)
}

// shift is what came of moving a target's pods: the number to write, and what to remember once it is written.
type shift struct {
	replicas int32
	farewell farewell
	reserved scaling.Warm
	moved    bool
}

// carryOut moves pods as a decision asks for, and returns the number of replicas to write. An error does not keep it from the
// rest.
func (c *crew) carryOut(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, d scaling.Decision) (shift, error) {
	l := c.ledgers.of(idOf(a))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(v.members)
	warm, refused := c.allowed(a, v, d.Warm)
	if refused != nil {
		l.reserved = scaling.Warm{}
	}
	r := c.roster(a, v, l.ledger)
	todo := r.movesFor(d.Replicas, warm)
	s := shift{replicas: todo.replicas, reserved: todo.reserved}
	changed, failed := c.apply(ctx, a, todo.changes, r.now)
	for _, m := range todo.changes {
		if m.fills && laneOf(m.member.pod) != m.to {
			s.reserved = withOne(s.reserved, m.to)
		}
	}
	s.moved = changed
	if todo.replicas <= v.read.replicas() {
		s.farewell = r.farewell(&l.ledger, todo.cut)
		s.replicas -= int32(len(s.farewell.gone))
		failed = errors.Join(failed, c.mark(ctx, &r, s.farewell))
	}
	l.reserved = scaling.Warm{Standby: min(l.reserved.Standby, s.reserved.Standby), Asleep: min(l.reserved.Asleep, s.reserved.Asleep)}
	c.drains(idOf(a), r.drainText(s.farewell))
	return s, errors.Join(failed, c.tend(ctx, a, &r, &l.ledger), refused)
}

// withOne is one more of a lane.
func withOne(w scaling.Warm, in lane) scaling.Warm {
	if in == laneStandby {
		w.Standby++
	} else {
		w.Asleep++
	}
	return w
}

// written remembers that the number of a shift was written.
func (c *crew) written(a *v1alpha1.InferenceAutoscaler, s shift, now time.Time) {
	l := c.ledgers.of(idOf(a))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserved = s.reserved
	l.leave(s.farewell.gone, now)
	late := s.farewell.overdue
	if len(late) > 0 {
		c.say(a, corev1.EventTypeWarning, DrainTimedOut, fmt.Sprintf("%s were drained for %v and had not finished; they are deleted", namesOf(late), drainTimeoutOf(a)))
	}
	done := slices.DeleteFunc(slices.Clone(s.farewell.gone), func(m *member) bool { return slices.Contains(late, m) || laneOf(m.pod) != laneDraining })
	if len(done) > 0 {
		c.say(a, corev1.EventTypeNormal, Drained, fmt.Sprintf("%s have nothing in flight after %v at most; they are deleted", namesOf(done), longestDrain(done, now)))
	}
}

// longestDrain is how long the replica that took longest was drained.
func longestDrain(all []*member, now time.Time) time.Duration {
	var most time.Duration
	for _, m := range all {
		most = max(most, now.Sub(drainingSince(m.pod)))
	}
	return most.Round(time.Second)
}

// namesOf names pods for people, not too many.
func namesOf(all []*member) string {
	var names []string
	for _, m := range all[:min(len(all), 10)] {
		names = append(names, m.pod.Name)
	}
	text := "pods " + strings.Join(names, ", ")
	if more := len(all) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// roster sorts the pods that were observed of a target; of those that sleep the ones that failed to wake come last.
func (c *crew) roster(a *v1alpha1.InferenceAutoscaler, v view, l ledger) roster {
	r := v.roster()
	r.drained = drainTimeoutOf(a)
	r = newRoster(r, v.members, l)
	r.rank()
	slices.SortStableFunc(r.lanes[laneAsleep], func(a, b *member) int {
		failedA, _ := c.hands.unwakable(a.pod.UID)
		failedB, _ := c.hands.unwakable(b.pod.UID)
		return cmp.Compare(failedA, failedB)
	})
	return r
}

// allowed returns the warm replicas that a target can have, and why it cannot have those that its spec allows.
func (c *crew) allowed(a *v1alpha1.InferenceAutoscaler, v view, warm scaling.Warm) (scaling.Warm, error) {
	if a.Spec.Warm == nil {
		return scaling.Warm{}, nil
	}
	if byOrdinal(v.read.target, v.members) {
		return scaling.Warm{}, &Fault{Reason: WarmUnavailable, Message: fmt.Sprintf(
			"%s lets pods go by ordinal, so that no other pod can be kept warm instead; remove spec.warm, or serve from a Deployment", v.read.target)}
	}
	for _, m := range v.members {
		if !gated(m.pod) && m.pod.DeletionTimestamp == nil {
			return scaling.Warm{}, &Fault{Reason: WarmUnavailable, Message: fmt.Sprintf(
				"pod %s cannot be kept out of its endpoints, so no replicas are kept warm; add the readiness gate %s to the pod template, or remove spec.warm", m.pod.Name, v1alpha1.ServingGate)}
		}
	}
	if a.Spec.Warm.Asleep == nil {
		return warm, nil
	}
	if err := c.hands.noSleepMode(idOf(a)); err != nil {
		warm.Asleep = 0
		return warm, err
	}
	return warm, nil
}

// apply moves pods into lanes, and reports whether any was.
func (c *crew) apply(ctx context.Context, a *v1alpha1.InferenceAutoscaler, all []move, now time.Time) (bool, error) {
	var errs []error
	done := map[lane][]*member{}
	for _, m := range all {
		if !c.leader.IsLeader() {
			break
		}
		if c.wakes(m) {
			c.births.wakings.begin(m.member.pod, c.now)
		}
		pod, err := c.writer.move(ctx, laneChange{pod: m.member.pod, to: m.to, sleep: string(levelOf(a)), at: now})
		if err != nil {
			c.births.wakings.forget(m.member.pod.UID)
			errs = append(errs, podFault(m.member.pod, err))
			continue
		}
		m.member.pod = pod
		done[m.to] = append(done[m.to], m.member)
	}
	for _, to := range []lane{laneServing, laneWaking, laneStandby, laneAsleep, laneDraining} {
		if len(done[to]) > 0 {
			c.say(a, corev1.EventTypeNormal, laneNews[to].reason, namesOf(done[to])+" "+laneNews[to].text)
		}
	}
	return len(done) > 0, errors.Join(errs...)
}

// laneNews is what is said of pods that come into a lane.
var laneNews = map[lane]struct {
	reason scaling.Reason
	text   string
}{
	laneServing:  {Returned, "serve again"},
	laneWaking:   {Waking, "are woken, and serve once their engine computes"},
	laneStandby:  {OnStandby, "are kept loaded and out of their endpoints"},
	laneAsleep:   {GoesToSleep, "leave their endpoints and go to sleep once they have nothing in flight"},
	laneDraining: {Draining, "leave their endpoints, finish what they have and are let go"},
}

// podFault explains why a pod could not be changed; one that changed meanwhile, or is gone, is seen at the next tick.
func podFault(pod *corev1.Pod, err error) error {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return writeFault(fmt.Sprintf("patch the status of pod %s/%s (pods/status)", pod.Namespace, pod.Name), err)
}

// mark sets the deletion costs of pods for which the number is lowered now, and takes them from those that stay. Without the
// right to do so the number is lowered all the same, and the ReplicaSet controller chooses.
func (c *crew) mark(ctx context.Context, r *roster, f farewell) error {
	if r.ordinal {
		return nil
	}
	var errs []error
	for _, m := range r.live {
		cost, foreign := deletionCost(m.pod)
		victim := slices.Contains(f.gone, m)
		stays := cost != "" && laneOf(m.pod) == laneServing && !slices.Contains(r.leaving, m)
		if foreign || victim && cost == victimCost || !victim && !stays || !c.leader.IsLeader() {
			continue
		}
		pod, err := c.writer.cost(ctx, m.pod, victim)
		if err != nil {
			errs = append(errs, podFault(m.pod, err))
			continue
		}
		m.pod = pod
	}
	return errors.Join(errs...)
}

// wakes reports whether a move calls a replica back from its rest, so that how long that takes says how long the next will
// take: it is out of its endpoints, and of those asleep the engine does sleep.
func (c *crew) wakes(m move) bool {
	if _, ready := conditionTrueSince(m.member.pod, corev1.PodReady); ready {
		return false
	}
	return m.from == laneStandby && m.to == laneServing || m.from == laneAsleep && m.to == laneWaking && c.hands.rests(m.member)
}

// tend shuts gates that somebody opened, and sees to it that engines sleep and wake as their lane says.
func (c *crew) tend(ctx context.Context, a *v1alpha1.InferenceAutoscaler, r *roster, l *ledger) error {
	var errs []error
	for _, m := range r.live {
		in := laneOf(m.pod)
		if !c.leader.IsLeader() || in == laneServing {
			continue
		}
		if gateOpen(m.pod) {
			if pod, err := c.writer.gate(ctx, m.pod, r.now); err == nil {
				m.pod = pod
			} else {
				errs = append(errs, podFault(m.pod, err))
			}
		}
		if in == laneAsleep {
			l.listen(m, r.now)
			errs = append(errs, c.lull(ctx, a, m, l))
		}
		if in == laneWaking {
			errs = append(errs, c.rouse(ctx, a, m))
		}
	}
	return errors.Join(errs...)
}

// lull puts an engine to sleep once it has nothing in flight.
func (c *crew) lull(ctx context.Context, a *v1alpha1.InferenceAutoscaler, m *member, l *ledger) error {
	if failures, err := c.hands.unwakable(m.pod.UID); failures >= wakeFailures {
		return c.replace(ctx, a, m, err)
	}
	if !loaded(m.pod) || !l.isDrained(m) {
		return nil
	}
	j, err := c.job(a, m)
	if err == nil {
		c.hands.sleep(ctx, j, levelOf(a))
	}
	return err
}

// rouse wakes an engine, after which its pod serves. One that fails goes back to sleep, so that another can be woken in its
// place at once.
func (c *crew) rouse(ctx context.Context, a *v1alpha1.InferenceAutoscaler, m *member) error {
	if failures, err := c.hands.unwakable(m.pod.UID); failures >= wakeFailures {
		return c.replace(ctx, a, m, err)
	}
	j, err := c.job(a, m)
	if err == nil {
		j.failed = func(ctx context.Context) {
			c.births.wakings.forget(m.pod.UID)
			c.end(ctx, a, m, laneAsleep)
		}
		c.hands.wake(ctx, j, func(ctx context.Context) { c.end(ctx, a, m, laneServing) })
	}
	return err
}

// job is one for a member's engine.
func (c *crew) job(a *v1alpha1.InferenceAutoscaler, m *member) (job, error) {
	page, err := c.page(m.pod, a.Spec.Metrics)
	if err != nil {
		return job{}, &Fault{Reason: WarmUnavailable, Message: fmt.Sprintf("cannot call the engine of pod %s/%s", m.pod.Namespace, m.pod.Name), Err: err}
	}
	base, err := engineURL(page)
	return job{target: idOf(a), member: m, engine: a.Spec.Metrics.Engine, url: base}, err
}

// end puts a pod that was waking into the lane that this has led to, as soon as the informer knows of the lane that it was in.
// Where it cannot, the next tick wakes it again, which is quick for an engine that is awake.
func (c *crew) end(ctx context.Context, a *v1alpha1.InferenceAutoscaler, m *member, to lane) {
	for range 5 {
		pod, ok := c.pods.byName(m.pod.Namespace, m.pod.Name)
		if !ok || pod.UID != m.pod.UID || laneOf(pod) != laneWaking || !c.leader.IsLeader() {
			return
		}
		_, err := c.writer.move(ctx, laneChange{pod: pod, to: to, sleep: string(levelOf(a)), at: c.now()})
		if !apierrors.IsConflict(err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// replace evicts a pod whose engine does not wake; its set makes another.
func (c *crew) replace(ctx context.Context, a *v1alpha1.InferenceAutoscaler, m *member, why error) error {
	if !c.leader.IsLeader() {
		return nil
	}
	text := fmt.Sprintf("pod %s did not wake in %d tries and is replaced: %v", m.pod.Name, wakeFailures, why)
	if err := c.writer.evict(ctx, m.pod); err != nil && !apierrors.IsNotFound(err) {
		return &Fault{Reason: WakeFailed, Message: text, Err: fmt.Errorf("evict it (pods/eviction): %w", err)}
	}
	c.say(a, corev1.EventTypeWarning, WakeFailed, text)
	return nil
}

// handBack lets pods serve again that are kept from it in some lanes: nobody else would, where the target is not ours to scale
// any more. What was begun with the others goes on.
func (c *crew) handBack(ctx context.Context, a *v1alpha1.InferenceAutoscaler, v view, lanes ...lane) error {
	if !slices.ContainsFunc(v.members, func(m *member) bool { return laneOf(m.pod) != laneServing }) {
		c.drains(idOf(a), "")
		return nil
	}
	l := c.ledgers.of(idOf(a))
	l.mu.Lock()
	defer l.mu.Unlock()
	r := c.roster(a, v, l.ledger)
	p := mover{roster: &r}
	for _, from := range lanes {
		p.move(r.count(from), from, laneServing, isAwake)
		p.move(r.count(from), from, laneWaking, anyone)
	}
	_, err := c.apply(ctx, a, p.moves.changes, r.now)
	c.drains(idOf(a), r.drainText(farewell{}))
	return errors.Join(err, c.tend(ctx, a, &r, &l.ledger))
}

// forget drops a pod that is gone.
func (c *crew) forget(uid types.UID) {
	c.writer.written.forget(uid)
	c.hands.forget(uid)
}

// crew wires what moves pods; it does not know yet who leads.
func (c *Cluster) crew(clients Clients, found pods, ledgers *perTarget[lockedLedger], events *announcer) *crew {
	return &crew{
		writer: &podWriter{client: clients.Kubernetes, manager: c.options.FieldManager, written: found.written},
		hands:  newHands(c.options.Now), ledgers: ledgers, pods: found, births: c.births, now: c.options.Now,
		page: func(pod *corev1.Pod, source v1alpha1.MetricsSource) (string, error) {
			e, err := c.Endpoints.endpoint(pod, source)
			return e.URL, err
		},
		say: func(a *v1alpha1.InferenceAutoscaler, kind string, reason scaling.Reason, text string) {
			if a.Name != "" {
				events.say(a, kind, reason, text)
			}
		},
		drains: c.Recorder.drains,
	}
}
