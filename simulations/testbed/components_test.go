package testbed

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func testPlan(o Options) plan {
	return plan{
		addresses: addresses{host: "127.0.0.1", first: 21000, podCIDR: "127.64.0.0/16"},
		pki:       &pki{dir: "/run-dir/pki"}, runDir: "/run-dir", stages: "/run-dir/stages.yaml", options: o,
	}
}

func TestOptionsBecomeFlagsAndZeroIsLeftToKubernetes(t *testing.T) {
	full := Options{
		HPASync: 2 * time.Second, HPADownscaleStabilization: time.Minute, ControllerQPS: 300,
		FeatureGates:  map[string]bool{"HPAScaleToZero": true, "APIListChunking": false},
		APIServerArgs: []string{"--v=4"}, ControllerManagerArgs: []string{"--v=5"},
	}
	for name, tc := range map[string]struct {
		args    []string
		with    []string
		without []string
	}{
		"the zero value leaves every choice to the API server": {
			args: testPlan(Options{}).apiServerArgs(), without: []string{"--feature-gates"},
		},
		"the zero value leaves every choice to the controller manager": {
			args:    testPlan(Options{}).controllerManagerArgs(),
			without: []string{"--horizontal-pod-autoscaler", "--kube-api-qps", "--feature-gates"},
		},
		"the zero value leaves every choice to the scheduler": {
			args: testPlan(Options{}).schedulerArgs(), without: []string{"--kube-api-qps"},
		},
		"the API server gets its gates in order and the caller's flags last": {
			args: testPlan(full).apiServerArgs(), with: []string{"--feature-gates=APIListChunking=false,HPAScaleToZero=true", "--v=4"},
		},
		"the controller manager gets periods, limits and gates": {
			args: testPlan(full).controllerManagerArgs(),
			with: []string{
				"--horizontal-pod-autoscaler-sync-period=2s", "--horizontal-pod-autoscaler-downscale-stabilization=1m0s",
				"--kube-api-qps=300", "--kube-api-burst=600", "--feature-gates=APIListChunking=false,HPAScaleToZero=true", "--v=5",
			},
		},
		"the scheduler gets the limits": {
			args: testPlan(full).schedulerArgs(), with: []string{"--kube-api-qps=300", "--kube-api-burst=600"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, want := range tc.with {
				if !slices.Contains(tc.args, want) {
					t.Errorf("no %s in %v", want, tc.args)
				}
			}
			for _, unwanted := range tc.without {
				if slices.ContainsFunc(tc.args, func(arg string) bool { return strings.HasPrefix(arg, unwanted) }) {
					t.Errorf("%s in %v", unwanted, tc.args)
				}
			}
		})
	}
}

func TestOnLoopbackEveryComponentListensOnLoopbackOnly(t *testing.T) {
	p := testPlan(Options{})
	for name, args := range map[string][]string{
		APIServer: p.apiServerArgs(), ControllerManager: p.controllerManagerArgs(), Scheduler: p.schedulerArgs(),
	} {
		if !slices.Contains(args, "--bind-address=127.0.0.1") {
			t.Errorf("%s listens elsewhere: %v", name, args)
		}
	}
	if args := p.kwokArgs(); !slices.Contains(args, "--server-address=127.0.0.1:21005") {
		t.Errorf("kwok listens elsewhere: %v", args)
	}
	if args := p.etcdArgs(); strings.Contains(strings.Join(args, " "), "0.0.0.0") {
		t.Errorf("etcd listens elsewhere: %v", args)
	}
}

func TestBesideARealNodeKwokKeepsToItsOwn(t *testing.T) {
	p := testPlan(Options{})
	p.node = true
	if args := p.kwokArgs(); !slices.Contains(args, "--manage-all-nodes=false") ||
		!slices.Contains(args, "--manage-nodes-with-label-selector=simulations.preheat.dev/node=kwok") {
		t.Errorf("kwok would manage the real node: %v", args)
	}
}

func TestOptionsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		o  Options
		ok bool
	}{
		"nothing asked for":        {Options{}, true},
		"a period of a second":     {Options{HPASync: time.Second}, true},
		"a negative period":        {Options{HPASync: -time.Second}, false},
		"a negative stabilization": {Options{HPADownscaleStabilization: -1}, false},
		"a negative timeout":       {Options{StartTimeout: -1}, false},
		"a negative limit":         {Options{ControllerQPS: -1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.o.validate(); (err == nil) != tc.ok {
				t.Errorf("validate: %v, want success %t", err, tc.ok)
			}
		})
	}
}

func TestSlotsDoNotOverlap(t *testing.T) {
	first, err := reserveSlot()
	if err != nil {
		t.Fatal(err)
	}
	defer first.release()
	second, err := reserveSlot()
	if err != nil {
		t.Fatal(err)
	}
	defer second.release()
	if first.podCIDR == second.podCIDR {
		t.Errorf("both have pods in %s", first.podCIDR)
	}
	if distance := max(first.first-second.first, second.first-first.first); distance < int(usedPorts) {
		t.Errorf("ports from %d and from %d overlap", first.first, second.first)
	}
}

func TestASlotHasOneHolderAtATime(t *testing.T) {
	const high = 120 // out of the way of clusters at work
	first, err := reserve(high)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := reserve(high); err == nil {
		t.Error("a slot was given away twice", second.release())
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	again, err := reserve(high)
	if err != nil {
		t.Fatal("a released slot is not free: ", err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestASlotWhosePortsAreTakenIsNotGiven(t *testing.T) {
	const high = 121
	first, err := reserve(high)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := net.Listen("tcp", net.JoinHostPort(first.host, strconv.Itoa(first.port(kwokPort))))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if second, err := reserve(high); err == nil {
		t.Error("a slot was given though one of its ports is taken", second.release())
	}
}
