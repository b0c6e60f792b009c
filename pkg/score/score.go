package score

import "github.com/preheat-autoscaler/preheat/pkg/scaling"

// Score is what one run of one policy on one target was worth.
type Score struct {
	// Policy and Target name the run, Seed and LeadTime (the median of the whole, seconds) say under which draw and
	// lead time.
	Policy   string  `json:"policy"`
	Target   string  `json:"target,omitempty"`
	Seed     uint64  `json:"seed"`
	LeadTime float64 `json:"lead_time_s"`
	// Duration is the length of the run in seconds.
	Duration float64 `json:"duration_s"`

	// GPUSeconds is the integral of all GPUs held, GPUHours the same by what they were held for.
	GPUSeconds float64  `json:"gpu_seconds"`
	GPUHours   GPUHours `json:"gpu_hours"`
	// Price is per GPU-hour, Cost the price of all; both absent where no price was given.
	Price float64 `json:"price_per_gpu_hour,omitempty"`
	Cost  float64 `json:"cost,omitempty"`

	Requests Requests `json:"requests"`
	// Attainment is nil where no request came.
	Attainment *Attainment `json:"attainment,omitempty"`
	// TTFT, TPOT and E2E are nil where no request has one. TTFT is that of all requests, those that waited for a first
	// token in vain included; TPOT and E2E are those of the completed ones.
	TTFT *Latency `json:"ttft_s,omitempty"`
	TPOT *Latency `json:"tpot_s,omitempty"`
	E2E  *Latency `json:"e2e_s,omitempty"`
	// Goodput is nil where the run took no time.
	Goodput *Goodput `json:"goodput,omitempty"`

	Scaling  Scaling  `json:"scaling"`
	Replicas Replicas `json:"replicas"`
	// Unschedulable is the time, in seconds, during which at least one replica found no GPUs.
	Unschedulable float64 `json:"unschedulable_s"`
	// Blind is the time, in seconds, for which a decision held that was made without data.
	Blind float64 `json:"blind_s"`
	// Zero is absent where the target never may be without a replica.
	Zero *Zero `json:"zero,omitempty"`
	// Decisions counts decisions by their reason.
	Decisions map[scaling.Reason]int `json:"decisions,omitempty"`
}

// GPUHours are hours of GPUs held. Total is the sum of the others.
type GPUHours struct {
	Total float64 `json:"total"`
	// Running and Idle are those of ready replicas with and without requests, Loading those of replicas that are not
	// ready yet.
	Running  float64 `json:"running"`
	Idle     float64 `json:"idle"`
	Loading  float64 `json:"loading"`
	Draining float64 `json:"draining"`
	// Warm is what warm replicas cost, by the price of their tiers.
	Warm float64 `json:"warm"`
}

// Requests counts requests by how they ended; Arrived is the sum. GoodputRequests met both objectives.
type Requests struct {
	Arrived   uint64 `json:"arrived"`
	Completed uint64 `json:"completed"`
	TimedOut  uint64 `json:"timed_out"`
	Rejected  uint64 `json:"rejected"`
	Lost      uint64 `json:"lost"`
	// WithinSLO of the completed ones met both objectives.
	WithinSLO uint64 `json:"within_slo"`
	// InputTokens and OutputTokens are those of the completed ones.
	InputTokens  uint64 `json:"input_tokens"`
	OutputTokens uint64 `json:"output_tokens"`
}

// Attainment is the share of all requests that met each objective, 0 to 1.
type Attainment struct {
	Both float64 `json:"both"`
	TTFT float64 `json:"ttft"`
	TPOT float64 `json:"tpot"`
}

// Latency is a distribution in seconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// Goodput is what met both objectives, per second of the run.
type Goodput struct {
	Requests     float64 `json:"requests_per_s"`
	OutputTokens float64 `json:"output_tokens_per_s"`
}

// Scaling is how restless a policy was.
type Scaling struct {
	// Ups and Downs count changes of the replicas desired.
	Ups   int `json:"ups"`
	Downs int `json:"downs"`
	// Flapping is the total variation of the replicas desired beyond the net change, in replicas.
	Flapping int64 `json:"flapping"`
	// ColdStarts counts replicas that began to load, Crashes those that crashed.
	ColdStarts int `json:"cold_starts"`
	Crashes    int `json:"crashes"`
}

// Replicas is how many held GPUs.
type Replicas struct {
	Mean float64 `json:"mean"`
	Max  int32   `json:"max"`
	// MaxDesired is the most that was asked for.
	MaxDesired int32 `json:"max_desired"`
}

// Attained is the share of requests that met both objectives; one where none came, since none was missed.
func (s Score) Attained() float64 {
	if s.Attainment == nil {
		return 1
	}
	return s.Attainment.Both
}

// Events counts changes of the replicas desired.
func (s Scaling) Events() int { return s.Ups + s.Downs }

// Zero is what it was worth to be without a replica, and what it cost those who came then.
type Zero struct {
	// Seconds is the time in which no replica held GPUs, Saved the GPU-hours that one would have cost meanwhile.
	Seconds float64 `json:"seconds"`
	Saved   float64 `json:"gpu_hours_saved"`
	// Wakes counts the times that a replica was ready again after none had been asked for: Foreseen those that the first request
	// found ready, Needless those after which none came.
	Wakes    int `json:"wakes"`
	Foreseen int `json:"foreseen"`
	Needless int `json:"needless"`
	// Requests counts those that came while no replica was ready, Wait is their time to the first token, as TTFT is told.
	Requests uint64   `json:"requests"`
	Wait     *Latency `json:"wait_s,omitempty"`
	// Refused counts the silences of which the policy said at least once that to be without a replica does not pay, Paid the times
	// that it said it does; both are zero of a policy that weighs nothing.
	Refused int `json:"refused"`
	Paid    int `json:"paid"`
}
