package report

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's program, in order.
var scripts = []string{
	"core.js", "plot.js", "table.js", "tradeoff.js", "sweep.js", "lanes.js", "supply.js", "skill.js", "latency.js", "cost.js", "time.js", "decision.js", "zero.js", "main.js",
}

// The bounds of the page's data. A bin takes about 75 bytes, a decision about 250, and as little as 80.
const (
	mostPageBins  = 24_000
	mostLogBytes  = 2_500_000
	leastLogBytes = 80
	leastEntries  = 100
)

// boundsOf is the most that the page can show of each of so many runs.
func boundsOf(runs int) bounds {
	runs = max(1, runs)
	return bounds{
		bins:      max(1, mostPageBins/runs),
		decisions: min(mostDecisions, max(leastEntries, mostLogBytes/leastLogBytes/runs)),
	}
}

// Write writes the page: one HTML file that needs nothing else. The same report gives the same bytes. Runs are thinned
// where there are many, so that the file stays below some 5 MB.
func Write(w io.Writer, r Report) error {
	data, err := r.data()
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	t, err := template.ParseFS(assets, "assets/page.html.tmpl")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	content := document{Report: &r, Facts: r.facts(), Style: template.CSS(asset("style.css")), Data: template.JS(data)}
	for _, name := range scripts {
		content.Script += template.JS(asset(name))
	}
	var page bytes.Buffer
	if err := t.Execute(&page, content); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if _, err := page.WriteTo(w); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// document is what the template is filled with.
type document struct {
	*Report
	Facts  []Fact
	Style  template.CSS
	Script template.JS
	Data   template.JS
}

// asset is an embedded file; one that is missing is a fault of the build.
func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// data is the page's data as JSON, within the bounds. JSON as Go writes it has no "<", so that nothing in it can end the
// script element.
func (r *Report) data() ([]byte, error) {
	b := bounds{bins: boundsOf(len(r.Runs)).bins, decisions: mostDecisions}
	for {
		p := newPage(r, b)
		n := p.logBytes()
		if n <= mostLogBytes || b.decisions == leastEntries {
			return json.Marshal(p)
		}
		b.decisions = max(leastEntries, min(b.decisions*9/10, b.decisions*mostLogBytes/n))
	}
}

// logBytes is roughly what the decision logs take.
func (p *page) logBytes() int {
	n := 0
	for i := range p.Runs {
		for _, steps := range p.Runs[i].Log.Steps {
			n += 60
			for _, s := range steps {
				n += 16 + len(s.text.numbers)
			}
		}
	}
	for _, s := range p.Texts.list {
		n += len(s)
	}
	return n
}

// facts are what was replayed, then the conditions; of those with one name the first.
func (r *Report) facts() []Fact {
	t := r.Trace
	facts := []Fact{{"trace", t.Name}, {"requests", fmt.Sprintf("%s in %s", thousands(t.Requests), span(time.Duration(t.Duration*float64(time.Second))))}}
	if t.MeanRate > 0 {
		facts = append(facts, Fact{"rate", rate(t.MeanRate, t.PeakRate)})
	}
	if t.MeanInputTokens > 0 || t.MeanOutputTokens > 0 {
		facts = append(facts, Fact{"mix", fmt.Sprintf("%s prompt and %s output tokens a request on average",
			quantity(t.MeanInputTokens), quantity(t.MeanOutputTokens))})
	}
	facts = append(facts, Fact{"SLO", r.objective()})
	for _, f := range r.Setup {
		if !slices.ContainsFunc(facts, func(told Fact) bool { return told.Name == f.Name }) {
			facts = append(facts, f)
		}
	}
	return facts
}

func rate(mean, peak float64) string {
	s := quantity(mean) + " requests/s on average"
	if peak > 0 {
		s += ", " + quantity(peak) + " at the peak"
	}
	return s
}

// objective is the SLO in words.
func (r *Report) objective() string {
	return fmt.Sprintf("%s of all requests get the first token within %s and each next one within %s on average",
		percent(r.SLO.Attainment), short(r.SLO.TTFT), short(r.SLO.TPOT))
}

// short is a time below minutes: "2 s", "100 ms".
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%g ms", float64(d)/float64(time.Millisecond))
	}
	return span(d)
}

// thousands is a count with its digits in groups of three.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
