package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var pictures = flag.String("pictures", "", "directory for pictures of the page, taken where a reader would look")

// diary is a sink that keeps every decision, to hold the page against.
type diary struct{ decisions []scaling.Decision }

func (d *diary) Ended(replay.Request)  {}
func (d *diary) Counted(replay.Census) {}
func (d *diary) Decided(_ string, x scaling.Decision, _ baseline.Gateway) {
	d.decisions = append(d.decisions, x)
}

// before is the decision in force at a time since the start.
func (d *diary) before(t time.Duration) *scaling.Decision {
	i := sort.Search(len(d.decisions), func(i int) bool { return d.decisions[i].Time.Sub(start) > t })
	return &d.decisions[i-1]
}

// A reader opens the page in a browser, light and dark, wide and narrow, and clicks through it. The page must neither
// complain nor ask the network for anything.
func TestThePageInABrowser(t *testing.T) {
	const length = 30 * time.Minute
	leads := []time.Duration{30 * time.Second, 2 * time.Minute}
	r, longer := example(length, leads...), example(length, 5*time.Minute)
	r.Cells = append(r.Cells, longer.Cells...) // scores without curves
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(write(t, r)), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 800} {
			b.screen(width, 900, scheme)
			b.open(page)
			b.run(fmt.Sprintf("%s, %d wide", scheme, width), func(t *testing.T) {
				v := &visit{browser: b, t: t, length: length, lead: leads[0]}
				v.looks(scheme, width)
				v.table()
				v.picksPolicies()
				v.zooms()
				v.asksWhy(v.decisions())
				v.walks()
				v.filtersTheLog()
				v.changesTheLead(leads[1])
				v.pictures(scheme, width)
			})
		}
	}
	b.silent(page)
}

// On a telephone the panel that explains a decision is one column, so that no figure is broken into its letters.
func TestThePageOnATelephone(t *testing.T) {
	const length = 5 * time.Minute
	page := filepath.Join(t.TempDir(), "report.html")
	r := example(length, 30*time.Second)
	if err := os.WriteFile(page, []byte(write(t, r)), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	b.screen(390, 850, "light")
	b.open(page)
	b.eval("pin(120)", nil)
	v := &visit{browser: b, t: t, length: length}
	v.equal("document.documentElement.scrollWidth <= window.innerWidth", "true")
	v.equal("document.querySelectorAll('#why .figures dd').length > 3", "true")
	v.equal("[...document.querySelectorAll('#why .figures dd')].filter(d => d.clientHeight > 3 * parseFloat(getComputedStyle(d).lineHeight)).map(d => d.textContent).join('|')", "")
	b.silent(page)
}

// Reports of next to nothing are pages too: no script stumbles over what is missing, and a click does no harm.
func TestOddReportsInABrowser(t *testing.T) {
	silent := tiny()
	silent.Runs = []report.Run{report.NewRecorder(report.Options{Policy: "preheat", Lead: 2 * time.Second}).Run()}
	aimless := tiny()
	aimless.SLO = score.SLO{}
	cut := interruptedExample()
	scoreless := tiny()
	scoreless.Cells = nil
	b := newBrowser(t)
	b.screen(1280, 900, "light")
	for name, r := range map[string]report.Report{
		"nothing": {}, "six requests": tiny(), "a run of which nothing was told": silent, "no objective": aimless, "curves without scores": scoreless, "a replay that was interrupted": cut,
	} {
		b.run(name, func(t *testing.T) {
			page := filepath.Join(t.TempDir(), "report.html")
			if err := os.WriteFile(page, []byte(write(t, r)), 0o644); err != nil {
				t.Fatal(err)
			}
			b.open(page)
			b.eval("for (const t of [0, 1, 1e9, null]) { pin(t); walk(1); walk(-1); scale(0.5); place(); showAll(); }", nil)
			if got := b.text("document.querySelector('#missing')?.textContent ?? ''"); strings.Contains(got, r.Missing+".") != (r.Missing != "") {
				t.Errorf("the page says %q is missing, want %q", got, r.Missing)
			}
			b.eval("for (let i = 0; i < D.leads.length; i++) chooseLead(i)", nil)
			b.silent(page)
		})
	}
}

// uncertain is a report over three seeds of a policy that meets the SLO at 30 s, may at 120 s and does not at 300 s, and of one
// of which the seeds tell at no lead time but the last.
func uncertain() report.Report {
	var scores []score.Score
	add := func(policy string, shares [3][3]float64) {
		for seed, row := range shares {
			for i, lead := range []float64{30, 120, 300} {
				s := score.Score{Policy: policy, Seed: uint64(seed + 1), LeadTime: lead, Attainment: &score.Attainment{Both: row[i]}}
				s.GPUHours.Total = 10
				scores = append(scores, s)
			}
		}
	}
	add("keda", [3][3]float64{{0.995, 0.999, 0.9}, {0.996, 0.985, 0.91}, {0.994, 0.99, 0.92}})
	add("kpa", [3][3]float64{{0.98, 0.98, 0.9}, {0.996, 0.985, 0.91}, {0.997, 0.995, 0.92}})
	return report.Report{Title: "uncertain", SLO: slo, Cells: score.Compare(scores, report.Oracle)}
}

// The page says met, missed and unsure as the terminal does, in the table and in that of lead times, and explains it.
func TestThePageSaysWhatTheSeedsDoNotTell(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(write(t, uncertain())), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	b.screen(1280, 900, "light")
	b.open(page)
	v := &visit{browser: b, t: t}
	for lead, want := range []string{"✓ met|≈ unsure", "≈ unsure|≈ unsure", "✗ missed|✗ missed"} {
		v.eval(fmt.Sprintf("chooseLead(%d)", lead), nil)
		v.wait(fmt.Sprintf("[...document.querySelectorAll('#policies .mark')].map(m => m.textContent).join('|') === '%s'", want))
	}
	v.equal("[...document.querySelectorAll('#sweep-table tbody tr')].map(r => r.lastChild.textContent).join('|')", "up to 30 s, unsure below 5 min|unsure below 5 min")
	v.equal("document.querySelector('#sweep-table .mark.unsure').title.includes('confidence interval')", "true")
	v.equal("document.querySelector('#glossary').textContent.includes('unsure where the objective lies inside')", "true")
	v.equal("document.querySelector('#policies-note').textContent.includes('charts below')", "false")
	b.silent(page)
}

// A replay that was ended before any run was done has no table to click on.
func TestThePageOfNothingFinishedSaysSo(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(write(t, report.Report{Title: "cut", SLO: slo, Missing: "2 of 2 runs are missing"})), 0o644); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	b.screen(1280, 900, "light")
	b.open(page)
	v := &visit{browser: b, t: t}
	v.equal("document.querySelector('#policies-note').textContent", "No run came to its end: there is nothing to compare.")
	v.equal("document.querySelector('#policies').hidden", "true")
	b.silent(page)
}

