package testbed

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// DefaultStartTimeout bounds the start of a cluster. Five to ten seconds are usual; a busy machine needs more.
const DefaultStartTimeout = 90 * time.Second

// Options of a cluster. The zero value is a cluster with Kubernetes' own defaults.
type Options struct {
	// BinDir holds the control plane's binaries. Empty: the directory that simulations/cluster/build.sh fills.
	BinDir string
	// RunDir receives certificates, kubeconfigs, data and logs, and is kept. Empty: a temporary directory, removed by Stop.
	RunDir string
	// LogDir receives one log file a component, and is kept. Empty: the folder log in the run directory.
	LogDir string
	// StagesFile replaces the embedded kwok stages.
	StagesFile string

	// HPASync is the period of the HorizontalPodAutoscaler controller. 0: Kubernetes' default, 15 s.
	HPASync time.Duration
	// HPADownscaleStabilization is how long the HPA controller remembers higher recommendations. 0: Kubernetes' default,
	// 5 min.
	HPADownscaleStabilization time.Duration
	// ControllerQPS limits the requests per second of controller manager and scheduler, with bursts of twice as many.
	// 0: Kubernetes' defaults, 20 and 50, which let a few hundred pods take a while.
	ControllerQPS int
	// FeatureGates are set on API server and controller manager.
	FeatureGates map[string]bool
	// APIServerArgs and ControllerManagerArgs are appended to the components' flags; the last one of a kind wins.
	APIServerArgs         []string
	ControllerManagerArgs []string

	// StartTimeout bounds Start as a whole. 0: DefaultStartTimeout.
	StartTimeout time.Duration
	// Logger is told what is started and stopped. nil: nobody is.
	Logger *slog.Logger
}

// withDefaults fills what has a default of ours; what is left zero is left to Kubernetes.
func (o Options) withDefaults() Options {
	if o.StartTimeout == 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	if o.HPASync < 0 || o.HPADownscaleStabilization < 0 || o.StartTimeout < 0 {
		return fmt.Errorf("durations must not be negative: HPASync %v, HPADownscaleStabilization %v, StartTimeout %v",
			o.HPASync, o.HPADownscaleStabilization, o.StartTimeout)
	}
	if o.ControllerQPS < 0 {
		return fmt.Errorf("ControllerQPS must not be negative: %d", o.ControllerQPS)
	}
	return nil
}

// featureGateFlag returns the flag for the gates in a stable order, or nothing without gates.
func (o Options) featureGateFlag() []string {
	if len(o.FeatureGates) == 0 {
		return nil
	}
	var gates []string
	for _, name := range slices.Sorted(maps.Keys(o.FeatureGates)) {
		gates = append(gates, fmt.Sprintf("%s=%t", name, o.FeatureGates[name]))
	}
	return []string{"--feature-gates=" + strings.Join(gates, ",")}
}

// qpsFlags returns the client limits of controller manager and scheduler, or nothing where Kubernetes' own hold.
func (o Options) qpsFlags() []string {
	if o.ControllerQPS == 0 {
		return nil
	}
	return []string{fmt.Sprintf("--kube-api-qps=%d", o.ControllerQPS), fmt.Sprintf("--kube-api-burst=%d", 2*o.ControllerQPS)}
}
