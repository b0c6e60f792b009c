package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock":   clock,
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
	"number":  func(v float64) string { return fmt.Sprintf("%.3g", v) },
}).Parse(pageText))

// page is what the template shows.
type page struct {
	*Run
	Heading    []string
	Rows       []pageRow
	Charts     []pageChart
	PerReplica float64
	Forecasts  bool
	Log        []Decision
}

type pageRow struct {
	Cells []string
	Ours  bool
}

type pageChart struct {
	*Policy
	Picture template.HTML
}

// WriteHTML writes the page: one file that needs nothing else.
func (r *Run) WriteHTML(w io.Writer) error {
	c := r.scale()
	p := page{Run: r, Heading: heading, PerReplica: c.perReplica}
	for i := range r.Policies {
		policy := &r.Policies[i]
		p.Rows = append(p.Rows, pageRow{policy.row(), policy.Name == Preheat})
		p.Charts = append(p.Charts, pageChart{policy, r.chart(policy, c)})
		p.Log = append(p.Log, policy.Decisions...)
		p.Forecasts = p.Forecasts || len(policy.Forecast) > 0
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}