// interruptedExample lacks the oracle and the last two policies of its second lead time.
func interruptedExample() report.Report {
	whole, short := example(5*time.Minute, 30*time.Second, 2*time.Minute), example(5*time.Minute, 30*time.Second)
	n := len(short.Cells)
	late := slices.DeleteFunc(slices.Clone(whole.Cells[n:2*n-2]), func(c score.Cell) bool { return c.Policy == report.Oracle })
	for i := range late {
		late[i].ToOracle = nil
	}
	whole.Cells, whole.Runs, whole.Missing = append(short.Cells, late...), whole.Runs[:n+1], "3 of 18 runs are missing"
	return whole
}

// visit is one walk through the page; its methods are what the reader does, in order.
type visit struct {
	*browser
	t      *testing.T
	length time.Duration
	lead   time.Duration
}

// equal fails where an expression of the page is not what is wanted.
func (v *visit) equal(expression, want string) {
	v.t.Helper()
	if got := v.text(expression); got != want {
		v.t.Errorf("%s: got %q, want %q", expression, got, want)
	}
}

// looks checks the colours, and that nothing is wider than the window or drawn empty.
func (v *visit) looks(scheme string, width int) {
	v.equal("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'", strconv.FormatBool(scheme == "light"))
	v.equal("document.documentElement.scrollWidth <= window.innerWidth", "true")
	v.equal("window.innerWidth", strconv.Itoa(width))
	v.equal(`[...document.querySelectorAll('figure canvas:not(.swatch), .chart canvas')].filter(c =>
		new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer).some(x => x !== 0)).length`, "10")
	v.equal("document.querySelector('#verdict').textContent.startsWith('At a lead time of 30 s: Preheat meets the SLO at the least cost')", "true")
	v.equal("[...document.querySelectorAll('#policies tbody tr')].every(r => /^[0-9]+\\.[0-9]{2}$/.test(r.cells[3].textContent))", "true")
	v.equal("document.querySelector('#chart-cost .legend b').textContent", v.text("document.querySelector('#policies tr[data-policy=preheat]').cells[3].textContent"))
	v.equal("document.querySelector('#verdict').textContent.includes(document.querySelector('#policies tr[data-policy=preheat]').cells[3].textContent)", "true")
}

