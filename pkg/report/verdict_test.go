package report_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

// cell is a policy that was replayed once; ratio to the oracle is NaN where none was.
func cell(policy string, hours, attained, ratio float64) score.Cell {
	c := score.Cell{Policy: policy, Runs: make([]score.Score, 1), Figures: map[string]score.Interval{
		"gpu_hours": {Mean: hours, Seeds: 1}, "attainment": {Mean: attained, Seeds: 1},
	}, ToOracle: map[string]score.Interval{}}
	if !math.IsNaN(ratio) {
		c.ToOracle["gpu_hours"] = score.Interval{Mean: ratio, Seeds: 1}
	}
	return c
}

// between says what the attainment over five seeds may be.
func between(c score.Cell, low, high float64) score.Cell {
	c.Figures["attainment"] = score.Interval{Mean: c.Attained(), Low: &low, High: &high, Seeds: 5}
	c.Runs = make([]score.Score, 5)
	return c
}

// costing says what the GPU-hours over five seeds may be.
func costing(c score.Cell, low, high float64) score.Cell {
	c.Figures["gpu_hours"] = score.Interval{Mean: c.Figures["gpu_hours"].Mean, Low: &low, High: &high, Seeds: 5}
	c.Runs = make([]score.Score, 5)
	return c
}

func TestTheVerdictSaysWhoWinsAndWherePreheatLoses(t *testing.T) {
	none := math.NaN()
	oracle := cell("oracle", 10, 1, 1)
	for name, c := range map[string]struct {
		cells []score.Cell
		want  string
	}{
		"Preheat is cheapest": {
			[]score.Cell{cell("preheat", 12, 0.995, 1.2), cell("hpa-queue", 15, 0.992, 1.5), cell("keda", 11, 0.9, 1.1), oracle},
			"Preheat meets the SLO at the least cost: 12.00 GPU-hours, 1.20 × the oracle; the next that meets it, hpa-queue, needs 15.00 GPU-hours (25 % more).",
		},
		"Preheat alone meets it": {
			[]score.Cell{cell("preheat", 12, 0.995, none), cell("keda", 11, 0.9, none)},
			"Preheat meets the SLO at the least cost: 12.00 GPU-hours; no other policy meets it.",
		},
		"Preheat meets it but is dearer": {
			[]score.Cell{cell("preheat", 12, 0.995, 1.2), cell("kpa", 11.5, 0.991, 1.15), oracle},
			"kpa meets the SLO at the least cost: 11.50 GPU-hours, 1.15 × the oracle. Preheat meets it too, with 12.00 GPU-hours: 4.3 % more, 1.20 × the oracle.",
		},
		"Preheat misses what another meets": {
			[]score.Cell{cell("preheat", 9, 0.98999, 0.9), cell("kpa", 12, 0.991, 1.2), oracle},
			"kpa meets the SLO at the least cost: 12.00 GPU-hours, 1.20 × the oracle. Preheat misses it: 98.99 % of requests instead of 99 %, with 9.00 GPU-hours (25 % less, compared with kpa), 0.90 × the oracle.",
		},
		"nobody meets it": {
			[]score.Cell{cell("preheat", 9, 0.97, none), cell("kpa", 12, 0.98, none)},
			"No policy meets the SLO: it asks for 99 % of all requests, and the closest, kpa, gets 98 % of them there with 12.00 GPU-hours. Preheat misses it: 97 % of requests instead of 99 %, with 9.00 GPU-hours (25 % less, compared with kpa).",
		},
		"not even the oracle": {
			[]score.Cell{cell("keda", 9, 0.97, 0.9), cell("oracle", 10, 0.98, 1)},
			"No policy meets the SLO, not even the oracle: it asks for 99 % of all requests, and the closest, keda, gets 97 % of them there with 9.00 GPU-hours, 0.90 × the oracle.",
		},
		"of Preheat the seeds do not tell": {
			[]score.Cell{between(cell("preheat", 12, 0.992, none), 0.9871, 0.9969), cell("keda", 13, 0.995, none)},
			"keda meets the SLO at the least cost: 13.00 GPU-hours. Whether Preheat meets it is unsure: 99.2 % of requests, from 98.71 % to 99.69 % over 5 seeds, with 12.00 GPU-hours (7.7 % less, compared with keda).",
		},
		"of rivals the seeds do not tell": {
			[]score.Cell{cell("preheat", 12, 0.995, none), between(cell("keda", 11, 0.989, none), 0.98, 0.998), between(cell("kpa", 11, 0.992, none), 0.98, 0.999)},
			"Preheat meets the SLO at the least cost: 12.00 GPU-hours; no other policy meets it. Unsure, for want of seeds: keda, kpa.",
		},
		"the seeds tell of nobody that meets it": {
			[]score.Cell{between(cell("preheat", 12, 0.989, none), 0.98, 0.998), between(cell("keda", 11, 0.992, none), 0.98, 0.999), between(oracle, 0.985, 0.995)},
			"No policy is sure to meet the SLO: it asks for 99 % of all requests, and the closest, keda, gets 99.2 % of them there (unsure: from 98 % to 99.9 % over 5 seeds) with 11.00 GPU-hours. Whether Preheat meets it is unsure: 98.9 % of requests, from 98 % to 99.8 % over 5 seeds, with 12.00 GPU-hours (9.1 % more, compared with keda).",
		},
		"seeds differ more than policies": {
			[]score.Cell{costing(cell("preheat", 12, 1, none), 11, 13), costing(cell("keda", 11.9, 1, none), 11.5, 12.3), costing(cell("kpa", 14, 1, none), 13.5, 14.5)},
			"keda meets the SLO at the least cost: 11.90 GPU-hours. Preheat meets it too, with 12.00 GPU-hours: 0.8 % more, within the spread of the 5 seeds.",
		},
		"variants of Preheat are no rivals of it": {
			[]score.Cell{cell("preheat", 12, 0.995, none), cell("preheat-last-value", 12.5, 0.995, none), cell("keda", 14, 0.995, none)},
			"Preheat meets the SLO at the least cost: 12.00 GPU-hours; the next that meets it, keda, needs 14.00 GPU-hours (17 % more).",
		},
		"Preheat did not take part": {[]score.Cell{cell("keda", 9, 1, none)}, "keda meets the SLO at the least cost: 9.00 GPU-hours."},
		"the oracle alone":          {[]score.Cell{oracle}, "Only the oracle was replayed: it shows what perfect foresight needs."},
		"nothing":                   {nil, "Nothing was replayed."},
	} {
		t.Run(name, func(t *testing.T) {
			got := report.Verdict(c.cells, score.SLO{TTFT: time.Second, Attainment: 0.99})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
