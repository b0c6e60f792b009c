package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// decisionLog is the decisions of a run in the page's data; columns are places in the store of columns.
type decisionLog struct {
	// Total counts all decisions, those that were thinned out too.
	Total int `json:"total"`
	// Columns are one number for each decision, by name.
	Columns map[string]int `json:"columns"`
	// Steps and Unseen are one list for each decision.
	Steps  [][]pageStep     `json:"steps"`
	Unseen [][]pageSentence `json:"unseen"`
	// Weights names the largest shares of each decision's forecast; empty where no decision has any.
	Weights []pageSentence `json:"weights"`
}

// pageSentence is the place of a sentence and its numbers, as texts.sentence gives them.
type pageSentence struct {
	place   int
	numbers string
}

// MarshalJSON writes a pair.
func (s pageSentence) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `[%d,"%s"]`, s.place, s.numbers), nil
}

// pageStep is a step: the place of its stage's name, the replicas that it left, and its text.
type pageStep struct {
	stage, replicas int
	text            pageSentence
}

// MarshalJSON writes four values.
func (s pageStep) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `[%d,%d,%d,"%s"]`, s.stage, s.replicas, s.text.place, s.text.numbers), nil
}

// mostUnseen is how many unseen replicas a decision names; more are counted.
const mostUnseen = 4

// decisions puts a log into the page's data.
func (p *page) decisions(l *log) decisionLog {
	out := decisionLog{Total: l.total, Columns: map[string]int{}, Steps: [][]pageStep{}, Unseen: [][]pageSentence{}, Weights: p.weights(l)}
	for _, c := range decisionColumns {
		out.Columns[c.name] = p.Columns.add(pick(l.entries, c.value), c.format)
	}
	for _, c := range slices.Concat(judgedColumns, weighedColumns) {
		if column := pick(l.entries, c.value); slices.ContainsFunc(column, finite) {
			out.Columns[c.name] = p.Columns.add(column, c.format)
		}
	}
	out.Columns["reason"] = p.words(l, func(d *scaling.Decision) string { return string(d.Reason) })
	out.Columns["model"] = p.words(l, func(d *scaling.Decision) string { return d.Forecast.Model })
	for i := range l.entries {
		d := &l.entries[i].decision
		out.Steps = append(out.Steps, p.steps(d.Steps))
		out.Unseen = append(out.Unseen, p.unseen(d.Unseen))
	}
	return out
}

// mostWeights is how many experts of a mixture are named.
const mostWeights = 3

// weights names the experts that count most in each decision.
func (p *page) weights(l *log) []pageSentence {
	told := false
	out := make([]pageSentence, 0, len(l.entries))
	for i := range l.entries {
		var words []string
		weights := l.entries[i].decision.Forecast.Weights
		for _, w := range weights[:min(len(weights), mostWeights)] {
			words = append(words, fmt.Sprintf("%s %.0f %%", w.Expert, 100*w.Share))
		}
		told = told || len(words) > 0
		out = append(out, p.sentence(strings.Join(words, ", ")))
	}
	if !told {
		return []pageSentence{}
	}
	return out
}

// words is a column of places of words.
func (p *page) words(l *log, word func(*scaling.Decision) string) int {
	return p.Columns.add(pick(l.entries, func(e *entry) float64 { return float64(p.Texts.word(word(&e.decision))) }), whole)
}

func (p *page) steps(steps []scaling.Step) []pageStep {
	out := make([]pageStep, 0, len(steps))
	for _, s := range steps {
		out = append(out, pageStep{p.Texts.word(s.Stage), int(s.Replicas), p.sentence(s.Text)})
	}
	return out
}

func (p *page) unseen(unseen []string) []pageSentence {
	out := []pageSentence{}
	for i, s := range unseen {
		if i == mostUnseen {
			return append(out, p.sentence(fmt.Sprintf("and %d more", len(unseen)-i)))
		}
		out = append(out, p.sentence(s))
	}
	return out
}

func (p *page) sentence(s string) pageSentence {
	place, numbers := p.Texts.sentence(s)
	return pageSentence{place, numbers}
}

// decisionColumn is one number of each decision; NaN where the decision does not tell.
type decisionColumn struct {
	name   string
	format func([]byte, float64) []byte
	value  func(*entry) float64
}

