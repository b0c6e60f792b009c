package controlloop

import (
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// Lesson is what has been learned of a target, and since when.
type Lesson struct {
	Since   time.Time
	Learned scaling.Learned
}

// Archive keeps what has been learned beyond the life of the process. It is called from several goroutines, for
// different targets, and has no error of its own: what cannot be kept or recalled must not stop a decision.
type Archive interface {
	// Recall returns what was kept of a target, false where that is nothing, or no more than what this process has
	// learned by itself since an instant. It is asked at each tick, before the target is observed.
	Recall(t Target, since, now time.Time) (Lesson, bool)
	// Due reports whether what has been learned since an instant is to be kept now. It is asked at each tick.
	Due(t Target, since, now time.Time) bool
	// Keep takes what is due. It must be done with it when it returns, since the next tick writes to it.
	Keep(t Target, l Lesson, now time.Time)
}

// KeepIn makes the loop keep what it learns in an archive, and recall it from there. It must be called before the first
// Tick.
func (l *Loop) KeepIn(a Archive) { l.archive = a }

// Keep hands all that is remembered to the archive, as far as it finds it due: at the end of the process, when neither Tick
// nor Nudge runs any more.
func (l *Loop) Keep(now time.Time) {
	slots := make(chan struct{}, l.concurrency)
	var wg sync.WaitGroup
	for _, c := range l.cells {
		slots <- struct{}{}
		wg.Go(func() {
			l.keep(c.memory, now)
			<-slots
		})
	}
	wg.Wait()
}

// recall returns what is remembered of a target, from the archive where that knows more. Where the target has another
// subject now, or is another one of the same name, nothing is.
func (l *Loop) recall(m memory, t Target, now time.Time) memory {
	if m.target.Planner == nil || m.target.Subject != t.Subject || m.target.UID != t.UID {
		m = memory{since: now}
	}
	m.target = t
	if l.archive == nil || m.distrusted {
		return m
	}
	if lesson, ok := l.archive.Recall(t, m.since, now); ok {
		m.since = lesson.Since
		m.state.Restore(lesson.Learned, now)
	}
	return m
}

// keep hands what is remembered of a target to the archive where it is due.
func (l *Loop) keep(m memory, now time.Time) {
	if l.archive != nil && l.archive.Due(m.target, m.since, now) {
		l.archive.Keep(m.target, Lesson{Since: m.since, Learned: m.state.Learned()}, now)
	}
}
