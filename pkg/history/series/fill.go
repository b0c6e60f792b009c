package series

import (
	"context"
	"errors"
	"fmt"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
)

// Past is what others recorded of one series: at most one sample a minute, in order of time.
type Past struct {
	Target   controlloop.TargetID
	Quantity Quantity
	Samples  []Sample
}

// ErrNotOnDisk says that there is no folder to write to, or that another process has it.
var ErrNotOnDisk = errors.New("the history is not kept on disk by this process")

// Fill keeps a past that others recorded, by the minute, in blocks of its own. Where the store has samples of its own, these
// stand. It may run beside Append, and not beside Maintain.
func (s *Store) Fill(ctx context.Context, past []Past) error {
	weeks := map[int64]map[key]*line{}
	for _, p := range past {
		if p.Quantity >= numQuantities {
			return fmt.Errorf("fill %s: name a quantity", p.Quantity)
		}
		k := key{p.Target, p.Quantity}
		for _, sample := range p.Samples {
			t := floor(sample.Time.UnixMilli(), minuteLength)
			week := floor(t, weekLength)
			if weeks[week] == nil {
				weeks[week] = map[key]*line{}
			}
			if weeks[week][k] == nil {
				weeks[week][k] = &line{}
			}
			weeks[week][k].put(point{t, rounded(sample.Value, minuteBits)})
		}
	}
	for week, lines := range weeks {
		series := make([]chunkSeries, 0, len(lines))
		for k, l := range lines {
			series = append(series, chunkSeries{labels: k.labels(), chunk: l.chunk, first: l.first, last: l.last})
		}
		if err := s.filled.write(ctx, series, week, week+weekLength); err != nil {
			return err
		}
	}
	if err := s.change(s.filled, none); err != nil {
		return err
	}
	for more := true; more; { // those that lie over each other become one
		var err error
		if more, err = s.merge(ctx, s.filled); err != nil {
			return err
		}
	}
	return nil
}

// filling is a past on its way to Run.
type filling struct {
	past []Past
	done chan<- error
}

// Fill has Run keep a past that others recorded, and waits for that. The error wraps ErrNotOnDisk where this process
// does not write.
func (k *Keeper) Fill(ctx context.Context, past []Past) error {
	done := make(chan error, 1)
	select {
	case k.fillings <- filling{past, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fill keeps a past in the place of maintenance, with which it shares blocks.
func (k *Keeper) fill(ctx context.Context, f filling) {
	if !k.attached {
		f.done <- ErrNotOnDisk
		return
	}
	maintained := make(chan error, 1)
	k.maintained = maintained
	k.maintenance.Go(func() {
		f.done <- k.store.Fill(ctx, f.past)
		maintained <- nil
	})
}

// idle is where fillings come from while nothing is maintained.
func (k *Keeper) idle() <-chan filling {
	if k.maintained != nil {
		return nil
	}
	return k.fillings
}
