package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// small is a comparison of a few thousand requests with files.
func small(more ...string) []string {
	return append([]string{
		"replay", "--trace", "flash-crowd:length=4m,low=2,high=12,at=1m", "--mix", "fixed:1000/200", "--lead-time", "45s",
		"--policy", "preheat,hpa-running,static-peak,oracle", "--slo-attainment", "95%",
	}, more...)
}

// call runs the program and returns what it wrote.
func call(ctx context.Context, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(ctx, streams{In: strings.NewReader(""), Out: &o, Err: &e}, args)
	return code, o.String(), e.String()
}

// must is call where success is expected.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := call(t.Context(), args...)
	if code != exitOK {
		t.Fatalf("preheatctl %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// contents are the files below a directory, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	below, out := os.DirFS(dir), map[string]string{}
	err := fs.WalkDir(below, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(below, name)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplayWritesTheSameFilesWhateverTheWorkers(t *testing.T) {
	var first map[string]string
	for i, workers := range []string{"1", "2", "2"} {
		dir := filepath.Join(t.TempDir(), "out")
		out := must(t, small("--workers", workers, "--out", dir)...)
		got := contents(t, dir)
		if i == 0 {
			first = got
			want := []string{"decisions.jsonl", "report.html", "requests.csv", "summary.json", "timeline.csv"}
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("files: %s", diff)
			}
			for name := range got {
				if !strings.Contains(out, filepath.Join(dir, name)+"\n") {
					t.Errorf("the output does not name %s:\n%s", name, out)
				}
			}
			continue
		}
		for name := range first {
			if got[name] != first[name] {
				t.Errorf("%s differs with %s workers: %s", name, workers, cmp.Diff(first[name], got[name]))
			}
		}
	}
}

func TestFilesAgreeWithEachOther(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	must(t, small("--out", dir)...)
	summary := readSummary(t, dir)
	requests, timeline := readCSV(t, dir, "requests.csv"), readCSV(t, dir, "timeline.csv")
	decisions := readDecisions(t, dir)
	if n := len(summary.Policies); n != 4 {
		t.Fatalf("%d policies in the summary, want 4", n)
	}
	for policy, cells := range summary.Policies {
		if len(cells) != 1 || len(cells[0].Runs) != 1 {
			t.Fatalf("%s has %d cells, want one with one run", policy, len(cells))
		}
		run := cells[0].Runs[0]
		if got := gpuSeconds(t, timeline[policy], 4); math.Abs(got-run.GPUSeconds) > 1e-6*got {
			t.Errorf("%s: the timeline adds up to %.6f GPU-seconds, the summary says %.6f", policy, got, run.GPUSeconds)
		}
		ids := map[string]int{}
		for _, row := range requests[policy] {
			ids[row[1]]++
		}
		for id, n := range ids {
			if n != 1 {
				t.Errorf("%s: request %s stands there %d times", policy, id, n)
			}
		}
		if uint64(len(ids)) != summary.Trace.Requests || run.Requests.Arrived != summary.Trace.Requests {
			t.Errorf("%s: %d requests in the file, %d scored, %d in the trace", policy, len(ids), run.Requests.Arrived, summary.Trace.Requests)
		}
		if decisions[policy] == 0 {
			t.Errorf("%s took no decision", policy)
		}
	}
}

type summaryFile struct {
	Version    int
	Command    string
	Incomplete bool
	Unfinished []string
	Trace      struct{ Requests uint64 }
	Policies   map[string][]struct {
		Runs []struct {
			GPUSeconds float64 `json:"gpu_seconds"`
			Requests   struct {
				Arrived uint64
				Within  uint64 `json:"within_slo"`
			}
		}
	}
}

func readSummary(t *testing.T, dir string) summaryFile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summaryFile
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("summary.json: %v", err)
	}
	return s
}

// readCSV returns the rows by policy, which is in the first column.
func readCSV(t *testing.T, dir, name string) map[string][][]string {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out := map[string][][]string{}
	for _, row := range rows[1:] {
		out[row[0]] = append(out[row[0]], row)
	}
	return out
}

// readDecisions counts them by policy.
func readDecisions(t *testing.T, dir string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "decisions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(data)) {
		var d struct{ Policy, Reason string }
		if err := json.Unmarshal([]byte(line), &d); err != nil || d.Reason == "" {
			t.Fatalf("decisions.jsonl: %v in %q", err, line)
		}
		out[d.Policy]++
	}
	return out
}

