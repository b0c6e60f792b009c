package report

import (
	"fmt"
	"math"

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
	out := decisionLog{Total: l.total, Columns: map[string]int{}, Steps: [][]pageStep{}, Unseen: [][]pageSentence{}}
	for _, c := range decisionColumns {
		out.Columns[c.name] = p.Columns.add(pick(l.entries, c.value), c.format)
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

// known is a figure, or NaN where it is not known.
func known(ok bool, x float64) float64 {
	if !ok {
		return math.NaN()
	}
	return x
}

// positive is a figure of which zero means that it is not known.
func positive(x float64) float64 { return known(x > 0, x) }
