package history

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// keeper is Checkpoints whose word is kept.
type keeper struct {
	*Checkpoints
	mu      sync.Mutex
	log     bytes.Buffer
	failed  []string
	unsaved map[controlloop.TargetID]time.Duration
	leads   bool
}

func open(t testing.TB, dir string) *keeper {
	t.Helper()
	k := &keeper{unsaved: map[controlloop.TargetID]time.Duration{}, leads: true}
	k.Checkpoints = New(Options{
		Dir: dir, Leads: func() bool { return k.leads },
		Unsaved: func(id controlloop.TargetID, d time.Duration) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.unsaved[id] = d
		},
		Failed: func(operation string) { k.failed = append(k.failed, operation) },
		Log:    slog.New(slog.NewTextHandler(&k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	return k
}

// write does what Run does, once.
func (k *keeper) write() {
	for {
		s, ok := k.next()
		if !ok {
			return
		}
		k.written(s, k.disk.write(fileName(s.target.ID), s.data))
	}
}

// tick is what the loop does with a target: it recalls, and keeps where that is due. It returns when it was kept.
func (k *keeper) tick(x controlloop.Target, l controlloop.Lesson, now time.Time) bool {
	k.Recall(x, l.Since, now)
	due := k.Due(x, l.Since, now)
	if due {
		k.Keep(x, l, now)
	}
	return due
}

// learnedSince is a random lesson that began at an instant.
func learnedSince(since time.Time) controlloop.Lesson {
	l := lesson(7, 5)
	l.Since = since
	return l
}

// saved runs ticks of 15 s until a lesson is on disk, and returns the last of them.
func (k *keeper) saved(t *testing.T, x controlloop.Target, l controlloop.Lesson, from time.Time) time.Time {
	t.Helper()
	for now := from; now.Before(from.Add(20 * time.Minute)); now = now.Add(15 * time.Second) {
		if k.tick(x, l, now) {
			k.write()
			return now
		}
	}
	t.Fatal("nothing is kept in twenty minutes")
	return time.Time{}
}

func TestARestartRecallsWhatWasSavedLast(t *testing.T) {
	dir := t.TempDir()
	want := learnedSince(t0.Add(-time.Hour))
	at := open(t, dir).saved(t, chat, want, t0)
	after := open(t, dir)
	now := at.Add(10 * time.Minute)
	got, ok := after.Recall(chat, now, now)
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" || !ok {
		t.Errorf("recalled %v (-saved +recalled):\n%s", ok, diff)
	}
	if _, again := after.Recall(chat, want.Since, now.Add(15*time.Second)); again {
		t.Error("it is recalled a second time, over what has been learned since")
	}
	after.Due(chat, want.Since, now)
	if got := after.unsaved[chat.ID]; got != 10*time.Minute {
		t.Errorf("a restart would forget %v, want what came after the checkpoint", got)
	}
	if !strings.Contains(after.log.String(), "restored what was learned") {
		t.Errorf("nobody is told:\n%s", after.log.String())
	}
}

func TestWithoutAFolderARestartForgetsAllAndThatIsTold(t *testing.T) {
	k := open(t, "")
	if k.tick(chat, learnedSince(t0.Add(-time.Hour)), t0) {
		t.Error("something is kept")
	}
	if got := k.unsaved[chat.ID]; got != time.Hour {
		t.Errorf("a restart would forget %v, want the hour that has been learned", got)
	}
}

func TestACheckpointThatCannotBeBelievedIsPutAside(t *testing.T) {
	good := encoded(t, learnedSince(t0.Add(-time.Hour)))
	other := chat
	other.UID = "u0"
	of := func(x controlloop.Target) []byte {
		data, err := encode(x, learnedSince(t0.Add(-time.Hour)), t0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, tt := range map[string]struct {
		data []byte
		says string
	}{
		"empty":                     {nil, "is not whole"},
		"cut short":                 {good[:len(good)-1], "is not whole"},
		"foreign":                   {[]byte("PK\x03\x04 an archive of somebody"), "is not whole"},
		"of another version":        {bytes.Replace(good, []byte(magic+" 1"), []byte(magic+" 9"), 1), "is of another version: 9"},
		"of a target that was":      {of(other), "was deleted"},
		"larger than the bound":     {make([]byte, defaultMaxBytes+1), "is larger than the bound"},
		"whole, and no checkpoint":  {sealed([]byte("{}")), "is of another target"},
		"with a part that is wrong": {sealed([]byte(`{"parts":[{"name":"capacity","schema":"`+schemas()["capacity"]+`","bytes":4}]}`), []byte("\nabcd")), "part capacity"},
	} {
		t.Run(name, func(t *testing.T) {
			k := open(t, t.TempDir())
			file := k.disk.path(fileName(chat.ID))
			if err := os.WriteFile(file, tt.data, 0o600); err != nil {
				t.Fatal(err)
			}
			k.leads = false
			if _, ok := k.Recall(chat, t0, t0); ok {
				t.Error("it is believed")
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("a process that does not lead has touched it: %v", err)
			}
			k.leads = true
			if _, ok := k.Recall(chat, t0, t0.Add(time.Minute)); ok {
				t.Error("it is believed by the leader")
			}
			aside, err := os.ReadFile(file + asideExtension)
			if _, gone := os.Stat(file); err != nil || !bytes.Equal(aside, tt.data) || gone == nil {
				t.Errorf("it is not put aside: %v, %v", err, gone)
			}
			if said := k.log.String(); strings.Count(said, "level=WARN") != 2 || !strings.Contains(said, tt.says) || !strings.Contains(said, file) {
				t.Errorf("the log does not name the file and say %q:\n%s", tt.says, said)
			}
			if diff := cmp.Diff([]string{"load", "load"}, k.failed); diff != "" {
				t.Errorf("failures (-want +got):\n%s", diff)
			}
			k.saved(t, chat, learnedSince(t0), t0.Add(time.Hour)) // and it goes on
		})
	}
}

func TestAClockThatWasAheadCostsTheForecastOnly(t *testing.T) {
	dir := t.TempDir()
	want := learnedSince(t0.Add(-time.Hour))
	at := open(t, dir).saved(t, chat, want, t0)
	now := at.Add(-30 * time.Minute)
	got, ok := open(t, dir).Recall(chat, now, now)
	if !ok || !got.Learned.Forecast.Resampler.At.IsZero() {
		t.Fatalf("recalled %v, a forecast that ends at %v", ok, got.Learned.Forecast.Resampler.At)
	}
	if diff := cmp.Diff(want.Learned.LeadTime, got.Learned.LeadTime); diff != "" {
		t.Errorf("lead times (-want +got):\n%s", diff)
	}
}

func TestAFullDiskIsToldAndSavingIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir)
	l := learnedSince(t0.Add(-time.Hour))
	at := k.saved(t, chat, l, t0)
	k.disk.before = func(step string) error {
		if step == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	failures := 0
	for now := at.Add(15 * time.Second); now.Before(at.Add(10 * time.Minute)); now = now.Add(15 * time.Second) {
		k.tick(chat, l, now)
		k.write()
		failures = len(k.failed)
	}
	if failures < 8 || failures > 12 {
		t.Errorf("%d tries in ten minutes, want about ten from the fifth on", failures)
	}
	if n := strings.Count(k.log.String(), "cannot be saved"); n != 1 || !strings.Contains(k.log.String(), "no space left on device") {
		t.Errorf("told %d times:\n%s", n, k.log.String())
	}
	if got := k.unsaved[chat.ID]; got < 9*time.Minute {
		t.Errorf("a restart would forget %v", got)
	}
	now := at.Add(10 * time.Minute)
	if got, ok := open(t, dir).Recall(chat, now, now); !ok || !got.Since.Equal(l.Since) {
		t.Error("the old checkpoint is not whole")
	}
	k.disk.before = nil
	again := k.saved(t, chat, l, now)
	if again.After(now.Add(45 * time.Second)) {
		t.Errorf("there is room again, and it is used %v later", again.Sub(now))
	}
	k.Due(chat, l.Since, again)
	if got := k.unsaved[chat.ID]; got != 0 || !strings.Contains(k.log.String(), "can be saved again") {
		t.Errorf("a restart would forget %v:\n%s", got, k.log.String())
	}
}

func TestALessonThatCannotBeKeptIsTold(t *testing.T) {
	k := open(t, t.TempDir())
	k.disk.most = 10
	k.Keep(chat, learnedSince(t0), t0)
	k.write()
	if diff := cmp.Diff([]string{"save"}, k.failed); diff != "" || !strings.Contains(k.log.String(), "is larger than the bound of 10") {
		t.Errorf("failures (-want +got):\n%s\n%s", diff, k.log.String())
	}
}

func TestSavesAreSpreadOverThePeriod(t *testing.T) {
	const targets, tick = 1000, 15 * time.Second
	k := open(t, t.TempDir())
	dues, most := map[int]int{}, 0
	for now := t0; now.Before(t0.Add(20 * time.Minute)); now = now.Add(tick) {
		n := 0
		for i := range targets {
			if k.Due(controlloop.Target{ID: controlloop.TargetID{Namespace: "ml", Name: fmt.Sprint("t", i)}}, t0, now) {
				dues[i]++
				n++
			}
		}
		most = max(most, n)
	}
	if len(dues) != targets {
		t.Errorf("%d of %d targets are ever saved", len(dues), targets)
	}
	for i, n := range dues {
		if n < 3 || n > 4 {
			t.Errorf("target %d is saved %d times in twenty minutes", i, n)
		}
	}
	mean := targets / int(defaultPeriod/tick)
	if most > 2*mean {
		t.Errorf("%d saves in one tick, the mean is %d", most, mean)
	}
}

func TestWhereTheDiskIsSlowNothingPilesUp(t *testing.T) {
	k := open(t, t.TempDir())
	kept, l := 0, learnedSince(t0)
	for now := t0; now.Before(t0.Add(10 * time.Minute)); now = now.Add(15 * time.Second) {
		for i := range 200 {
			if k.tick(controlloop.Target{ID: controlloop.TargetID{Name: fmt.Sprint(i)}}, l, now) {
				kept++
			}
		}
	}
	if kept != maxPending || len(k.pending) != maxPending {
		t.Errorf("%d wait of %d kept, the bound is %d", len(k.pending), kept, maxPending)
	}
	k.write()
	if !k.tick(controlloop.Target{ID: controlloop.TargetID{Name: fmt.Sprint(199)}}, learnedSince(t0), t0.Add(20*time.Minute)) {
		t.Error("a target that had to wait is not saved when the disk has caught up")
	}
}

func TestOfTwoProcessesInOneFolderTheLeaderWrites(t *testing.T) {
	dir := t.TempDir()
	old, young := open(t, dir), open(t, dir)
	young.leads = false
	long, short := learnedSince(t0.Add(-time.Hour)), learnedSince(t0.Add(30*time.Minute))
	now := old.saved(t, chat, long, t0)
	for end := t0.Add(40 * time.Minute); now.Before(end); now = now.Add(15 * time.Second) {
		old.tick(chat, long, now)
		old.write()
		if now.After(short.Since) && young.tick(chat, short, now) {
			t.Fatalf("%v: the one that does not lead writes too", now)
		}
	}
	if got := young.unsaved[chat.ID]; got > 10*time.Minute {
		t.Errorf("the one that does not lead would forget %v, although the leader saves", got)
	}
	young.leads, old.leads = true, false
	if got, ok := young.Recall(chat, short.Since, now); !ok || !got.Since.Equal(long.Since) {
		t.Errorf("the new leader does not take over what the old one learned for longer: %v, %v", ok, got.Since)
	}
	old.leads, young.leads = true, false
	if _, ok := old.Recall(chat, long.Since, now); ok {
		t.Error("the old leader, back again, forgets what it knows for what it had saved")
	}
}

func TestAFolderThatNoLeaderWritesIsWrittenByWhoeverHasIt(t *testing.T) {
	k := open(t, t.TempDir())
	k.leads = false
	l := learnedSince(t0)
	first := k.saved(t, chat, l, t0)
	if second := k.saved(t, chat, l, first.Add(15*time.Second)); second.Sub(first) > defaultPeriod {
		t.Errorf("the second save comes %v after the first", second.Sub(first))
	}
	after := open(t, k.options.Dir)
	after.leads = false
	now := first.Add(time.Hour)
	if _, ok := after.Recall(chat, now, now); !ok {
		t.Fatal("it is not recalled after a restart")
	}
	after.saved(t, chat, l, now)
}

func TestATargetThatComesBackIsRecalledAgain(t *testing.T) {
	k := open(t, t.TempDir())
	l := learnedSince(t0.Add(-time.Hour))
	at := k.saved(t, chat, l, t0)
	k.Forget(chat.ID)
	if _, ok := k.Recall(chat, at.Add(time.Minute), at.Add(time.Minute)); !ok {
		t.Error("its spec was wrong for a minute, and all is forgotten")
	}
	anew := chat
	anew.UID = "u2"
	if _, ok := k.Recall(anew, at.Add(time.Hour), at.Add(time.Hour)); ok {
		t.Error("a target that was deleted and made anew inherits")
	}
}

func TestTheEndSavesAllThatIsNotAnothersByThen(t *testing.T) {
	dir := t.TempDir()
	k, other := open(t, dir), open(t, dir)
	l := learnedSince(t0.Add(-time.Hour))
	code := controlloop.Target{ID: controlloop.TargetID{Namespace: "ml", Name: "code"}}
	at := k.saved(t, chat, l, t0)
	at = k.saved(t, code, l, at)
	k.Keep(chat, l, at) // waits, and is asked for anew
	theirs := other.saved(t, code, l, at.Add(time.Minute))
	k.leads = false // the lease is given up as the context ends
	ctx, cancel := context.WithCancel(t.Context())
	k.Finish(ctx)
	end := theirs.Add(10 * time.Second)
	if len(k.pending) != 0 || !k.tick(chat, l, end) || k.tick(code, l, end) {
		t.Error("the end does not save the one target whose last checkpoint is its own, and that alone")
	}
	for x, want := range map[controlloop.TargetID]time.Time{chat.ID: end, code.ID: theirs} {
		if h, err := k.disk.peek(fileName(x)); err != nil || !h.Saved.Equal(want) {
			t.Errorf("%s is saved at %v, want %v; %v", x, h.Saved, want, err)
		}
	}
	cancel()
	if k.tick(chat, l, end.Add(time.Second)) {
		t.Error("it saves on after its time is over")
	}
}

func TestRunWritesAndEnds(t *testing.T) {
	k := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.Run(ctx)
	}()
	var ticks sync.WaitGroup
	for i := range 20 {
		ticks.Go(func() {
			x := controlloop.Target{ID: controlloop.TargetID{Name: fmt.Sprint(i)}}
			for now := t0; now.Before(t0.Add(10 * time.Minute)); now = now.Add(15 * time.Second) {
				k.tick(x, learnedSince(t0), now)
			}
		})
	}
	ticks.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		k.Checkpoints.mu.Lock()
		waiting := len(k.pending)
		k.Checkpoints.mu.Unlock()
		if waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d checkpoints still wait", waiting)
		}
	}
	cancel()
	<-done
	files, err := os.ReadDir(k.options.Dir)
	if err != nil || len(files) != 20 {
		t.Errorf("%d files for 20 targets, %v", len(files), err)
	}
	if len(k.failed) != 0 {
		t.Errorf("failures: %v", k.failed)
	}
}
