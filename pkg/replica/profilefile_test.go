package replica

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryFieldOfAProfileIsExplained(t *testing.T) {
	want := map[string]bool{}
	for f := range reflect.TypeFor[Profile]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			want[name] = true
		}
	}
	got := map[string]bool{}
	for _, f := range Fields() {
		got[f.Name] = true
		if f.Doc == "" || f.Default == "" {
			t.Errorf("%s: doc %q, default %q", f.Name, f.Doc, f.Default)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-of Profile +explained):\n%s", diff)
	}
}

func TestDefaultsAreThoseThatAreExplained(t *testing.T) {
	read, err := ReadProfile(strings.NewReader("step_base_ms: 7\nprefill_per_token_ms: 0.03\nkv_tokens: 400000\n"), "mine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := read.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	for _, f := range Fields() {
		number, _, _ := strings.Cut(f.Default, ",")
		if strings.Trim(number, "0123456789") != "" {
			continue // words
		}
		if line := "\n" + f.Name + ": " + number + "\n"; !strings.Contains(text.String(), line) {
			t.Errorf("%s is said to be %s by default, the file has\n%s", f.Name, number, text.String())
		}
	}
}

func TestAWrittenProfileReadsBackAsItWas(t *testing.T) {
	for _, name := range ProfileNames() {
		want, err := ProfileNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		want.Source += ` # "quoted": <yes>`
		var text bytes.Buffer
		if err := want.WriteYAML(&text); err != nil {
			t.Fatal(err)
		}
		got, err := ReadProfile(bytes.NewReader(text.Bytes()), "elsewhere.yaml")
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
		if notes := Assumed(text.Bytes()); notes != nil {
			t.Errorf("%s: everything is said, and yet is assumed: %q", name, notes)
		}
	}
}

func TestWhatAProfileLeavesOutIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		yaml string
		want []string // fields
	}{
		"three lines only": {
			"step_base_ms: 7\nprefill_per_token_ms: 0.03\nkv_tokens: 400000\n",
			[]string{"gpus", "step_per_sequence_ms", "step_per_context_token_ms", "prefill_per_token_pair_ms"},
		},
		"a zero that is said":  {"gpus: 2\nstep_per_sequence_ms: 0\nstep_per_context_token_ms: 0\nprefill_per_token_pair_ms: 0\n", nil},
		"a null says nothing":  {"gpus:\nstep_per_sequence_ms: 1\nstep_per_context_token_ms: 1\nprefill_per_token_pair_ms: 1\n", []string{"gpus"}},
		"text that is no YAML": {"a: [", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, note := range Assumed([]byte(tc.yaml)) {
				field, _, _ := strings.Cut(note, " ")
				got = append(got, field)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
