package kube

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/warmpool"
	"github.com/preheat-autoscaler/preheat/simulations/emulator"
)

// bed is a farm whose pods have emulated engines, and whose autoscaler allows warm replicas.
type bed struct {
	*farm
	mu      sync.Mutex
	engines map[string]*emulator.PodServer
	urls    map[string]string
	// noSleepMode starts engines without it, times are how long they take; an engine has to compute its first token within
	// patience.
	noSleepMode bool
	times       emulator.SleepTimes
	patience    time.Duration
}

func newBed(t testing.TB, replicas int, change func(*v1alpha1.Warm)) *bed {
	b := &bed{
		farm: newFarm(t, replicas, true), engines: map[string]*emulator.PodServer{}, urls: map[string]string{},
		times: emulator.SleepTimes{Copy: 1, Map: 1, Reload: 1}, patience: 20 * time.Second,
	}
	warm := v1alpha1.Warm{Standby: &v1alpha1.StandbyTier{MaxReplicas: 4}, Asleep: &v1alpha1.AsleepTier{MaxReplicas: 4}}
	if change != nil {
		change(&warm)
	}
	b.autoscaler("vllm", func(a *v1alpha1.InferenceAutoscaler) { a.Spec.Warm = &warm })
	crew := b.Actuator.own.crew
	crew.page = func(pod *corev1.Pod, _ v1alpha1.MetricsSource) (string, error) {
		return b.url(pod.Name) + "/metrics", nil
	}
	crew.hands.backoff = time.Millisecond
	crew.hands.sleeper = func(engine, url string, known warmpool.Phase) (warmpool.Sleeper, error) {
		return newSleeper(engine, warmpool.Options{URL: url, Poll: time.Millisecond, CallTimeout: b.patience, ServeTimeout: b.patience}, known)
	}
	t.Cleanup(crew.hands.running.Wait)
	return b
}

// url starts the engine of a pod where it does not run yet.
func (b *bed) url(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if url, ok := b.urls[name]; ok {
		return url
	}
	engine, err := emulator.New(emulator.Options{
		Profile: replica.Profile{
			Name: "swift", Model: "test/model", GPUs: 1, StepBase: 2, PrefillPerToken: 0.001, APIOverhead: 1,
			KVTokens: 16000, BlockSize: 16, MaxNumSeqs: 8, MaxNumBatchedTokens: 2048, MaxModelLen: 8192,
		},
		SleepMode: !b.noSleepMode, SleepTimes: b.times,
	})
	b.must(err)
	engine.MarkLoaded()
	server := httptest.NewServer(engine.Handler())
	b.t.Cleanup(func() {
		b.must(engine.Shutdown(context.Background()))
		server.CloseClientConnections()
		server.Close()
	})
	b.engines[name], b.urls[name] = engine, server.URL
	return server.URL
}

// sleeping asks a pod's engine.
func (b *bed) sleeping(name string) bool {
	b.t.Helper()
	s, err := warmpool.NewVLLM(warmpool.Options{URL: b.url(name)})
	b.must(err)
	state, err := s.State(context.Background())
	b.must(err)
	return state.Phase == warmpool.Asleep
}

// settles decides the same a few times, as ticks do, and lets engines finish what they are told each time.
func (b *bed) settles(serving int32, warm scaling.Warm) error {
	var err error
	for range 4 {
		err = b.decides(serving, warm)
		b.Actuator.own.crew.hands.running.Wait()
		b.run(10 * time.Second)
	}
	return err
}

func TestAReplicaGoesToStandbyAndServesAgain(t *testing.T) {
	b := newBed(t, 3, nil)
	b.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2, "vllm-2": 3}
	b.must(b.decides(2, scaling.Warm{Standby: 1}))
	b.wantLanes(3, map[lane]string{laneServing: "0 2", laneStandby: "1"})
	if _, ready := conditionTrueSince(b.get("vllm-1"), corev1.PodReady); ready {
		t.Error("the pod on standby is in its endpoints")
	}
	if got := b.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for, want 2", got)
	}
	b.must(b.decides(3, scaling.Warm{}))
	b.wantLanes(3, map[lane]string{laneServing: "0 1 2"})
	if _, ready := conditionTrueSince(b.get("vllm-1"), corev1.PodReady); !ready {
		t.Error("the pod is not in its endpoints again")
	}
}

