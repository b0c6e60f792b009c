package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// explainColumns is the width that explanations are wrapped to.
const explainColumns = 100

// String is the explanation in one screen: what is amiss, what is wanted and why, the numbers, the steps.
func (e *explanation) String() string {
	var b strings.Builder
	for _, t := range e.Troubles {
		writeTrouble(&b, t)
	}
	if len(e.Troubles) > 0 {
		b.WriteByte('\n')
	}
	writeWrapped(&b, "", 2, e.headline())
	if e.Reason != "" {
		writeWrapped(&b, "  why: ", 4, fmt.Sprintf("%s (%s)", orElse(e.Meaning, "see the steps"), e.Reason))
	}
	writeWrapped(&b, "  ", 4, e.circumstances())
	if e.Wanted != nil {
		e.writeFacts(&b)
		e.writeSteps(&b)
	}
	return b.String()
}

func writeTrouble(b *strings.Builder, t trouble) {
	label := strings.ToUpper(t.Name)
	if t.Since != "" {
		label += " " + t.Since
	}
	writeWrapped(b, label+": ", 2, t.Message)
	writeWrapped(b, "  To do: ", 9, t.Remedy)
}

// headline says how many replicas are wanted and how many there are.
func (e *explanation) headline() string {
	text := e.id() + ": "
	switch {
	case e.Wanted == nil:
		text += "nothing is decided yet"
	case e.Mode == v1alpha1.ModeAdvise:
		text += replicas(*e.Wanted) + " advised"
	default:
		text += replicas(*e.Wanted) + " wanted"
	}
	if e.Undone {
		text += ", which is not carried out"
	}
	r := e.Replicas
	if r == nil {
		return text
	}
	text += fmt.Sprintf("; %d asked for before, %d ready, %d starting", r.Desired, r.Ready, r.Starting)
	if r.Unschedulable > 0 {
		text += fmt.Sprintf(", %d waiting for a node or a GPU", r.Unschedulable)
	}
	return text
}

// id names it as kubectl does across namespaces.
func (e *explanation) id() string {
	if e.Namespace == "" {
		return e.Name
	}
	return e.Namespace + "/" + e.Name
}

func replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// does says what each mode writes.
var does = map[v1alpha1.Mode]string{
	v1alpha1.ModeAdvise: "nothing is written", v1alpha1.ModeFloor: "raises the minimum of its autoscaler", v1alpha1.ModeOwn: "sets the replicas",
}

// circumstances say when it was decided, and what comes of it.
func (e *explanation) circumstances() string {
	var parts []string
	if e.Decided != "" {
		parts = append(parts, "decided "+e.Decided)
	}
	if e.Scaled != "" {
		parts = append(parts, "last scaled "+e.Scaled)
	}
	if e.Mode != "" {
		parts = append(parts, fmt.Sprintf("mode %s (%s) on %s", e.Mode, does[e.Mode], e.Target))
	}
	return strings.Join(parts, "; ")
}

// facts are the stages whose steps tell a number and ask for nothing: they are told as facts, and not once more as steps.
var facts = map[string]bool{"observe": true, "demand": true, "lead time": true, "capacity": true, "budget": true, "counterfactual": true}

const (
	factIndent = 16
	stepIndent = 24
)

// writeFacts writes the numbers that the decision rests on, of each what is known.
func (e *explanation) writeFacts(b *strings.Builder) {
	b.WriteByte('\n')
	for _, f := range [][2]string{
		{"demand now", e.demandText()},
		{"demand ahead", aheadText(e.Forecast)},
		{"forecast", e.Forecasting},
		{"queue", queueText(e.Demand)},
		{"capacity", e.capacityText()},
		{"lead time", orElse(e.step("lead time"), leadTimeText(e.LeadTime))},
		{"objective", orElse(e.step("budget"), budgetText(e.ErrorBudget))},
		{"instead", e.step("counterfactual")},
	} {
		writeWrapped(b, fmt.Sprintf("  %-*s", factIndent-2, f[0]), factIndent, f[1])
	}
}

// writeSteps writes what the stages asked for, the one that decided marked.
func (e *explanation) writeSteps(b *strings.Builder) {
	var lines strings.Builder
	for _, s := range e.Steps {
		if facts[s.Stage] {
			continue
		}
		mark, asked := " ", ""
		if s.Decided {
			mark = ">"
		}
		if s.Replicas != nil {
			asked = strconv.Itoa(int(*s.Replicas))
		}
		writeWrapped(&lines, fmt.Sprintf("%s %-15s %4s  ", mark, s.Stage, asked), stepIndent, s.Text)
	}
	if lines.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "\n  step             asks  why (> decided)\n%s", lines.String())
}

