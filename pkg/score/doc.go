// Package score says what a replayed run was worth: what it cost, which share of its requests met the objectives, how
// steady it was; it sets runs beside each other and beside the oracle, and writes the files that a replay leaves.
//
// It must not simulate, decide or read a clock, and it keeps nothing that grows with the number of requests. What is
// unknown is absent from every output: a figure never reads 0 for want of data, and no NaN is written.
//
// # Conventions
//
// A replica holds its GPUs from its creation until it is removed, starting and draining included; one that is
// unschedulable holds none. GPU-seconds are the integral of (starting+ready+draining)·GPUs per replica over the run,
// which ends when the last request or the trace has ended, whichever is later. They are exactly what the rows of
// timeline.csv add up to. They are split into running (ready with a request inside), idle (ready without), loading
// (starting), draining and warm; warm is zero as long as there are no warm pools.
//
// A request meets its objectives when it completed, its first token came within the TTFT objective and its mean time
// per token after the first is within the TPOT objective. Attainment is the share of these among all that arrived:
// timed-out, rejected and lost requests are misses. Goodput counts those that met both, and their output tokens, per
// second of the run.
//
// Over several seeds, an SLO is met where every seed meets it and missed where none does. Where seeds disagree, it is met if
// the whole 95 % interval of the mean attainment reaches the objective, missed if all of it falls short, and unsure if the
// objective lies inside: more seeds would tell. Fewer than three seeds make no interval, and their mean decides.
// A policy holds up to the longest lead time before the first at which it does not meet the SLO, and collapses at the first
// at which it misses it.
//
// Quantiles are by nearest rank, from buckets that are at most 0.4 % off; TTFT over all requests, TPOT over completed ones
// of at least two tokens, E2E over completed ones.
//
// A request that timed out, was rejected or was lost before its first token never had what the others waited for; to leave
// it out would reward sending requests away. It counts in TTFT behind all others, at the longest wait of the run: the
// longest TTFT, or the longest E2E of a request without a first token where that is longer. That is a lower bound, for its
// wait had no end. TTFT is absent where no request had a first token or waited for one.
//
// Flapping is the total variation of the replicas desired less the net change: zero where they only ever rose or only
// ever fell, 2 for one replica added and taken away again.
//
// # At zero
//
// Where a target may be without a replica, zero says what that was worth: the time in which no replica held GPUs, what one
// would have cost meanwhile, the wakes (a replica is ready again after none had been asked for), how many of them were
// foreseen (the first request found it ready) and needless (none came before it went again), the requests that came while no replica was ready with their times to the first token
// (quantiles as in TTFT), and how often the policy weighed that zero pays, or does not: what it goes on saying from one
// decision to the next counts once. All is absent of other targets. Figures have these names with zero_ in front.
//
// # timeline.csv
//
// One row for each change of a target's replicas, which holds until the policy's next row; the last one bears the time
// of the end.
//
//	policy         name of the policy
//	t_s            seconds since the start of the trace, exact to the nanosecond
//	desired        replicas asked for
//	starting       replicas with GPUs that are not ready yet
//	ready          replicas that serve
//	draining       replicas that finish what they hold
//	unschedulable  replicas without GPUs
//
// # requests.csv
//
// One row for each request, in the order in which they ended. Times are rounded up to the microsecond, so that what is
// within an objective in the file is so in the score. A field is empty where there is no such thing.
//
//	policy         name of the policy
//	id             number of the request in order of arrival, from 1
//	arrival_s      seconds since the start of the trace
//	input_tokens   length of the prompt
//	output_tokens  tokens asked for
//	ttft_s         arrival to first token; empty where none came, also where the TTFT of the score counts a wait for it
//	tpot_s         mean time per token after the first; empty where it did not complete or has one token only
//	e2e_s          arrival to its end, whatever that was
//	replica        ordinal of the replica that served it; empty where none did
//	outcome        completed, timed-out, rejected or lost
//
// # decisions.jsonl
//
// One JSON object for each decision, keys in this order, absent where unknown:
//
//	policy, t_s               name of the policy, seconds since the start of the trace
//	current, replicas         replicas asked for before and from now on
//	ready, starting, unschedulable  what the policy saw
//	reason                    the one word of pkg/scaling's closed set
//	demand                    offered requests per second
//	waiting, running          requests in the replicas seen
//	queued, in_flight         requests held by the gateway and inside replicas, in truth
//	forecast                  {point, upper, quantile, horizon_s, model, withdrawn, due, skill_hours, skill_days, skill_seasonal,
//	                          coverage, bias, weights}: point (the median) and upper in requests per second; model is experts, or
//	                          last-value while the experts are withdrawn, and withdrawn says why; due is how many forecasts have
//	                          come due; skill is 1 - their loss / that of the last value, over hours and over days, or of one
//	                          season before, over days; coverage is how often upper was not exceeded; bias is the mean of point
//	                          less demand, as a share of mean demand; weights are the three largest of the experts, by name
//	prompt_tokens, generation_tokens  {per_s, point, upper}, tokens per second, the forecasts of the same horizon
//	lead_time                 {p50_s, p90_s, source, samples}
//	capacity                  {requests_per_s, concurrency, source, text}, of one replica
//	break_even                {quiet_s, expected_s, load_s, wait_s, late, spare, pays}, where it was weighed whether the last
//	                          replica goes: for how long nothing had come, for how much longer nothing is expected to, how
//	                          long a replica takes to serve again, what those who wait for it are worth in replica time; how
//	                          many requests would have waited too long if that went for each silence as long, and how many
//	                          the objective leaves for that; pays is true, or absent
//	needed                    replicas that demand needs
//	limited, blind            true, or absent
//	unseen                    what was sought and not found
//	steps                     what each stage did, in order, as "stage: text"
//
// # Several lead times and seeds
//
// The three files in the directory itself hold the runs of the first lead time and the first seed. Those of other lead times
// and seeds have the same names and columns in folders of their own: lead-120s for a lead time (its median, in seconds),
// seed-2 for a seed, lead-120s/seed-2 for both; which of them are written is for the user to say. summary.json holds all.
//
// # summary.json
//
// The fields of Summary, with version 1: version, command, settings, trace, slo, seeds, lead_times_s and policies, an
// object from a policy's name to its results: one for each lead time, with slo (met, missed or unsure), each figure's mean over the seeds and its
// 95 % interval (absent with fewer than three seeds), the same for the ratio to the oracle of the same seed and lead time (absent
// without an oracle), and each run's Score. Figures has the names; the ttft figures are over all requests, see Conventions.
// Keys of objects are in alphabetical order where they are names, in the order of the Go structs otherwise. A comparison
// that was ended before its time has incomplete: true, the names of the runs that are missing in unfinished, and in
// cut_short those of the oracle whose search was ended: they are there, with the best schedule found until then. New
// fields may be added; a change of meaning changes version.
package score
