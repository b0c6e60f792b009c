package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// replayed is a line of decisions.jsonl, as far as it is explained; pkg/score's documentation has the names.
type replayed struct {
	Policy        string            `json:"policy"`
	Seconds       float64           `json:"t_s"`
	Current       int32             `json:"current"`
	Replicas      int32             `json:"replicas"`
	Ready         int32             `json:"ready"`
	Starting      int32             `json:"starting"`
	Unschedulable int32             `json:"unschedulable"`
	Reason        string            `json:"reason"`
	Demand        *float64          `json:"demand"`
	Waiting       float64           `json:"waiting"`
	Running       float64           `json:"running"`
	Forecast      *replayedForecast `json:"forecast"`
	Needed        int32             `json:"needed"`
	Limited       bool              `json:"limited"`
	Blind         bool              `json:"blind"`
	Unseen        []string          `json:"unseen"`
	Steps         []string          `json:"steps"`
}

// replayedForecast is the forecast of a line, rates in requests per second.
type replayedForecast struct {
	Point     float64 `json:"point"`
	Upper     float64 `json:"upper"`
	Quantile  float64 `json:"quantile"`
	Horizon   float64 `json:"horizon_s"`
	Withdrawn string  `json:"withdrawn"`
}

// explain explains a decision of a replay, in which nobody writes statuses.
func (r *replayed) explain() explanation {
	e := explanation{
		Name: r.Policy, Wanted: new(r.Replicas), Reason: r.Reason, Meaning: report.Meaning(scaling.Reason(r.Reason)),
		Decided: fmt.Sprintf("%s after the start of the trace", seconds(r.Seconds).Round(time.Second)),
		Replicas: &v1alpha1.ReplicaStatus{
			Desired: r.Current, Current: r.Ready + r.Starting + r.Unschedulable, Ready: r.Ready, Starting: r.Starting, Unschedulable: r.Unschedulable,
		},
		Steps: explainSteps(r.Steps, nil),
	}
	if r.Demand != nil {
		e.Demand = &v1alpha1.DemandStatus{
			RequestsPerSecond: milli(*r.Demand), WaitingRequests: new(int64(r.Waiting)), RunningRequests: new(int64(r.Running)),
		}
	}
	if r.Forecast != nil {
		e.Forecast, e.Forecasting = r.Forecast.status(), r.Forecast.Withdrawn
	}
	if r.Blind {
		e.Troubles = append(e.Troubles, trouble{Name: "Blind", Reason: r.Reason, Message: "replicas are held; not seen: " + strings.Join(r.Unseen, "; ")})
	}
	if r.Limited {
		e.Troubles = append(e.Troubles, trouble{Name: "Limited", Reason: r.Reason, Message: fmt.Sprintf("the demand needs %d replicas, %d are allowed", r.Needed, r.Replicas)})
	}
	return e
}

// status is the forecast as a status has it.
func (f *replayedForecast) status() *v1alpha1.ForecastStatus {
	quantile := v1alpha1.Percent(strconv.FormatFloat(100*f.Quantile, 'g', 5, 64) + "%")
	return &v1alpha1.ForecastStatus{
		Quantile: quantile, RequestsPerSecond: milli(f.Upper), Horizon: &metav1.Duration{Duration: seconds(f.Horizon)},
		Quantiles: []v1alpha1.ForecastQuantile{{Quantile: "50%", RequestsPerSecond: *milli(f.Point)}, {Quantile: quantile, RequestsPerSecond: *milli(f.Upper)}},
	}
}

// seconds is a number of them as a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// milli is a number with three decimals.
func milli(v float64) *resource.Quantity {
	return resource.NewMilliQuantity(int64(math.Round(1000*v)), resource.DecimalSI)
}
