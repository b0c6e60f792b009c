package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/report"
)

// The bounds of issue 5 on GPU-hours relative to the oracle's.
const (
	boundSmooth    = 1.10 // smooth and regime-shift traces, lead times to 120 s
	boundShiftLong = 1.30 // regime shifts at 300 s
	boundSpikes    = 1.35 // clock-driven spikes, lead times to 120 s
	boundAll       = 1.15 // the geometric mean of all
)

// bound is what Preheat may cost at most in every cell of a class under a lead time in seconds, zero where nothing is said.
func bound(c class, lead float64) float64 {
	switch {
	case (c == smooth || c == shift) && lead <= 120:
		return boundSmooth
	case c == shift && lead <= 300:
		return boundShiftLong
	case c == spikes && lead <= 120:
		return boundSpikes
	}
	return 0
}

// tally is how a policy stands over some cells: those in which the oracle meets the objective.
type tally struct {
	Policy string `json:"policy"`
	// Class and Lead (seconds) say which cells; empty and zero are all.
	Class class   `json:"class,omitempty"`
	Lead  float64 `json:"lead_time_s,omitempty"`
	Cells int     `json:"cells"`
	// Mean is the geometric mean of GPU-hours over the oracle's; Worst the highest, in the cell WorstCell.
	Mean      float64 `json:"geometric_mean"`
	Worst     float64 `json:"worst"`
	WorstCell string  `json:"worst_cell,omitempty"`
	// Attained is the number of cells in which the objective is met.
	Attained int `json:"attained"`
	// Bound is what the issue allows, zero where it says nothing; Above the cells above it.
	Bound float64 `json:"bound,omitempty"`
	Above int     `json:"above"`
	// PerCell says that the bound holds for each cell, not for the mean alone.
	PerCell bool `json:"per_cell"`
}

// met says whether the bound is kept, and the objective attained wherever the oracle does: a policy that misses requests
// is cheap.
func (t tally) met() bool {
	return t.Cells > 0 && t.Attained == t.Cells && t.Mean <= t.Bound && (!t.PerCell || t.Above == 0)
}

// geomean is the geometric mean of positive numbers, zero of none.
func geomean(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(x)))
}

// tallied sums a policy up over the cells that are wanted.
func tallied(cells []cell, policy string, wanted func(*cell) bool) tally {
	t := tally{Policy: policy}
	var ratios []float64
	for i := range cells {
		c := &cells[i]
		f, ok := c.of(policy)
		if !ok || !c.Oracle.Met || !wanted(c) {
			continue
		}
		x := c.ratio(f)
		ratios = append(ratios, x)
		if c.attains(f) {
			t.Attained++
		}
		if x > t.Worst {
			t.Worst, t.WorstCell = x, c.Name
		}
		if b := bound(c.Class, c.Lead); b > 0 && x > b {
			t.Above++
		}
	}
	t.Cells, t.Mean = len(ratios), geomean(ratios)
	return t
}

// summary is what follows from the cells.
type summary struct {
	// Tallies are by class and lead time, then over all, of every policy.
	Tallies []tally `json:"tallies"`
	// Peak compares Preheat with the static peak of hindsight on on/off services.
	Peak peak `json:"static_peak"`
	// Rivals are Preheat beside each other policy.
	Rivals []rival `json:"rivals"`
	// OracleMisses are the cells in which the oracle does not meet the objective either: they count nowhere.
	OracleMisses []string `json:"oracle_misses,omitempty"`
	// OracleAlone are those in which nobody but the oracle does.
	OracleAlone []string `json:"oracle_alone,omitempty"`
	// Unmet are the sentences about what Preheat should keep and does not; empty where all is kept.
	Unmet []string `json:"unmet,omitempty"`
}

// peak is Preheat's cost beside that of the policy static-peak in the cells of on/off services.
type peak struct {
	Cells int `json:"cells"`
	// Above are the cells in which Preheat costs more, Missed those in which it misses the objective that the oracle meets.
	Above  []string `json:"above,omitempty"`
	Missed []string `json:"missed,omitempty"`
}

func (p peak) met() bool { return p.Cells > 0 && len(p.Above) == 0 && len(p.Missed) == 0 }

// rival is Preheat beside one other policy, over the cells in which the oracle meets the objective.
type rival struct {
	Policy string `json:"policy"`
	// Both is the number of cells in which both meet the objective, and Ratio the geometric mean there of Preheat's GPU-hours
	// over the other's.
	Both  int     `json:"both_attain"`
	Ratio float64 `json:"preheat_over_rival"`
	// Wins and Losses are cells in which one of the two meets the objective and the other does not, or does so for less.
	Wins   int `json:"wins"`
	Losses int `json:"losses"`
	// Lost names the losses.
	Lost []string `json:"lost,omitempty"`
}

// summarize draws the conclusions.
func summarize(cells []cell) summary {
	var s summary
	for i := range cells {
		c := &cells[i]
		if !c.Oracle.Met {
			s.OracleMisses = append(s.OracleMisses, c.Name)
		} else if !slices.ContainsFunc(c.Policies, c.attains) {
			s.OracleAlone = append(s.OracleAlone, c.Name)
		}
	}
	for _, policy := range policiesOf(cells) {
		s.Tallies = append(s.Tallies, tallies(cells, policy)...)
		if _, ok := cells[0].of(report.Preheat); ok && policy != report.Preheat {
			s.Rivals = append(s.Rivals, versus(cells, policy))
		}
	}
	s.Peak = beside(cells)
	s.Unmet = s.unmet()
	return s
}

