package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const s = time.Second

var equateNaNs = cmpopts.EquateNaNs()

func TestReadFormats(t *testing.T) {
	tests := map[string]struct {
		text string
		want []Request
	}{
		"Azure with a fraction and no zone": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
			[]Request{{0, 374, 44, nil}, {4314579 * time.Microsecond, 396, 109, nil}},
		},
		"Azure with a zone, a fraction missing, out of order": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-12 00:00:01+00:00,7,8\n2024-05-12 00:00:00.500000+00:00,5,6\n",
			[]Request{{0, 5, 6, nil}, {500 * time.Millisecond, 7, 8, nil}},
		},
		"Mooncake, where zero output counts as one token": {
			`{"timestamp": 3000, "input_length": 10, "output_length": 0, "hash_ids": [0, 1]}` + "\n\n" +
				`{"timestamp": 6000, "input_length": 20, "output_length": 3, "hash_ids": [0]}`,
			[]Request{{0, 10, 1, []uint64{0, 1}}, {3 * s, 20, 3, []uint64{0}}},
		},
		"Vidur": {
			"arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.25,396,109\n",
			[]Request{{0, 374, 44, nil}, {4250 * time.Millisecond, 396, 109, nil}},
		},
		"BurstGPT of six columns, failures left out": {
			"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,52,3,55,Conversation log\n6,GPT-4,5,0,5,API log\n7,GPT-4,56,30,86,API log\n",
			[]Request{{0, 52, 3, nil}, {2 * s, 56, 30, nil}},
		},
		"plain, with Windows' line ends, a byte order mark, blank lines and no last newline": {
			"\xef\xbb\xbfarrival_s,input_tokens,output_tokens\r\n10,1,2\r\n\r\n11.25,3,4",
			[]Request{{0, 1, 2, nil}, {1250 * time.Millisecond, 3, 4, nil}},
		},
		"plain, columns in another order and case, quotes, spaces, whole numbers with a point": {
			"note,Output_Tokens,ARRIVAL_S,input_tokens\n\"a, b\", 2 ,1e1,1.0\nc,4,10.5,3\n",
			[]Request{{0, 1, 2, nil}, {500 * time.Millisecond, 3, 4, nil}},
		},
		"plain with prefix blocks": {
			"arrival_s,input_tokens,output_tokens,prefix_blocks\n0,1,2,7 8\n1,3,4,\n",
			[]Request{{0, 1, 2, []uint64{7, 8}}, {s, 3, 4, nil}},
		},
		"Azure across midnight and zones": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-11T23:59:59.5Z,1,2\n2024-05-12 02:00:00.25+02:00,3,4\n2024-05-12 00:00:01,5,6\n",
			[]Request{{0, 1, 2, nil}, {750 * time.Millisecond, 3, 4, nil}, {1500 * time.Millisecond, 5, 6, nil}},
		},
		"Mooncake with fields unknown, in another order": {
			`{"output_length": 5, "session": "a\"b", "input_length": 7, "timestamp": 1.5}` + "\n" + `{"timestamp": 2, "input_length": 1, "output_length": 1}`,
			[]Request{{0, 7, 5, nil}, {500 * time.Microsecond, 1, 1, nil}},
		},
		"BurstGPT of eight columns": {
			"Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,a,1.5,ChatGPT,52,3,55,Conversation log\n",
			[]Request{{0, 52, 3, nil}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for kind, text := range map[string][]byte{"plain": []byte(tc.text), "gzip": zip(t, tc.text)} {
				got, err := Read(bytes.NewReader(text), "x.csv")
				if err != nil {
					t.Fatalf("%s: %v", kind, err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", kind, diff)
				}
			}
		})
	}
}

