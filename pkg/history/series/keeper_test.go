package series

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// process is a keeper that runs until the end of the test or its own.
type process struct {
	*Keeper
	leads atomic.Bool
	stop  func()
}

func run(t *testing.T, dir string, leads bool) *process {
	t.Helper()
	p := &process{}
	p.leads.Store(leads)
	p.Keeper = NewKeeper(Options{Dir: dir, Leads: p.leads.Load, Log: silent()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	p.stop = func() { cancel(); <-done }
	t.Cleanup(p.stop)
	return p
}

// The leader writes, whoever that is, and each one goes on from what the one before wrote.
func TestTheLeaderAloneWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, now := t.TempDir(), time.Now()
		a, b := run(t, dir, true), run(t, dir, false)
		put := func(n int) {
			for range n {
				now = now.Add(10 * time.Second)
				rows := rowsAt(rand.New(rand.NewPCG(1, 1)), now, 1)
				a.Put(now, rows)
				b.Put(now, rows)
				time.Sleep(10 * time.Second)
				synctest.Wait()
			}
		}
		count := func(p *process) int {
			got, err := p.Range(context.Background(), idOf(0), Ready, now.Add(-time.Hour), now.Add(time.Hour), 0)
			if err != nil {
				t.Fatal(err)
			}
			return len(got)
		}
		put(5)
		if a.State().Place != OnDisk || b.State().Place != Elsewhere || count(a) != 5 || count(b) != 0 {
			t.Fatalf("at first: %v with %d, %v with %d", a.State(), count(a), b.State(), count(b))
		}
		a.leads.Store(false)
		b.leads.Store(true)
		put(5)
		if a.State().Place != Elsewhere || b.State().Place != OnDisk || count(a) != 0 || count(b) != 10 {
			t.Fatalf("after a change of the leader: %v with %d, %v with %d", a.State(), count(a), b.State(), count(b))
		}
		a.leads.Store(true) // the old one writes again before the other has closed
		put(1)
		if s := a.State(); s.Place != InMemory || s.Reason == nil {
			t.Fatalf("two leaders: %v", s)
		}
		b.leads.Store(false)
		put(5)
		if a.State().Place != OnDisk || count(a) != 16 {
			t.Fatalf("after two leaders: %v with %d", a.State(), count(a))
		}
		a.stop()
		c := run(t, dir, true)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if count(c) != 16 {
			t.Fatalf("after a restart: %d of 16", count(c))
		}
	})
}

func TestWithoutAFolderItIsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := run(t, "", true)
		k.Put(time.Now(), rowsAt(rand.New(rand.NewPCG(1, 1)), time.Now(), 1))
		synctest.Wait()
		got, err := k.Range(context.Background(), idOf(0), Ready, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), 0)
		if s := k.State(); s.Place != InMemory || s.Reason != nil || err != nil || len(got) != 1 {
			t.Errorf("%+v, %d samples, %v", s, len(got), err)
		}
	})
}

// A disk that does not answer holds up nobody who puts.
func TestPutNeverWaits(t *testing.T) {
	k := NewKeeper(Options{Log: silent()}) // Run does not run: as if it waited for a disk
	for range queued + 3 {
		k.Put(start, nil)
	}
	want := `
		# HELP preheat_history_lost_ticks_total Ticks that are missing in the history of demand: the disk was too slow, or the clock was set back.
		# TYPE preheat_history_lost_ticks_total counter
		preheat_history_lost_ticks_total 3
	`
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(k)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "preheat_history_lost_ticks_total"); err != nil {
		t.Error(err)
	}
}

func TestNamesOfQuantitiesAreReadBack(t *testing.T) {
	seen := map[string]bool{}
	for q := range numQuantities {
		got, err := ParseQuantity(q.String())
		if err != nil || got != q || seen[q.String()] {
			t.Errorf("%v: %v, %v", q, got, err)
		}
		seen[q.String()] = true
	}
	if _, err := ParseQuantity("preheat_nothing"); err == nil {
		t.Error("an unknown name is read")
	}
}

// A volume that hangs, holding what is on disk, must not make the service unobserved.
func TestMetricsDoNotWaitForTheVolume(t *testing.T) {
	k := NewKeeper(Options{Dir: t.TempDir(), Log: silent()})
	k.follow(start)
	t.Cleanup(k.close)
	at, rows := rowsOf(1)
	k.append(batch{at, rows})
	k.store.disk.Lock()
	defer k.store.disk.Unlock()
	counted := make(chan int, 1)
	go func() { counted <- testutil.CollectAndCount(k, "preheat_history_disk_bytes") }()
	select {
	case n := <-counted:
		if size := k.sizes.Load(); n != 2 || size.log == 0 {
			t.Errorf("%d series, want 2: %+v", n, size)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("asking for metrics waits for the disk")
	}
}
