package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/baseline"
	"github.com/preheat-autoscaler/preheat/pkg/replay"
	"github.com/preheat-autoscaler/preheat/pkg/report"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
	"github.com/preheat-autoscaler/preheat/pkg/score"
)

var update = flag.Bool("update", false, "write the golden files anew")

func write(t *testing.T, r report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var dataElement = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)

// dataOf is the page's data, as the page's script reads it.
func dataOf(t *testing.T, page string) []byte {
	t.Helper()
	found := dataElement.FindStringSubmatch(page)
	if found == nil {
		t.Fatal("the page has no data")
	}
	return []byte(found[1])
}

// tiny is a report small enough to be read: six requests, three decisions.
func tiny() report.Report {
	rec := report.NewRecorder(report.Options{Policy: "preheat", Lead: 2 * time.Second, Start: start, SLO: slo, GPUs: 2})
	d := scaling.Decision{
		Time: start, Current: 1, Replicas: 2, Ready: 1, Reason: scaling.ForecastDemand, Demand: 1.5, DemandKnown: true, Limited: true, Needed: 4,
		Steps: []scaling.Step{{Stage: "observe", Replicas: -1, Text: "1 ready (1 seen)"}, {Stage: "forecast", Replicas: 2, Text: "3.00 requests/s expected in 2s"}},
	}
	d.Forecast.Horizon, d.Forecast.Point, d.Forecast.Upper, d.Forecast.Quantile, d.Forecast.Model = 2*time.Second, 3, 4, 0.9, "last-value"
	rec.Counted(replay.Census{Desired: 1, Ready: 1})
	rec.Decided("", d, baseline.Gateway{Time: start, Queued: 2})
	rec.Counted(replay.Census{Desired: 2, Ready: 1, Starting: 1})
	rec.Decided("", scaling.Decision{Time: start.Add(time.Second), Current: 2, Replicas: 2, Reason: scaling.NoFreshData, Blind: true, Unseen: []string{"pod-1: 404", "b", "c", "d", "e", "f"}}, baseline.Gateway{})
	for i := range 6 {
		q := replay.Request{Arrival: time.Duration(i) * 600 * time.Millisecond, TTFT: 100 * time.Millisecond, TPOT: 20 * time.Millisecond, E2E: 500 * time.Millisecond, Outcome: replay.Completed}
		if i == 4 {
			q.TTFT, q.TPOT, q.Outcome = -1, -1, replay.Lost
		}
		rec.Ended(q)
	}
	rec.Counted(replay.Census{At: 2 * time.Second, Desired: 2, Ready: 2})
	rec.Decided("", scaling.Decision{Time: start.Add(2 * time.Second), Current: 2, Replicas: 2, Reason: scaling.NoFreshData, Blind: true}, baseline.Gateway{})
	rec.Counted(replay.Census{At: 4 * time.Second})
	c := cell("preheat", 0.0025, 5.0/6, 1.25)
	c.LeadTime = 2
	return report.Report{
		Title: "Replay of six requests", SLO: slo, Currency: "€", Trace: score.Trace{Name: "six.csv", Requests: 6, Duration: 4},
		Cells: []score.Cell{c}, Titles: map[string]string{"preheat": "the production planner"}, Runs: []report.Run{rec.Run()},
		Settings: []score.Point{{Policy: "keda", Label: "target 0.6", Attainment: 0.5, GPUHours: 0.002}},
	}
}

func TestTheDataOfATinyReport(t *testing.T) {
	var got bytes.Buffer
	if err := json.Indent(&got, dataOf(t, write(t, tiny())), "", " "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/tiny.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("run with -update to accept (-want +got):\n%s", diff)
	}
}

func TestTheSameReportGivesTheSameBytes(t *testing.T) {
	r := example(10*time.Minute, 30*time.Second, time.Minute)
	first := write(t, r)
	if second := write(t, r); first != second {
		t.Error("two pages of one report differ")
	}
	if third := write(t, example(10*time.Minute, 30*time.Second, time.Minute)); first != third {
		t.Error("pages of two equal reports differ")
	}
}

