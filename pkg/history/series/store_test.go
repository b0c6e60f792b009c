package series

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Whatever comes, and whenever the process ends, a store answers as its twin does.
func TestStoreAgreesWithATwinThatIsTooSimpleToBeWrong(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		dir, tw, now := t.TempDir(), twin{}, start.Add(time.Duration(rng.IntN(86400))*time.Second)
		s := attached(t, dir, now)
		for range 3000 {
			now = now.Add(time.Duration(8+rng.IntN(5)) * time.Second)
			switch rng.IntN(400) {
			case 0: // a time without the process
				now = now.Add(time.Duration(rng.IntN(4*3600)) * time.Second)
			case 1, 2: // a kill: nothing is closed in order
				if err := s.lock.Release(); err != nil {
					t.Fatal(err)
				}
				s = attached(t, dir, now)
			case 3:
				if err := s.Detach(); err != nil {
					t.Fatal(err)
				}
				if err := s.Attach(now); err != nil {
					t.Fatal(err)
				}
			}
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
		agree(t, s, tw, firstTick(s), start, now.Add(time.Second))
		from := now.Add(-time.Duration(rng.IntN(12*3600)) * time.Second)
		agree(t, s, tw, firstTick(s), from, from.Add(3*time.Hour))
	}
}

// After days, ticks are there for a day and minutes for all of it.
func TestDaysBecomeMinutesAndAreForgottenInTheEnd(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := NewStore(t.TempDir(), Limits{Minutes: 3 * 24 * time.Hour}, silent())
	if err := s.Attach(start); err != nil {
		t.Fatal(err)
	}
	defer s.Detach()
	tw, now := twin{}, start
	const days = 11
	for ; now.Before(start.Add(days * 24 * time.Hour)); now = now.Add(45 * time.Second) {
		rows := rowsAt(rng, now, 1)
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
	first, oldest := firstTick(s), s.minutes.blocks[0].MinTime()
	if age := now.UnixMilli() - first.UnixMilli(); age < dayLength || age > dayLength+6*windowLength {
		t.Errorf("ticks are kept for %v, want a day", time.Duration(age)*time.Millisecond)
	}
	if age := now.UnixMilli() - oldest; age < 3*dayLength || age > 10*dayLength {
		t.Errorf("minutes are kept for %v, want three days, and a week at most above", time.Duration(age)*time.Millisecond)
	}
	if n := len(s.minutes.blocks); n > 10 {
		t.Errorf("%d blocks of minutes: days of a week are not merged", n)
	}
	agree(t, s, tw, first, time.UnixMilli(oldest), now)
}

func TestStepsWithoutASampleStayGaps(t *testing.T) {
	s := NewStore("", Limits{}, silent())
	put := func(at time.Duration, demand, replicas float64) {
		r := Row{Target: idOf(0)}
		r.Set(Demand, demand)
		r.Set(Ready, replicas)
		if err := s.Append(start.Add(at), []Row{r}); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 2, 1)
	put(10*time.Second, 4, 3)
	put(60*time.Second, 0, math.NaN())
	put(200*time.Second, 8, 5)
	get := func(q Quantity) []Sample {
		got, err := s.Range(context.Background(), idOf(0), q, start, start.Add(time.Hour), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	if d := cmp.Diff([]Sample{{at(0), 3}, {at(1), 0}, {at(3), 8}}, get(Demand)); d != "" {
		t.Errorf("demand: %s", d)
	}
	if d := cmp.Diff([]Sample{{at(0), 3}, {at(3), 5}}, get(Ready)); d != "" {
		t.Errorf("ready: %s", d)
	}
	if got := get(Capacity); len(got) > 0 {
		t.Errorf("capacity was never known, and is %v", got)
	}
}

func TestAClockThatWasAheadDoesNotEndTheHistory(t *testing.T) {
	dir := t.TempDir()
	s, tw := attached(t, dir, start), twin{}
	rng := rand.New(rand.NewPCG(3, 3))
	add := func(now time.Time) {
		rows := rowsAt(rng, now, 1)
		if err := s.Append(now, rows); err != nil {
			t.Fatal(err)
		}
		if now.Before(start.Add(24 * time.Hour)) {
			tw.append(now, rows)
		}
		if s.Due() {
			if err := s.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(start)
	for i := range 12 {
		add(start.Add(time.Duration(i+1) * time.Hour))
	}
	add(start.Add(365 * 24 * time.Hour)) // for a moment
	add(start.Add(12*time.Hour + 10*time.Second))
	agree(t, s, tw, start, start, start.Add(24*time.Hour))
	for m := range 300 { // a year ahead, for long enough that there are blocks
		add(start.Add(365*24*time.Hour + time.Duration(m)*time.Minute))
	}
	tw = twin{} // what was before was too old then
	for m := range 300 {
		add(start.Add(13*time.Hour + time.Duration(m)*time.Minute))
	}
	agree(t, s, tw, start, start.Add(13*time.Hour), start.Add(24*time.Hour))
}

func TestTwoProcessesDoNotWriteToOneFolder(t *testing.T) {
	dir := t.TempDir()
	first := attached(t, dir, start)
	second := NewStore(dir, Limits{}, silent())
	if err := second.Attach(start); err == nil {
		t.Fatal("a second process writes beside the first")
	}
	if err := first.Append(start, rowsAt(rand.New(rand.NewPCG(1, 1)), start, 1)); err != nil {
		t.Errorf("the first one after the second one's try: %v", err)
	}
	if err := first.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := second.Attach(start); err != nil {
		t.Errorf("the second after the first: %v", err)
	}
	defer second.Detach()
}

func TestBytesAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	s := NewStore(t.TempDir(), Limits{Bytes: 60_000}, silent())
	if err := s.Attach(start); err != nil {
		t.Fatal(err)
	}
	defer s.Detach()
	for m := range 5 * 24 * 60 {
		now := start.Add(time.Duration(m) * time.Minute)
		if err := s.Append(now, rowsAt(rng, now, 1)); err != nil {
			t.Fatal(err)
		}
		if s.Due() {
			if err := s.Maintain(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, blocks := s.Bytes(); blocks > 60_000 || blocks < 20_000 {
		t.Errorf("%d bytes of blocks, want up to 60,000", blocks)
	}
}
