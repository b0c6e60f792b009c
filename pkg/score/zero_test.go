package score_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// aNight tells of a target that is without a replica from 100 s to 400 s and ready again at 430 s, for which two requests wait
// and one does in vain.
func aNight(o score.Options) score.Score {
	c := score.NewCollector(o)
	for _, x := range []replay.Census{
		{At: 0, Desired: 1, Ready: 1},
		{At: 100 * time.Second, Draining: 1},
		{At: 110 * time.Second},
		{At: 400 * time.Second, Desired: 1, Starting: 1},
		{At: 430 * time.Second, Desired: 1, Ready: 1},
		{At: 500 * time.Second, Desired: 1, Ready: 1},
	} {
		c.Counted(x)
	}
	for _, wait := range []time.Duration{0, 10 * time.Second, 30 * time.Second} {
		c.Ended(replay.Request{Arrival: 430*time.Second - wait, OutputTokens: 1, TTFT: wait, E2E: wait, Unready: wait > 0, Outcome: replay.Completed})
	}
	c.Ended(replay.Request{Arrival: 401 * time.Second, TTFT: -1, TPOT: -1, E2E: 20 * time.Second, Unready: true, Outcome: replay.TimedOut})
	no, yes := scaling.BreakEven{Quiet: time.Minute}, scaling.BreakEven{Quiet: 2 * time.Minute, Pays: true}
	for _, b := range []scaling.BreakEven{no, no, {}, no, no, yes, yes, {}} {
		c.Decided("", scaling.Decision{BreakEven: b}, baseline.Gateway{})
	}
	return c.Score(replay.Total{End: 500 * time.Second, Wakes: 3, Foreseen: 1, Needless: 1})
}

func TestWhatZeroWasWorth(t *testing.T) {
	o := options("preheat")
	o.Zero, o.GPUs = true, 4
	z := aNight(o).Zero
	if z.Seconds != 290 || z.Saved != 290*4/3600. || z.Wakes != 3 || z.Foreseen != 1 || z.Needless != 1 || z.Requests != 3 || z.Refused != 2 || z.Paid != 1 {
		t.Errorf("%+v", z)
	}
	if near := z.Wait.Max > 29.8 && z.Wait.Max < 30.2 && z.Wait.P50 > 29.8 && z.Wait.P50 < 30.2; !near { // the one in vain counts as the longest
		t.Errorf("waits %+v", z.Wait)
	}
	var table bytes.Buffer
	if err := score.WriteZero(&table, score.Compare([]score.Score{aNight(o)}, "")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AT-ZERO", "0.1h", "50%", "30s", "REFUSED"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %s in\n%s", want, &table)
		}
	}
}

func TestNothingIsSaidOfZeroWhereThereAlwaysIsAReplica(t *testing.T) {
	s := aNight(options("preheat"))
	text, err := json.Marshal(s)
	if cells := score.Compare([]score.Score{s}, ""); err != nil || s.Zero != nil || score.MayBeZero(cells) || bytes.Contains(text, []byte("zero")) {
		t.Errorf("%v: %s", err, text)
	}
}