// Names are anybody's: they must not become markup or script, wherever they stand.
func TestNamesDoNotBecomeMarkup(t *testing.T) {
	const evil = `</script><script>alert(1)</script><img src=x onerror="alert(2)">'` + "\u2028"
	r := tiny()
	r.Title, r.Command, r.Version, r.Trace.Name, r.Currency = evil, evil, evil, evil, evil
	r.Setup = []report.Fact{{Name: evil, Value: evil}}
	r.Titles = map[string]string{"preheat": evil}
	r.Settings[0].Policy, r.Settings[0].Label = evil, evil
	page, plain := write(t, r), write(t, tiny())
	for _, tag := range []string{"<script", "</script", "<img", "onerror=\""} {
		if got, want := strings.Count(page, tag), strings.Count(plain, tag); got != want {
			t.Errorf("%q occurs %d times, %d without the names", tag, got, want)
		}
	}
	var data struct {
		Policies []struct{ Name, Title string }
	}
	if err := json.Unmarshal(dataOf(t, page), &data); err != nil {
		t.Fatal(err)
	}
	if data.Policies[0].Title != evil || data.Policies[1].Name != evil {
		t.Errorf("the names do not come through: %q", data.Policies)
	}
}

// A page must work where there is no network, and for decades.
func TestThePageRefersToNothingOutside(t *testing.T) {
	page := write(t, tiny())
	for _, bad := range []string{"http://", "https://", "src=", "@import", "url(", "<link", "fetch(", "XMLHttpRequest", "WebSocket"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestAReportWithoutAnythingIsAPage(t *testing.T) {
	page := write(t, report.Report{Title: "empty"})
	var data struct{ Runs, Results, Policies, Leads []any }
	if err := json.Unmarshal(dataOf(t, page), &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Runs)+len(data.Results)+len(data.Policies) != 0 {
		t.Errorf("data of nothing: %+v", data)
	}
}

// broken fails after some bytes.
type broken struct{ left int }

var errFull = errors.New("disk full")

func (b *broken) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAFailedWriteIsReported(t *testing.T) {
	if err := report.Write(&broken{left: 100}, tiny()); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

// A week of ten restless policies that explain themselves at length stays a file that can be mailed.
func TestALongReportStaysSmall(t *testing.T) {
	r := report.Report{Title: "a week", SLO: slo, Trace: score.Trace{Duration: 7 * 86400, Requests: 1e6}}
	for i := range 10 {
		rec := report.NewRecorder(report.Options{Policy: string(rune('a' + i)), Start: start, SLO: slo, GPUs: 1})
		chatter(rec, 7*24*time.Hour, i)
		r.Runs = append(r.Runs, rec.Run())
	}
	if n := len(write(t, r)); n > 5_000_000 {
		t.Errorf("the page has %d bytes, at most 5,000,000 are wanted", n)
	}
}

// chatter tells a recorder of decisions every 15 seconds that all differ, with six steps each.
func chatter(rec *report.Recorder, length time.Duration, salt int) {
	for i := range int(length / (15 * time.Second)) {
		t, n := time.Duration(i)*15*time.Second, int32(1+(i*7+salt)%13)
		x := float64(i%997)*1.237 + float64(salt)
		d := scaling.Decision{Time: start.Add(t), Current: n, Replicas: n + 1, Ready: n, Reason: scaling.ReactiveDemand, Demand: x, DemandKnown: true, Waiting: x / 3, Running: x * 2}
		d.Forecast.Horizon, d.Forecast.Point, d.Forecast.Upper = 2*time.Minute, x*1.01, x*1.3
		for range 6 {
			d.Steps = append(d.Steps, scaling.Step{Stage: "demand", Replicas: n, Text: fmt.Sprintf("%.2f requests/s expected in 2m%ds, %.2f replicas busy, %.2f with headroom (%d of backlog)", x, i%60, x/5, x/4, i)})
		}
		rec.Counted(replay.Census{At: t, Desired: n, Ready: n, Starting: int32(i % 3)})
		for k := range 4 {
			ttft := time.Duration(100+(i*37+k*11)%3000) * time.Millisecond
			rec.Ended(replay.Request{Arrival: t, TTFT: ttft, E2E: ttft * 2, Outcome: replay.Completed})
		}
		rec.Decided("", d, baseline.Gateway{Time: d.Time, Queued: x})
	}
	rec.Counted(replay.Census{At: length})
}
