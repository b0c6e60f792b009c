package series

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// minutesOf returns samples from a time on, one a minute, all of one value.
func minutesOf(from time.Time, n int, v float64) []Sample {
	out := make([]Sample, n)
	for i := range out {
		out[i] = Sample{from.Add(time.Duration(i) * time.Minute), v}
	}
	return out
}

func TestFillingLeavesWhatTheStoreKnowsItself(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	id, other := controlloop.TargetID{Namespace: "ml", Name: "chat"}, controlloop.TargetID{Namespace: "ml", Name: "code"}
	s := NewStore(t.TempDir(), Limits{}, slog.New(slog.DiscardHandler))
	if err := s.Attach(now); err != nil {
		t.Fatal(err)
	}
	for i := range 30 { // half an hour of its own, with a hole of ten minutes
		if i >= 10 && i < 20 {
			continue
		}
		row := Row{Target: id}
		row.Set(Demand, 7)
		if err := s.Append(now.Add(time.Duration(i)*time.Minute+5*time.Second), []Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	from := now.Add(-20 * 24 * time.Hour)
	n := 20*24*60 + 30
	past := []Past{{id, Demand, minutesOf(from, n, 3)}, {id, PromptTokens, minutesOf(from, n, 300)}, {other, Demand, minutesOf(from, n, 1)}}
	check := func() {
		t.Helper()
		got, err := s.Range(t.Context(), id, Demand, from, now.Add(time.Hour), time.Minute)
		if err != nil || len(got) != n {
			t.Fatalf("%d samples, %v; want %d", len(got), err, n)
		}
		for i, sample := range got {
			want := 3.
			if own := i - 20*24*60; own >= 0 && own < 10 || own >= 20 {
				want = 7
			}
			if sample.Value != want {
				t.Fatalf("sample %d of %v is %v, want %v", i, sample.Time, sample.Value, want)
			}
		}
		if got, _ := s.Range(t.Context(), other, Demand, from, now, time.Minute); len(got) != n-30 || got[5].Value != 1 {
			t.Errorf("%d samples of the other target", len(got))
		}
	}
	for range 3 { // again and again, as at each start: blocks are merged
		if err := s.Fill(t.Context(), past); err != nil {
			t.Fatal(err)
		}
		check()
	}
	if blocks := len(s.filled.blocks); blocks > 5 {
		t.Errorf("%d blocks of three weeks", blocks)
	}
	// Days that end later are condensed as if nothing had been filled in, and what is too old goes.
	for hour := range 60 {
		row := Row{Target: id}
		row.Set(Demand, 9)
		if err := s.Append(now.Add(time.Duration(hour+1)*time.Hour), []Row{row}); err != nil {
			t.Fatal(err)
		}
		if err := s.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check()
	if len(s.minutes.blocks) == 0 {
		t.Error("no day became minutes")
	}
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
	if err := s.Attach(now.Add(61 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	check()
	row := Row{Target: id}
	row.Set(Demand, 9)
	for _, later := range []time.Duration{50 * 24 * time.Hour, 50*24*time.Hour + 3*time.Hour} {
		if err := s.Append(now.Add(later), []Row{row}); err != nil {
			t.Fatal(err)
		}
		if err := s.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if blocks := len(s.filled.blocks); blocks != 0 {
		t.Errorf("%d blocks are left seven weeks later", blocks)
	}
	if err := s.Detach(); err != nil {
		t.Fatal(err)
	}
}

func TestAKeeperFillsOnlyWhereItWrites(t *testing.T) {
	for name, dir := range map[string]string{"on disk": t.TempDir(), "in memory": ""} {
		t.Run(name, func(t *testing.T) {
			k := NewKeeper(Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); k.Run(ctx) }()
			id := controlloop.TargetID{Namespace: "ml", Name: "chat"}
			now := time.Now()
			row := Row{Target: id}
			row.Set(Demand, 2)
			k.Put(now, []Row{row})
			for k.State().Since.IsZero() {
				time.Sleep(time.Millisecond)
			}
			err := k.Fill(ctx, []Past{{id, Demand, minutesOf(now.Add(-time.Hour), 10, 5)}})
			got, _ := k.Range(ctx, id, Demand, now.Add(-2*time.Hour), now.Add(-time.Minute), 0)
			switch {
			case dir == "" && !errors.Is(err, ErrNotOnDisk):
				t.Errorf("filled in memory: %v", err)
			case dir != "" && (err != nil || len(got) != 10):
				t.Errorf("%d samples: %v", len(got), err)
			}
			cancel()
			<-done
		})
	}
}
