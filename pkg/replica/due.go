package replica

// due is the next event of a decoding sequence: at the end of that step.
type due struct {
	step int64
	id   uint64
	seq  *sequence
}

// before orders events by step, and within a step by request ID, so that
// results do not depend on the heap's history.
func (d due) before(e due) bool {
	return d.step < e.step || (d.step == e.step && d.id < e.id)
}

// dueQueue is a binary heap of the decoding sequences, the next event on top.
type dueQueue []due

func (q *dueQueue) push(d due) {
	*q = append(*q, d)
	q.up(len(*q)-1, d)
}

// pop takes the top off.
func (q *dueQueue) pop() {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = due{}
	*q = (*q)[:last]
	if last > 0 {
		q.down(0, d)
	}
}

// replace puts d in the place of the top.
func (q *dueQueue) replace(d due) { q.down(0, d) }

// drop removes seq wherever it is; that is rare, so it is searched.
func (q *dueQueue) drop(seq *sequence) {
	i := 0
	for (*q)[i].seq != seq {
		i++
	}
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = due{}
	*q = (*q)[:last]
	if i == last {
		return
	}
	q.down(i, d)
	q.up(i, (*q)[i])
}

// up moves d from place i towards the top.
func (q *dueQueue) up(i int, d due) {
	heap := *q
	for i > 0 && d.before(heap[(i-1)/2]) {
		heap[i] = heap[(i-1)/2]
		i = (i - 1) / 2
	}
	heap[i] = d
}

// down moves d from place i away from the top.
func (q *dueQueue) down(i int, d due) {
	heap := *q
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && heap[child+1].before(heap[child]) {
			child++
		}
		if !heap[child].before(d) {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = d
}