func date(s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return at
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadErrorsNameFileAndLine(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"only blanks":                   {" \n\n", []string{"x.csv", "empty"}},
		"a place in a row":              {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\n2023-11-16 18:15:46,many,1\n", []string{`x.csv: line 3, column 2 (ContextTokens): "many"`}},
		"a fraction of a token":         {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1.5,1\n", []string{"column 2 (num_prefill_tokens)", "1.5"}},
		"an empty field":                {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,,1\n", []string{"column 2 (num_prefill_tokens)", `""`}},
		"a column too many":             {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,1,1\n", []string{"line 2, column 4", "4 columns where the header has 3"}},
		"a quote that stays open":       {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,\"1,1\n", []string{"line 2", "quote"}},
		"a day that is none":            {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-02-30 18:15:46,1,1\n", []string{"column 1 (TIMESTAMP)", "2023-02-30"}},
		"an hour that is none":          {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-02-20 24:15:46,1,1\n", []string{"column 1 (TIMESTAMP)"}},
		"all failures":                  {"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,a,5,0,5,b\n", []string{"all 1 rows record failures"}},
		"blocks that are none":          {"arrival_s,input_tokens,output_tokens,prefix_blocks\n0,1,2,7 x\n", []string{"column 4 (prefix_blocks)", `"x"`}},
		"a JSON field of a kind":        {`{"timestamp": 1, "input_length": "7", "output_length": 1}`, []string{"line 1, column 36 (input_length): string where a number is wanted"}},
		"JSON blocks of a kind":         {`{"timestamp": 1, "input_length": 7, "output_length": 1, "hash_ids": [-1]}`, []string{"(hash_ids): number -1 where a whole number of 64 bits is wanted"}},
		"JSON blocks that are no list":  {`{"timestamp": 1, "input_length": 7, "output_length": 1, "hash_ids": "1"}`, []string{"(hash_ids): string where a list is wanted"}},
		"JSON that is no object":        {"{\"timestamp\": 1, \"input_length\": 7, \"output_length\": 1}\n[1]\n", []string{"line 2, column 1", "list where an object is wanted"}},
		"JSON below zero":               {`{"timestamp": 1, "input_length": 7, "output_length": -1}`, []string{"line 1, output_length", "-1"}},
		"rates for requests":            {"period,count\n0,1\n60,1\n", []string{"rates holds rates"}},
		"empty":                         {"", []string{"x.csv", "empty"}},
		"no requests":                   {"arrived_at,num_prefill_tokens,num_decode_tokens\n", []string{"x.csv", "no requests"}},
		"unknown columns":               {"a,b,c\n1,2,3\n", []string{"x.csv", "unknown trace format", "a,b,c"}},
		"a column by another name":      {"TIMESTAMP,ContextTokens,Generated\n", []string{"x.csv: line 1: unknown trace format", "azure-llm", "it lacks GeneratedTokens"}},
		"columns between semicolons":    {"arrival_s;input_tokens;output_tokens\n0;1;1\n", []string{"line 1", "it would be plain", "commas"}},
		"lines that end in CR":          {"arrival_s,input_tokens,output_tokens\r0,1,1\r1,1,1\r", []string{"x.csv: line 1", "carriage return alone", `tr '\r' '\n'`}},
		"a wide header that ends in CR": {"arrival_s,input_tokens,output_tokens,user\r0,1,1,a\r", []string{"x.csv: line 1: its lines end in a carriage return alone"}},
		"JSON lines that end in CR":     {`{"timestamp": 1, "input_length": 7, "output_length": 1}` + "\r" + `{"timestamp": 2, "input_length": 7, "output_length": 1}`, []string{"x.csv: line 1: its lines end in a carriage return alone"}},
		"a column that is there twice":  {"arrival_s,arrival_s,input_tokens,output_tokens\n0,1,1,1\n", []string{"x.csv: line 1, column 2 (arrival_s): column 1 (arrival_s) has this name too"}},
		"blocks that are there twice":   {"arrival_s,input_tokens,output_tokens,prefix_blocks,Prefix_Blocks\n0,1,1,1,1\n", []string{"column 5 (Prefix_Blocks): column 4 (prefix_blocks) has this name too"}},
		"requests in one JSON list":     {`[{"timestamp": 1, "input_length": 7, "output_length": 1}]`, []string{"x.csv: line 1", "one JSON list", "JSON lines", "jq -c '.[]'"}},
		"a JSON list on many lines":     {"[\n {\n  \"timestamp\": 1, \"input_length\": 7, \"output_length\": 1\n }\n]\n", []string{"x.csv: line 1", "one JSON list"}},
		"a JSON object on many lines":   {"{\n  \"timestamp\": 1, \"input_length\": 7, \"output_length\": 1\n}\n", []string{"x.csv: line 1", "one whole object a line"}},
		"UTF-16":                        {"\xff\xfea\x00,\x00b\x00", []string{"line 1", "save it in UTF-8"}},
		"a gzip in a gzip":              {string(zip(t, string(zip(t, "arrival_s,input_tokens,output_tokens\n0,1,1\n")))), []string{"line 1", "zipped twice"}},
		"a bad time":                    {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\nyesterday,1,1\n", []string{"x.csv", "line 3", "yesterday"}},
		"a bad count":                   {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,many,1\n", []string{"line 2", "num_prefill_tokens", "many"}},
		"a negative count":              {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,-1\n", []string{"line 2", "-1"}},
		"a count beyond reason":         {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,999999999\n", []string{"line 2", "999999999"}},
		"a short row":                   {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1\n", []string{"line 2"}},
		"time that is no number":        {"arrived_at,num_prefill_tokens,num_decode_tokens\nNaN,1,1\n", []string{"line 2", "out of range"}},
		"milliseconds":                  {"arrival_s,input_tokens,output_tokens\n1704067200000,1,1\n", []string{"line 2, column 1 (arrival_s)", "time 1704067200000", "looks like milliseconds since 1970, divide it by 1000; seconds are wanted"}},
		"microseconds":                  {"arrival_s,input_tokens,output_tokens\n1704067200000000.5,1,1\n", []string{"looks like microseconds since 1970, divide it by 1000000; seconds are wanted"}},
		"nanoseconds":                   {"arrival_s,input_tokens,output_tokens\n1704067200000000000,1,1\n", []string{"looks like nanoseconds since 1970, divide it by 1000000000; seconds are wanted"}},
		"a time in no unit":             {"arrival_s,input_tokens,output_tokens\n9999999999,1,1\n", []string{"time 9999999999 is out of range: seconds are wanted"}},
		"JSON in microseconds":          {`{"timestamp": 1704067200000000, "input_length": 7, "output_length": 1}`, []string{"line 1, timestamp", "looks like microseconds since 1970, divide it by 1000; milliseconds are wanted"}},
		"arrivals decades apart":        {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,1\n999999999,1,1\n", []string{"years apart"}},
		"broken JSON":                   {"{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}\n{\n", []string{"line 2"}},
		"JSON without the fields":       {"{\"timestamp\": 1}\n", []string{"line 1", "required"}},
		"a truncated gzip":              {"\x1f\x8b\x08", []string{"x.csv", "truncated gzip"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tc.text), "x.csv")
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	if _, err := Read(strings.NewReader("a,b\n"), "x"); !errors.Is(err, ErrFormat) {
		t.Errorf("an unknown header must be ErrFormat: %v", err)
	}
}

func TestReadRates(t *testing.T) {
	nan := math.NaN()
	tests := map[string]struct {
		text string
		want Rates
	}{
		"a plain list, one number a second": {"3 0 4.5\n2", Rates{Period: s, PerSecond: []float64{3, 0, 4.5, 2}}},
		"counts per minute":                 {"period,count\n1998-04-30 21:30:00,60\n1998-04-30 21:31:00,120\n", Rates{Start: date("1998-04-30T21:30:00Z"), Period: time.Minute, PerSecond: []float64{1, 2}}},
		"a missing row is a hole, not zero": {
			"timestamp,value\n2014-04-10 00:00:00,300\n2014-04-10 00:05:00,600\n2014-04-10 00:15:00,900.0\n2014-04-10 00:20:00,0\n",
			Rates{Start: date("2014-04-10T00:00:00Z"), Period: 5 * time.Minute, PerSecond: []float64{1, 2, nan, 3, 0}},
		},
		"rates in seconds": {
			"timestamp,rate_rps,active_clients\n0,809.5,20\n600,789.25,20\n", Rates{Period: 10 * time.Minute, PerSecond: []float64{809.5, 789.25}},
		},
		"uneven steps of about seven minutes, per minute": {
			"timestamp,req_per_min_mid,req_per_min_low\n2024-05-12 00:00:00,120,1\n2024-05-12 00:07:13,60,1\n2024-05-12 00:14:26,180,1\n2024-05-12 00:21:38,240,1\n",
			Rates{Start: date("2024-05-12T00:00:00Z"), Period: 432666666667, PerSecond: []float64{2, 1, 3, 4}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ReadRates(strings.NewReader(tc.text), "x")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, equateNaNs); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRatesErrors(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "a word": "1 2 three", "a negative rate": "1 -2",
		"one row": "period,count\n1998-04-30 21:30:00,60\n", "no value column": "period,size\n1,2\n",
		"backwards": "timestamp,value\n20,1\n10,1\n", "no step": "timestamp,value\n20,1\n20,1\n",
		"lines that end in CR": "timestamp,value,host\r0,1,a\r60,1,a\r", "rates twice": "timestamp,value,value\n0,1,1\n60,1,1\n",
		"a time that is there twice": "timestamp,value,Timestamp\n0,1,0\n60,1,60\n",
		"a gap of most of the file":  "timestamp,value\n0,1\n1,1\n2,1\n100000,1\n",
	} {
		if got, err := ReadRates(strings.NewReader(text), "x"); err == nil || !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestRatesInAnotherUnitOfTimeSayWhichIsWanted(t *testing.T) {
	for unit, zeros := range map[string]string{"milliseconds": "000", "microseconds": "000000", "nanoseconds": "000000000"} {
		text := "timestamp,value\n1704067200" + zeros + ",60\n1704067260" + zeros + ",60\n"
		_, err := ReadRates(strings.NewReader(text), "x")
		for _, part := range []string{"x: line 2, column 1 (timestamp)", "looks like " + unit, "seconds are wanted", "or dates like 2006-01-02"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v does not say %q", unit, err, part)
			}
		}
	}
}

func TestAListOfRatesMayBeginAndEndWithBlankLines(t *testing.T) {
	got, err := ReadRates(strings.NewReader("\n\n3 0\r\n\tNaN 2\n\n\n"), "x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{3, 0, math.NaN(), 2}, got.PerSecond, equateNaNs); diff != "" {
		t.Error(diff)
	}
}

func TestAFileThatBreaksOffSaysSo(t *testing.T) {
	for name, text := range map[string]string{
		"requests":       "arrival_s,input_tokens,output_tokens\n" + strings.Repeat("0,1,1\n", 1e5),
		"rates":          "timestamp,count\n" + strings.Repeat("0,1\n", 1e5),
		"a list":         strings.Repeat("1\n", 1e6),
		"lines of JSON":  strings.Repeat(`{"timestamp": 1, "input_length": 1, "output_length": 1}`+"\n", 1e5),
		"one JSON value": `{"resultType":"matrix","result":[{"values":[` + strings.Repeat(`[1,"1"],`, 1e5) + `[2,"1"]]}]}`,
	} {
		whole := zip(t, text)
		for _, left := range []int{1, 5, len(whole) / 2} {
			_, err := Survey(file(t, string(whole[:len(whole)-left])), Options{})
			if err == nil || !strings.Contains(err.Error(), "load.csv: ") || !strings.Contains(err.Error(), "truncated gzip") {
				t.Errorf("%s without its last %d of %d bytes: %v", name, left, len(whole), err)
			}
		}
		whole[len(whole)-6] ^= 1
		if _, err := Survey(file(t, string(whole)), Options{}); err == nil || !strings.Contains(err.Error(), "broken gzip") {
			t.Errorf("%s with a checksum that is wrong: %v", name, err)
		}
	}
}

func TestOddTimesAreNoted(t *testing.T) {
	const header = "arrival_s,input_tokens,output_tokens\n"
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"rows in order": {header + "0,1,1\n1,1,1\n1,1,1\n", nil},
		"rows that are not": {
			header + "0,1,1\n5,1,1\n3,1,1\n4,1,1\n6,1,1\n", []string{"2 rows are earlier than one before them: they were put in order of time"},
		},
		"times below zero": {header + "-2,1,1\n-1,1,1\n1,1,1\n", []string{"2 rows have times below zero: times count from the earliest one"}},
		"dates before 1970": {
			"TIMESTAMP,ContextTokens,GeneratedTokens\n1960-05-12 00:00:01,7,8\n1960-05-12 00:00:02,5,6\n", nil,
		},
	} {
		facts, err := Survey(file(t, tc.text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, facts.Notes, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOffsetsAreKeptWhenAsked(t *testing.T) {
	tests := map[string]struct {
		text  string
		first time.Duration
		start string
	}{
		"seconds of a trace":  {"arrival_s,input_tokens,output_tokens\n7200.5,1,1\n", 2*time.Hour + 500*time.Millisecond, ""},
		"seconds of an epoch": {"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n1700000000,a,1,1,2,b\n", 22*time.Hour + 13*time.Minute + 20*s, "2023-11-14T00:00:00Z"},
		"dates":               {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\n", 18*time.Hour + 15*time.Minute + 46*s, "2023-11-16T00:00:00Z"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			in, err := Open(path, Options{KeepOffset: true})
			if err != nil {
				t.Fatal(err)
			}
			q, err := in.Next()
			if err != nil || q.At != tc.first {
				t.Errorf("the first request is at %v (%v), want %v", q.At, err, tc.first)
			}
			if got := in.Facts().Start; got.IsZero() != (tc.start == "") || (tc.start != "" && !got.Equal(date(tc.start))) {
				t.Errorf("zero is %v, want %s", got, tc.start)
			}
		})
	}
}

func TestAFormatCanBeForced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	// Both Vidur's and Azure's columns.
	text := "arrived_at,num_prefill_tokens,num_decode_tokens,TIMESTAMP,ContextTokens,GeneratedTokens\n0,1,1,2023-11-16 18:15:46,70,80\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, path, Options{Format: Vidur}); got[0].PromptTokens != 1 {
		t.Errorf("as vidur: %+v", got)
	}
	if got := collect(t, path, Options{Format: AzureLLM}); got[0].PromptTokens != 70 {
		t.Errorf("as azure-llm: %+v", got)
	}
	for format, want := range map[Format]string{
		BurstGPT: "needs the columns Timestamp, Request tokens, Response tokens", RateTable: "the first column is none of time",
		Functions2019: "minutes", Mooncake: "line 1", Prometheus: "line 1", PerSecond: "number 1", ServeGen: "start_s",
	} {
		if _, err := Open(path, Options{Format: format}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("as %s: %v does not say %q", format, err, want)
		}
	}
}

func TestFailuresAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	text := "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,a,52,3,55,b\n6,a,5,0,5,b\n7,a,5,0,5,b\n9,a,8,4,12,b\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Survey(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	prompt, output := f.MeanTokens()
	if f.Requests != 2 || f.Failed != 2 || f.Rate() != 0.5 || prompt != 30 || output != 3.5 || f.Progress() != 1 || f.Read != f.Size {
		t.Errorf("facts %+v: %v requests/s of %v and %v tokens", f, f.Rate(), prompt, output)
	}
}

// TestMemoryDoesNotGrowWithTheTrace reads from a writer that never stops by itself.
func TestMemoryDoesNotGrowWithTheTrace(t *testing.T) {
	const rows = 400_000
	reader, writer := io.Pipe()
	go func() {
		w := NewWriter(writer)
		for i := range rows {
			if err := w.Write(Request{At: time.Duration(i) * time.Millisecond, PromptTokens: 1 + i%1000, OutputTokens: 1}); err != nil {
				writer.CloseWithError(err)
				return
			}
		}
		writer.CloseWithError(w.Flush())
	}()
	f := &opened{path: "pipe", read: &counter{in: reader}, file: reader}
	if err := f.tell(); err != nil {
		t.Fatal(err)
	}
	in, err := f.requests(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var early, late runtime.MemStats
	for i := range rows {
		if _, err := in.Next(); err != nil {
			t.Fatal(err)
		}
		if i == rows/4 {
			runtime.GC()
			runtime.ReadMemStats(&early)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&late)
	if _, err := in.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last request: %v", err)
	}
	if grown := int64(late.HeapAlloc) - int64(early.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d bytes more are held after %d requests than after a quarter of them", grown, rows)
	}
}

// FuzzRead checks that no bytes make the readers panic or return nonsense.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2024-05-12 00:00:00.001163+00:00,1,2\n",
		`{"timestamp": 3000, "input_length": 10, "output_length": 5, "hash_ids": [0, 1]}`,
		"arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n1e300,1,1\n",
		"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,52,3,55,Conversation log\n",
		"period,count\n1998-04-30 21:30:00,60\n1998-04-30 21:31:00,120\n",
		"\"", "1 2 3 NaN 4", "\x1f\x8b\x08\x00", "arrival_s,input_tokens,output_tokens,prefix_blocks\n1e3,\"2\",3.0,4 5\n",
		"app,func,end_timestamp,duration\na,b,0.5,0.75\n", "timestamp,rate_rps,mean_input_tokens,mean_output_tokens\n0,1,,5\n60,,7,8\n",
		"HashOwner,Trigger,1,2,3,4,5,6,7,8,9,10\na,b,1,2,3,4,5,6,7,8,9,10\n",
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1700000000,"1"],[1700000060.5,"NaN"]]}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := Read(bytes.NewReader(data), "fuzz"); err == nil {
			last := time.Duration(0)
			for _, q := range got {
				if q.At < last || q.PromptTokens < 1 || q.OutputTokens < 1 {
					t.Fatalf("impossible request %+v after %v", q, last)
				}
				last = q.At
			}
		}
		for _, format := range Formats() {
			f := &opened{path: "fuzz", read: &counter{in: bytes.NewReader(data)}, file: io.NopCloser(nil), want: format}
			if f.tell() != nil || !format.requests() {
				continue
			}
			if in, err := f.requests(Options{Mix: "fixed:1/1"}); err == nil {
				if got, err := Collect(in); err == nil {
					inOrder(t, got)
				}
			}
		}
		if got, err := ReadRates(bytes.NewReader(data), "fuzz"); err == nil {
			for _, v := range got.PerSecond {
				if v < 0 || math.IsInf(v, 0) || got.Period <= 0 {
					t.Fatalf("impossible rates: %v each %v", v, got.Period)
				}
			}
		}
	})
}
