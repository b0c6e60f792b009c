// Package capacity says how many requests per second one replica sustains within its latency objectives, declared by
// the user or learned from what replicas report, and how many replicas a demand needs.
//
// It is part of the core: no clock, I/O, log, goroutine or global randomness.
package capacity

// Source says where an estimate comes from.
type Source string

// The sources of an Estimate.
const (
	// Unknown: nothing was declared and too little has been seen.
	Unknown Source = "Unknown"
	// Declared: the spec says so.
	Declared Source = "Declared"
	// Learned: from inter-token latency against batch size.
	Learned Source = "Learned"
)

// Estimate is what one replica sustains.
type Estimate struct {
	// PerReplica is in requests per second of the present mix; meaningless where Source is Unknown.
	PerReplica float64
	// Concurrency is the number of requests a replica then has in its batch; zero where not known.
	Concurrency float64
	// Source is where the figures come from.
	Source Source
	// Text explains the figures in one sentence.
	Text string
}

// Known reports whether there is a figure.
func (e Estimate) Known() bool { return e.Source != Unknown && e.Source != "" && e.PerReplica > 0 }