func TestAWarmReplicaIsOrderedAndDoesNotServeMeanwhile(t *testing.T) {
	b := newBed(t, 2, nil)
	for range 5 {
		b.must(b.decides(2, scaling.Warm{Standby: 1, Asleep: 1}))
		if got := b.desired(); got != 2 {
			t.Errorf("%d replicas are observed to be asked for, want 2", got)
		}
		b.run(10 * time.Second)
	}
	b.wantReplicas(4)
	for _, name := range []string{"vllm-2", "vllm-3"} {
		b.loaded(name)
		b.live()
		if laneOf(b.get(name)) == laneServing {
			t.Errorf("pod %s, which was ordered to be warm, serves", name)
		}
	}
	b.must(b.settles(2, scaling.Warm{Standby: 1, Asleep: 1}))
	b.wantReplicas(4)
	b.must(b.settles(2, scaling.Warm{}))
	b.wantLanes(2, map[lane]string{laneServing: "0 1"})
}

func TestAnEngineSleepsOnceItHasNothingInFlightAndWakesBeforeItServes(t *testing.T) {
	b := newBed(t, 2, nil)
	b.flight = map[string]float64{"vllm-0": 4, "vllm-1": 2}
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	b.wantLanes(2, map[lane]string{laneServing: "0", laneAsleep: "1"})
	if b.sleeping("vllm-1") {
		t.Error("an engine with requests in flight was put to sleep")
	}
	b.flight["vllm-1"] = 0
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	if !b.sleeping("vllm-1") {
		t.Fatal("an engine that has nothing in flight does not sleep")
	}
	b.must(b.decides(2, scaling.Warm{}))
	b.Actuator.own.crew.hands.running.Wait()
	b.live()
	b.wantLanes(2, map[lane]string{laneServing: "0 1"})
	if b.sleeping("vllm-1") || !gateOpen(b.get("vllm-1")) {
		t.Error("the pod serves although its engine sleeps, or does not although it is awake")
	}
	if _, ok := b.get("vllm-1").Annotations[sleepAnnotation]; ok {
		t.Error("the pod still says that its engine may sleep")
	}
}

func TestAWakingReplicaIsAskedForAndStarts(t *testing.T) {
	b := newBed(t, 2, nil)
	b.patience = 200 * time.Millisecond
	b.flight["vllm-0"] = 1
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	b.must(b.engines["vllm-1"].SetFault(emulator.HangFault))
	b.must(b.decides(2, scaling.Warm{}))
	if got := b.desired(); got != 2 {
		t.Errorf("%d replicas are observed to be asked for while one wakes, want 2", got)
	}
	obs, err := b.Observer.Observe(t.Context(), vllm, b.now)
	b.must(err)
	if obs.Count(scaling.Starting) != 1 {
		t.Errorf("phases %v, want one that starts", obs.Replicas)
	}
	b.must(b.engines["vllm-1"].SetFault(emulator.NoFault))
}

func TestEnginesThatDoNotWakeAreReplacedAndNeverServe(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"one that says it is awake and computes nothing": emulator.LieFault,
		"one that wakes by half":                         emulator.WakeErrorFault,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 2, nil)
			b.times.Copy, b.patience = 2*time.Second, 3*time.Second
			b.flight["vllm-0"] = 1
			b.must(b.settles(1, scaling.Warm{Asleep: 1}))
			b.must(b.engines["vllm-1"].SetFault(fault))
			b.patience = 50 * time.Millisecond
			b.Actuator.own.crew.forget(b.get("vllm-1").UID)
			for range 12 {
				_ = b.decides(2, scaling.Warm{}) // what it reports is checked below
				b.Actuator.own.crew.hands.running.Wait()
				time.Sleep(10 * time.Millisecond)
				b.run(time.Second)
				if gateOpen(b.get("vllm-1")) {
					t.Fatal("its pod serves")
				}
			}
			if len(b.evicted) == 0 || b.evicted[0] != "vllm-1" {
				t.Errorf("evicted %v, want vllm-1", b.evicted)
			}
			if said := b.heard(); !strings.Contains(said, "WakeFailed") || !strings.Contains(said, "vllm-1") {
				t.Errorf("events do not tell of it:\n%s", said)
			}
		})
	}
}

