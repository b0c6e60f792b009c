package series

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Place is where what comes is kept.
type Place string

// The places.
const (
	// OnDisk outlives the process.
	OnDisk Place = "disk"
	// InMemory is for some hours, and until the process ends.
	InMemory Place = "memory"
	// Elsewhere is with the leader, which this process is not.
	Elsewhere Place = "elsewhere"
)

// State says where what comes is kept, since when, and why where that is not on disk.
type State struct {
	Place Place
	Since time.Time
	// Reason is nil where nothing is wrong: on disk, with another leader, or where no folder is wanted.
	Reason error
}

// Options say what a Keeper keeps and where. Dir may be empty: then what comes is in memory for some hours.
type Options struct {
	// Dir is a folder of this package's own. Several processes may share it; the leader alone opens it.
	Dir    string
	Limits Limits
	// Leads reports whether this process is the one that writes; nil means that it is.
	Leads func() bool
	// Changed is told of each new place or reason, from Run's goroutine. Nil leaves it out.
	Changed func(State)
	Log     *slog.Logger
}

const (
	// queued is how many ticks wait where the disk is slow; further ones are lost, and counted.
	queued = 32
	// again is how long a folder that failed is left alone.
	again = 30 * time.Second
)

// Keeper takes batches from the control loop and writes them on its own time. It is a prometheus.Collector.
type Keeper struct {
	options Options
	store   *Store
	queue   chan batch
	// fillings are pasts to be kept, one at a time.
	fillings chan filling
	state    atomic.Pointer[State]
	lost     atomic.Uint64
	sizes    atomic.Pointer[sizes] // measured beside the writing: a volume that hangs must not hold up who asks for metrics
	metrics  metrics

	// What follows is Run's.
	attached    bool
	tryAt       time.Time
	maintained  chan error // nil while nothing is maintained
	maintenance sync.WaitGroup
}

// sizes are in bytes.
type sizes struct{ log, blocks int64 }

// batch is one tick.
type batch struct {
	at   time.Time
	rows []Row
}

// NewKeeper returns a keeper that keeps nothing before Run.
func NewKeeper(o Options) *Keeper {
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	if o.Changed == nil {
		o.Changed = func(State) {}
	}
	k := &Keeper{options: o, store: NewStore(o.Dir, o.Limits, o.Log), queue: make(chan batch, queued), fillings: make(chan filling), metrics: newMetrics()}
	k.state.Store(&State{Place: Elsewhere})
	return k
}

// Put hands over the rows of one tick. It never waits: where the disk is too slow they are lost, and counted.
func (k *Keeper) Put(at time.Time, rows []Row) {
	select {
	case k.queue <- batch{at, rows}:
	default:
		k.lost.Add(1)
	}
}

// State returns where what comes is kept.
func (k *Keeper) State() State { return *k.state.Load() }

// Range is Store.Range.
func (k *Keeper) Range(ctx context.Context, id controlloop.TargetID, q Quantity, from, to time.Time, step time.Duration) ([]Sample, error) {
	return k.store.Range(ctx, id, q, from, to, step)
}

// Run writes what is put until the context ends, and then what waits.
func (k *Keeper) Run(ctx context.Context) {
	look := time.NewTicker(time.Second) // for the lease
	defer look.Stop()
	defer k.close()
	for {
		select {
		case <-ctx.Done():
			k.drain()
			return
		case b := <-k.queue:
			k.take(ctx, b)
		case err := <-k.maintained:
			k.maintained = nil
			if err != nil {
				k.metrics.errors.WithLabelValues("block").Inc()
				k.options.Log.Warn("blocks of the history cannot be written, merged or deleted; it is tried again", "folder", k.options.Dir, "error", err)
			}
		case f := <-k.idle():
			k.fill(ctx, f)
		case now := <-look.C:
			k.follow(now)
		}
	}
}

// drain writes what waits at the end. The lease may be given up by then; what this process has open is its own until then.
func (k *Keeper) drain() {
	for {
		select {
		case b := <-k.queue:
			if k.attached {
				k.append(b)
			}
		default:
			return
		}
	}
}

// follow opens the folder when this process has become the leader, and closes it when it is no more.
func (k *Keeper) follow(now time.Time) {
	switch leads := k.options.Leads(); {
	case !leads:
		k.close()
		k.store.Forget()
		k.become(Elsewhere, nil)
	case k.attached, now.Before(k.tryAt):
	case k.options.Dir == "":
		k.become(InMemory, nil)
	default:
		k.attach(now)
	}
}