// table sorts by cost, there and back, and checks the words for the SLO.
func (v *visit) table() {
	v.click(`#policies [data-key="gpu_hours"]`)
	hours := "[...document.querySelectorAll('#policies tbody tr')].map(r => +r.cells[3].textContent)"
	v.equal(hours+".every((x, i, all) => i === 0 || all[i - 1] <= x)", "true")
	v.equal("document.querySelector('#policies th[aria-sort=ascending]').textContent.startsWith('GPU-hours')", "true")
	v.click(`#policies [data-key="gpu_hours"]`)
	v.equal(hours+".every((x, i, all) => i === 0 || all[i - 1] >= x)", "true")
	v.equal("document.querySelector('#policies tr[data-policy=keda] .mark').textContent", "✗ missed")
	v.equal("document.querySelector('#policies tr[data-policy=preheat] .mark').textContent", "✓ met")
}

// picksPolicies shows another policy by the list, by the table and by its lane.
func (v *visit) picksPolicies() {
	v.choose("#policy", "keda")
	v.equal("document.querySelector('#policies tr.chosen').dataset.policy", "keda")
	v.equal("document.querySelector('#chart-demand .legend').textContent.includes('keda makes no forecast')", "true")
	v.equal("document.querySelector('#chart-skill').hidden", "true")
	v.click("#policies tr[data-policy=kpa] button")
	v.equal("document.querySelector('#policy').selectedOptions[0].text", "kpa")
	x, y, _, _ := v.place("#chart-misses .canvas")
	v.clickAt(x+40, y+8+17*0.5) // the first lane is Preheat's
	v.equal("document.querySelector('#policy').selectedOptions[0].text", "preheat")
	v.choose("#other", "hpa-queue")
	v.equal("document.querySelector('#chart-replicas .legend').textContent.includes('hpa-queue holds')", "true")
}

// zooms by dragging over one chart and back by a double click, by buttons and by keys.
func (v *visit) zooms() {
	x, y, w, h := v.place("#chart-replicas .canvas")
	plot := w - 92 - 12
	v.drag(x+92+plot*0.25, y+h/2, x+92+plot*0.5, y+h/2)
	v.near("S.view[0]", v.length.Seconds()/4, 10)
	v.near("S.view[1]", v.length.Seconds()/2, 10)
	v.equal("document.querySelector('#chart-demand canvas').getAttribute('aria-label')", "Demand, preheat, 0:07 to 0:15")
	v.click(`#toolbar [aria-label="zoom out"]`)
	v.near("S.view[1] - S.view[0]", v.length.Seconds()/2, 20)
	v.click(`#toolbar [aria-label="show the whole trace"]`)
	v.near("S.view[1] - S.view[0]", v.length.Seconds(), 6)
	v.press("+")
	v.near("S.view[1] - S.view[0]", v.length.Seconds()/2, 6)
	v.press("0")
	v.near("S.view[1] - S.view[0]", v.length.Seconds(), 6)
}

// near fails where a number of the page is farther than within from what is wanted.
func (v *visit) near(expression string, want, within float64) {
	v.t.Helper()
	var got float64
	v.eval(expression, &got)
	if got < want-within || got > want+within {
		v.t.Errorf("%s: got %g, want %g within %g", expression, got, want, within)
	}
}

// decisions are those of Preheat's play at the present lead time.
func (v *visit) decisions() *diary {
	var d diary
	for _, p := range plays(v.length, v.lead) {
		if p.policy == "preheat" {
			p.run(&d)
		}
	}
	return &d
}

// asksWhy clicks on moments and compares what the page says with what was decided.
func (v *visit) asksWhy(d *diary) {
	for _, part := range []float64{0.13, 0.34, 0.52, 0.672} { // the third is while nothing is seen
		x, y, w, h := v.place("#chart-replicas .canvas")
		v.clickAt(x+92+(w-92-12)*part, y+h*0.4)
		var t float64
		v.eval("S.pin", &t)
		v.near("S.pin", part*v.length.Seconds(), 3)
		v.explains(d.before(time.Duration(t * float64(time.Second))))
	}
}

