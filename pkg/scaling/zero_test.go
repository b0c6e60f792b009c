package scaling_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/constraint"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// zeroLine is a target that may go to zero, with something in front that holds requests; it has served for half an hour.
func zeroLine(t *testing.T) *line {
	t.Helper()
	c := config()
	c.Zero = true
	c.Constraints[3] = constraint.Bounds{Max: 20}
	l := newLine(t, c, 1)
	l.front, l.follow = &scaling.Front{}, true
	l.ticks(120, 3)
	if l.desired == 0 {
		t.Fatalf("zero under load: %s", explain(l.last))
	}
	return l
}

// until lets ticks pass without demand until there is no replica, and returns how long that took.
func (l *line) until(longest time.Duration) (took time.Duration) {
	l.t.Helper()
	for ; l.desired > 0; took += tick {
		if took > longest {
			l.t.Fatalf("%v without demand, and still %s", took, explain(l.last))
		}
		l.tick(0)
	}
	return took
}

func TestSilenceGoesToZeroAndTheFirstRequestWakes(t *testing.T) {
	l := zeroLine(t)
	if took := l.until(30 * time.Minute); took < 5*time.Minute {
		t.Errorf("zero after %v, want a full window of five minutes", took)
	}
	l.want(0, scaling.Idle)
	l.ticks(240, 0)
	l.want(0, scaling.Idle)
	l.tick(0.1)
	l.want(1, scaling.ReactiveDemand)
	l.ticks(20, 0.1) // it loads, and the held request is no silence
	if l.desired != 1 || l.last.Ready != 1 || l.front.Held > 0 {
		t.Errorf("five minutes later: %s", explain(l.last))
	}
}

func TestABurstAtZeroIsOrderedAtOnce(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	l.tick(40)
	l.tick(40)
	if l.last.Replicas < 8 {
		t.Errorf("40 requests/s at 5 a replica: %s", explain(l.last))
	}
}

func TestNoZeroWithoutProofOfSilence(t *testing.T) {
	for name, spoil := range map[string]func(*line){
		"nothing in front":                  func(l *line) { l.front = nil },
		"what is in front is not read":      func(l *line) { l.front.Time = l.now.Add(-time.Minute) },
		"it holds a request":                func(l *line) { l.front.Held = 1 },
		"it reports nonsense":               func(l *line) { l.front.Held = math.NaN() },
		"a replica is not seen":             func(l *line) { l.pods[0].frozen = true },
		"a replica works on a request":      func(l *line) { l.pods[0].Reading.Set(signals.RequestsRunning, 1) },
		"one of two is not seen":            func(l *line) { l.pods[len(l.pods)-1].frozen = true },
		"a request comes every two minutes": func(l *line) { l.pods[0].finished += math.Floor(math.Mod(l.now.Sub(t0).Minutes(), 2) / 1.75) },
	} {
		t.Run(name, func(t *testing.T) {
			l := zeroLine(t)
			l.scale(int32(1 + len(name)%2))
			for range 400 {
				l.follow = false
				l.tick(0)
				spoil(l)
				l.follow = true
				if l.decide(); l.desired == 0 {
					t.Fatalf("zero after %v: %s", l.now.Sub(t0), explain(l.last))
				}
			}
		})
	}
}

// What a replica sustains is what a reload is weighed by: without it nothing says that zero pays, forecast or not.
func TestNoZeroWithoutKnownCapacity(t *testing.T) {
	c := config()
	c.Zero, c.Forecast.Disabled = true, true
	c.Capacity.RequestsPerSecond = 0
	c.Constraints[3] = constraint.Bounds{Max: 20}
	l := newLine(t, c, 1)
	l.front, l.follow = &scaling.Front{}, true
	for range 200 {
		if l.tick(0); l.desired == 0 {
			t.Fatalf("zero after %v: %s", l.now.Sub(t0), explain(l.last))
		}
	}
}

func TestAWakeForWhichThereIsNoGPUSaysSo(t *testing.T) {
	l := zeroLine(t)
	l.scale(0)
	l.front.Held, l.front.Arrived = 3, 3
	l.tick(0)
	if l.last.Replicas < 1 {
		t.Fatalf("3 requests are held: %s", explain(l.last))
	}
	l.pods = nil
	l.add(scaling.Unschedulable, l.now)
	l.front.Held = 0 // refused meanwhile
	l.tick(0)
	if d := l.last; !d.Limited || d.Reason != scaling.GPUsUnavailable || d.Replicas == 0 {
		t.Fatalf("the only replica waits for a GPU, limited %v, reason %s: %s", d.Limited, d.Reason, explain(d))
	}
}

