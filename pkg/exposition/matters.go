package exposition

import "github.com/preheat-autoscaler/preheat/pkg/signals"

// scalarMatters says of each scalar what cannot be known without it, for whoever reads that it is missing.
var scalarMatters = [signals.NumMetrics]string{
	signals.RequestsWaiting:         "a queue inside the engine is not seen, unless requests in flight are told: demand beyond what runs shows late",
	signals.RequestsWaitingCapacity: "requests that wait for an adapter or a KV transfer are not told from those that more replicas would help",
	signals.RequestsRunning:         "how full the batch is stays unknown; without requests in flight too Preheat is blind and holds the replicas",
	signals.RequestsInflight:        "requests in flight are known only where waiting and running both are",
	signals.RequestsMax:             "how full the engine can get is learned from the most it was seen to run, not known from the start",
	signals.KVCacheUtilization:      "an engine that is full for want of KV cache, long before it runs its most requests, is noticed by its queue only",
	signals.KVCacheCapacityTokens:   "engines of different size count alike in the mean KV utilization",
	signals.RequestsFinished:        "arrivals cannot be counted: once requests come Preheat is blind and holds the replicas",
	signals.PromptTokens:            "work is counted in requests, whatever the length of their prompts",
	signals.PromptTokensCached:      "prompts that a cache spares the engine count as work, unless the computed tokens are told",
	signals.PromptTokensComputed:    "prompts are counted whole, or less those cached: demand looks larger than the work where caches hit",
	signals.GenerationTokens:        "work is counted in requests, whatever the length of their answers",
	signals.PrefixCacheQueries:      "the share of prompts found in the prefix cache is unknown, unless the engine tells it as one number",
	signals.PrefixCacheHits:         "the share of prompts found in the prefix cache is unknown, unless the engine tells it as one number",
	signals.PrefixCacheHitRatio:     "that replicas are slower while their caches are cold is not seen",
	signals.Preemptions:             "requests that are put back for want of KV cache, the first sign of overload, are not seen",
	signals.Engines:                 "a page of several data-parallel engines is taken as one",
	signals.EnginesAwake:            "a sleeping engine is not told from an idle one by its page; pods that Preheat put to sleep itself it knows",
	signals.LoRAAdaptersRunning:     "which share of the adapter slots is used is unknown; nothing is decided by it",
	signals.LoRAAdaptersWaiting:     "whether requests wait for an adapter slot is unknown; nothing is decided by it",
	signals.LoRAAdaptersMax:         "the number of adapter slots is unknown; nothing is decided by it",
}

// latencyMatters is the same for distributions.
var latencyMatters = [signals.NumLatencies]string{
	signals.TTFT:      "whether first tokens come in time is not seen: the objective is judged without it, and what a replica sustains is learned from queues",
	signals.ITL:       "the pace of tokens under load is unknown, and with it how full a replica may run",
	signals.TPOT:      "whether answers come at the pace that was promised is not seen: the objective is judged without it",
	signals.E2E:       "how long whole requests take is unknown; nothing is decided by it",
	signals.QueueTime: "how long requests waited is unknown; nothing is decided by it, for it is told of finished requests only",
}