func TestAnotherIsWokenAtOnceWhereOneIsLost(t *testing.T) {
	b := newBed(t, 3, nil)
	b.flight = map[string]float64{"vllm-0": 1, "vllm-1": 0, "vllm-2": 0}
	b.must(b.settles(1, scaling.Warm{Asleep: 2}))
	b.wantLanes(3, map[lane]string{laneServing: "0", laneAsleep: "1 2"})
	lost := "vllm-2" // the one that comes first
	b.mu.Lock()
	b.urls[lost] = "http://127.0.0.1:1"
	delete(b.Actuator.own.crew.hands.pods, b.get(lost).UID)
	b.mu.Unlock()
	for range 3 {
		b.must(b.decides(2, scaling.Warm{Asleep: 1}))
		b.Actuator.own.crew.hands.running.Wait()
		b.live()
	}
	b.wantLanes(3, map[lane]string{laneServing: "0 1", laneAsleep: "2"})
}

func TestANewLeaderKnowsWhoSleeps(t *testing.T) {
	b := newBed(t, 2, nil)
	b.flight["vllm-0"] = 1
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	b.forgetAll()
	if got := b.desired(); got != 1 {
		t.Errorf("a new leader observes %d replicas asked for, want 1", got)
	}
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	b.must(b.settles(2, scaling.Warm{}))
	b.wantLanes(2, map[lane]string{laneServing: "0 1"})
	if b.sleeping("vllm-1") {
		t.Error("the pod serves and its engine sleeps")
	}
}

func TestAWakeThatALeaderDidNotFinishIsFinishedByTheNext(t *testing.T) {
	b := newBed(t, 2, nil)
	b.flight["vllm-0"] = 1
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	b.change("vllm-1", func(p *corev1.Pod) { p.Annotations[laneAnnotation] = string(laneWaking) })
	b.forgetAll()
	b.must(b.settles(2, scaling.Warm{}))
	b.wantLanes(2, map[lane]string{laneServing: "0 1"})
	if b.sleeping("vllm-1") {
		t.Error("the pod serves and its engine sleeps")
	}
}

func TestASleepingReplicaIsNotTakenBackFromADrainWithoutAWake(t *testing.T) {
	b := newBed(t, 2, nil)
	b.flight["vllm-0"] = 1
	b.must(b.settles(1, scaling.Warm{Asleep: 1}))
	delete(b.flight, "vllm-1") // so that nobody knows that it can go at once
	b.must(b.decides(1, scaling.Warm{}))
	if got := b.names(laneDraining); got != "1" {
		t.Fatalf("pods %q are drained, want 1", got)
	}
	b.must(b.decides(2, scaling.Warm{}))
	if gateOpen(b.get("vllm-1")) && b.sleeping("vllm-1") {
		t.Error("the pod serves and its engine sleeps")
	}
	b.must(b.settles(2, scaling.Warm{}))
	b.wantLanes(2, map[lane]string{laneServing: "0 1"})
}

func TestEnginesWithoutASleepMode(t *testing.T) {
	b := newBed(t, 2, nil)
	b.noSleepMode = true
	b.flight["vllm-0"] = 1
	err := b.settles(1, scaling.Warm{Asleep: 1})
	b.wantReason(err, WarmUnavailable)
	if err == nil || !strings.Contains(err.Error(), "--enable-sleep-mode") {
		t.Errorf("error %v does not say what to do", err)
	}
	b.wantLanes(1, map[lane]string{laneServing: "0"})
}

func TestAFullDrainFirstServesTheTiersThatAreWanted(t *testing.T) {
	b := newBed(t, 3, nil)
	b.flight = map[string]float64{"vllm-0": 3, "vllm-1": 2, "vllm-2": 1}
	b.must(b.decides(1, scaling.Warm{}))
	b.wantLanes(3, map[lane]string{laneServing: "0", laneDraining: "1 2"})
	b.must(b.decides(1, scaling.Warm{Standby: 1, Asleep: 1}))
	b.wantReplicas(3)
	if b.names(laneStandby) == "" || b.names(laneAsleep) == "" || b.names(laneDraining) != "" {
		t.Errorf("standby %q, asleep %q, draining %q: want one, one and none", b.names(laneStandby), b.names(laneAsleep), b.names(laneDraining))
	}
}

