package series_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/trace"
	"github.com/preheat-autoscaler/preheat/pkg/trace/series"
)

var nan = math.NaN()

// zero is a round instant of rows of any step in these tests.
var zero = time.Unix(1_700_000_400, 0).UTC()

func TestReadingATable(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		start time.Time
		step  time.Duration
		want  []float64
		note  string // part of the notes, empty where there are none
	}{
		"rows of a minute":               {"timestamp_unix,value\n1700000400,1\n1700000460,2.5\n1700000520,3\n", zero, time.Minute, []float64{1, 2.5, 3}, ""},
		"no header":                      {"1700000400,1\n1700000460,2.5\n1700000520,3\n", zero, time.Minute, []float64{1, 2.5, 3}, ""},
		"times as floats":                {"timestamp_unix,value\n1700000400.0,1\n1.70000046e9,2\n", zero, time.Minute, []float64{1, 2}, ""},
		"dates":                          {"timestamp,value\n2023-11-14 22:20:00,1\n2023-11-14 22:25:00,2\n", zero, 5 * time.Minute, []float64{1, 2}, ""},
		"Windows' ends of lines":         {"timestamp_unix,value\r\n1700000400,1\r\n1700000460,2\r\n", zero, time.Minute, []float64{1, 2}, ""},
		"no newline at the end":          {"1700000400,1\n1700000460,2", zero, time.Minute, []float64{1, 2}, ""},
		"quotes":                         {"\"timestamp_unix\",\"value\"\n\"1700000400\",\"1\"\n\"1700000460\",\"2\"\n", zero, time.Minute, []float64{1, 2}, ""},
		"a column more":                  {"host,value,timestamp_unix\na,1,1700000400\na,2,1700000460\n", zero, time.Minute, []float64{1, 2}, ""},
		"an index before":                {",timestamp_unix,value\n0,1700000400,1\n1,1700000460,2\n", zero, time.Minute, []float64{1, 2}, ""},
		"values that are not known":      {"1700000400,1\n1700000460,\n1700000520,NaN\n1700000580,null\n1700000640,5\n", zero, time.Minute, []float64{1, nan, nan, nan, 5}, ""},
		"values that cannot be":          {"1700000400,1\n1700000460,-2\n1700000520,inf\n", zero, time.Minute, []float64{1, nan, nan}, "2 values are negative or infinite"},
		"zero is a value":                {"1700000400,0\n1700000460,0\n", zero, time.Minute, []float64{0, 0}, ""},
		"a row that is missing":          {"1700000400,1\n1700000460,2\n1700000580,4\n1700000640,5\n", zero, time.Minute, []float64{1, 2, nan, 4, 5}, "1 row is missing"},
		"rows out of order":              {"1700000460,2\n1700000400,1\n1700000520,3\n", zero, time.Minute, []float64{1, 2, 3}, "1 row is earlier"},
		"a row twice":                    {"1700000400,1\n1700000460,2\n1700000460,7\n1700000520,3\n", zero, time.Minute, []float64{1, 7, 3}, "the later counts"},
		"times that jitter":              {"1700000400,1\n1700000461.2,2\n1700000520,3\n1700000580,4\n1700000638.9,5\n", zero, time.Minute, []float64{1, 2, 3, 4, 5}, "2 rows lie beside the grid"},
		"a grid beside the full minutes": {"1700000417,1\n1700000477,2\n1700000537,3\n", zero.Add(17 * time.Second), time.Minute, []float64{1, 2, 3}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := series.Read(strings.NewReader(tc.text), "data/load.csv.gz")
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != "load" || !s.Start.Equal(tc.start) || s.Step != tc.step {
				t.Errorf("%s starts %v in steps of %v, want %v and %v", s.Name, s.Start, s.Step, tc.start, tc.step)
			}
			if diff := cmp.Diff(tc.want, s.Values, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
			if notes := strings.Join(s.Notes, "; "); !strings.Contains(notes, tc.note) || (notes == "") != (tc.note == "") {
				t.Errorf("notes %q, want %q", notes, tc.note)
			}
		})
	}
}

func TestFaultsNameFileAndLine(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                 {"", "load.csv: is empty: want a CSV of timestamp_unix,value"},
		"a header alone":          {"timestamp_unix,value\n", "no rows below the header"},
		"one row":                 {"1700000400,1\n", "two rows"},
		"no number":               {"timestamp_unix,value\n1700000400,1\n1700000460,many\n", `load.csv: line 3, column 2: "many" is no value`},
		"no time":                 {"timestamp_unix,value\n1700000400,1\nnoon,2\n", `load.csv: line 3, column 1: "noon" is no time`},
		"milliseconds":            {"1700000400,1\n1700000460000,2\n", "line 2, column 1: time 1700000460000 is out of range, it looks like milliseconds: divide it by 1000"},
		"a column too many":       {"1700000400,1\n1700000460,2,3\n", "line 2: 3 columns where the first line has 2"},
		"columns of other names":  {"when,how,much\n1,2,3\n", "none is called value"},
		"a quote that stays open": {"1700000400,\"1\n1700000460,2\n", "load.csv: line"},
		"nothing known":           {"1700000400,\n1700000460,NaN\n", "of no row is anything known"},
		"rows without a step":     {"1700000400,1\n1700000401,2\n1700000402,2\n1900000402,2\n", "do not make an even series"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := series.Read(strings.NewReader(tc.text), "load.csv")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if _, ok := err.(*trace.Error); !ok { //nolint:errorlint // the contract is the type itself
				t.Errorf("error of type %T", err)
			}
		})
	}
}