func (e *explanation) demandText() string {
	if text := e.step("demand"); text != "" {
		return text
	}
	if e.Demand == nil || e.Demand.RequestsPerSecond == nil {
		return "unknown"
	}
	return figure(*e.Demand.RequestsPerSecond) + " requests/s offered"
}

// aheadText is the demand at the horizon by quantile.
func aheadText(f *v1alpha1.ForecastStatus) string {
	if f == nil || f.Horizon == nil || f.RequestsPerSecond == nil {
		return ""
	}
	quantiles := f.Quantiles
	if len(quantiles) == 0 {
		quantiles = []v1alpha1.ForecastQuantile{{Quantile: f.Quantile, RequestsPerSecond: *f.RequestsPerSecond}}
	}
	text, unit, cases := "in "+lasted(f.Horizon.Duration)+" at most", " requests/s", " of cases"
	for _, q := range quantiles {
		text += fmt.Sprintf(" %s%s in %s%s,", figure(q.RequestsPerSecond), unit, q.Quantile, cases)
		unit, cases = "", ""
	}
	return strings.TrimSuffix(text, ",")
}

func queueText(d *v1alpha1.DemandStatus) string {
	if d == nil || d.WaitingRequests == nil || d.RunningRequests == nil {
		return ""
	}
	return fmt.Sprintf("%d requests waiting, %d running", *d.WaitingRequests, *d.RunningRequests)
}

func (e *explanation) capacityText() string {
	c := e.Capacity
	switch {
	case c == nil:
		return e.step("capacity")
	case c.Message != "":
		return c.Message
	case c.RequestsPerSecond != nil:
		return fmt.Sprintf("%s requests/s a replica (%s)", figure(*c.RequestsPerSecond), c.Source)
	}
	return "unknown"
}

func leadTimeText(l *v1alpha1.LeadTimeStatus) string {
	if l == nil {
		return ""
	}
	text := fmt.Sprintf("%s (P90 %s), %s", lasted(l.P50.Duration), lasted(l.P90.Duration), strings.ToLower(string(l.Source)))
	if l.Samples > 0 {
		text += fmt.Sprintf(" from %d starts", l.Samples)
	}
	return text
}

func budgetText(s *v1alpha1.ErrorBudgetStatus) string {
	switch {
	case s == nil:
		return ""
	case s.SpentPercent == nil:
		return fmt.Sprintf("%s wanted; no request was judged", s.Wanted)
	}
	return fmt.Sprintf("%s of requests within the objectives over the last hours, %s wanted: %d%% of the error budget is used",
		s.Attained, s.Wanted, *s.SpentPercent)
}

// figure writes a quantity to three digits or so, as a person would.
func figure(q resource.Quantity) string {
	v := q.AsApproximateFloat64()
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// writeWrapped writes a text after a label, and its further lines after so many blanks; nothing where there is no text.
func writeWrapped(b *strings.Builder, label string, indent int, text string) {
	if text == "" {
		return
	}
	line := label
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > explainColumns:
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", indent) + word
		default:
			line += " " + word
		}
	}
	b.WriteString(line + "\n")
}

// writeExplanations writes a line each: what is amiss, or why there are as many replicas as there are.
func writeExplanations(out io.Writer, all []explanation) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAMESPACE\tNAME\tWANT\tREADY\tDECIDED\tWHY")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Namespace, e.Name, e.want(), e.ready(), orElse(e.Decided, "never"), e.why())
	}
	return w.Flush()
}

// mostWhy is how much of a trouble's message a line of many has.
const mostWhy = 80

// why is the worst trouble, or else the reason in a sentence.
func (e *explanation) why() string {
	if len(e.Troubles) == 0 {
		return orElse(orElse(e.Meaning, e.Reason), "nothing is decided yet")
	}
	text := []rune(strings.ToUpper(e.Troubles[0].Name) + ": " + e.Troubles[0].Message)
	if len(text) > mostWhy {
		text = append(text[:mostWhy-1], '…')
	}
	return string(text)
}

func (e *explanation) want() string {
	if e.Wanted == nil {
		return "-"
	}
	return strconv.Itoa(int(*e.Wanted))
}

func (e *explanation) ready() string {
	if e.Replicas == nil {
		return "-"
	}
	return strconv.Itoa(int(e.Replicas.Ready))
}