// policiesOf lists the policies in the order of the first cell.
func policiesOf(cells []cell) []string {
	var names []string
	if len(cells) > 0 {
		for _, f := range cells[0].Policies {
			names = append(names, f.Policy)
		}
	}
	return names
}

// leadsOf lists the lead times in seconds, shortest first.
func leadsOf(cells []cell) []float64 {
	var leads []float64
	for _, c := range cells {
		leads = append(leads, c.Lead)
	}
	slices.Sort(leads)
	return slices.Compact(leads)
}

// tallies are those of one policy that have a cell.
func tallies(cells []cell, policy string) []tally {
	var out []tally
	for _, k := range classes {
		for _, lead := range leadsOf(cells) {
			t := tallied(cells, policy, func(c *cell) bool { return c.Class == k && c.Lead == lead })
			t.Class, t.Lead, t.Bound, t.PerCell = k, lead, bound(k, lead), true
			if t.Cells > 0 {
				out = append(out, t)
			}
		}
	}
	all := tallied(cells, policy, func(*cell) bool { return true })
	all.Bound = boundAll
	return append(out, all)
}

// beside compares Preheat with the static peak on on/off services.
func beside(cells []cell) peak {
	var p peak
	for i := range cells {
		c := &cells[i]
		ours, ok := c.of(report.Preheat)
		static, known := c.of("static-peak")
		if c.Class != onOff || !ok || !known {
			continue
		}
		p.Cells++
		if ours.GPUHours > static.GPUHours*(1+1e-9) {
			p.Above = append(p.Above, c.Name)
		}
		if c.Oracle.Met && !c.attains(ours) {
			p.Missed = append(p.Missed, c.Name)
		}
	}
	return p
}

// versus compares Preheat with another policy.
func versus(cells []cell, policy string) rival {
	r := rival{Policy: policy}
	var ratios []float64
	for i := range cells {
		c := &cells[i]
		ours, ok := c.of(report.Preheat)
		theirs, known := c.of(policy)
		if !ok || !known || !c.Oracle.Met {
			continue
		}
		we, they := c.attains(ours), c.attains(theirs)
		if we && they {
			ratios = append(ratios, ours.GPUHours/theirs.GPUHours)
		}
		switch {
		case we && (!they || ours.GPUHours < theirs.GPUHours):
			r.Wins++
		case they && (!we || theirs.GPUHours < ours.GPUHours):
			r.Losses++
			r.Lost = append(r.Lost, c.Name)
		}
	}
	r.Both, r.Ratio = len(ratios), geomean(ratios)
	return r
}

// ofPreheat are Preheat's tallies that have a bound.
func (s *summary) ofPreheat() []tally {
	var out []tally
	for _, t := range s.Tallies {
		if t.Policy == report.Preheat && t.Bound > 0 {
			out = append(out, t)
		}
	}
	return out
}

// unmet says in words which bounds are missed.
func (s *summary) unmet() []string {
	var out []string
	for _, t := range s.ofPreheat() {
		if t.Cells > 0 && !t.met() {
			out = append(out, fmt.Sprintf("%s: %s", t.where(), t.shortfall()))
		}
	}
	if s.Peak.Cells > 0 && !s.Peak.met() {
		out = append(out, fmt.Sprintf("on-off: above static-peak in %d of %d cells, below the objective in %d", len(s.Peak.Above), s.Peak.Cells, len(s.Peak.Missed)))
	}
	for _, r := range s.Rivals {
		out = append(out, r.unmet()...)
	}
	return out
}

// foreknowing are the policies that are told the load in hindsight: bounds rather than rivals.
var foreknowing = map[string]bool{"static-peak": true, "static-mean": true, "cron": true}

// unmet says in words where Preheat falls behind a rival: it is to beat the defaults of every other policy in every cell,
// and to cost no more than each that is tuned, in the mean over cells in which both meet the objective.
func (r rival) unmet() []string {
	_, tuned := strings.CutSuffix(r.Policy, tunedName(""))
	switch {
	case strings.HasPrefix(r.Policy, report.Preheat):
	case tuned && r.Ratio > 1:
		return []string{fmt.Sprintf("%s: Preheat costs %.3f times as much in the %d cells in which both meet the objective", r.Policy, r.Ratio, r.Both)}
	case !tuned && r.Losses > 0:
		name := r.Policy
		if foreknowing[name] {
			name += ", which knows the load beforehand"
		}
		return []string{fmt.Sprintf("%s: meets the objective for less than Preheat, or alone, %d : %d (%s)", name, r.Losses, r.Wins, some(r.Lost))}
	}
	return nil
}

// where names the cells of a tally.
func (t tally) where() string {
	if t.Class == "" {
		return "all cells"
	}
	return fmt.Sprintf("%s at %.0f s", t.Class, t.Lead)
}

// shortfall says what keeps a bound from being met.
func (t tally) shortfall() string {
	text := fmt.Sprintf("geometric mean %.3f of at most %.2f", t.Mean, t.Bound)
	if t.PerCell {
		text += fmt.Sprintf(", %d of %d cells above", t.Above, t.Cells)
	}
	return fmt.Sprintf("%s, below the objective in %d of %d", text, t.Cells-t.Attained, t.Cells)
}