// A file's name loses its folder and all extensions; what does not begin with a letter is none.
func TestNames(t *testing.T) {
	for path, want := range map[string]string{
		"a.csv.gz": "a", "/data/a.csv": "a", "a": "a", "a.b.csv": "a", "rate_7.2min.csv.gz": "rate_7.2min", ".hidden": ".hidden", "v1.2.csv": "v1.2",
	} {
		if got := series.NameOf(path); got != want {
			t.Errorf("the name of %s is %q, want %q", path, got, want)
		}
	}
}

// save writes a file, gzipped where its name says so.
func save(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	data := []byte(text)
	if strings.HasSuffix(name, ".gz") {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		z.Close()
		data = zipped.Bytes()
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpeningFiles(t *testing.T) {
	var arrivals, perSecond strings.Builder
	arrivals.WriteString("TIMESTAMP,ContextTokens,GeneratedTokens\n")
	for i := range 200 { // one each second from 40 seconds past the minute
		fmt.Fprintf(&arrivals, "%s,10,10\n", zero.Add(time.Duration(40+i)*time.Second).Format(time.DateTime))
		fmt.Fprintf(&perSecond, "%d\n", i/60)
	}
	for name, tc := range map[string]struct {
		file, text string
		step       time.Duration
		start      time.Time
		wantStep   time.Duration
		want       []float64
		unit       string
	}{
		"a table, zipped":               {"a.csv.gz", "1700000400,1\n1700000460,3\n", 0, zero, time.Minute, []float64{1, 3}, "value"},
		"a table in a longer step":      {"a.csv", "1700000400,1\n1700000460,3\n1700000520,4\n1700000580,\n", 2 * time.Minute, zero.Add(0), 2 * time.Minute, []float64{2, 4}, "value"},
		"values with a name":            {"a.csv", "date,tokens_rps\n1700000400,1\n1700000460,3\n", 0, zero, time.Minute, []float64{1, 3}, "tokens_rps"},
		"fractions called value":        {"a.csv", "timestamp,value\n1700000400,1.5\n1700000460,3\n", 0, zero, time.Minute, []float64{1.5, 3}, "value"},
		"rates with sizes":              {"a.csv", "timestamp,rate_rps,mean_input_tokens\n1700000400,1.5,7\n1700000460,3,7\n", 0, zero, time.Minute, []float64{1.5, 3}, "requests/s"},
		"requests, whole minutes only":  {"a.csv", arrivals.String(), 0, zero.Add(time.Minute), time.Minute, []float64{1, 1}, "requests/s"},
		"requests in rows of your own":  {"a.csv", arrivals.String(), 30 * time.Second, zero.Add(time.Minute), 30 * time.Second, []float64{1, 1, 1, 1, 1}, "requests/s"},
		"one number a second":           {"a.txt", perSecond.String(), 0, time.Unix(0, 0).UTC(), time.Minute, []float64{0, 1, 2}, "requests/s"},
		"a byte order mark before rows": {"a.csv", "\xef\xbb\xbftimestamp_unix,value\n1700000400,1\n1700000460,3\n", 0, zero, time.Minute, []float64{1, 3}, "value"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := series.Open(save(t, tc.file, tc.text), series.Options{Step: tc.step})
			if err != nil {
				t.Fatal(err)
			}
			if !s.Start.Equal(tc.start) || s.Step != tc.wantStep || s.Unit != tc.unit || s.Name != "a" {
				t.Errorf("%s from %v in steps of %v, %s; want %v, %v, %s", s.Name, s.Start, s.Step, s.Unit, tc.start, tc.wantStep, tc.unit)
			}
			if diff := cmp.Diff(tc.want, s.Values, cmpopts.EquateNaNs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	whole, err := os.ReadFile(save(t, "a.csv.gz", strings.Repeat("1700000400,1\n", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		file, text string
		step       time.Duration
		want       string
	}{
		"a step that does not divide": {"a.csv", "1700000400,1\n1700000460,3\n", 90 * time.Second, "whole multiple"},
		"a step that is too long":     {"a.csv", "1700000400,1\n1700000460,3\n", time.Hour, "fill no row"},
		"too few requests":            {"a.csv", "arrival_s,input_tokens,output_tokens\n0,1,1\n1,1,1\n", 0, "fill no row of 1m0s"},
		"prose":                       {"a.txt", "It was a dark and stormy night.\n", 0, "unknown trace format"},
		"semicolons":                  {"a.csv", "timestamp_unix;value\n1700000400;1\n1700000460;3\n", 0, `separated by ";"`},
		"tabs":                        {"a.csv", "1700000400\t1\n1700000460\t3\n", 0, "separate them by commas"},
		"milliseconds":                {"a.csv", "timestamp_ms,value\n1700000400000,1\n", 0, "line 2, column 1: time 1700000400000 is out of range, it looks like milliseconds"},
		"prose of other columns":      {"a.csv", "name,colour\nrose,red\n", 0, "a series is a CSV of timestamp_unix,value"},
		"a file that breaks off":      {"a.csv", string(whole[:len(whole)/2]), 0, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			path := save(t, tc.file, tc.text)
			_, err := series.Open(path, series.Options{Step: tc.step})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q and the file", err, tc.want)
			}
		})
	}
	if _, err := series.Open("nowhere.csv", series.Options{}); err == nil || !strings.Contains(err.Error(), "nowhere.csv") {
		t.Errorf("error %v of a file that is not there", err)
	}
}

// A generated workload is a series too, though no file stands behind it.
func TestAWorkload(t *testing.T) {
	s, err := series.Open("steady:rate=50,length=30m", series.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "steady" || len(s.Values) != 30 {
		t.Fatalf("%s has %d rows, want 30", s.Name, len(s.Values))
	}
	for i, v := range s.Values {
		if math.Abs(v-50) > 8 { // a Poisson count's standard deviation is 0.9 of that rate
			t.Errorf("row %d is %v, want about 50", i, v)
		}
	}
}

// Whatever order rows come in, and wherever in the step the file's clock stands, the series is the same.
func TestOrderAndPhaseDoNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n, phase := 3+rng.IntN(200), rng.IntN(60)
		lines, want := make([]string, n), make([]float64, n)
		for i := range lines {
			want[i] = float64(rng.IntN(1000)) / 8
			lines[i] = fmt.Sprintf("%d,%v\n", 1700000400+phase+60*i, want[i])
		}
		rng.Shuffle(n, func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		s, err := series.Read(strings.NewReader(strings.Join(lines, "")), "a.csv")
		if err != nil {
			t.Fatal(err)
		}
		if at := zero.Add(time.Duration(phase) * time.Second); !s.Start.Equal(at) {
			t.Fatalf("the series starts %v, want %v", s.Start, at)
		}
		if diff := cmp.Diff(want, s.Values); diff != "" {
			t.Fatal(diff)
		}
		if !s.End().Equal(s.Start.Add(time.Duration(n) * time.Minute)) {
			t.Fatalf("the series ends %v", s.End())
		}
	}
}

// Steps of 7:12 and 7:13 in turn, as of a series read off a picture, are a grid of their mean: no row is lost or doubled.
func TestStepsThatAlternate(t *testing.T) {
	var text strings.Builder
	for i := range 1400 {
		fmt.Fprintf(&text, "%d,%d\n", 1700000400+i*865/2, i)
	}
	s, err := series.Read(strings.NewReader(text.String()), "a.csv")
	if err != nil {
		t.Fatal(err)
	}
	if s.Known() != 1400 || len(s.Values) != 1400 || (s.Step-432500*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("%d rows, %d known, of %v: want 1400 of 7m12.5s", len(s.Values), s.Known(), s.Step)
	}
}

// FuzzSeriesRead holds any bytes to the contract of a Series.
func FuzzSeriesRead(f *testing.F) {
	for _, text := range []string{
		"timestamp_unix,value\n1700000400,1\n1700000460,2.5\n", "0,1\n0.5,2\n1,NaN\n", "date,value\n2023-11-14 22:20:00,1\n2023-11-14,\n",
		"1,1\n3,1\n2,1\n2,-1\n", "-4e9,1\n4e9,1\n", "a,value,time\n\"x\",1,7\n,2,8\n", "1e-7,1\n2e-7,1\n3e-7,1\n", "# note\n1,1\n2,inf\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := series.Read(bytes.NewReader(text), "f.csv")
		if err != nil {
			if _, ok := err.(*trace.Error); !ok { //nolint:errorlint // the contract is the type itself
				t.Fatalf("error of type %T: %v", err, err)
			}
			return
		}
		if s.Step <= 0 || len(s.Values) == 0 || s.Known() == 0 || !s.End().After(s.Start) {
			t.Fatalf("%d rows of %v, %d known", len(s.Values), s.Step, s.Known())
		}
		for i, v := range s.Values {
			if v < 0 || math.IsInf(v, 0) {
				t.Fatalf("row %d is %v", i, v)
			}
		}
	})
}
