package report

import (
	"slices"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// page is the data in the page. Times are in seconds; policies and lead times are places in their lists, columns and
// words places in Columns and Texts.
type page struct {
	SLO      score.Objectives  `json:"slo"`
	Requests uint64            `json:"requests"`
	Length   number            `json:"length"`
	Currency string            `json:"currency"`
	Leads    []pageLead        `json:"leads"`
	Policies []pagePolicy      `json:"policies"`
	Results  []pageResult      `json:"results"`
	Settings []pageSetting     `json:"settings"`
	Runs     []pageRun         `json:"runs"`
	Reasons  map[string]string `json:"reasons"`
	Columns  *columns          `json:"columns"`
	Texts    *texts            `json:"texts"`
}

// pageLead is one lead time and what is to be said of it.
type pageLead struct {
	Seconds number `json:"seconds"`
	Verdict string `json:"verdict"`
}

// pagePolicy is how a policy is drawn everywhere.
type pagePolicy struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Style style  `json:"style"`
}

// pageResult is a cell: Figures have score's names, beside them ratio, the GPU-hours as a multiple of the oracle's.
type pageResult struct {
	Policy  int               `json:"policy"`
	Lead    int               `json:"lead"`
	Seeds   int               `json:"seeds"`
	SLO     score.Standing    `json:"slo"`
	Figures map[string]number `json:"figures"`
}

// pageSetting is a further point of cost against attainment.
type pageSetting struct {
	Policy     int    `json:"policy"`
	Label      string `json:"label"`
	GPUHours   number `json:"gpu_hours"`
	Attainment number `json:"attainment"`
}

// pageRun is a Run: Columns by name, the quantiles of TTFT one column for each doubling of the bins' width.
type pageRun struct {
	Policy  int            `json:"policy"`
	Lead    int            `json:"lead"`
	GPUs    int            `json:"gpus"`
	End     number         `json:"end"`
	Width   number         `json:"width"`
	Bins    int            `json:"bins"`
	Columns map[string]int `json:"columns"`
	TTFT50  []int          `json:"ttft50"`
	TTFT99  []int          `json:"ttft99"`
	Log     decisionLog    `json:"log"`
}

// bounds are how much of each run goes into the page.
type bounds struct{ bins, decisions int }

// newPage puts a report into the page's data.
func newPage(r *Report, b bounds) *page {
	p := &page{
		SLO: r.SLO.Objectives(), Requests: r.Trace.Requests, Length: number(r.Trace.Duration), Currency: r.Currency,
		Reasons: map[string]string{}, Leads: []pageLead{}, Policies: []pagePolicy{}, Results: []pageResult{}, Settings: []pageSetting{}, Runs: []pageRun{}, Columns: &columns{}, Texts: &texts{},
	}
	leads, names := r.leads(), r.policies()
	p.name(r, leads, names)
	for i := range r.Cells {
		c := &r.Cells[i]
		x := judge(c, r.SLO)
		p.Results = append(p.Results, pageResult{
			slices.Index(names, c.Policy), slices.Index(leads, c.LeadTime), x.seeds, x.standing, x.figures(c),
		})
	}
	for _, x := range r.Settings {
		p.Settings = append(p.Settings, pageSetting{slices.Index(names, x.Policy), x.Label, number(x.GPUHours), number(x.Attainment)})
	}
	for i := range r.Runs {
		o := r.Runs[i].options
		p.Runs = append(p.Runs, p.run(&r.Runs[i], b, slices.Index(names, o.Policy), slices.Index(leads, o.Lead.Seconds())))
	}
	return p
}

// name puts the lead times and the policies into the page's data.
func (p *page) name(r *Report, leads []float64, names []string) {
	for _, lead := range leads {
		p.Leads = append(p.Leads, pageLead{number(lead), Verdict(r.at(lead), r.SLO)})
	}
	styles := stylesOf(names)
	for i, name := range names {
		p.Policies = append(p.Policies, pagePolicy{name, r.Titles[name], styles[i]})
	}
}

// leads are the lead times that occur, in seconds, ascending.
func (r *Report) leads() []float64 {
	leads := []float64{}
	for i := range r.Cells {
		leads = append(leads, r.Cells[i].LeadTime)
	}
	for i := range r.Runs {
		leads = append(leads, r.Runs[i].options.Lead.Seconds())
	}
	slices.Sort(leads)
	return slices.Compact(leads)
}

