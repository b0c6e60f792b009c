// Package report says what a run of the demo showed: the table and the sentence on the terminal, summary.json, and a
// page with a picture of demand, forecast and replicas.
//
// It must not measure anything, read a clock or know Kubernetes: everything it tells is in the Run it is given, and the
// same Run gives the same bytes.
package report

import "time"

// Run is everything measured in one run. Times are in seconds since the first request was due.
type Run struct {
	Settings Settings
	// Length is the time during which requests were sent, in seconds; cost and scale events are counted in it.
	Length float64
	// Offered is the rate of arrivals at each policy, in requests per second.
	Offered []Point
	// Policies are in the order of the table.
	Policies []Policy
	// Machine says whether the machine kept up.
	Machine Machine
}

// Settings are the conditions of a run, the same for every policy.
type Settings struct {
	Trace           string  `json:"trace"`
	Compress        float64 `json:"compress"`
	Scale           float64 `json:"scale"`
	DurationSeconds float64 `json:"duration_s"`
	Seed            int64   `json:"seed"`
	Profile         string  `json:"profile"`
	GPUsPerReplica  int     `json:"gpus_per_replica"`
	LoadTimeSeconds float64 `json:"load_time_s"`
	LoadJitter      float64 `json:"load_jitter"`
	MinReplicas     int     `json:"min_replicas"`
	MaxReplicas     int     `json:"max_replicas"`
	InitialReplicas int     `json:"initial_replicas"`
	TTFTSeconds     float64 `json:"slo_ttft_s"`
	TPOTSeconds     float64 `json:"slo_tpot_s"`
	// The control times, in seconds, as they were after compression.
	HPASyncSeconds          float64 `json:"hpa_sync_s"`
	StabilizationSeconds    float64 `json:"scale_down_stabilization_s"`
	DecisionIntervalSeconds float64 `json:"decision_interval_s"`
	ScrapeIntervalSeconds   float64 `json:"scrape_interval_s"`
	// Busy and LateP99Seconds are Machine's.
	Busy           *float64 `json:"machine_busy,omitempty"`
	LateP99Seconds float64  `json:"driver_late_p99_s"`
}

// Machine says how hard the run was for the machine it ran on.
type Machine struct {
	// Busy is the share of all cores' time in use while requests were sent, by anyone; negative where unknown.
	Busy float64
	// Saturated is the share of seconds in which the cores were all but fully busy.
	Saturated float64
	// Cores is their number.
	Cores int
	// LateP99 is how far behind the trace the driver sent, the 99th percentile of all requests.
	LateP99 time.Duration
}

// Point is a value at a time. In a step curve it holds until the next one.
type Point struct{ T, V float64 }

// Policy is one way to scale, and what came of it.
type Policy struct {
	// Name is its key in summary.json, Title what people read.
	Name, Title string
	Outcome     Outcome
	// Desired and Ready are step curves of replicas.
	Desired, Ready []Point
	// Bins are its requests by time of arrival.
	Bins []Bin
	// Forecast is the demand that was expected, each Point at the time that it was expected for.
	Forecast []Point
	// Capacity is what one replica was taken to sustain in the end, in requests per second; 0 where nobody said.
	Capacity float64
	// Decisions are those that changed the number of replicas or its reason.
	Decisions []Decision
}

// Outcome is one policy's line of the summary.
type Outcome struct {
	Requests int `json:"requests"`
	Errors   int `json:"errors"`
	// Attainment is the share of all requests that arrived which met the SLO.
	Attainment float64 `json:"attainment"`
	P50TTFT    float64 `json:"p50_ttft_s"`
	P99TTFT    float64 `json:"p99_ttft_s"`
	GPUSeconds float64 `json:"gpu_seconds"`
	// ScaleEvents is how often the number of replicas asked for was changed.
	ScaleEvents int `json:"scale_events"`
}

// Bin is the requests that arrived in a slice of time.
type Bin struct {
	From, To        float64
	Arrived, Missed int
	// WorstTTFT is the longest time to a first token, in seconds.
	WorstTTFT float64
}

// Decision is an entry of the decision log.
type Decision struct {
	T        float64
	From, To int
	Reason   string
	// Text is why, in a sentence; Steps are what each stage of the planner said.
	Text  string
	Steps []string
}