func TestWhoCannotKeepReplicasWarm(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*farm)
		says   string
	}{
		"pods that go by ordinal": {(*farm).byOrdinal, "by ordinal"},
		"pods without the gate": {func(f *farm) {
			for _, p := range f.all() {
				f.change(p.Name, func(p *corev1.Pod) { p.Spec.ReadinessGates = nil })
			}
		}, "readiness gate preheat.dev/serving"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, 3, nil)
			tt.change(b.farm)
			err := b.decides(3, scaling.Warm{Standby: 1})
			b.wantReason(err, WarmUnavailable)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v does not say %q", err, tt.says)
			}
			b.wantLanes(3, map[lane]string{laneServing: "0 1 2"})
			_ = b.settles(2, scaling.Warm{Standby: 1}) // the same as above
			b.wantReplicas(2)
		})
	}
}

func TestAStandbyThatVanishesIsMadeUpFor(t *testing.T) {
	b := newBed(t, 3, nil)
	b.must(b.decides(2, scaling.Warm{Standby: 1}))
	gone := "vllm-" + b.names(laneStandby)
	b.remove(gone)
	b.live()
	for range 3 {
		b.must(b.decides(2, scaling.Warm{Standby: 1}))
		b.run(10 * time.Second)
	}
	b.wantReplicas(3)
	if got := b.names(laneServing); len(strings.Fields(got)) != 2 {
		t.Errorf("pods %s serve, want two", got)
	}
}

func TestManyEnginesWakeAtOnce(t *testing.T) {
	const n = 100
	b := newBed(t, n, func(w *v1alpha1.Warm) { w.Asleep.MaxReplicas = n })
	b.must(b.settles(0, scaling.Warm{Asleep: n}))
	b.must(b.decides(n, scaling.Warm{}))
	b.Actuator.own.crew.hands.running.Wait()
	b.live()
	if got := len(strings.Fields(b.names(laneServing))); got != n {
		t.Errorf("%d of %d replicas serve after one tick and their wakes", got, n)
	}
}

// slowSleeper takes until it is told.
type slowSleeper struct {
	warmpool.Sleeper
	begun, end chan struct{}
}

func (s slowSleeper) Sleep(ctx context.Context, _ warmpool.Level) error {
	s.begun <- struct{}{}
	select {
	case <-s.end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAnEngineIsToldOnceAndATickDoesNotWaitForIt(t *testing.T) {
	b := newBed(t, 2, nil)
	b.flight["vllm-0"] = 1
	slow := slowSleeper{begun: make(chan struct{}, 10), end: make(chan struct{})}
	b.Actuator.own.crew.hands.sleeper = func(string, string, warmpool.Phase) (warmpool.Sleeper, error) { return slow, nil }
	for range 5 {
		b.must(b.decides(1, scaling.Warm{Asleep: 1}))
		b.run(10 * time.Second)
	}
	<-slow.begun
	if len(slow.begun) > 0 {
		t.Error("an engine was told again while it was at it")
	}
	close(slow.end)
}

func TestEngineURL(t *testing.T) {
	got, err := engineURL("http://10.0.0.7:8000/metrics?a=b")
	if want := "http://10.0.0.7:8000"; got != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestEnginesAreCalledOverHTTPSAsTheirPagesAre(t *testing.T) {
	engine := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/is_sleeping" {
			fmt.Fprint(w, `{"is_sleeping": true}`)
		}
	}))
	defer engine.Close()
	url, err := engineURL(engine.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	sleeper, err := newHands(time.Now).sleeper("vllm", url, warmpool.Awake)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sleeper.State(t.Context()); err != nil || got.Phase != warmpool.Asleep {
		t.Errorf("state %+v, %v; want %s", got, err, warmpool.Asleep)
	}
}

func TestAnEngineThatSaysItIsAwakeIsPutToSleepAgain(t *testing.T) {
	h := newHands(func() time.Time { return t0 })
	pod := readyPod("a")
	h.pods[pod.UID] = &handled{asleep: t0, process: t0}
	m := &member{pod: pod}
	if !h.sleeps(m, t0) {
		t.Error("an engine that proved to sleep is not known to")
	}
	if h.sleeps(m, t0.Add(time.Second)) {
		t.Error("an engine that was started again is taken to sleep")
	}
	for awake, want := range map[float64]bool{0: true, 1: false} {
		m.reading = readingWith(t0.Add(time.Second), awake)
		if got := h.sleeps(m, t0); got != want {
			t.Errorf("with %v engines awake it is taken to sleep: %v, want %v", awake, got, want)
		}
	}
}

