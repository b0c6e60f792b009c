package pool

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gib = 1 << 30

// unlimited memory, so many GPUs.
func gpus(n int32) Budget { return Budget{GPUs: n, Memory: -1, Asleep: -1} }

func TestShares(t *testing.T) {
	one := func(name string, priority int32, worth ...float64) Member {
		return Member{Name: name, Priority: priority, GPUs: 1, Memory: gib, Serving: Wish{Worth: worth}}
	}
	asleep := func(name string, gibs int64, has int32, worth ...float64) Member {
		return Member{Name: name, GPUs: 1, Memory: gibs * gib, Asleep: Wish{Has: has, Worth: worth}}
	}
	for name, x := range map[string]struct {
		budget  Budget
		members []Member
		want    string // serving/standby/asleep of each
	}{
		"all that is wished for fits":                {gpus(4), []Member{one("a", 0, 3, 2), one("b", 0, 1)}, "2/0/0 1/0/0"},
		"what is worth most comes first":             {gpus(2), []Member{one("a", 0, 3, 1), one("b", 0, 2)}, "1/0/0 1/0/0"},
		"a priority comes before any worth":          {gpus(2), []Member{one("a", 0, 300, 200), one("b", 1, 2, 1)}, "0/0/0 2/0/0"},
		"worthless replicas are not wished for":      {gpus(9), []Member{one("a", 0, 1, 0, 5), one("b", 0, math.NaN())}, "1/0/0 0/0/0"},
		"no replica is worth more than the last":     {gpus(2), []Member{one("a", 0, 1, 9), one("b", 0, 2)}, "1/0/0 1/0/0"},
		"without a limit everybody has all":          {gpus(-1), []Member{one("a", 0, 1, 1, 1), one("b", 0, 2)}, "3/0/0 1/0/0"},
		"nobody has any of nothing":                  {gpus(0), []Member{one("a", 0, 1)}, "0/0/0"},
		"equals are told apart by their names":       {gpus(1), []Member{one("b", 0, 1), one("a", 0, 1)}, "0/0/0 1/0/0"},
		"large replicas have to be worth their GPUs": {gpus(4), []Member{{Name: "a", GPUs: 4, Serving: Wish{Worth: []float64{3}}}, one("b", 0, 1)}, "0/0/0 1/0/0"},
		"a small one takes what a large one leaves":  {gpus(5), []Member{{Name: "a", GPUs: 4, Serving: Wish{Worth: []float64{9, 8}}}, one("b", 0, 1)}, "1/0/0 1/0/0"},
		"a minimum comes before a priority":          {gpus(2), []Member{{Name: "a", GPUs: 1, Min: 1}, one("b", 9, 2, 1)}, "1/0/0 1/0/0"},
		"what exists stays for a little less":        {gpus(1), []Member{{Name: "a", GPUs: 1, Serving: Wish{Has: 1, Worth: []float64{1}}}, one("b", 0, 1.2)}, "1/0/0 0/0/0"},
		"and goes for much less":                     {gpus(1), []Member{{Name: "a", GPUs: 1, Serving: Wish{Has: 1, Worth: []float64{1}}}, one("b", 0, 1.3)}, "0/0/0 1/0/0"},
		"standby and serving share the GPUs":         {gpus(2), []Member{{Name: "a", GPUs: 1, Serving: Wish{Worth: []float64{3}}, Standby: Wish{Worth: []float64{2, 1}}}}, "1/1/0"},
		"those asleep share the memory":              {Budget{Memory: 3 * gib, Asleep: -1}, []Member{asleep("a", 2, 0, 2, 2), asleep("b", 1, 0, 0.9, 0.5)}, "0/0/1 0/0/1"},
		"and their number":                           {Budget{Memory: -1, Asleep: 2}, []Member{asleep("a", 1, 0, 2, 1), asleep("b", 1, 0, 3)}, "0/0/1 0/0/1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range Divide(x.members, x.budget) {
				got = append(got, fmt.Sprintf("%d/%d/%d", s.Serving, s.Standby, s.Asleep))
			}
			if text := strings.Join(got, " "); text != x.want {
				t.Errorf("got %s, want %s", text, x.want)
			}
		})
	}
}

func TestAWakeSaysWhoHasToSleepForIt(t *testing.T) {
	shares := Divide([]Member{
		{Name: "night", GPUs: 2, Memory: gib, Serving: Wish{Has: 2}, Asleep: Wish{Worth: []float64{0.5, 0.4}}},
		{Name: "day", GPUs: 1, Memory: gib, Serving: Wish{Worth: []float64{5, 4, 3}}, Asleep: Wish{Has: 3, Worth: []float64{1}}},
		{Name: "evening", GPUs: 1, Memory: gib, Serving: Wish{Worth: []float64{2, 1}}},
	}, Budget{GPUs: 4, Memory: 2 * gib, Asleep: -1})
	if diff := cmp.Diff([]Yield{{"night", 2}}, shares[1].Yields); diff != "" || shares[1].Serving != 3 {
		t.Errorf("day serves with %d of 3, and waits for (-want +got):\n%s", shares[1].Serving, diff)
	}
	if s := shares[0]; s.Serving != 0 || s.Asleep != 1 || !strings.Contains(s.Why, "1 of 2 asleep: 0.0 GiB of host memory are left, and one takes 1.0") {
		t.Errorf("night: %+v", s)
	}
	if s := shares[2]; s.Serving != 1 || !strings.Contains(s.Why, "1 of 2 serving: 0 GPUs are left, and one takes 1") {
		t.Errorf("evening: %+v", s)
	}
	if why := shares[1].Why; !strings.Contains(why, "waits for 2 of night to sleep") {
		t.Errorf("day: %s", why)
	}
}

