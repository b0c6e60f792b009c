package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/compare"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

func TestFlagsAreCheckedAllAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		args string
		says []string
	}{
		"several":             {"--workers 0 --search 0 -o xml more", []string{"--workers 0", "--search 0", "-o xml", "more"}},
		"a policy of nobody":  {"--policies preheat,best", []string{"--policies best", "known are preheat,"}},
		"the oracle by name":  {"--policies oracle", []string{"the oracle always runs"}},
		"a policy twice":      {"--policies preheat,preheat", []string{"named twice"}},
		"a profile of nobody": {"--profiles tpu", []string{"--profiles tpu"}},
		"a lead time":         {"--leads 30", []string{"--leads 30", "as 30s,120s"}},
		"a pattern":           {"--cells (", []string{"--cells"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.Fields(tc.args), io.Discard)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %q", err, want)
				}
			}
		})
	}
}

func TestNoCellsIsAnError(t *testing.T) {
	t.Setenv("PREHEAT_CACHE", t.TempDir())
	o, err := parse([]string{"--cells", "^nothing$", "--traces", t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var aside bytes.Buffer
	err = o.run(t.Context(), io.Discard, &aside)
	if err == nil || !strings.Contains(err.Error(), "no cell matches") || !strings.Contains(aside.String(), "what needs them is left out") {
		t.Errorf("error %v, aside %q", err, aside.String())
	}
}

// small campaign: one generated load of some minutes.
func shortCampaign(t *testing.T, policies ...string) (*campaign, []row) {
	t.Helper()
	m := &campaign{
		options: options{policies: policies, seed: 1, search: 40, workers: 2, tuned: true},
		oracles: oracles{t.TempDir()}, aside: io.Discard,
	}
	return m, []row{{load: crowd(), profile: small, leads: []time.Duration{30 * time.Second}}}
}

func TestACellIsMeasuredFromEndToEnd(t *testing.T) {
	m, rows := shortCampaign(t, "preheat", "hpa-running", "static-peak", "preheat-last-value")
	cells, err := m.measure(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	c := cells[0]
	if len(cells) != 1 || c.Name != "crowd/8b/30s" || c.WarmUp != 240 || c.Requests == 0 || !c.Oracle.Met || c.Oracle.Bound <= 0 {
		t.Fatalf("%+v", cells)
	}
	want := []string{"preheat", "hpa-running", "static-peak", "preheat-last-value", "hpa-running tuned", "static-peak tuned"}
	if diff := cmp.Diff(want, policiesOf(cells)); diff != "" {
		t.Errorf("preheat is never tuned, the others are: %s", diff)
	}
	for _, f := range c.Policies {
		if c.attains(f) && c.ratio(f) < 1-1e-9 {
			t.Errorf("%s attains the objective for %.3f of the oracle", f.Policy, c.ratio(f))
		}
		if strings.HasSuffix(f.Policy, " tuned") == (f.Setting == "") {
			t.Errorf("%s has the setting %q", f.Policy, f.Setting)
		}
	}
	again, err := m.measure(t.Context(), rows)
	if diff := cmp.Diff(cells, again); diff != "" || err != nil {
		t.Errorf("with the oracle of the cache: %v, %s", err, diff)
	}
	var out bytes.Buffer
	if err := write(&out, cells); err != nil || !strings.Contains(out.String(), "crowd/8b/30s") {
		t.Errorf("%v; the cell is not in the table:\n%s", err, out.String())
	}
	if data, err := json.Marshal(summarize(cells)); err != nil || !strings.Contains(string(data), "geometric_mean") {
		t.Errorf("%v: %s", err, data)
	}
}

// TestAnOracleThatIsBeatenIsLookedForAnew puts one into the cache that is dearer than any.
func TestAnOracleThatIsBeatenIsLookedForAnew(t *testing.T) {
	m, rows := shortCampaign(t, "static-peak")
	m.tuned = false
	s, err := prepare(rows[0].load, small, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	name := key(s, m.experiment(s, rows[0].leads[0]))
	if _, err := m.oracles.keep(name, yardstick{Attainment: 1, GPUHours: 1e6, Met: true}); err != nil {
		t.Fatal(err)
	}
	cells, err := m.measure(t.Context(), rows)
	if err != nil {
		t.Fatal(err)
	}
	kept, _ := m.oracles.find(name)
	if f := cells[0].Policies[0]; !cells[0].attains(f) || cells[0].ratio(f) < 1 || cells[0].Oracle != kept {
		t.Errorf("%+v at %.3f of the oracle; %+v is kept", f, cells[0].ratio(f), kept)
	}
}

func TestAnInterruptionKeepsWhatIsFinished(t *testing.T) {
	m, rows := shortCampaign(t, "static-peak")
	m.tuned = false
	rows[0].leads = append(rows[0].leads, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	m.aside = writerFunc(func([]byte) { cancel() }) // the first line of progress
	cells, err := m.measure(ctx, rows)
	if err == nil || !strings.Contains(err.Error(), "interrupted") || len(cells) != 1 {
		t.Errorf("%d cells, error %v", len(cells), err)
	}
}

// writerFunc is a writer that calls a function.
type writerFunc func([]byte)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func TestEveryPerturbationIsCarriedOut(t *testing.T) {
	m, rows := shortCampaign(t)
	s, err := prepare(rows[0].load, small, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	var plain outcome
	for _, p := range perturbations() {
		o, err := m.disturb(t.Context(), s, p)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if len(o.Policies) != 2 || o.Policies[0].Policy != "preheat" || o.Policies[0].GPUHours <= 0 {
			t.Fatalf("%s: %+v", p.name, o)
		}
		if p.name == "none" {
			plain = o
			continue
		}
		if o.Policies[0].GPUHours == plain.Policies[0].GPUHours && o.Policies[0].Attainment == plain.Policies[0].Attainment {
			t.Errorf("%s: changes nothing to the bit", p.name)
		}
	}
}

func TestCostsArePutOverThoseWithoutPerturbation(t *testing.T) {
	of := []outcome{{Policies: []suffers{{GPUHours: 4}, {GPUHours: 5}}}, {Policies: []suffers{{GPUHours: 6}, {GPUHours: 4}}}}
	relate(of)
	for i, want := range [][]float64{{1, 1}, {1.5, 0.8}} {
		for j := range want {
			if got := of[i].Policies[j].Cost; math.Abs(got-want[j]) > 1e-12 {
				t.Errorf("outcome %d of policy %d: %v, want %v", i, j, got, want[j])
			}
		}
	}
}

func TestAMissThatTheReactivePolicyHasNotIsMarked(t *testing.T) {
	for name, tc := range map[string]struct {
		ours, theirs suffers
		want         string
	}{
		"below, and below the objective": {suffers{Attainment: 0.97}, suffers{Attainment: 0.98}, "BELOW REACTIVE"},
		"below, and good":                {suffers{Attainment: 0.99, Attains: true}, suffers{Attainment: 0.999, Attains: true}, ""},
		"a miss that is the lesser":      {suffers{Attainment: 0.97}, suffers{Attainment: 0.96}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := writePerturbations(&out, []outcome{{Load: "a", Policies: []suffers{tc.ours, tc.theirs}}}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(out.String(), "BELOW REACTIVE"); got != (tc.want != "") {
				t.Errorf("marked %v, want %q:\n%s", got, tc.want, out.String())
			}
		})
	}
}

func TestTheOutcomeOfASearchIsTheYardstick(t *testing.T) {
	out := compare.Outcome{
		Scores: []score.Score{{Policy: "preheat"}, {Policy: compare.Oracle, GPUHours: score.GPUHours{Total: 3}, Attainment: &score.Attainment{Both: 0.995}}},
		Proofs: make([]compare.Proof, 1),
	}
	out.Proofs[0].Met, out.Proofs[0].Bound, out.Proofs[0].Simulations = true, 7200, 41
	if diff := cmp.Diff(yardstick{Attainment: 0.995, GPUHours: 3, Met: true, Bound: 2, Schedules: 41}, measured(out)); diff != "" {
		t.Error(diff)
	}
}

func TestQuickIsADozenCellsOfAllClasses(t *testing.T) {
	o, err := parse([]string{"--quick"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen, cells := map[class]bool{}, 0
	for _, r := range rows(loads(), o.profiles, o.leads, o.cells) {
		if r.quick {
			seen[r.class] = true
			cells += len(r.leads)
		}
	}
	if cells != 12 || len(seen) != len(classes) {
		t.Errorf("%d cells of %v", cells, seen)
	}
	if o, err = parse([]string{"--quick", "--leads", "1m"}, io.Discard); err != nil || !cmp.Equal(o.leads, []time.Duration{time.Minute}) {
		t.Errorf("lead times %v, %v: what was given does not count", o.leads, err)
	}
}