// explains checks that the page explains this decision: outcome, reason, steps, forecast and what was not seen.
func (v *visit) explains(d *scaling.Decision) {
	v.t.Helper()
	outcome := fmt.Sprintf("%d → %d replicas", d.Current, d.Replicas)
	if d.Current == d.Replicas {
		outcome = fmt.Sprintf("%d replicas, as before", d.Replicas)
	}
	if d.Replicas == 1 {
		outcome = strings.Replace(outcome, "replicas", "replica", 1)
	}
	v.equal("document.querySelector('#why .outcome').textContent", outcome+" "+string(d.Reason))
	var steps []string
	for _, s := range d.Steps {
		steps = append(steps, s.Text)
	}
	v.equal("[...document.querySelectorAll('#why .steps p')].map(p => p.textContent).join('|')", strings.Join(steps, "|"))
	v.equal("[...document.querySelectorAll('#why .unseen li')].map(p => p.textContent).join('|')", strings.Join(d.Unseen, "|"))
	if d.Forecast.Known() {
		v.equal("document.querySelector('#why .figures').textContent.includes('forecast'+num("+strconv.FormatFloat(d.Forecast.Point, 'g', 4, 64)+"))", "true")
	}
	v.equal("!!document.querySelector('#why .doubt')", strconv.FormatBool(d.Blind))
}

// walks from decision to decision by keys.
func (v *visit) walks() {
	d := v.decisions()
	v.click("#chart-demand h3")
	v.eval("pin(100)", nil) // between the decisions at 90 and 105 seconds
	for _, step := range []struct {
		key string
		at  time.Duration
	}{{"ArrowRight", 105 * time.Second}, {"ArrowRight", 120 * time.Second}, {"ArrowLeft", 105 * time.Second}, {"ArrowLeft", 90 * time.Second}} {
		v.press(step.key)
		v.near("S.pin", step.at.Seconds(), 0.01)
		v.explains(d.before(step.at))
	}
	v.press("Escape")
	v.equal("S.pin", "null")
}

// filtersTheLog by a reason and jumps to an entry.
func (v *visit) filtersTheLog() {
	d := v.decisions()
	want, first := 0, time.Duration(-1)
	for i := range d.decisions {
		if x := &d.decisions[i]; x.Reason == scaling.ForecastDemand {
			if want++; first < 0 {
				first = x.Time.Sub(start)
			}
		}
	}
	v.choose("#reason", "ForecastDemand")
	v.equal("document.querySelector('#log-count').textContent", fmt.Sprintf("%d decisions of preheat", want))
	v.equal("[...document.querySelectorAll('#log-table tbody tr')].every(r => r.cells[2].textContent === 'ForecastDemand')", "true")
	v.click("#log-table tbody tr td:nth-child(3)")
	v.near("S.pin", first.Seconds(), 0.01)
	v.explains(d.before(first))
	v.equal("document.querySelectorAll('#log-table tr.chosen').length", "1")
	v.eval("document.querySelector('#numbers').open = true", nil)
	v.wait("document.querySelectorAll('#numbers tbody tr').length > 10")
}

// changesTheLead shows the scores and curves at another lead time.
func (v *visit) changesTheLead(lead time.Duration) {
	was := v.text("document.querySelector('#policies tr[data-policy=preheat]').textContent")
	v.equal("document.querySelector('#elsewhere').hidden", "true")
	v.click("#leads label:last-child input")
	v.equal("document.querySelector('#time').hidden && document.querySelector('#log').hidden", "true")
	v.equal("document.querySelector('#elsewhere').textContent.includes('30 s, 2 min')", "true")
	v.click("#leads label:nth-of-type(1) input")
	v.equal("[...document.querySelector('#lead').options].map(o => o.text).join()", "30 s,2 min") // those that have curves
	v.equal("document.querySelector('#lead').selectedOptions[0].text", "30 s")
	v.choose("#lead", "2 min")
	v.equal("runOf(S.policy).lead", "1")
	v.equal("document.querySelector('#leads input:checked').value", "1")
	v.equal("document.querySelector('#verdict').textContent.startsWith('At a lead time of 2 min: ')", "true")
	if now := v.text("document.querySelector('#policies tr[data-policy=preheat]').textContent"); now == was {
		v.t.Errorf("the table is the same at a lead time of %v: %s", lead, now)
	}
	v.equal("document.querySelectorAll('#sweep-table tbody tr').length", "9")
	v.equal("document.querySelectorAll('#sweep-table thead th').length", "5")
}

// pictures takes one picture of each part of the page, where they are asked for.
func (v *visit) pictures(scheme string, width int) {
	if *pictures == "" {
		return
	}
	for _, part := range []string{"top", "tradeoff", "sweep", "time", "chart-ttft", "log"} {
		v.eval(fmt.Sprintf("(document.getElementById(%q) || document.body).scrollIntoView()", part), nil)
		v.shoot(filepath.Join(*pictures, fmt.Sprintf("%s-%d-%s.png", scheme, width, part)))
	}
}
