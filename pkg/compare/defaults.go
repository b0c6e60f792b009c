package compare

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
)

// PlainAutoscaler is the spec of a user who says nothing but what to scale: objective and bounds are the experiment's.
func PlainAutoscaler() *v1alpha1.InferenceAutoscaler {
	ia := &v1alpha1.InferenceAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "model", Namespace: "default"}}
	ia.Spec.ScaleTargetRef = v1alpha1.ScaleTargetRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "model"}
	ia.Spec.Mode = v1alpha1.ModeOwn
	ia.Spec.MaxReplicas = 1
	ia.SetDefaults()
	return ia
}

// LoadShare is the part of a lead time during which the model is loaded; the rest is warming up (compiling, capturing
// graphs): of a vLLM start with its weights at hand.
const LoadShare = 0.8

// LeadOf is a lead time of which LoadShare is loading and the rest warming up, each with a standard deviation of its
// logarithm.
func LeadOf(whole time.Duration, sigma float64) Lead {
	load := time.Duration(LoadShare * float64(whole))
	return Lead{Whole: whole, Phases: replay.Lead{
		Load: replay.Phase{Median: load, Sigma: sigma}, WarmUp: replay.Phase{Median: whole - load, Sigma: sigma},
	}}
}
