package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// Verdict says in a sentence or two who meets the SLO at the least cost, how Preheat stands against the best other
// policy and the oracle, and of whom the seeds do not tell. The cells are of one lead time.
func Verdict(cells []score.Cell, slo score.SLO) string {
	f := newField(cells, slo)
	switch {
	case len(cells) == 0:
		return "Nothing was replayed."
	case f.cheapest == nil && f.closest == nil:
		return "Only the oracle was replayed: it shows what perfect foresight needs."
	case f.cheapest == nil:
		return f.nobody() + f.undecided(f.closest)
	case f.cheapest == f.preheat:
		return f.won() + f.undecided(f.preheat)
	}
	return f.lost() + f.undecided(f.cheapest)
}

// field is who competes: preheat and oracle where they took part, the cheapest that meets the SLO and the one that
// comes closest to it, rival the cheapest of the others that meets it, doubtful those of which the seeds do not tell.
type field struct {
	slo                                       score.SLO
	preheat, oracle, cheapest, closest, rival *result
	doubtful                                  []*result
}

func newField(cells []score.Cell, slo score.SLO) field {
	f := field{slo: slo}
	for i := range cells {
		x := judge(&cells[i], slo)
		r := &x
		switch r.policy {
		case Oracle:
			f.oracle = r
			continue
		case Preheat:
			f.preheat = r
		}
		f.closest = better(f.closest, r, func(a, b *result) bool { return a.attained > b.attained })
		if r.standing == score.Unsure {
			f.doubtful = append(f.doubtful, r)
		}
		if r.standing != score.Met {
			continue
		}
		f.cheapest = better(f.cheapest, r, cheaper)
		if !strings.HasPrefix(r.policy, Preheat) {
			f.rival = better(f.rival, r, cheaper)
		}
	}
	return f
}

func cheaper(a, b *result) bool { return a.hours < b.hours }

// better returns the candidate where there is nothing yet or it beats what there is.
func better(best, candidate *result, beats func(a, b *result) bool) *result {
	if best == nil || beats(candidate, best) {
		return candidate
	}
	return best
}

// won is the verdict where Preheat is the cheapest that meets the SLO.
func (f field) won() string {
	s := fmt.Sprintf("Preheat meets the SLO at the least cost: %s%s", hours(f.preheat), f.againstOracle(f.preheat))
	if f.rival == nil {
		return s + "; no other policy meets it."
	}
	return s + fmt.Sprintf("; the next that meets it, %s, needs %s (%s).", f.rival.policy, hours(f.rival), more(f.rival, f.preheat))
}

// lost is the verdict where another is the cheapest.
func (f field) lost() string {
	s := fmt.Sprintf("%s meets the SLO at the least cost: %s%s.", f.cheapest.policy, hours(f.cheapest), f.againstOracle(f.cheapest))
	return s + f.standing(f.cheapest)
}

// nobody is the verdict where no policy meets the SLO.
func (f field) nobody() string {
	who := "No policy meets the SLO"
	if len(f.doubtful) > 0 {
		who = "No policy is sure to meet the SLO"
	}
	if f.oracle != nil && f.oracle.standing == score.Missed {
		who += ", not even the oracle"
	}
	s := fmt.Sprintf("%s: it asks for %s of all requests, and the closest, %s, gets %s of them there%s with %s%s.", who,
		percent(f.slo.Attainment), f.closest.policy, percent(f.closest.attained), f.doubt(f.closest), hours(f.closest), f.againstOracle(f.closest))
	return s + f.standing(f.closest)
}

// standing says how Preheat compares with the best, where it is not the best itself.
func (f field) standing(best *result) string {
	p := f.preheat
	switch {
	case p == nil || p == best:
		return ""
	case p.standing == score.Met:
		return fmt.Sprintf(" Preheat meets it too, with %s: %s%s.", hours(p), more(p, best), f.againstOracle(p))
	case p.standing == score.Unsure:
		return fmt.Sprintf(" Whether Preheat meets it is unsure: %s of requests, from %s to %s over %d seeds, with %s (%s, compared with %s)%s.",
			percent(p.attained), percent(p.low), percent(p.high), p.seeds, hours(p), more(p, best), best.policy, f.againstOracle(p))
	}
	return fmt.Sprintf(" Preheat misses it: %s of requests instead of %s, with %s (%s, compared with %s)%s.",
		percent(p.attained), percent(f.slo.Attainment), hours(p), more(p, best), best.policy, f.againstOracle(p))
}

// againstOracle is what a result costs next to perfect foresight.
func (f field) againstOracle(r *result) string {
	if !finite(r.ratio) {
		return ""
	}
	return fmt.Sprintf(", %.2f × the oracle", r.ratio)
}

// doubt is between what the attainment of a result may be, where the objective lies in between.
func (f field) doubt(r *result) string {
	if r.standing != score.Unsure {
		return ""
	}
	return fmt.Sprintf(" (unsure: from %s to %s over %d seeds)", percent(r.low), percent(r.high), r.seeds)
}

// undecided names those of which the seeds do not tell, besides Preheat and the best, of which all is said.
func (f field) undecided(best *result) string {
	var names []string
	for _, r := range f.doubtful {
		if r != f.preheat && r != best {
			names = append(names, r.policy)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" Unsure, for want of seeds: %s.", strings.Join(names, ", "))
}

// hours are a result's GPU-hours.
func hours(r *result) string {
	if !finite(r.hours) {
		return "an unknown number of GPU-hours"
	}
	return score.Amount(r.hours) + " GPU-hours"
}

// more is how much more or less a result costs than another, and whether other seeds might turn that round.
func more(r, than *result) string {
	share, word := 100*(r.hours/than.hours-1), "more"
	if share < 0 {
		share, word = -share, "less"
	}
	decimals := 0
	if share < 9.95 {
		decimals = 1
	}
	s := strconv.FormatFloat(share, 'f', decimals, 64) + " % " + word
	if r.seeds > 1 && r.leastHours <= than.mostHours && than.leastHours <= r.mostHours {
		s += fmt.Sprintf(", within the spread of the %d seeds", r.seeds)
	}
	return s
}

// quantity is a number with three digits, more where it is larger.
func quantity(x float64) string {
	switch a := math.Abs(x); {
	case !finite(x):
		return "an unknown number of"
	case a >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// percent is a share, rounded down, so that 99 % is never said of less.
func percent(x float64) string {
	if !finite(x) {
		return "an unknown share"
	}
	return strconv.FormatFloat(math.Floor(x*1e4+1e-6)/100, 'f', -1, 64) + " %"
}

// span is a time in words: "90 s", "12 min", "1 h 5 min", "7 d".
func span(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}}
	if d < 2*time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
	}
	d = d.Round(time.Minute)
	var parts []string
	for _, u := range units {
		if n := d / u.size; n > 0 && len(parts) < 2 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d %= u.size
		}
	}
	return strings.Join(parts, " ")
}