// gpuSeconds adds up a policy's timeline: policy,t_s,desired,starting,ready,draining,unschedulable.
func gpuSeconds(t *testing.T, rows [][]string, gpus float64) float64 {
	t.Helper()
	number := func(text string) float64 {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	sum := 0.0
	for i := range len(rows) - 1 {
		held := number(rows[i][3]) + number(rows[i][4]) + number(rows[i][5])
		sum += held * gpus * (number(rows[i+1][1]) - number(rows[i][1]))
	}
	return sum
}

// tripwire ends a context once something has been written.
type tripwire struct {
	bytes.Buffer
	text string
	cut  context.CancelFunc
}

// Write implements io.Writer.
func (w *tripwire) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		w.cut()
	}
	return w.Buffer.Write(p)
}

func TestInterruptLeavesWhatIsDone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	errs := &tripwire{text: "1 of 3 runs", cut: cancel}
	// The second policy takes long enough for the first one's end to be seen.
	code := run(ctx, streams{In: strings.NewReader(""), Out: &out, Err: errs, Terminal: true}, []string{
		"replay", "--trace", "steady:rate=30,length=4h", "--policy", "static-mean,preheat,hpa-running", "--workers", "1", "--out", dir,
	})
	if code != exitInterrupted {
		t.Fatalf("exit %d, want %d: %s", code, exitInterrupted, errs)
	}
	s := readSummary(t, dir)
	if !s.Incomplete || len(s.Unfinished) != 2 || len(s.Policies["static-mean"]) != 1 {
		t.Errorf("incomplete %v, unfinished %v, policies %v; want static-mean alone", s.Incomplete, s.Unfinished, slices.Sorted(maps.Keys(s.Policies)))
	}
	for _, name := range []string{"requests.csv", "timeline.csv"} {
		if got := slices.Sorted(maps.Keys(readCSV(t, dir, name))); !slices.Equal(got, []string{"static-mean"}) {
			t.Errorf("%s holds %v, want static-mean alone", name, got)
		}
	}
	if got := names(t, dir); len(got) != 5 {
		t.Errorf("files %v, want five", got)
	}
	if !strings.Contains(out.String(), "static-mean") || !strings.Contains(errs.String(), "2 of 3 runs are missing") {
		t.Errorf("the output does not say what is done and what is missing:\n%s\n%s", out.String(), errs.String())
	}
}

func TestInterruptBeforeAnythingIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "out")
	code, _, errs := call(ctx, small("--out", dir)...)
	if code != exitInterrupted || !strings.Contains(errs, "interrupted before anything was done") {
		t.Errorf("exit %d and %q", code, errs)
	}
	if got := contents(t, dir); len(got) != 0 {
		t.Errorf("it left %v", slices.Sorted(maps.Keys(got)))
	}
}

func TestOutputAsData(t *testing.T) {
	for name, check := range map[string]func(t *testing.T, out string){
		"json": func(t *testing.T, out string) {
			var s summaryFile
			if err := json.Unmarshal([]byte(out), &s); err != nil || s.Version != 1 || len(s.Policies) != 2 {
				t.Errorf("%v: %.200s", err, out)
			}
			want := "preheatctl replay --trace steady:rate=2,length=2m --policy preheat,kpa"
			if s.Command != want {
				t.Errorf("command %q, want %q", s.Command, want)
			}
		},
		"yaml": func(t *testing.T, out string) {
			text, err := yaml.YAMLToJSON([]byte(out))
			if err != nil || strings.HasPrefix(out, "{") {
				t.Fatalf("%v: %.200s", err, out)
			}
			want := must(t, "replay", "--trace", "steady:rate=2,length=2m", "--policy", "preheat,kpa", "-o", "json")
			if diff := cmp.Diff(decoded(t, want), decoded(t, string(text))); diff != "" {
				t.Errorf("(-json +yaml):\n%s", diff)
			}
		},
		"csv": func(t *testing.T, out string) {
			rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil || len(rows) != 3 || rows[0][0] != "policy" || rows[1][0] != "preheat" {
				t.Errorf("%v: %.200s", err, out)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			check(t, must(t, "replay", "--trace", "steady:rate=2,length=2m", "--policy", "preheat,kpa", "-o", name, "--out", dir))
		})
	}
}

// decoded is what a text of JSON says.
func decoded(t *testing.T, text string) any {
	t.Helper()
	var out any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestATuningAsData holds the YAML of a tuning against its JSON.
func TestATuningAsData(t *testing.T) {
	tuned := func(format string) string {
		return must(t, "tune", "--trace", "steady:rate=2,length=4m", "--policy", "static-mean", "-o", format)
	}
	text, err := yaml.YAMLToJSON([]byte(tuned("yaml")))
	if err != nil {
		t.Fatal(err)
	}
	want := tuned("json")
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(text))); diff != "" || !strings.Contains(want, `"scored_on"`) {
		t.Errorf("(-json +yaml):\n%s", diff)
	}
}