// crowd draws members and a budget that holds their minimums.
func crowd(seed uint64) ([]Member, Budget) {
	r := rand.New(rand.NewPCG(seed, 1))
	wish := func() (w Wish) {
		w.Has = r.Int32N(4)
		for worth := 5 * r.Float64(); len(w.Worth) < r.IntN(6); worth *= r.Float64() {
			w.Worth = append(w.Worth, worth-0.1)
		}
		return w
	}
	var members []Member
	b := Budget{GPUs: r.Int32N(20), Memory: r.Int64N(30) * gib, Asleep: r.Int32N(8)}
	for i := range 1 + r.IntN(6) {
		m := Member{
			Name: fmt.Sprint("m", i), Priority: r.Int32N(3), GPUs: 1 + r.Int32N(2)*r.Int32N(4), Memory: (1 + r.Int64N(8)) * gib,
			Min: r.Int32N(2), Serving: wish(), Standby: wish(), Asleep: wish(), Busy: r.Int32N(4),
		}
		m.AsleepGPUs = r.Int32N(m.GPUs + 1)
		b.GPUs += m.Min * m.GPUs
		members = append(members, m)
	}
	return members, b
}

func TestTheBudgetHoldsAndNobodyStarves(t *testing.T) {
	granted := int32(0)
	for seed := range uint64(2000) {
		members, b := crowd(seed)
		gpus, memory, asleep := int32(0), int64(0), int32(0)
		for i, s := range Divide(members, b) {
			m := members[i]
			gpus += s.awake()*m.GPUs + s.Asleep*m.AsleepGPUs
			memory += int64(s.Asleep) * m.Memory
			asleep += s.Asleep
			granted += s.awake() + s.Asleep
			if s.Serving < m.Min {
				t.Fatalf("seed %d: %s serves with %d, its minimum is %d", seed, m.Name, s.Serving, m.Min)
			}
			if s.Serving > max(m.Min, m.Serving.wished()) || s.Standby > m.Standby.wished() || s.Asleep > m.Asleep.wished() {
				t.Fatalf("seed %d: %s got more than it wished for: %+v of %+v", seed, m.Name, s, m)
			}
		}
		if gpus > b.GPUs || memory > b.Memory || asleep > b.Asleep {
			t.Fatalf("seed %d: %d GPUs, %d bytes, %d asleep of %+v", seed, gpus, memory, asleep, b)
		}
	}
	if granted < 5000 {
		t.Errorf("only %d replicas were granted", granted)
	}
}

func TestNoPriorityIsInverted(t *testing.T) {
	unmet := 0
	for seed := range uint64(2000) {
		members, b := crowd(seed)
		shares := Divide(members, b)
		for i, high := range members {
			for k, low := range members {
				if low.Priority >= high.Priority {
					continue
				}
				lacks := shares[i].Serving < high.Serving.wished() || shares[i].Standby < high.Standby.wished()
				if extra := shares[k].awake() - low.Min; lacks && extra > 0 && low.GPUs >= high.GPUs {
					t.Fatalf("seed %d: %s lacks what %s of a lower priority has: %+v %+v", seed, high.Name, low.Name, shares[i], shares[k])
				}
				if lacks {
					unmet++
				}
			}
		}
	}
	if unmet < 500 {
		t.Errorf("only %d times a wish of a high priority was not met", unmet)
	}
}

