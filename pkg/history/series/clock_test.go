package series

import (
	"context"
	"errors"
	"testing"
	"time"
)

func oneRow(v float64) []Row {
	r := Row{Target: idOf(0)}
	r.Set(Demand, v)
	return []Row{r}
}

func ticksFrom(t *testing.T, s *Store, from, to time.Time) (n int) {
	t.Helper()
	for at := from; at.Before(to); at = at.Add(10 * time.Second) {
		if err := s.Append(at, oneRow(1)); err != nil {
			t.Fatalf("%v: %v", at, err)
		}
		n++
	}
	return n
}

func countIn(t *testing.T, s *Store, from, to time.Time) int {
	t.Helper()
	got, err := s.Range(context.Background(), idOf(0), Demand, from, to, 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(got)
}

// One tick whose clock is 70 min ahead, within the window: what was acknowledged before it is dropped.
func TestClockAheadWithinAWindowDropsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := attached(t, dir, start)
	n := ticksFrom(t, s, start, start.Add(30*time.Minute))
	if err := s.Append(start.Add(100*time.Minute), oneRow(1)); err != nil {
		t.Fatal(err)
	}
	n += ticksFrom(t, s, start.Add(30*time.Minute+10*time.Second), start.Add(31*time.Minute))
	if got := countIn(t, s, start, start.Add(31*time.Minute)); got != n {
		t.Errorf("%d of %d acknowledged samples are left", got, n)
	}
}

// The same, then a kill: what was acknowledged after the clock was right again is not replayed.
func TestKillAfterAClockThatWasAhead(t *testing.T) {
	dir := t.TempDir()
	s := attached(t, dir, start)
	ticksFrom(t, s, start, start.Add(5*time.Minute))
	if err := s.Append(start.Add(100*time.Minute), oneRow(1)); err != nil {
		t.Fatal(err)
	}
	n := ticksFrom(t, s, start.Add(5*time.Minute+10*time.Second), start.Add(39*time.Minute))
	if err := s.lock.Release(); err != nil { // kill -9
		t.Fatal(err)
	}
	s = attached(t, dir, start.Add(39*time.Minute))
	if got := countIn(t, s, start.Add(5*time.Minute+10*time.Second), start.Add(39*time.Minute)); got != n {
		t.Errorf("%d of %d acknowledged samples are left after kill -9", got, n)
	}
}

// One tick whose clock is in a later window makes a block of half a window; the rest, in the log, is not replayed.
func TestKillAfterAWindowWasEndedByAClockAhead(t *testing.T) {
	dir := t.TempDir()
	s := attached(t, dir, start)
	ticksFrom(t, s, start, start.Add(20*time.Minute))
	if err := s.Append(start.Add(5*time.Hour), oneRow(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := ticksFrom(t, s, start.Add(20*time.Minute+10*time.Second), start.Add(110*time.Minute))
	if got := countIn(t, s, start.Add(20*time.Minute+10*time.Second), start.Add(110*time.Minute)); got != n {
		t.Fatalf("before the kill %d of %d", got, n)
	}
	if err := s.lock.Release(); err != nil { // kill -9
		t.Fatal(err)
	}
	s = attached(t, dir, start.Add(110*time.Minute))
	if got := countIn(t, s, start.Add(20*time.Minute+10*time.Second), start.Add(110*time.Minute)); got != n {
		t.Errorf("%d of %d acknowledged samples are left after kill -9", got, n)
	}
	// and what comes now
	if err := s.Append(start.Add(110*time.Minute+10*time.Second), oneRow(1)); err != nil {
		t.Errorf("the next tick: %v", err)
	}
}

// The process starts with a clock that is 8 h behind (before NTP), once.
func TestStartWithAClockThatIsBehind(t *testing.T) {
	dir := t.TempDir()
	s := attached(t, dir, start)
	now := start
	for ; now.Before(start.Add(15 * time.Hour)); now = now.Add(10 * time.Second) {
		if err := s.Append(now, oneRow(1)); err != nil {
			t.Fatal(err)
		}
		if s.Due() {
			if err := s.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := countIn(t, s, start, now)
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	s2 := NewStore(dir, Limits{}, silent())
	if err := s2.Attach(now.Add(-8 * time.Hour)); !errors.Is(err, errFuture) { // NTP is not there yet
		t.Fatal(err)
	}
	s3 := attached(t, dir, now)
	if got := countIn(t, s3, start, now); got != n {
		t.Errorf("%d of %d acknowledged samples are left; nothing was wrong with any of them", got, n)
	}
}