// policies are the names that occur, in order of first occurrence.
func (r *Report) policies() []string {
	names := []string{}
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range r.Cells {
		add(r.Cells[i].Policy)
	}
	for i := range r.Runs {
		add(r.Runs[i].options.Policy)
	}
	for _, x := range r.Settings {
		add(x.Policy)
	}
	return names
}

// at returns the cells of one lead time.
func (r *Report) at(lead float64) []score.Cell {
	return slices.DeleteFunc(slices.Clone(r.Cells), func(c score.Cell) bool { return c.LeadTime != lead })
}

// figures are the numbers of a result in the page's data; those of which nothing is known are absent.
func (r *result) figures(c *score.Cell) map[string]number {
	out := map[string]number{"ratio": number(r.ratio)}
	for name, i := range c.Figures {
		out[name] = number(i.Mean)
		if i.Low != nil && i.High != nil {
			out[name+"_low"], out[name+"_high"] = number(*i.Low), number(*i.High)
		}
	}
	out["attainment"], out["attainment_low"], out["attainment_high"] = number(r.attained), number(r.low), number(r.high)
	return out
}

// run puts a run into the page's data, thinned to the bounds.
func (p *page) run(r *Run, b bounds, policy, lead int) pageRun {
	bins, log, longest := r.bins.clone(b.bins), r.log.clone(b.decisions), r.longest.Seconds()
	out := pageRun{
		Policy: policy, Lead: lead, GPUs: r.options.GPUs, End: number(r.end.Seconds()), Width: number(bins.width.Seconds()),
		Bins: len(bins.list), Columns: map[string]int{}, Log: p.decisions(&log),
	}
	for _, c := range binColumns {
		out.Columns[c.name] = p.Columns.add(pick(bins.list, c.value), c.format)
	}
	if slices.ContainsFunc(bins.list, func(b bin) bool { return b.skillHours.n > 0 }) {
		for _, c := range skillColumns {
			out.Columns[c.name] = p.Columns.add(pick(bins.list, c.value), c.format)
		}
	}
	out.Columns["waiting"] = p.Columns.add(bins.waiting(r.end), significant)
	for level := bins; ; level.fold() {
		out.TTFT50 = append(out.TTFT50, p.Columns.add(pick(level.list, func(b *bin) float64 { return b.firstToken(0.5, longest) }), significant))
		out.TTFT99 = append(out.TTFT99, p.Columns.add(pick(level.list, func(b *bin) float64 { return b.firstToken(0.99, longest) }), significant))
		if len(level.list) <= coarsest {
			break
		}
	}
	for _, e := range log.entries {
		p.Reasons[string(e.decision.Reason)] = Meaning(e.decision.Reason)
	}
	return out
}

// coarsest is the number of bins below which wider ones would only hide: a chart is several hundred pixels wide.
const coarsest = 100

// binColumn is one number of each bin; replicas are means over the bin.
type binColumn struct {
	name   string
	format func([]byte, float64) []byte
	value  func(*bin) float64
}

var binColumns = []binColumn{
	{"arrived", whole, func(b *bin) float64 { return float64(b.arrived) }},
	{"missed", whole, func(b *bin) float64 { return float64(b.missed) }},
	{"starting", thousandths, func(b *bin) float64 { return b.starting / b.covered }},
	{"ready", thousandths, func(b *bin) float64 { return b.ready / b.covered }},
	{"draining", thousandths, func(b *bin) float64 { return b.draining / b.covered }},
	{"unschedulable", thousandths, func(b *bin) float64 { return b.unschedulable / b.covered }},
	{"desired", thousandths, func(b *bin) float64 { return b.desired / b.covered }},
	{"queued", significant, func(b *bin) float64 { return b.queued.value() }},
	{"point", significant, func(b *bin) float64 { return b.point.value() }},
	{"upper", significant, func(b *bin) float64 { return b.upper.value() }},
}

// skillColumns are absent where no bin has a skill.
var skillColumns = []binColumn{
	{"skill_hours", thousandths, func(b *bin) float64 { return b.skillHours.value() }},
	{"skill_days", thousandths, func(b *bin) float64 { return b.skillDays.value() }},
	{"withdrawn", thousandths, func(b *bin) float64 { return b.withdrawn.value() }},
}

// Meaning is a reason in a sentence; empty for those that only an adapter knows.
func Meaning(r scaling.Reason) string { return meanings[r] }
