package replica

// list is a doubly linked list through the sequences themselves, so that a
// sequence joins and leaves without search and without allocation.
type list struct {
	head, tail *sequence
	length     int
}

func (l *list) pushBack(seq *sequence) {
	seq.prev, seq.next = l.tail, nil
	if l.tail == nil {
		l.head = seq
	} else {
		l.tail.next = seq
	}
	l.tail = seq
	l.length++
}

func (l *list) pushFront(seq *sequence) {
	seq.prev, seq.next = nil, l.head
	if l.head == nil {
		l.tail = seq
	} else {
		l.head.prev = seq
	}
	l.head = seq
	l.length++
}

func (l *list) remove(seq *sequence) {
	if seq.prev == nil {
		l.head = seq.next
	} else {
		seq.prev.next = seq.next
	}
	if seq.next == nil {
		l.tail = seq.prev
	} else {
		seq.next.prev = seq.prev
	}
	seq.prev, seq.next = nil, nil
	l.length--
}