func TestTheOrderOfMembersDoesNotMatter(t *testing.T) {
	for seed := range uint64(500) {
		members, b := crowd(seed)
		want := byName(Divide(members, b))
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(members), func(i, k int) { members[i], members[k] = members[k], members[i] })
		if diff := cmp.Diff(want, byName(Divide(members, b))); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func byName(shares []Share) []Share {
	slices.SortFunc(shares, func(a, b Share) int { return strings.Compare(a.Name, b.Name) })
	return shares
}

// Where worth wavers by less than constancy allows, shares that were carried out stay as they are.
func TestSharesDoNotChangeHandsAtEveryTick(t *testing.T) {
	changed, all := 0, 0
	for seed := range uint64(300) {
		members, b := crowd(seed)
		for i := range members {
			members[i].GPUs, members[i].Memory, members[i].Priority = 1, gib, 0
		}
		r := rand.New(rand.NewPCG(seed, 3))
		settle(members, Divide(members, b))
		before := Divide(members, b)
		for range 10 {
			for i := range members {
				for _, w := range [][]float64{members[i].Serving.Worth, members[i].Standby.Worth, members[i].Asleep.Worth} {
					for k := range w {
						w[k] *= 1 + 0.02*(r.Float64()-0.5) // ten times that at the most, in all
					}
				}
			}
			after := Divide(members, b)
			if !cmp.Equal(before, after) {
				changed++
			}
			all++
		}
	}
	if changed > all/50 {
		t.Errorf("shares changed %d of %d times", changed, all)
	}
}

// settle lets members have what they may.
func settle(members []Member, shares []Share) {
	for i, s := range shares {
		members[i].Serving.Has, members[i].Standby.Has, members[i].Asleep.Has = s.Serving, s.Standby, s.Asleep
	}
}

func TestWhatOthersHoldIsWaitedFor(t *testing.T) {
	day := Member{Name: "day", GPUs: 2, Priority: 1, Serving: Wish{Worth: []float64{5, 4}}}
	night := Member{Name: "night", GPUs: 1, Busy: 3, Serving: Wish{Has: 3, Worth: []float64{1, 1, 1}}}
	shares := Divide([]Member{day, night}, gpus(4))
	if s := shares[0]; s.Serving != 2 || s.Awake != 0 || !strings.Contains(s.Why, "0 awake at present, 2 more once others have let go of their GPUs") {
		t.Errorf("day may have %d of %d awake while night holds 3 of 4 GPUs: %s", s.Awake, s.Serving, s.Why)
	}
	night.Busy = 1
	if s := Divide([]Member{day, night}, gpus(4))[0]; s.Awake != 1 {
		t.Errorf("day may have %d awake while night holds 1 of 4 GPUs", s.Awake)
	}
	night.Busy = 9
	day.Busy = 2
	if s := Divide([]Member{day, night}, gpus(4))[0]; s.Awake != 2 {
		t.Errorf("what day has goes since night holds too much: %d", s.Awake)
	}
}

func TestThoseAsleepMayKeepTheirGPUs(t *testing.T) {
	m := Member{Name: "a", GPUs: 2, AsleepGPUs: 2, Memory: gib, Asleep: Wish{Worth: []float64{1, 1, 1}}}
	other := Member{Name: "b", GPUs: 1, Serving: Wish{Worth: []float64{1}}}
	shares := Divide([]Member{m, other}, gpus(4))
	if s := shares[0]; s.Asleep != 1 || s.SpareAsleep != 0 || !strings.Contains(s.Why, "1 of 3 asleep: 1 GPUs are left, and one that sleeps keeps 2") {
		t.Errorf("%d may sleep, %d more, on the 3 GPUs that are left: %s", s.Asleep, s.SpareAsleep, s.Why)
	}
	m.Asleep.Has = 2
	if s := Divide([]Member{m, other}, gpus(4))[1]; s.Awake != 0 {
		t.Errorf("%d may wake beside two that keep all GPUs", s.Awake)
	}
}

func TestTwoThatDecideAtOnceDoNotTakeTheSameGPUs(t *testing.T) {
	l := NewLedger(gpus(4))
	a, b := Member{Name: "a", GPUs: 1}, Member{Name: "b", GPUs: 1}
	l.Put(a)
	l.Put(b)
	first, _ := l.Of("a")
	second, _ := l.Of("b")
	if first.Awake != 4 || second.Awake != 0 {
		t.Fatalf("of four GPUs %d and %d are granted", first.Awake, second.Awake)
	}
	a.Busy = 1
	l.Put(a)
	if s, _ := l.Of("b"); s.Awake != 3 {
		t.Errorf("one has taken 1 of 4, the other may have %d", s.Awake)
	}
	l.Release("b")
	l.Limit(gpus(3))
	if s, _ := l.Of("a"); s.Awake != 3 || !l.Has("a") || l.Has("c") {
		t.Errorf("of three GPUs all may be the first one's: %d", s.Awake)
	}
}

func TestWhatIsAskedForComesBesideWhatEnds(t *testing.T) {
	l := NewLedger(gpus(3))
	l.Put(Member{Name: "a", GPUs: 1, Busy: 2, Serving: Wish{Has: 2, Worth: []float64{2, 1, 1}}})
	l.Put(Member{Name: "b", GPUs: 1})
	l.See("a", 2, 1) // one of two has begun to end
	if s, _ := l.Of("a"); s.Awake != 2 {
		t.Errorf("one of two ends on three GPUs, and %d may be awake beside it", s.Awake)
	}
	if s, _ := l.Of("b"); s.Awake != 0 {
		t.Errorf("beside one that ends and two that were granted on three GPUs: %d", s.Awake)
	}
	l.See("nobody", 1, 1)
	if l.Has("nobody") {
		t.Error("who was never put is a member")
	}
}
