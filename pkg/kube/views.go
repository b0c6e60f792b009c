package kube

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// view is what the Observer saw of a target last: the Actuator's precondition, and where the scrape source finds pods.
type view struct {
	time     time.Time
	read     scaleRead
	selector labels.Selector
	// existing is the number of pods that have not ended, in any phase.
	existing int32
	// pods are their UIDs.
	pods []types.UID
	// members are the pods as they were seen, phases the number of those in each phase.
	members []*member
	phases  map[scaling.Phase]int32
}

// views keeps the last view of each target, and which targets select which pod.
type views struct {
	mu    sync.Mutex
	last  map[controlloop.TargetID]view
	claim map[types.UID][]controlloop.TargetID
}

func newViews() *views {
	return &views{last: map[controlloop.TargetID]view{}, claim: map[types.UID][]controlloop.TargetID{}}
}

// put replaces what was seen of a target.
func (v *views) put(id controlloop.TargetID, next view) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.Equal(v.last[id].pods, next.pods) {
		v.last[id] = next
		return
	}
	v.release(id)
	v.last[id] = next
	for _, uid := range next.pods {
		v.claim[uid] = append(v.claim[uid], id)
	}
}

// release takes back a target's claims on pods; the caller holds the lock.
func (v *views) release(id controlloop.TargetID) {
	for _, uid := range v.last[id].pods {
		var others []controlloop.TargetID
		for _, other := range v.claim[uid] {
			if other != id {
				others = append(others, other)
			}
		}
		if len(others) == 0 {
			delete(v.claim, uid)
			continue
		}
		v.claim[uid] = others
	}
}

// of returns what was seen of a target last.
func (v *views) of(id controlloop.TargetID) (view, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	got, ok := v.last[id]
	return got, ok
}

// sharer returns another scale target that selects pods of this one, and how many. Two InferenceAutoscalers on the
// same scale target are not sharers: that is either harmless (Advise) or a rivalry, found elsewhere.
func (v *views) sharer(id controlloop.TargetID) (scaleTarget, int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	mine := v.last[id]
	counts := map[scaleTarget]int{}
	var worst scaleTarget
	for _, uid := range mine.pods {
		for _, other := range v.claim[uid] {
			t := v.last[other].read.target
			if t == mine.read.target {
				continue
			}
			counts[t]++
			if n := counts[t]; n > counts[worst] || n == counts[worst] && t.key() < worst.key() {
				worst = t
			}
		}
	}
	return worst, counts[worst]
}

// claimed reports whether any target selects a pod.
func (v *views) claimed(uid types.UID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.claim[uid]) > 0
}

// forget drops what was seen of a target.
func (v *views) forget(id controlloop.TargetID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.release(id)
	delete(v.last, id)
}
