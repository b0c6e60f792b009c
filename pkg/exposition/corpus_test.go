package exposition

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

// pages of a corpus that is not part of the project; see the test.
const corpus = "../../../shared/expositions"

// told is one line of a table of expectations: where a value comes from, and what it is.
type told struct {
	Source string
	Value  float64
}

// expectation is what a page tells, by normalised name; a distribution has /count, /sum and /bounds.
type expectation struct {
	engine string
	values map[string]told
}

// readExpectations reads a table of page, engine, name, value and source. The engine is "-" on a page
// without one, and "!" on what is no page.
func readExpectations(t *testing.T, file string) map[string]*expectation {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*expectation{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if all[f[0]] == nil {
			all[f[0]] = &expectation{f[1], map[string]told{}}
		}
		if f[1] == "-" || f[1] == "!" {
			continue
		}
		v, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all[f[0]].values[f[2]] = told{f[4], v}
	}
	return all
}

func (in *Inspection) told() map[string]told {
	all := map[string]told{}
	for _, v := range in.Values {
		if v.Distribution == nil {
			all[v.Name] = told{v.Source, v.Scalar}
			continue
		}
		all[v.Name+"/count"] = told{v.Source, v.Distribution.Count()}
		all[v.Name+"/sum"] = told{v.Source, v.Distribution.Sum}
		all[v.Name+"/bounds"] = told{v.Source, float64(len(v.Distribution.Bounds))}
	}
	return all
}

func TestCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.prom"))
	if err != nil || len(files) == 0 {
		t.Skipf("no pages in %s: this test only runs beside the corpus", corpus)
	}
	want := readExpectations(t, "testdata/corpus.tsv")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { checkPage(t, file, want[filepath.Base(file)]) })
	}
}

// checkPage inspects a page and compares everything that it tells.
func checkPage(t *testing.T, file string, want *expectation) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil || want == nil {
		t.Fatalf("nothing is expected of the page, or it cannot be read: %v", err)
	}
	contentType := ""
	if strings.Contains(file, "openmetrics") {
		contentType = openMetricsType
	}
	in, err := mustLoad(t).Inspect(page, contentType, nil)
	if none, ok := map[string]error{"-": ErrNoEngine, "!": ErrNotExposition}[want.engine]; ok {
		if !errors.Is(err, none) {
			t.Errorf("error = %v, want %v", err, none)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if in.Engine != want.engine {
		t.Errorf("engine = %s, want %s", in.Engine, want.engine)
	}
	if diff := cmp.Diff(want.values, in.told(), approx); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if got := len(in.Values) + len(in.Missing); got != vocabulary {
		t.Errorf("%d names are accounted for, want %d", got, vocabulary)
	}
}

const vocabulary = int(signals.NumMetrics) + int(signals.NumLatencies)