// The columns of decisions: times in seconds, rates in requests per second.
var decisionColumns = []decisionColumn{
	{"t", thousandths, func(e *entry) float64 { return e.at.Seconds() }},
	{"from", whole, func(e *entry) float64 { return float64(e.decision.Current) }},
	{"to", whole, func(e *entry) float64 { return float64(e.decision.Replicas) }},
	{"ready", whole, func(e *entry) float64 { return float64(e.decision.Ready) }},
	{"starting", whole, func(e *entry) float64 { return float64(e.decision.Starting) }},
	{"unschedulable", whole, func(e *entry) float64 { return float64(e.decision.Unschedulable) }},
	{"waiting", significant, func(e *entry) float64 { return e.decision.Waiting }},
	{"running", significant, func(e *entry) float64 { return e.decision.Running }},
	{"demand", significant, func(e *entry) float64 { return known(e.decision.DemandKnown, e.decision.Demand) }},
	{"needed", whole, func(e *entry) float64 { return known(e.decision.Limited, float64(e.decision.Needed)) }},
	{"blind", whole, func(e *entry) float64 { return known(e.decision.Blind, 1) }},
	{"horizon", significant, func(e *entry) float64 {
		return known(e.decision.Forecast.Known(), e.decision.Forecast.Horizon.Seconds())
	}},
	{"point", significant, func(e *entry) float64 { return known(e.decision.Forecast.Known(), e.decision.Forecast.Point) }},
	{"upper", significant, func(e *entry) float64 { return known(e.decision.Forecast.Known(), e.decision.Forecast.Upper) }},
	{"quantile", significant, func(e *entry) float64 {
		return known(e.decision.Forecast.Known(), e.decision.Forecast.Quantile)
	}},
	{"lead50", significant, func(e *entry) float64 { return positive(e.decision.LeadTime.P50.Seconds()) }},
	{"lead90", significant, func(e *entry) float64 { return positive(e.decision.LeadTime.P90.Seconds()) }},
	{"capacity", significant, func(e *entry) float64 {
		return known(e.decision.Capacity.Known(), e.decision.Capacity.PerReplica)
	}},
}

// judgedColumns say how the forecasts had done by then; they are absent where no decision tells.
var judgedColumns = []decisionColumn{
	{"due", whole, func(e *entry) float64 { return positive(float64(e.decision.Forecast.Skill.Due)) }},
	{"skill_hours", thousandths, func(e *entry) float64 { return judgement(e, e.decision.Forecast.Skill.Hours) }},
	{"skill_days", thousandths, func(e *entry) float64 { return judgement(e, e.decision.Forecast.Skill.Days) }},
	{"coverage", thousandths, func(e *entry) float64 { return judgement(e, e.decision.Forecast.Coverage()) }},
	{"bias", thousandths, func(e *entry) float64 { return judgement(e, e.decision.Forecast.Skill.Bias) }},
}

// weighedColumns are the terms of the break-even of the last replica, in seconds and requests, and 1 where it goes; they are
// absent where no decision weighs it.
var weighedColumns = []decisionColumn{
	{"quiet", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Quiet.Seconds()) }},
	{"expected", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Expected.Seconds()) }},
	{"load", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Load.Seconds()) }},
	{"wait", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Wait.Seconds()) }},
	{"late", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Late) }},
	{"spare", significant, func(e *entry) float64 { return weighed(e, e.decision.BreakEven.Spare) }},
	{"pays", whole, func(e *entry) float64 {
		if e.decision.BreakEven.Pays {
			return 1
		}
		return weighed(e, 0)
	}},
}

// weighed is a term of a break-even, NaN where there was none.
func weighed(e *entry, x float64) float64 { return known(e.decision.BreakEven.Weighed(), x) }

// judgement is a figure of a forecast's skill, NaN while too few have come due.
func judgement(e *entry, x float64) float64 {
	return known(e.decision.Forecast.Known() && e.decision.Forecast.Skill.Known, x)
}

// known is a figure, or NaN where it is not known.
func known(ok bool, x float64) float64 {
	if !ok {
		return math.NaN()
	}
	return x
}

// positive is a figure of which zero means that it is not known.
func positive(x float64) float64 { return known(x > 0, x) }
