package trace

import (
	"bytes"
	"testing"

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
