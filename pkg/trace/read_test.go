package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
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
		"empty":                   {"", []string{"x.csv", "empty"}},
		"no requests":             {"arrived_at,num_prefill_tokens,num_decode_tokens\n", []string{"x.csv", "no requests"}},
		"unknown columns":         {"a,b,c\n1,2,3\n", []string{"x.csv", "unknown trace format", "a,b,c"}},
		"a bad time":              {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1,1\nyesterday,1,1\n", []string{"x.csv", "line 3", "yesterday"}},
		"a bad count":             {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,many,1\n", []string{"line 2", "num_prefill_tokens", "many"}},
		"a negative count":        {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,-1\n", []string{"line 2", "-1"}},
		"a count beyond reason":   {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,999999999\n", []string{"line 2", "999999999"}},
		"a short row":             {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1\n", []string{"line 2"}},
		"time that is no number":  {"arrived_at,num_prefill_tokens,num_decode_tokens\nNaN,1,1\n", []string{"line 2", "out of range"}},
		"arrivals decades apart":  {"arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,1\n999999999,1,1\n", []string{"years apart"}},
		"broken JSON":             {"{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}\n{\n", []string{"line 2"}},
		"JSON without the fields": {"{\"timestamp\": 1}\n", []string{"line 1", "required"}},
		"a truncated gzip":        {"\x1f\x8b\x08", []string{"x.csv", "gzip"}},
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
		"a gap of most of the file": "timestamp,value\n0,1\n1,1\n2,1\n100000,1\n",
	} {
		if got, err := ReadRates(strings.NewReader(text), "x"); err == nil || !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
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
		"1 2 3 NaN 4", "\x1f\x8b\x08\x00",
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
		if got, err := ReadRates(bytes.NewReader(data), "fuzz"); err == nil {
			for _, v := range got.PerSecond {
				if v < 0 || math.IsInf(v, 0) || got.Period <= 0 {
					t.Fatalf("impossible rates: %v each %v", v, got.Period)
				}
			}
		}
	})
}
