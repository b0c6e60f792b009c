package deploy

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/activator"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/history/series"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
	"github.com/preheat-autoscaler/preheat/pkg/store"
	"github.com/preheat-autoscaler/preheat/pkg/telemetry"
)

// alerts are the rules as Prometheus reads them, by name.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("components/alerts/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(object.Spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	rules := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			if _, twice := rules[r.Alert]; twice {
				t.Errorf("%s is there twice", r.Alert)
			}
			rules[r.Alert] = r
		}
	}
	if len(rules) == 0 {
		t.Fatal("there is no rule")
	}
	return rules
}

// names takes the place of a registry and notes what metrics collectors have.
type names map[string]bool

var fqName = regexp.MustCompile(`fqName: "([^"]+)"`)

// Register implements prometheus.Registerer.
func (n names) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 1000)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		n[fqName.FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (n names) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = n.Register(c)
	}
}

// Unregister implements prometheus.Registerer.
func (names) Unregister(prometheus.Collector) bool { return false }

// exported are the names of what the service registers.
func exported(t *testing.T) names {
	t.Helper()
	n := names{}
	if _, err := telemetry.New(telemetry.Options{Registerer: n, IsLeader: func() bool { return true }}); err != nil {
		t.Fatal(err)
	}
	profiles, err := exposition.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scrape.New(scrape.Options{Registerer: n}, nil, store.New(store.Options{}), profiles, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	options := activator.Default()
	options.Resolve = activator.ByModel(1<<10, nil)
	a, err := activator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	n.MustRegister(a)
	n.MustRegister(series.NewKeeper(series.Options{Log: slog.New(slog.DiscardHandler)}))
	return n
}

var metricName = regexp.MustCompile(`preheat_[a-z0-9_]+`)

func TestAlertsAskForMetricsThatTheServiceExports(t *testing.T) {
	has := exported(t)
	for name, r := range alerts(t) {
		asked := metricName.FindAllString(r.Expr, -1)
		if len(asked) == 0 {
			t.Errorf("%s asks for nothing", name)
		}
		for _, metric := range asked {
			if !has[metric] && !has[strings.TrimSuffix(metric, "_count")] {
				t.Errorf("%s asks for %s, which the service does not export", name, metric)
			}
		}
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			anchors[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = true
		}
	}
	for name, r := range alerts(t) {
		_, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "deploy/README.md#")
		if !anchors[anchor] {
			t.Errorf("%s: README.md has no heading %q", name, anchor)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s lacks a summary, a description or a severity", name)
		}
	}
}

// fires reports whether a rule has held at each minute of its "for", at the given time after the start of the series.
func fires(t *testing.T, r rulefmt.Rule, load string, at time.Duration) bool {
	t.Helper()
	storage := promqltest.LoadedStorage(t, load)
	defer func() { _ = storage.Close() }()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute})
	start := time.Unix(0, 0).Add(at)
	q, err := engine.NewRangeQuery(context.Background(), storage, nil, r.Expr, start.Add(-time.Duration(r.For)), start, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	matrix, err := q.Exec(t.Context()).Matrix()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range matrix {
		if len(s.Floats) == int(time.Duration(r.For)/time.Minute)+1 {
			return true
		}
	}
	return false
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	const target = `{namespace="ml",name="chat"`
	ticking := "preheat_tick_duration_seconds_count 0+4x2000\n"
	for name, c := range map[string]struct {
		calm, amiss string
		at          time.Duration
	}{
		"PreheatTargetBlind":       {"preheat_target_blind" + target + "} 0x30", "preheat_target_blind" + target + "} 0x5 1x30", 12 * time.Minute},
		"PreheatReplicasUnseen":    {ticking, "preheat_target_unseen_replicas" + target + `,cause="timeout"} 2x30`, 20 * time.Minute},
		"PreheatNoLeader":          {`preheat_leader{pod="a"} 0x30` + "\n" + `preheat_leader{pod="b"} 1x30`, `preheat_leader{pod="a"} 0x30`, 10 * time.Minute},
		"PreheatTargetUnobserved":  {"preheat_observe_errors_total" + target + "} 3x40", "preheat_observe_errors_total" + target + "} 0+4x40", 30 * time.Minute},
		"PreheatRivalAutoscaler":   {"preheat_target_conflict" + target + "} 0x30", "preheat_target_conflict" + target + "} 1x30", 20 * time.Minute},
		"PreheatForecastWithdrawn": {"preheat_target_forecast_withdrawn" + target + "} 0x2000", "preheat_target_forecast_withdrawn" + target + "} 1x2000", 25 * time.Hour},
		"PreheatHistoryInMemory":   {`preheat_history_place{place="memory"} 0x40`, `preheat_history_place{place="memory"} 1x40`, 30 * time.Minute},
		"PreheatUnsaved":           {"preheat_target_unsaved_seconds" + target + "} 200x30", "preheat_target_unsaved_seconds" + target + "} 4000x30", 20 * time.Minute},
		"PreheatNoDecisions":       {ticking, `up 1x30`, 20 * time.Minute},
		"PreheatNotCarriedOut": {
			"preheat_actuate_errors_total" + target + "} 0+1x40\npreheat_target_conflict" + target + "} 1x40",
			"preheat_actuate_errors_total" + target + "} 0+1x40\npreheat_target_conflict" + target + "} 0x40", 30 * time.Minute,
		},
		"PreheatRequestsRefused": {
			`preheat_activator_errors_total{target="ml/chat",reason="client_gone"} 0+1x40` + "\n" + `preheat_activator_errors_total{target="ml/chat",reason="unavailable"} 3x40`,
			`preheat_activator_errors_total{target="ml/chat",reason="unavailable"} _x25 1x10`, 30 * time.Minute,
		},
		"PreheatScrapesFail": {
			`preheat_scrape_failures_total{reason="timeout"} 0+1x40` + "\npreheat_scrape_duration_seconds_count 0+100x40",
			`preheat_scrape_failures_total{reason="timeout"} 0+6x40` + "\n" + `preheat_scrape_failures_total{reason="torn"} 0+6x40` + "\npreheat_scrape_duration_seconds_count 0+100x40", 30 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, ok := alerts(t)[name]
			if !ok {
				t.Fatal("there is no such rule")
			}
			load := func(text string) string {
				return "load 1m\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
			}
			if fires(t, r, load(c.calm), c.at) {
				t.Error("fires while nothing is amiss")
			}
			if !fires(t, r, load(c.amiss), c.at) {
				t.Error("does not fire")
			}
		})
	}
	if r := alerts(t)["PreheatTargetBlind"]; fires(t, r, "load 1m\n  preheat_target_blind"+target+"} 0x5 1x30", 8*time.Minute) {
		t.Error("PreheatTargetBlind fires before its time")
	}
	for name := range alerts(t) {
		if !strings.HasPrefix(name, "Preheat") {
			t.Errorf("%s does not say whose it is", name)
		}
	}
}

func TestNoDecisionsFiresWhereTicksStandStill(t *testing.T) {
	if !fires(t, alerts(t)["PreheatNoDecisions"], "load 1m\n  preheat_tick_duration_seconds_count 7x40", 30*time.Minute) {
		t.Error("does not fire")
	}
}
