package compare

import (
	"math"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replica"
)

// staffing is the β of the square-root rule by which capacity that is known beforehand is turned into replicas: x replicas
// of pure work need x + β·√x for arrivals that come at random (Halfin and Whitt 1981); 0.25 to 0.5 fits replicas of
// engines.
const staffing = 0.5

// knowledge is what policies may be told beforehand.
type knowledge struct {
	facts    Facts
	start    time.Time // of the load that the facts are of
	profile  replica.Profile
	slo      baseline.SLO
	capacity float64 // requests per second that one replica sustains, zero for none
}

func (e *Experiment) know(f Facts) knowledge {
	k := knowledge{facts: f, start: e.Cluster.Start, profile: e.Profile, slo: baseline.SLO{TTFT: e.SLO.TTFT, TPOT: e.SLO.TPOT}}
	k.capacity = replica.Sustainable(e.Profile, f.Mix(), e.SLO.TTFT, e.SLO.TPOT)
	return k
}

// staff is how many replicas a rate in requests per second needs. Where one replica does not even sustain a single
// request, more of them would not help, and one is as good as any number.
func (k knowledge) staff(rate float64) int32 {
	if rate <= 0 {
		return 0
	}
	if !(k.capacity > 0) {
		return 1
	}
	x := rate / k.capacity
	return int32(min(1e6, math.Ceil(x+staffing*math.Sqrt(x))))
}

// initial is how many replicas are ready at the start: one at least unless the user says otherwise, since autoscalers take
// none as switched off, and as many as there are GPUs for.
func (e *Experiment) initial(k knowledge) int32 {
	if e.Initial >= 0 {
		return min(max(e.Initial, e.Min), e.most(k))
	}
	return min(max(k.staff(k.facts.FirstRate), e.Min, 1), e.most(k), e.stock())
}

// stock is how many replicas the GPUs hold.
func (e *Experiment) stock() int32 {
	if e.Cluster.GPUs == 0 {
		return math.MaxInt32
	}
	return int32(e.Cluster.GPUs / max(1, e.Profile.GPUs))
}

// most is the bound of every policy: that of the replicas, and of the GPUs that the spec allows.
func (e *Experiment) most(k knowledge) int32 { return min(e.maxReplicas(k), e.budget()) }

// budget is how many replicas the GPUs of the spec's budget are enough for.
func (e *Experiment) budget() int32 {
	if e.Autoscaler == nil || e.Autoscaler.Spec.MaxGPUs == nil {
		return math.MaxInt32
	}
	return max(1, *e.Autoscaler.Spec.MaxGPUs/int32(max(1, e.Profile.GPUs)))
}

func (e *Experiment) maxReplicas(k knowledge) int32 {
	if e.Max > 0 {
		return e.Max
	}
	return max(e.Min, e.Initial, 3*max(1, k.staff(k.facts.PeakRate)))
}

// setup is what a policy is configured with.
func (e *Experiment) setup(k knowledge, setting Setting) baseline.Setup {
	return baseline.Setup{
		Min: e.Min, Max: e.most(k), SLO: k.slo, Engine: engine(k.profile),
		Load: k.load(), Settings: setting,
	}
}

// engine is the profile as policies that need one would be given it: exact, which flatters them.
func engine(p replica.Profile) baseline.Engine {
	return baseline.Engine{
		KVTokens: p.KVTokens, MaxSequences: p.MaxNumSeqs, MaxBatchedTokens: p.MaxNumBatchedTokens,
		StepTime: func(s baseline.Step) time.Duration {
			// A prompt's tokens attend to half of its own length on average, as far as it is one prompt.
			ms := p.StepBase + p.StepPerSequence*s.Sequences + p.StepPerContextToken*s.ContextTokens +
				p.PrefillPerToken*s.PrefillTokens + p.PrefillPerTokenPair*s.PrefillTokens*s.PrefillTokens/2 +
				p.ExpertStep*(1-math.Pow(1-p.ExpertShare, s.Sequences+s.PrefillTokens))
			return time.Duration(ms * float64(time.Millisecond))
		},
		Sustainable: func(m baseline.Mix, o baseline.SLO) float64 {
			return replica.Sustainable(p, replica.Mix{PromptTokens: m.Prompt, OutputTokens: m.Output, CachedTokens: m.Cached}, o.TTFT, o.TPOT)
		},
	}
}

// load is what an operator knows of the load: its mean request and its rates in hindsight, and the envelope of an earlier
// period.
func (k knowledge) load() baseline.Load {
	l := baseline.Load{
		Mix:  baseline.Mix{Prompt: k.facts.MeanPrompt, Output: k.facts.MeanOutput},
		Peak: k.facts.PeakRate, Mean: k.facts.MeanRate(),
		PeakReplicas: k.staff(k.facts.PeakRate), MeanReplicas: k.staff(k.facts.MeanRate()),
	}
	l.Schedule, l.Slot = k.envelope(k.start)
	return l
}

// slot is the length of one entry of the cron schedule.
const slot = time.Hour

// envelope is the schedule of a cron-like policy: for each hour the replicas that its busiest minute needed, or that of the
// quarter of an hour after it, for replicas have to be ready when the next hour begins.
//
// It is taken from the first week of a load of two weeks or more, from the first day of one of two days or more. A
// shorter load has no earlier period: its own hours are taken, in hindsight. Hours of which nothing is known get what
// the busiest one needs.
func (k knowledge) envelope(start time.Time) ([]int32, time.Duration) {
	const day = 24 * time.Hour
	period, known := day, k.facts.Span+minute
	switch {
	case k.facts.Span >= 14*day:
		period, known = 7*day, 7*day
	case k.facts.Span >= 2*day:
		known = day
	}
	peaks := make([]int32, period/slot)
	for i := range peaks {
		peaks[i] = -1
	}
	var highest int32
	for i, m := range k.facts.minutes[:min(len(k.facts.minutes), int(known/minute))] {
		at := start.Add(time.Duration(i) * minute)
		highest = max(highest, m)
		for _, t := range []time.Time{at, at.Add(-15 * minute)} {
			s := &peaks[slotOf(t, period)]
			*s = max(*s, m)
		}
	}
	return k.staffed(peaks, highest), slot
}

// slotOf is the entry of a schedule that holds at t: the first one begins at the Unix epoch.
func slotOf(t time.Time, period time.Duration) int {
	seconds := t.Unix() % int64(period/time.Second)
	return int((seconds + int64(period/time.Second)) % int64(period/time.Second) / int64(slot/time.Second))
}

func (k knowledge) staffed(peaks []int32, otherwise int32) []int32 {
	out := make([]int32, len(peaks))
	for i, p := range peaks {
		if p < 0 {
			p = otherwise
		}
		out[i] = k.staff(float64(p) / minute.Seconds())
	}
	return out
}
