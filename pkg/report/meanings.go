package report

import "github.com/preheat-autoscaler/preheat/pkg/scaling"

// meanings are the reasons of pkg/scaling in sentences.
var meanings = map[scaling.Reason]string{
	scaling.DemandMet:           "the replicas asked for are the ones needed",
	scaling.ReactiveDemand:      "present demand or its backlog needs more replicas",
	scaling.ForecastDemand:      "demand one lead time ahead needs more replicas than present demand does",
	scaling.DemandFell:          "fewer replicas are enough, now and one lead time ahead",
	scaling.Idle:                "there is no demand, none is expected, and no replica is worth keeping until it comes",
	scaling.WorthKeeping:        "fewer would be enough now; to load the others again would cost more than to keep them for a while",
	scaling.ScaleDownStabilized: "fewer would be enough now, but were not throughout the stabilization window",
	scaling.ScaleUpStabilized:   "more are needed now, but were not throughout the scale-up window",
	scaling.ForecastVeto:        "present demand needs fewer, the forecast one lead time ahead does not",
	scaling.WithinTolerance:     "the change would be smaller than the tolerance",
	scaling.RateLimited:         "a scaling policy bounds the change",
	scaling.AtMaximum:           "the maximum holds",
	scaling.AtMinimum:           "the minimum holds",
	scaling.AtGPUBudget:         "more replicas would hold more GPUs than the spec allows",
	scaling.GPUsUnavailable:     "replicas wait for GPUs; more of them would not come sooner",
	scaling.NoReadyReplica:      "no replica is ready, so nothing is known of demand; the present replicas are held",
	scaling.NoFreshData:         "blind: nothing fresh is seen; the present replicas are held",
	scaling.PartialData:         "some ready replicas are not seen; nothing is scaled down",
	scaling.CapacityUnknown:     "nobody declared what a replica sustains and too little was seen to learn it",
	scaling.WarmingUp:           "observed for less than a full window; nothing is scaled down",
	scaling.Paused:              "the spec says so",
	scaling.ScaledToZeroByOther: "somebody else asked for zero replicas, which means paused",
}
