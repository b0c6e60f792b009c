package report

import (
	"fmt"
	"html/template"
	"math"
	"sort"
)

// The measures of a chart, in units of its view box.
const (
	chartWidth   = 960.0
	marginLeft   = 52.0
	marginRight  = 56.0
	plotTop      = 18.0
	plotHeight   = 170.0
	missGap      = 14.0
	missHeight   = 26.0
	axisHeight   = 20.0
	plotBottom   = plotTop + plotHeight
	missTop      = plotBottom + missGap
	missBottom   = missTop + missHeight
	chartHeight  = missBottom + axisHeight
	plotRight    = chartWidth - marginRight
	labelPadding = 6.0
)

// scale maps seconds and replicas to a place in the chart. It is the same for every policy, so that pictures compare.
type scale struct {
	length   float64 // seconds
	replicas float64 // at the top
	// perReplica is the demand, in requests per second, that is drawn as high as one replica.
	perReplica float64
}

func (c scale) x(t float64) float64 {
	return marginLeft + (plotRight-marginLeft)*math.Min(math.Max(t, 0), c.length)/c.length
}

func (c scale) y(replicas float64) float64 {
	return plotBottom - plotHeight*math.Min(math.Max(replicas, 0), c.replicas)/c.replicas
}

// scale fits the highest curve of the run.
func (r *Run) scale() scale {
	c := scale{length: math.Max(r.Length, 1), perReplica: r.perReplica()}
	top := 1.0
	for _, p := range r.Policies {
		top = math.Max(top, math.Max(highest(p.Desired), highest(p.Ready)))
		for _, f := range p.Forecast {
			if f.T <= c.length {
				top = math.Max(top, f.V/c.perReplica)
			}
		}
	}
	c.replicas = math.Ceil(1.05 * math.Max(top, highest(r.Offered)/c.perReplica))
	return c
}

// perReplica is what Preheat took one replica to sustain; where nobody said, what makes demand as high as the replicas.
func (r *Run) perReplica() float64 {
	most := 1.0
	for _, p := range r.Policies {
		if p.Capacity > 0 {
			return p.Capacity
		}
		most = math.Max(most, highest(p.Ready))
	}
	if peak := highest(r.Offered); peak > 0 {
		return peak / most
	}
	return 1
}

func highest(points []Point) float64 {
	top := 0.0
	for _, p := range points {
		top = math.Max(top, p.V)
	}
	return top
}

// chart draws a policy's replicas against the offered demand, and its misses below.
func (r *Run) chart(p *Policy, c scale) template.HTML {
	s := &svg{}
	s.printf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="Replicas of %s, offered demand and SLO misses over time">`+"\n",
		chartWidth, chartHeight, template.HTMLEscapeString(p.Title))
	demand := c.trace(r.Offered, 1/c.perReplica)
	s.area("demand-area", demand, plotBottom)
	c.grid(s)
	s.path("demand", demand)
	ready := c.steps(p.Ready)
	s.area("ready-area", ready, plotBottom)
	s.path("forecast", c.trace(p.Forecast, 1/c.perReplica))
	s.path("ready", ready)
	s.path("desired", c.steps(p.Desired))
	c.marks(s, p)
	c.misses(s, p.Bins)
	c.times(s)
	s.printf("</svg>\n")
	return template.HTML(s.text.String()) // every text in it was escaped when it was drawn
}

// trace maps a curve whose values are multiplied by factor to be replicas.
func (c scale) trace(points []Point, factor float64) [][2]float64 {
	var out [][2]float64
	for _, p := range points {
		if p.T >= 0 && p.T <= c.length {
			out = append(out, [2]float64{c.x(p.T), c.y(p.V * factor)})
		}
	}
	return out
}

// steps maps a step curve, from the start of the run to its end.
func (c scale) steps(points []Point) [][2]float64 {
	var out [][2]float64
	for i, p := range points {
		end := c.length
		if i+1 < len(points) {
			end = points[i+1].T
		}
		if p.T > c.length || end < 0 {
			continue
		}
		out = append(out, [2]float64{c.x(p.T), c.y(p.V)}, [2]float64{c.x(end), c.y(p.V)})
	}
	return out
}

// grid draws both axes: replicas at the left, the demand that they sustain at the right.
func (c scale) grid(s *svg) {
	s.label("axis start", 0, plotTop-labelPadding, "replicas")
	s.label("axis end", chartWidth, plotTop-labelPadding, "requests/s")
	step := math.Max(1, math.Ceil(c.replicas/6))
	for v := 0.0; v <= c.replicas; v += step {
		y := c.y(v)
		s.line("grid", marginLeft, y, plotRight, y)
		s.label("axis end", marginLeft-labelPadding, y+4, fmt.Sprintf("%.0f", v))
		s.label("axis start", plotRight+labelPadding, y+4, fmt.Sprintf("%.0f", v*c.perReplica))
	}
}

// marks puts a dot on each decision that changed the number, with its reason.
func (c scale) marks(s *svg, p *Policy) {
	for _, d := range p.Decisions {
		if d.From == d.To || d.T < 0 || d.T > c.length {
			continue
		}
		s.dot("decision", c.x(d.T), c.y(float64(d.To)), fmt.Sprintf("%s  %d → %d replicas, %s: %s", clock(d.T), d.From, d.To, d.Reason, d.Text))
	}
}

// misses draws the share of the requests of each bin that missed the SLO.
func (c scale) misses(s *svg, bins []Bin) {
	s.label("axis end", marginLeft-labelPadding, missBottom-missHeight/2+4, "missed")
	s.label("axis start", plotRight+labelPadding, missTop+8, "100 %")
	s.line("grid", marginLeft, missBottom, plotRight, missBottom)
	for _, b := range bins {
		if b.Missed == 0 {
			continue
		}
		share := float64(b.Missed) / float64(b.Arrived)
		height := math.Max(2, missHeight*share)
		s.bar("miss", c.x(b.From), missBottom-height, math.Max(1, c.x(b.To)-c.x(b.From)-0.5), height,
			fmt.Sprintf("%s  %d of %d requests missed the SLO, longest TTFT %.1f s", clock(b.From), b.Missed, b.Arrived, b.WorstTTFT))
	}
}

// times draws the axis of time.
func (c scale) times(s *svg) {
	steps := []float64{5, 10, 30, 60, 120, 300, 600, 1800, 3600}
	step := steps[min(sort.SearchFloat64s(steps, c.length/10), len(steps)-1)]
	for t := 0.0; t <= c.length; t += step {
		s.line("grid", c.x(t), missBottom, c.x(t), missBottom+4)
		s.label("axis middle", c.x(t), missBottom+16, clock(t))
	}
}

// clock writes seconds as minutes and seconds.
func clock(t float64) string {
	whole := int(math.Round(t))
	if whole < 0 {
		return fmt.Sprintf("-%d:%02d", -whole/60, -whole%60)
	}
	return fmt.Sprintf("%d:%02d", whole/60, whole%60)
}
