package pool

import (
	"fmt"
	"strings"
)

// awake is how many of a member's replicas hold GPUs.
func (m Member) awake() int32 { return m.Serving.Has + m.Standby.Has }

func (s Share) awake() int32 { return s.Serving + s.Standby }

// yields finds, for the members that may have more awake than they have, whose replicas hold the GPUs for them: those of
// members that have more than they may. Members of a high priority find theirs first, and take from the lowest.
func (d *division) yields(b Budget) {
	if b.GPUs < 0 {
		return
	}
	free, surplus := b.GPUs, make([]int32, len(d.members))
	for i, m := range d.members {
		free -= m.awake()*m.GPUs + m.Asleep.Has*m.AsleepGPUs
		surplus[i] = max(0, m.awake()-d.shares[i].awake())
	}
	for _, i := range d.order {
		m := d.members[i]
		for range d.shares[i].awake() - m.awake() {
			free -= m.GPUs
			for at := len(d.order) - 1; at >= 0 && free < 0; at-- {
				free += d.give(i, d.order[at], &surplus[d.order[at]], -free)
			}
		}
	}
}

// free says how many of each member may be awake before others have let go of anything.
func (d *division) free(b Budget) {
	var held int64
	for _, m := range d.members {
		held += m.GPUsHeld()
	}
	for i, m := range d.members {
		s := &d.shares[i]
		s.Awake = s.awake() + s.Spare
		if b.GPUs >= 0 && m.GPUs > 0 {
			room := (int64(b.GPUs) - (held - m.GPUsHeld())) / int64(m.GPUs)
			s.Awake = max(0, min(s.Awake, max(m.Busy, int32(max(0, room)))-m.Ending))
		}
	}
}

// GPUsHeld is how many GPUs a member keeps from others now.
func (m Member) GPUsHeld() int64 {
	return int64(m.Busy)*int64(m.GPUs) + int64(m.Asleep.Has)*int64(m.AsleepGPUs)
}

// give has one member yield as many GPUs to another as it has too many, up to a number, and returns how many it yields.
func (d *division) give(to, from int, surplus *int32, wanted int32) (gpus int32) {
	m := d.members[from]
	if m.GPUs <= 0 {
		return 0
	}
	n := min(*surplus, (wanted+m.GPUs-1)/m.GPUs)
	if n == 0 {
		return 0
	}
	*surplus -= n
	ys := &d.shares[to].Yields
	if last := len(*ys) - 1; last >= 0 && (*ys)[last].Name == m.Name {
		(*ys)[last].Replicas += n
	} else {
		*ys = append(*ys, Yield{m.Name, n})
	}
	return n * m.GPUs
}

// explain says of each member what it does not get, and for whom it waits.
func (d *division) explain() {
	for i, m := range d.members {
		s := &d.shares[i]
		var parts []string
		for t, name := range [...]string{"serving", "on standby", "asleep"} {
			got, wished := *s.of(tier(t)), m.wish(tier(t)).wished()
			if tier(t) == serving {
				wished = max(wished, m.Min)
			}
			if got < wished {
				parts = append(parts, fmt.Sprintf("%d of %d %s: %s", got, wished, name, d.spent(m, tier(t))))
			}
		}
		if later := s.awake() + s.Spare - s.Awake; later > 0 {
			parts = append(parts, fmt.Sprintf("%d awake at present, %d more once others have let go of their GPUs", s.Awake, later))
		}
		for _, y := range s.Yields {
			parts = append(parts, fmt.Sprintf("waits for %d of %s to sleep", y.Replicas, y.Name))
		}
		if s.Why = strings.Join(parts, "; "); s.Why == "" {
			s.Why = "has all that is worth its price"
		}
	}
}

// wished is how many replicas a wish is for.
func (w Wish) wished() (n int32) {
	for _, worth := range w.Worth {
		if !(worth > 0) {
			break
		}
		n++
	}
	return n
}

// spent says which budget keeps a member from one more of a tier.
func (d *division) spent(m Member, t tier) string {
	switch {
	case t != asleep:
		return fmt.Sprintf("%d GPUs are left, and one takes %d; the others are worth more to those that have them", d.left.GPUs, m.GPUs)
	case d.left.Asleep == 0:
		return "no more may sleep"
	case d.left.GPUs >= 0 && d.left.GPUs < m.AsleepGPUs:
		return fmt.Sprintf("%d GPUs are left, and one that sleeps keeps %d; the others are worth more to those that have them", d.left.GPUs, m.AsleepGPUs)
	}
	return fmt.Sprintf("%.1f GiB of host memory are left, and one takes %.1f; the others are worth more to those that have them",
		float64(d.left.Memory)/(1<<30), float64(m.Memory)/(1<<30))
}