func TestWhoCannotBeAskedAtZeroIsTakenToHoldRequests(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	front := l.front
	l.front = nil
	l.ticks(3, 0) // 45 s may pass without a word
	l.want(0, scaling.NoFreshData)
	l.tick(0)
	l.want(1, scaling.NoFreshData)
	if !l.last.Blind {
		t.Errorf("not blind: %s", explain(l.last))
	}
	l.ticks(40, 0) // nobody tells in front: it stays
	if l.desired != 1 {
		t.Errorf("without anybody in front: %s", explain(l.last))
	}
	l.front = front
	l.until(30 * time.Minute)
}

// Zero that was ours is left where the spec allows it no more; that of others stays theirs.
func TestZeroIsLeftWhereItIsNotAllowedAnyMore(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	c := l.planner.Config()
	c.Zero = false
	c.Constraints = append(append([]scaling.Constraint{}, c.Constraints[:3]...), constraint.Bounds{Min: 1, Max: 20})
	p, err := scaling.NewPlanner(c)
	if err != nil {
		t.Fatal(err)
	}
	l.planner = p
	l.tick(0)
	l.want(1, scaling.AtMinimum)
}

// A process that has just begun has not heard of what is in front: that wakes not all that sleep at once.
func TestWhoHasJustBegunListensFirst(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	front := l.front
	l.state, l.front = scaling.State{}, nil
	l.ticks(2, 0)
	l.want(0, scaling.NoFreshData)
	l.front = front
	l.ticks(4, 0)
	l.want(0, scaling.Idle)
	l.state, l.front = scaling.State{}, nil
	l.ticks(5, 0)
	l.want(1, scaling.NoFreshData)
}

func TestWithoutLeaveZeroIsSomebodysWill(t *testing.T) {
	l := newLine(t, config(), 0)
	l.front = &scaling.Front{Held: 3}
	l.tick(0)
	l.want(0, scaling.ScaledToZeroByOther)
}

// Short silences, learned, keep the replica; long ones let it go sooner than nobody's knowledge would.
func TestSilencesAreLearned(t *testing.T) {
	l := zeroLine(t)
	for range 6 { // each ten minutes long
		l.ticks(40, 0)
		l.ticks(20, 3)
	}
	s := l.state.Silences
	var known float64
	for _, n := range s.Lasted {
		known += n
	}
	if known < 5.5 || s.Opened < 5 || math.Abs(s.Opening-3) > 1 {
		t.Errorf("six silences and what came after them: %+v", s)
	}
}

// An engine never hears of what waits for it to load; the budget does, and its price stays what it was.
func TestWaitsAtZeroCountAsMissesAndRaiseNoPrice(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	l.ticks(40, 0)
	price, came := l.last.Budget.Price, l.front.Arrived
	for l.last.Ready == 0 {
		l.tick(0.2)
	}
	waited := l.front.Arrived - came - 0.2*tick.Seconds() // the last tick's found a replica
	b := l.state.Capacity.Budget
	if math.Abs(b.Waited-waited) > 0.05*waited || b.Missed > 0 || l.last.Budget.Attained > 1-0.5*waited/math.Max(b.Requests, waited) {
		t.Errorf("%.1f requests waited for a load, %.1f are counted: %s", waited, b.Waited, l.last.Budget)
	}
	if s := l.state.Silences; math.Abs(s.Late-b.Waited) > 0.5 || math.Abs(s.Wakes-1) > 0.01 {
		t.Errorf("over the weeks %.1f are counted at %.2f wakes", s.Late, s.Wakes)
	}
	if got := l.last.Budget.Price; got > price {
		t.Errorf("a miss is worth %.1f, was worth %.1f", got, price)
	}
}

// Someone asks something every eight minutes: to be at zero in between would have each of them wait. At night nobody does.
func TestSilencesThatCostTooManyWaitsKeepOne(t *testing.T) {
	l := zeroLine(t)
	for n := range 200 {
		for range 30 {
			if l.tick(0); l.desired == 0 && n > 150 {
				t.Fatalf("zero after all: %s", explain(l.last))
			}
		}
		l.ticks(2, 0.1)
	}
	l.ticks(30, 0)
	if l.desired != 1 || !strings.Contains(explain(l.last), "the objective allows") {
		t.Errorf("it does not say why it stays: %s", explain(l.last))
	}
	l.until(4 * time.Hour)
}

// A change of the lead time has the forecaster begin anew, with a past in which there was nothing: that is no reason to stay.
func TestAForecasterThatBeginsAnewInASilenceKeepsNone(t *testing.T) {
	l := zeroLine(t)
	l.until(30 * time.Minute)
	l.ticks(240, 0)
	l.scale(1)
	l.add(scaling.Ready, l.now.Add(-time.Hour))
	l.state.Forecast = forecast.State{}
	l.until(30 * time.Minute)
	if l.last.Forecast.Known() {
		t.Error("there is a forecast: the test tells nothing")
	}
}