// attach opens the folder, or tries again later.
func (k *Keeper) attach(now time.Time) {
	if err := k.store.Attach(now); err != nil {
		k.metrics.errors.WithLabelValues("open").Inc()
		k.tryAt = now.Add(again)
		k.become(InMemory, err)
		return
	}
	k.attached = true
	k.measure()
	k.become(OnDisk, nil)
}

// take keeps a batch, where this process is the one that does.
func (k *Keeper) take(ctx context.Context, b batch) {
	k.follow(time.Now())
	if k.State().Place == Elsewhere {
		return
	}
	k.append(b)
	if !k.attached || k.maintained != nil || !k.store.Due() {
		return
	}
	done := make(chan error, 1)
	k.maintained = done
	k.maintenance.Go(func() { done <- k.store.Maintain(ctx) })
}

// append keeps a batch; where it cannot be written the folder is closed for a while.
func (k *Keeper) append(b batch) {
	err := k.store.Append(b.at, b.rows)
	switch {
	case err == nil:
		k.measure()
		return
	case errors.Is(err, errNotNewer):
		k.lost.Add(1)
		return
	}
	k.metrics.errors.WithLabelValues("append").Inc()
	k.close()
	k.tryAt = time.Now().Add(again)
	k.become(InMemory, err)
}

// measure notes how much is on disk.
func (k *Keeper) measure() {
	log, blocks := k.store.Bytes()
	k.sizes.Store(&sizes{log, blocks})
}

// close closes the folder once what is being maintained has ended.
func (k *Keeper) close() {
	if !k.attached {
		return
	}
	k.maintenance.Wait()
	k.maintained = nil
	k.attached = false
	if err := k.store.Detach(); err != nil {
		k.options.Log.Debug("close the history", "folder", k.options.Dir, "error", err)
	}
}

// become notes a new place, and says in the log what it means.
func (k *Keeper) become(place Place, reason error) {
	before := k.State()
	if before.Place == place && (before.Reason == nil) == (reason == nil) && !before.Since.IsZero() {
		return
	}
	state := State{Place: place, Since: time.Now(), Reason: reason}
	k.state.Store(&state)
	k.options.Changed(state)
	log := k.options.Log.With("folder", k.options.Dir)
	switch {
	case place == OnDisk:
		log.Info("the history of demand is kept on disk")
	case place == Elsewhere:
		log.Debug("the history of demand is the leader's")
	case reason == nil:
		log.Info("the history of demand is in memory alone: no more than six hours, and a restart forgets it")
	default:
		log.Warn("the history of demand cannot be kept on disk: it is in memory, no more than six hours, and a restart forgets what came since. It is tried again; see that the volume has room and may be written to", "error", reason)
	}
}

// metrics are the keeper's own.
type metrics struct {
	errors              *prometheus.CounterVec
	place, lost, onDisk *prometheus.Desc
}

func newMetrics() metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("preheat_history_"+name, help, labels, nil)
	}
	m := metrics{
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "preheat_history_errors_total", Help: "Failed operations on the folder of the history of demand: open, append or block.",
		}, []string{"operation"}),
		place:  desc("place", "1 for where the history of demand is kept: disk, memory (a restart forgets it) or elsewhere (with the leader).", "place"),
		lost:   desc("lost_ticks_total", "Ticks that are missing in the history of demand: the disk was too slow, or the clock was set back."),
		onDisk: desc("disk_bytes", "Size of the history of demand on disk; absent while the folder is not open.", "part"),
	}
	for _, operation := range []string{"open", "append", "block"} {
		m.errors.WithLabelValues(operation)
	}
	return m
}

// Describe implements prometheus.Collector.
func (k *Keeper) Describe(out chan<- *prometheus.Desc) {
	k.metrics.errors.Describe(out)
	out <- k.metrics.place
	out <- k.metrics.lost
	out <- k.metrics.onDisk
}

// Collect implements prometheus.Collector.
func (k *Keeper) Collect(out chan<- prometheus.Metric) {
	k.metrics.errors.Collect(out)
	now := k.State().Place
	for _, place := range []Place{OnDisk, InMemory, Elsewhere} {
		value := 0.
		if place == now {
			value = 1
		}
		out <- prometheus.MustNewConstMetric(k.metrics.place, prometheus.GaugeValue, value, string(place))
	}
	out <- prometheus.MustNewConstMetric(k.metrics.lost, prometheus.CounterValue, float64(k.lost.Load()))
	if now == OnDisk {
		size := k.sizes.Load()
		out <- prometheus.MustNewConstMetric(k.metrics.onDisk, prometheus.GaugeValue, float64(size.log), "log")
		out <- prometheus.MustNewConstMetric(k.metrics.onDisk, prometheus.GaugeValue, float64(size.blocks), "blocks")
	}
}
