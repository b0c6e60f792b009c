package trace

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzFlatJSON compares the fast reader of a line with encoding/json: what it reads, both read alike.
func FuzzFlatJSON(f *testing.F) {
	for _, seed := range []string{
		`{"timestamp": 3000, "input_length": 10, "output_length": 5, "hash_ids": [0, 1, 18446744073709551615]}`,
		`{"hash_ids":[],"output_length":5,"input_length":10,"timestamp":0}`,
		`{"timestamp": 1, "input_length": 1, "output_length": 1} `,
		`{"timestamp": 1, "timestamp": 2, "input_length": 1, "output_length": 1}`,
		`{"timestamp": 01, "input_length": 1.0, "output_length": 1e1}`,
		`{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": null}`,
		`{"timestamp": 1, "input_length": 1, "output_length": 1,}`,
		`{"timestamp": 1, "input_length": 1, "output_length": 67108865}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var fast flatJSON
		got, ok := fast.row(line)
		if !ok {
			return
		}
		slow := &mooncakeRows{lines: &lines{}}
		want, err := slow.row(line)
		if err != nil {
			t.Fatalf("the fast reader takes %q: %+v, encoding/json does not: %v", line, got, err)
		}
		// Milliseconds go through a float in the slow reader.
		if drift := got.at - want.at; drift < -1000 || drift > 1000 {
			t.Errorf("%q at %d, want %d", line, got.at, want.at)
		}
		got.at = want.at
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("%q (-encoding/json +fast):\n%s", line, diff)
		}
	})
}

func TestFlatJSONReadsWhatMooncakeWrites(t *testing.T) {
	var p flatJSON
	var kept []row
	line := bytes.TrimSpace(csvText(Mooncake, 1))
	for range 3000 { // beyond several arenas
		got, ok := p.row(line)
		if !ok {
			t.Fatalf("%q is not simple", line)
		}
		kept = append(kept, got)
	}
	for _, r := range kept {
		if diff := cmp.Diff([]uint64{0, 1, 2, 3, 4, 5, 6, 7}, r.blocks); diff != "" {
			t.Fatalf("a later line changed an earlier one's blocks (-want +got):\n%s", diff)
		}
	}
}

// csvText is a trace of n rows in a format.
func csvText(format Format, n int) []byte {
	var b bytes.Buffer
	day := time.Date(2024, 5, 12, 0, 0, 0, 0, time.UTC)
	switch format {
	case Plain:
		fmt.Fprintln(&b, plainHeader)
	case AzureLLM:
		fmt.Fprintln(&b, "TIMESTAMP,ContextTokens,GeneratedTokens")
	case BurstGPT:
		fmt.Fprintln(&b, "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type")
	}
	for i := range n {
		at, prompt, output := time.Duration(i)*23*time.Millisecond, 100+i%4000, 1+i%600
		switch format {
		case Plain:
			fmt.Fprintf(&b, "%.3f,%d,%d\n", at.Seconds(), prompt, output)
		case AzureLLM:
			fmt.Fprintf(&b, "%s,%d,%d\n", day.Add(at).Format("2006-01-02 15:04:05.000000-07:00"), prompt, output)
		case BurstGPT:
			fmt.Fprintf(&b, "%d,%d,1.5,ChatGPT,%d,%d,%d,Conversation log\n", i/40, i, prompt, output, prompt+output)
		case Mooncake:
			fmt.Fprintf(&b, `{"timestamp": %d, "input_length": %d, "output_length": %d, "hash_ids": [0, 1, 2, 3, %d, %d, %d, %d]}`+"\n",
				i/100*3000, prompt, output, 4*i+4, 4*i+5, 4*i+6, 4*i+7)
		}
	}
	return b.Bytes()
}