func TestABusyEngineIsTriedAgainWithoutBeingTakenForBroken(t *testing.T) {
	h := newHands(func() time.Time { return t0 })
	p := &handled{}
	for range 10 {
		h.settle(job{wakes: true}, p, fmt.Errorf("no: %w", warmpool.ErrBusy))
	}
	if p.wakes != 0 {
		t.Errorf("%d failures, want none", p.wakes)
	}
	h.settle(job{wakes: true}, p, errors.New(http.StatusText(http.StatusBadGateway)))
	if p.wakes != 1 || !p.retryAt.After(t0) {
		t.Errorf("%d failures, tried again at %v; want one, later", p.wakes, p.retryAt)
	}
}

// moody is an engine that sometimes does not wake.
type moody struct {
	mu     sync.Mutex
	rng    *rand.Rand
	asleep bool
}

func (m *moody) Sleep(context.Context, warmpool.Level) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asleep = true
	return nil
}

func (m *moody) Wake(context.Context, ...warmpool.Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rng.IntN(10) > 0 {
		return warmpool.ErrNotServing
	}
	m.asleep = false
	return nil
}

func (m *moody) State(context.Context) (warmpool.State, error) { return warmpool.State{}, nil }

// TestTimelineOfTiers asks for replicas of every kind at random, while engines fail to wake, pods vanish and the leader
// changes: no pod ever serves whose engine sleeps, none is deleted with requests in flight, and after a while there are as many
// of each kind as were asked for.
func TestTimelineOfTiers(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	b := newBed(t, 3, nil)
	crew := b.Actuator.own.crew
	crew.hands.backoff = 0
	engines := map[string]*moody{}
	crew.page = func(p *corev1.Pod, _ v1alpha1.MetricsSource) (string, error) {
		return "http://" + p.Name + "/metrics", nil
	}
	crew.hands.sleeper = func(_, url string, _ warmpool.Phase) (warmpool.Sleeper, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if engines[url] == nil {
			engines[url] = &moody{rng: rand.New(rand.NewChaCha8(sha256.Sum256([]byte(url))))}
		}
		return engines[url], nil
	}
	met := map[string]int{}
	for range 150 {
		serving, warm := int32(rng.IntN(6)), scaling.Warm{Standby: int32(rng.IntN(3)), Asleep: int32(rng.IntN(3))}
		for range 12 {
			for _, p := range b.all() {
				if !loaded(p) && rng.IntN(2) == 0 {
					b.loaded(p.Name)
				}
				if laneOf(p) == laneServing && loaded(p) {
					b.flight[p.Name] = float64(rng.IntN(4))
				} else if _, ok := b.flight[p.Name]; ok {
					b.flight[p.Name] = max(0, b.flight[p.Name]-1)
				}
			}
			switch rng.IntN(40) {
			case 0:
				b.forgetLeader()
			case 1:
				if all := b.all(); len(all) > 0 {
					b.remove(all[rng.IntN(len(all))].Name)
					b.live()
				}
			}
			busy := maps.Clone(b.flight)
			_ = b.decides(serving, warm) // engines that do not wake are told of
			crew.hands.running.Wait()
			b.heard()
			b.live()
			for _, name := range b.deleted {
				if busy[name] > 0 {
					t.Fatalf("%s was deleted with %v requests in flight", name, busy[name])
				}
			}
			for _, name := range b.evicted {
				if slices.ContainsFunc(b.all(), func(p *corev1.Pod) bool { return p.Name == name }) {
					b.remove(name)
					met["evicted"]++
				}
			}
			b.deleted, b.evicted = nil, nil
			for _, p := range b.all() {
				engine := engines["http://"+p.Name]
				if engine != nil && engine.asleep && gateOpen(p) {
					t.Fatalf("%s serves in lane %q, and its engine sleeps", p.Name, laneOf(p))
				}
			}
			b.run(10 * time.Second)
		}
		got := [3]int{len(strings.Fields(b.names(laneServing))), len(strings.Fields(b.names(laneStandby))), len(strings.Fields(b.names(laneAsleep)))}
		if got == [3]int{int(serving), int(warm.Standby), int(warm.Asleep)} {
			met["settled"]++
		}
		if len(engines) > 0 {
			met["slept"]++
		}
	}
	t.Log(met)
	if met["settled"] < 120 || met["evicted"] == 0 || met["slept"] < 100 {
		t.Errorf("of 150 decisions %v: this says little", met)
	}
}
