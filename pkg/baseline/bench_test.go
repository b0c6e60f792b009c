package baseline

import (
	"testing"
	"time"
)

// BenchmarkDecide is what one decision costs with eight replicas under a steady load, new readings included.
func BenchmarkDecide(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			l := newLine(b, name, setup(), 8)
			l.load(20)
			l.run(10 * time.Minute)
			o := l.observe()
			for b.Loop() {
				o.Time = o.Time.Add(l.path.Interval)
				o.Gateway.Time = o.Time
				for i := range o.Replicas {
					if r := o.Replicas[i].Reading; r != nil {
						r.Time = o.Time
					}
				}
				l.policy.Decide(o)
			}
		})
	}
}
