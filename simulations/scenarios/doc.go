// Package scenarios tells what Preheat does in situations that a user fears or hopes for: each file of testdata sets up
// a cluster and its load in words, runs it under a policy, shows what came of it, and states what must hold. It has
// tests only; run them with
//
//	go test ./simulations/scenarios
//
// and with -rewrite to write anew what the files show. What `expect` states is never rewritten: a file whose
// expectations fail has to be changed by hand. Where a policy does badly, the file says so and expects it.
//
// # The language
//
// Lines that begin with # are prose. Every other line is one command, key=value pairs last. Where a command shows
// something, that stands below it between ---- and the next empty line. Times are like 90s or 2m, shares like 0.3 or
// 30%.
//
// Commands that set up the cluster, for all targets:
//
//	cluster gpus=8 lead=2m jitter=0.2 node=3m node-gpus=4 pull=20s warm-up=10s timeout=30s queue=100 outstanding=64
//	        lost-scrapes=30% crashes-per-hour=1 api-lag=1s router=prefix-aware seed=1
//	slo ttft=2s tpot=100ms attainment=99%
//	at 10m scrapes fail          at 20m scrapes work
//	at 10m gpus 4                the stock changes
//	at 10m crash 1 [target=chat] the oldest ready replicas crash, or loading ones where none is ready
//	at 10m loads slow 3          load times are multiplied from then on
//	at 10m sleepers lost 1       the node of a sleeping replica is lost
//	at 10m wakes slow 40         wake times are multiplied from then on: engines that say they are awake and are not
//
// lead is the time of loading the model; node, pull and warm-up come before and after it, and are zero unless given.
//
//	pool gpus=8 memory-gib=200   the targets divide GPUs and host memory, 64 GiB for each replica that sleeps
//
// Commands that set up one target, the one that `target` named last (or the only one):
//
//	target chat
//	profile llama-3.1-8b-h100    a built-in one; without, that of testdata/replica.yaml
//	mix chat                     or code, rag, …, fixed:1000/200, as in pkg/trace
//	priority 1                   in the pool
//	replicas 2 min=1 max=20      ready at the start, and bounds for any policy
//	load 4 for 10m               requests a second
//	load 4 to 12 over 5m         a straight line
//	load wave 2 to 12 over 1h    up and down again, as one day does
//	load spikes of 30 for 1m every 15m   on top of what is loaded so far
//	load again 3                 all of it that many times more
//	policy preheat forecast.quantile=95% leadTime.override=2m   any field of the spec by its path
//	policy hpa-running target=8  or another of pkg/baseline, with its knobs
//
// Commands that run and show; for one of several targets, target=chat:
//
//	run                          what it cost and how the requests fared
//	timeline                     replicas, demand, queue and missed objectives over time
//	decisions [from=5m to=10m]   what changed the replicas asked for, and why
//	decision at=12m              one decision, with all its steps
//	forecast at=12m              what was expected then, and what came
//	expect attainment >= 99%     any figure of pkg/score by its name
//	expect attainment >= 99% from=5m to=10m   of the requests that came between
//	expect ready >= 2 from=5m to=10m   likewise desired, starting, draining, unschedulable, standby, asleep: at every
//	                             moment between
//	expect reason NoFreshData from=5m to=10m   every decision between has this reason
package scenarios
