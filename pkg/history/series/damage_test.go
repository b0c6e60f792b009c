package series

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"golang.org/x/sys/unix"
)

// filled writes some hours into a folder and closes it as a kill does, with blocks and a log.
func filled(t *testing.T, dir string) (tw twin, now time.Time) {
	t.Helper()
	rng, tw := rand.New(rand.NewPCG(4, 4)), twin{}
	s := attached(t, dir, start)
	for now = start; now.Before(start.Add(29 * time.Hour)); now = now.Add(time.Minute) {
		rows := rowsAt(rng, now, 2)
		if err := s.Append(now, rows); err != nil {
			t.Fatal(err)
		}
		tw.append(now, rows)
		if s.Due() {
			if err := s.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.lock.Release(); err != nil {
		t.Fatal(err)
	}
	s.lock = nil
	return tw, now
}

// filesIn returns the files of a folder that hold samples, or say what others hold.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != "lock" {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// Whatever is cut off, altered or taken away of the files: the store opens, answers with nothing that was never
// recorded, keeps most, and takes further batches.
func TestDamageCostsWhatIsDamagedAndNothingElse(t *testing.T) {
	whole := t.TempDir()
	tw, now := filled(t, whole)
	known := map[key]map[point]bool{}
	for k, ps := range tw {
		known[k] = map[point]bool{}
		for _, p := range ps {
			known[k][p] = true
		}
	}
	rng := rand.New(rand.NewPCG(8, 8))
	rounds := 80
	if testing.Short() {
		rounds = 20
	}
	for n := range rounds {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		files := filesIn(t, dir)
		path := files[n%len(files)]
		how := damage(t, rng, path)
		s := NewStore(dir, Limits{}, silent())
		if err := s.Attach(now); err != nil {
			t.Fatalf("%s of %s: %v", how, path, err)
		}
		found, all := 0, 0
		for k := range tw {
			got, err := s.Range(context.Background(), k.target, k.quantity, firstTick(s), now, 0)
			_ = err // says what cannot be read
			for _, x := range got {
				if p := (point{x.Time.UnixMilli(), x.Value}); !known[k][p] && x.Time.Second() == 0 && k.quantity > Held {
					t.Fatalf("%s of %s: %v at %v was never recorded", how, path, x.Value, x.Time)
				}
			}
			found, all = found+len(got), all+len(tw[k])
		}
		if found < all/2 {
			t.Errorf("%s of %s: %d of %d samples are left", how, path, found, all)
		}
		for m := range 150 {
			at := now.Add(time.Duration(m) * time.Minute)
			if err := s.Append(at, rowsAt(rng, at, 2)); err != nil {
				t.Fatalf("%s of %s: append: %v", how, path, err)
			}
			if s.Due() {
				_ = s.Maintain(context.Background()) // says what cannot be read
			}
		}
		got, _ := s.Range(context.Background(), idOf(0), Ready, now, now.Add(150*time.Minute), 0)
		if len(got) != 150 {
			t.Errorf("%s of %s: %d of 150 samples after it", how, path, len(got))
		}
		_ = s.Detach()
	}
}

// damage does something to a file.
func damage(t *testing.T, rng *rand.Rand, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	how := "a flipped bit"
	switch rng.IntN(6) {
	case 0:
		how, data = "a cut", data[:rng.IntN(len(data)+1)]
	case 1:
		how, data = "all", nil
	case 2:
		how = "zeros"
		for i := rng.IntN(len(data) + 1); i < len(data); i++ {
			data[i] = 0
		}
	case 3:
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return "the whole"
	default:
		for range 1 + rng.IntN(3) {
			if len(data) > 0 {
				data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
			}
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return how
}

// One damaged page of a log costs that page.
func TestADamagedPageOfTheLogCostsThatPage(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 5))
	s := attached(t, dir, start)
	for n := range 700 {
		now := start.Add(time.Duration(n) * 10 * time.Second)
		if err := s.Append(now, rowsAt(rng, now, 10)); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.lock.Release()
	path := filepath.Join(dir, "log", "00000001")
	data, err := os.ReadFile(path)
	if err != nil || len(data) < 6*pageSize {
		t.Fatalf("a log of %d bytes, %v", len(data), err)
	}
	data[3*pageSize+100] ^= 4
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = attached(t, dir, start.Add(2*time.Hour))
	got, err := s.Range(context.Background(), idOf(3), Ready, start, start.Add(2*time.Hour), 0)
	if lost := 700 - len(got); err != nil || lost == 0 || lost > 700*2*pageSize/len(data)+2 {
		t.Errorf("%d of 700 ticks are lost with one page of %d, %v", lost, len(data)/pageSize, err)
	}
}

// A volume that is full makes the history one of memory, and one with room again makes it whole again.
func TestAFullVolumeCostsNothingOnceItHasRoomAgain(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=768k"); err != nil {
		t.Skipf("no small volume can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	var states []State
	k := NewKeeper(Options{Dir: filepath.Join(dir, "series"), Changed: func(s State) { states = append(states, s) }, Log: silent()})
	rng, tw, now := rand.New(rand.NewPCG(2, 2)), twin{}, start
	add := func(ticks int) {
		for range ticks {
			rows := rowsAt(rng, now, 3)
			k.take(context.Background(), batch{now, rows})
			k.maintenance.Wait()
			k.maintained = nil
			tw.append(now, rows)
			now = now.Add(10 * time.Second)
		}
	}
	add(300)
	if k.State().Place != OnDisk {
		t.Fatalf("at first: %+v", k.State())
	}
	full := filepath.Join(dir, "full")
	fill(t, full)
	add(700)
	if s := k.State(); s.Place != InMemory || s.Reason == nil || !strings.Contains(s.Reason.Error(), "no space") {
		t.Fatalf("on a full volume: %+v", s)
	}
	if n := testutil.CollectAndCount(k, "preheat_history_errors_total"); n != 3 {
		t.Errorf("%d series of errors, want 3", n)
	}
	agree(t, k.store, tw, start, now.Add(-2*time.Hour), now) // what no block could take
	k.tryAt = time.Time{}
	add(5)
	if k.State().Place != InMemory {
		t.Fatalf("another try on a full volume: %+v", k.State())
	}
	log := filepath.Join(dir, "series", "log")
	before, err := fileutil.DirSize(log)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // with room for a part of it, none is left by a try
		info, err := os.Stat(full)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(full, info.Size()-16<<10); err != nil {
			t.Fatal(err)
		}
		k.tryAt = time.Time{}
		add(1)
		after, err := fileutil.DirSize(log)
		if err != nil || k.State().Place == InMemory && after > before+pageSize {
			t.Fatalf("a try on a full volume made %d bytes of log %d (%v)", before, after, err)
		}
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	k.tryAt = time.Time{}
	add(5)
	if k.State().Place != OnDisk || len(states) != 3 {
		t.Fatalf("with room again: %+v", states)
	}
	agree(t, k.store, tw, start, start, now)
	_ = k.store.lock.Release()
	again := attached(t, filepath.Join(dir, "series"), now)
	agree(t, again, tw, start, start, now)
}

// fill takes all room of a volume.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 16; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// A folder that cannot be one, or that goes away, is told of and never waited for.
func TestAFolderThatFailsIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "series")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k := NewKeeper(Options{Dir: dir, Log: silent()})
	add := func(n int) {
		at := start.Add(time.Duration(n) * 10 * time.Second)
		k.take(context.Background(), batch{at, rowsAt(rand.New(rand.NewPCG(1, 1)), at, 1)})
	}
	add(0)
	if s := k.State(); s.Place != InMemory || s.Reason == nil {
		t.Fatalf("a file in place of the folder: %+v", s)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	add(1)
	if k.State().Place != InMemory {
		t.Error("tried again at once")
	}
	k.tryAt = time.Time{}
	add(2)
	if k.State().Place != OnDisk {
		t.Fatalf("with a folder: %+v", k.State())
	}
	got, err := k.Range(context.Background(), idOf(0), Ready, start, start.Add(time.Hour), 0)
	if err != nil || len(got) != 3 {
		t.Errorf("%d samples of 3, %v", len(got), err)
	}
	k.close()
	if want := 1.; testutil.ToFloat64(k.metrics.errors.With(prometheus.Labels{"operation": "open"})) != want {
		t.Error("the failure was not counted")
	}
}

// Any bytes as a log give no panic and no sample that is not a number. Fuzzed with -fuzzminimizetime 1x: pages are long.
func FuzzReplay(f *testing.F) {
	dir := f.TempDir()
	s := NewStore(dir, Limits{}, silent())
	if err := s.Attach(start); err != nil {
		f.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 5))
	for n := range 6 {
		now := start.Add(time.Duration(n) * 10 * time.Second)
		if err := s.Append(now, rowsAt(rng, now, 1)); err != nil {
			f.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "log", "00000001"))
	if err := s.Detach(); err != nil { // no goroutine is to run beside what is fuzzed
		f.Fatal(err)
	}
	if err != nil || len(data) == 0 {
		f.Fatalf("%d bytes, %v", len(data), err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		data = slices.Clone(data) // reading may change it
		var r replayed
		newLogReader(&r, func(int64) bool { return true }).segment(data)
		if len(r.windows) > maxWindows {
			t.Fatalf("%d windows", len(r.windows))
		}
		for _, w := range r.windows {
			w.each(func(k key, l *line) {
				before := int64(never)
				for _, p := range l.points() {
					if windowOf(p.t) != w.start || p.t <= before || p.v != p.v {
						t.Fatalf("%v: %v after %d in the window at %d", k, p, before, w.start)
					}
					before = p.t
				}
			})
		}
	})
}

// FuzzRecord is FuzzReplay behind the checksums.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 'a', 1, 'b'})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) {
		var r replayed
		reader := newLogReader(&r, func(int64) bool { return true })
		reader.record(data)
		reader.record(data)
	})
}
