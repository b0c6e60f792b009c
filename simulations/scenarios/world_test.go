package scenarios_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/pool"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
	"github.com/preheat-autoscaler/preheat/pkg/score"
	"github.com/preheat-autoscaler/preheat/pkg/trace"
)

// monday is the date of every scenario's zero: nine o'clock on a Monday.
var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is a cluster that is being set up, and what its last run left.
type world struct {
	cluster replay.Config
	slo     score.SLO
	targets []*target
	pool    *pool.Budget // nil where targets share nothing
}

// target is one of them.
type target struct {
	name       string
	profile    replica.Profile
	mix        trace.Mix
	rates      []float64 // requests per second, one each second
	priority   int32
	initial    int32
	min, max   int32
	policy     string
	settings   map[string]string
	journal    *journal
	score      score.Score
	configured bool
}

func newWorld() *world {
	return &world{
		cluster: replay.Config{Start: monday, Seed: 1, Lead: replay.Lead{Load: replay.Phase{Median: 2 * time.Minute}}},
		slo:     score.SLO{TTFT: 2 * time.Second, TPOT: 100 * time.Millisecond, Attainment: 0.99},
		targets: []*target{newTarget("model")},
	}
}

func newTarget(name string) *target {
	t := &target{name: name, mix: trace.ChatMix(), initial: 1, min: 1, max: 20, policy: "preheat"}
	t.profile = profile("replica.yaml")
	return t
}

// profile returns a built-in profile, or one of a file beside the scenarios.
func profile(name string) replica.Profile {
	p, err := replica.ProfileNamed(name)
	if strings.HasSuffix(name, ".yaml") {
		p, err = profileIn(filepath.Join("testdata", name))
	}
	if err != nil {
		fail("%v", err)
	}
	return p
}

func profileIn(file string) (replica.Profile, error) {
	f, err := os.Open(file)
	if err != nil {
		return replica.Profile{}, err
	}
	defer f.Close()
	return replica.ReadProfile(f, file)
}

// current is the target that settings are of.
func (w *world) current() *target { return w.targets[len(w.targets)-1] }

// chosen is the target that a command names, the only one where it names none.
func (w *world) chosen(c *command) *target {
	name := ""
	c.take("target", func(v string) { name = v })
	i := slices.IndexFunc(w.targets, func(t *target) bool { return t.name == name })
	switch {
	case i >= 0:
		return w.targets[i]
	case name != "":
		fail("there is no target %q", name)
	case len(w.targets) > 1:
		fail("there are several targets: say target=%s", w.targets[0].name)
	}
	return w.targets[0]
}

// ran is the same once it was run.
func (w *world) ran(c *command) *target {
	t := w.chosen(c)
	if t.journal == nil {
		fail("nothing was run")
	}
	return t
}

func (w *world) setCluster(c *command) {
	k := &w.cluster
	phases := map[string]*replay.Phase{"node": &k.Lead.Node, "pull": &k.Lead.Pull, "lead": &k.Lead.Load, "warm-up": &k.Lead.WarmUp}
	jitter := k.Lead.Load.Sigma
	c.number("jitter", &jitter)
	for key, p := range phases {
		c.duration(key, &p.Median)
		p.Sigma = jitter
	}
	c.count("gpus", &k.GPUs)
	c.count("node-gpus", &k.NodeGPUs)
	c.duration("timeout", &k.Timeout)
	c.count("queue", &k.QueueLimit)
	c.count("outstanding", &k.MaxOutstanding)
	c.number("lost-scrapes", &k.LostScrapes)
	c.number("crashes-per-hour", &k.CrashesPerHour)
	c.duration("api-lag", &k.APILag)
	c.take("seed", func(v string) { k.Seed = uint64(number(v)) })
	c.take("router", func(v string) { k.Router = router(v) })
}

func router(name string) replay.Router {
	names := []string{"least-outstanding", "round-robin", "prefix-aware"}
	i := slices.Index(names, name)
	if i < 0 {
		fail("no router %q, say one of %s", name, strings.Join(names, ", "))
	}
	return replay.Router(i)
}

func (w *world) setSLO(c *command) {
	c.duration("ttft", &w.slo.TTFT)
	c.duration("tpot", &w.slo.TPOT)
	c.number("attainment", &w.slo.Attainment)
}

// schedule adds an event to the script.
func (w *world) schedule(c *command) {
	e := replay.Event{At: duration(c.word(1))}
	c.take("target", func(v string) { e.Target = v })
	last := func() float64 { return number(c.words[len(c.words)-1]) }
	switch {
	case c.are("_", "scrapes", "fail"):
		e.Kind = replay.ScrapesFail
	case c.are("_", "scrapes", "work"):
		e.Kind = replay.ScrapesWork
	case c.are("_", "gpus", "_"):
		e.Kind, e.Value = replay.StockChanges, last()
	case c.are("_", "crash", "_"):
		e.Kind, e.Value = replay.ReplicasCrash, last()
	case c.are("_", "sleepers", "lost", "_"):
		e.Kind, e.Value = replay.SleepersLost, last()
	case c.are("_", "wakes", "slow", "_"):
		e.Kind, e.Value = replay.WakesSlow, last()
	case c.are("_", "loads", "slow", "_"):
		e.Kind, e.Value = replay.LoadsSlow, last()
	default:
		fail("no such event")
	}
	w.cluster.Events = append(w.cluster.Events, e)
}

func (w *world) setTarget(c *command) {
	if t := w.current(); t.configured || len(t.rates) > 0 {
		w.targets = append(w.targets, newTarget(c.word(1)))
	}
	w.current().name, w.current().configured = c.word(1), true
}

// setPool lets all targets share GPUs and host memory.
func (w *world) setPool(c *command) {
	gpus, gib := -1, -1
	c.count("gpus", &gpus)
	c.count("memory-gib", &gib)
	w.pool = &pool.Budget{GPUs: int32(gpus), Memory: int64(gib) << 30, Asleep: -1}
}

func (w *world) setPriority(c *command) { w.current().priority = int32(number(c.word(1))) }

func (w *world) setProfile(c *command) { w.current().profile = profile(c.word(1)) }

func (w *world) setMix(c *command) {
	m, err := trace.NamedMix(c.word(1))
	if err != nil {
		fail("%v", err)
	}
	w.current().mix = m
}

func (w *world) setReplicas(c *command) {
	t := w.current()
	t.initial = int32(number(c.word(1)))
	lowest, most := float64(t.min), float64(t.max)
	c.number("min", &lowest)
	c.number("max", &most)
	t.min, t.max = int32(lowest), int32(most)
}

func (w *world) setPolicy(c *command) {
	t := w.current()
	t.policy, t.settings = c.word(1), c.pairs
	for key := range c.pairs {
		c.used[key] = true
	}
}