// TestReplayOfTheAzureTrace is the README's command on the real trace: everything it promises, and within the time.
func TestReplayOfTheAzureTrace(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "traces", "AzureLLMInferenceTrace_conv.csv.gz")
	if _, err := os.Stat(path); err != nil || testing.Short() {
		t.Skip("needs the Azure 2023 conversation trace beside the repository, and some seconds")
	}
	dir := filepath.Join(t.TempDir(), "out")
	out := must(t, "replay", "--trace", path, "--profile", "llama-3.1-70b-h100x4", "--lead-time", "120s", "--out", dir)
	if !strings.Contains(out, ": 19,366 requests in 58m22s") {
		t.Errorf("the trace is another one:\n%s", out)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(out, "\n\n")
	if table, _, _ = strings.Cut(table, "\n\n"); !strings.HasPrefix(table, "POLICY") || !strings.Contains(string(readme), table+"\n```") {
		t.Errorf("the README shows another table than:\n%s", table)
	}
	s := readSummary(t, dir)
	if got := slices.Sorted(maps.Keys(s.Policies)); len(got) < 9 || !slices.Contains(got, "oracle") || !slices.Contains(got, "preheat") {
		t.Errorf("policies %v, want eight or more and the oracle", got)
	}
	best := s.Policies["oracle"][0].Runs[0]
	for policy, cells := range s.Policies {
		run := cells[0].Runs[0]
		if run.Requests.Arrived != 19366 {
			t.Errorf("%s was given %d requests", policy, run.Requests.Arrived)
		}
		if run.Requests.Within >= best.Requests.Within && run.GPUSeconds < best.GPUSeconds {
			t.Errorf("%s attains as much as the oracle for less: %.0f and %.0f GPU-seconds", policy, run.GPUSeconds, best.GPUSeconds)
		}
	}
}

func TestATableIsPrintedWhereTheFilesCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "report.html"), 0o755); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call(t.Context(), "replay", "--trace", "steady:length=1m", "--policy", "static-mean", "--out", dir, "--force")
	if code != exitFault || !strings.Contains(errs, "report.html") || !strings.Contains(out, "static-mean") {
		t.Errorf("exit %d, want %d with the table, and the file that failed:\n%s%s", code, exitFault, out, errs)
	}
}

// closed is an output whose reader has gone.
type closed struct{}

// Write implements io.Writer.
func (closed) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
}

func TestAReaderThatHasSeenEnoughLosesNoFiles(t *testing.T) {
	for _, format := range []string{"table", "json", "yaml", "csv"} {
		t.Run(format, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			var errs bytes.Buffer
			code := run(t.Context(), streams{In: strings.NewReader(""), Out: closed{}, Err: &errs}, []string{
				"replay", "--trace", "steady:length=1m", "--policy", "static-mean", "--out", dir, "-o", format,
			})
			if code != exitOK || strings.Contains(errs.String(), "pipe") {
				t.Errorf("exit %d and %q, want quiet success", code, errs.String())
			}
			if got := names(t, dir); len(got) != 5 {
				t.Errorf("files %v, want five", got)
			}
		})
	}
}

func TestAWarmUpIsSaidWhereverTheResultIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	out := must(t, small("--warm-up", "2m", "--out", dir)...)
	if !strings.Contains(out, "warm-up: the first 2m0s are served and not scored\n") {
		t.Errorf("the table does not tell of it:\n%s", out)
	}
	files, whole := contents(t, dir), readSummary(t, dir)
	for _, want := range []string{`"warm-up, not scored": "2m0s"`, "--warm-up 2m0s"} {
		if !strings.Contains(files["summary.json"], want) {
			t.Errorf("the summary does not say %s", want)
		}
	}
	if !strings.Contains(files["report.html"], "warm-up, not scored") {
		t.Error("the page does not tell of it")
	}
	for policy, cells := range whole.Policies {
		served := len(readCSV(t, dir, "requests.csv")[policy])
		if scored := cells[0].Runs[0].Requests.Arrived; uint64(served) != whole.Trace.Requests || scored >= whole.Trace.Requests || scored == 0 {
			t.Errorf("%s: %d requests of %d served, %d scored", policy, served, whole.Trace.Requests, scored)
		}
	}
}

func TestAWarmUpMustLeaveSomething(t *testing.T) {
	for name, tc := range map[string]struct {
		warmUp, says string
		code         int
	}{
		"none":                {"0", "--warm-up 0: must be above 0s", exitUsage},
		"negative":            {"-1m", "warm-up", exitUsage},
		"longer than a trace": {"1h", "nothing is left to score", exitFault},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := call(t.Context(), small("--warm-up="+tc.warmUp)...)
			if code != tc.code || !strings.Contains(errs, tc.says) {
				t.Errorf("exit %d, want %d and %q: %s", code, tc.code, tc.says, errs)
			}
		})
	}
}
