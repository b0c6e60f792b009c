package scaling

import (
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/capacity"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/leadtime"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
	"github.com/preheat-autoscaler/preheat/pkg/timeseries"
)

// State is all that the planner remembers of one target between two ticks: plain data, the zero value remembers
// nothing. Plan takes it over: the State passed in must not be used again.
type State struct {
	// Since is the first observation with data; until a full stabilization window later nothing is scaled down.
	Since time.Time
	// Replicas is what is remembered of each replica, by ID.
	Replicas map[string]ReplicaState
	// Arrivals are the offered requests per second at each tick of late.
	Arrivals timeseries.Series
	// Forecast, Tokens, LeadTime and Capacity are what has been learned.
	Forecast forecast.State
	Tokens   TokenForecasters
	LeadTime leadtime.State
	Capacity capacity.State
	// Promises are the forecasts that have yet to come due, and the last one that has. Promised and Came are decayed means
	// of the medians that were forecast for instants that have passed and of what came, in requests per second.
	Promises       []Promise
	Promised, Came float64
	// Order is the newest one.
	Order Order
	// Returns is what has been learned of replicas that were needed again.
	Returns Returns
	// Silences is what has been learned of times without any demand, Silence the present one. Front is what was read last of
	// what holds requests.
	Silences Silences
	Silence  Silence
	Front    Front
	// Unheard is since when nothing has been read of what is in front, zero where something ever was.
	Unheard time.Time
	// Seen is the time of the newest reading of a ready replica that told what demand is made of.
	Seen time.Time
	// Offer is what a gateway has told of demand.
	Offer Offer
	// Zeroed is set while zero replicas stand that this planner asked for.
	Zeroed bool
	// Warm are the warm replicas that were wanted last.
	Warm Warm
	// Wakes is what has been learned of warm replicas, Levels the numbers of replicas of late, serving or warm, that were
	// worth their price.
	Wakes  Wakes
	Levels timeseries.Series
	// Rests is what Returns is, over the time for which a warm replica may be kept.
	Rests Returns
	// Wanted are the numbers of replicas that were needed, before any was kept for longer. Proposals are the numbers of
	// replicas wanted before stabilization, Changes the changes of the desired number, whoever made them; Desired is the
	// number at the last observation.
	Wanted, Proposals, Changes timeseries.Series
	Desired                    int32
	// Watched is since when what is in Wanted was needed, and not just held.
	Watched time.Time
}

// ReplicaState is what is remembered of one replica.
type ReplicaState struct {
	// Reading is the newest one taken in.
	Reading *signals.Reading
	// Arrivals is the offered load in requests per second between the last two readings, ArrivalsKnown false before.
	Arrivals      float64
	ArrivalsKnown bool
	// Still is since when its page has stood still while requests run, zero where it has moved.
	Still time.Time
	// Growth is by how many requests per second what is in flight grew between them, zero where that is not known.
	Growth float64
	// Tokens are the rates of tokens between them.
	Tokens TokenRates
	// Unschedulable is set once the replica has been seen so; its scheduling time teaches nothing.
	Unschedulable bool
	// Rest is what is remembered of its rest where it was warm.
	Rest Rest
	// Learned is set once its start has been learned from.
	Learned bool
}
