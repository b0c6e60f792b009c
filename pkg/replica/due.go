package replica

import (
	"container/heap"
	"slices"
)

// dueQueue orders decoding sequences by the step of their next event, and
// within a step by request ID, so that results do not depend on heap history.
type dueQueue []*sequence

func (d *dueQueue) add(seq *sequence)  { heap.Push(d, seq) }
func (d *dueQueue) drop(seq *sequence) { heap.Remove(d, seq.index) }
func (d *dueQueue) fix(seq *sequence)  { heap.Fix(d, seq.index) }

// Len, Less, Swap, Push and Pop are heap.Interface.
func (d dueQueue) Len() int { return len(d) }

func (d dueQueue) Less(i, j int) bool {
	if d[i].due != d[j].due {
		return d[i].due < d[j].due
	}
	return d[i].ID < d[j].ID
}

func (d dueQueue) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

// Push appends x; heap.Push calls it.
func (d *dueQueue) Push(x any) {
	seq := x.(*sequence)
	seq.index = len(*d)
	*d = append(*d, seq)
}

// Pop removes the last element; heap.Pop calls it.
func (d *dueQueue) Pop() any {
	last := len(*d) - 1
	seq := (*d)[last]
	seq.index = -1
	*d = (*d)[:last]
	return seq
}

// remove takes seq out of list, keeping order, and says whether it was there.
func remove(list *[]*sequence, seq *sequence) bool {
	i := slices.Index(*list, seq)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	return true
}
