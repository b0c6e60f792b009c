package trace

import (
	"archive/tar"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twoClients are a service of a bursty and an idle-then-busy client.
var twoClients = map[string]string{
	"data/chunk-0-trace.csv":    "0,2,3.0,Weibull,0.4,0.1\n600,4,1.2,Gamma,0.7,0.3\n1200,0,0,,0,0\n",
	"data/chunk-0-dataset.json": `{"0": {"input_tokens": "{100: 0.25, 300: 0.75,}", "output_tokens": "{ 7 : 1e0 }"}, "600": {"input_tokens": "{}", "output_tokens": "{}"}}`,
	"data/chunk-1-trace.csv":    "0,0,0,,0,0\n600,1,1,,0,0\n1200,1,1.0,Gamma,1,1\n",
	"data/notes.txt":            "not a client",
}

func writeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func writeTar(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clients.tar.gz")
	if err := os.WriteFile(path, zip(t, b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientsAreSuperposed(t *testing.T) {
	folder, archive := writeFolder(t, twoClients), writeTar(t, twoClients)
	o := Options{Seed: 3, Mix: "fixed:5/5"}
	got := collect(t, folder, o)
	if !equal(got, collect(t, archive, o)) {
		t.Error("the folder and the archive give different requests")
	}
	counts := map[int]int{}
	sizes := map[int]int{}
	for _, q := range got {
		counts[int(q.At/(10*time.Minute))]++
		sizes[q.PromptTokens]++
	}
	// Windows have their recorded numbers exactly: 2·600, (4+1)·600, 1·600.
	if counts[0] != 1200 || counts[1] != 3000 || counts[2] != 600 || len(got) != 4800 {
		t.Errorf("requests by window: %v", counts)
	}
	// Client 0 has its own sizes, in its idle window those before; client 1 draws from the mix.
	if sizes[5] != 1200 || sizes[100]+sizes[300] != 3600 || !near(float64(sizes[300]), 2700, 0.05) {
		t.Errorf("requests by prompt: %v", sizes)
	}
	in, err := Open(folder, o)
	if err != nil {
		t.Fatal(err)
	}
	if f := in.Facts(); f.Expected != 4800 || f.Length != 30*time.Minute || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "1 of 2 clients") {
		t.Errorf("facts %+v", f)
	}
}

func TestAWindowOfClientsIsThatOfTheWhole(t *testing.T) {
	folder := writeFolder(t, twoClients)
	whole := collect(t, folder, Options{Seed: 1, Mix: "fixed:5/5"})
	from, length := 7*time.Minute, 15*time.Minute
	cut, err := Collect(Options{From: from, For: length}.cut(FromSlice(whole)))
	if err != nil {
		t.Fatal(err)
	}
	part := collect(t, folder, Options{Seed: 1, Mix: "fixed:5/5", From: from, For: length})
	if len(part) != len(cut) || len(part) == 0 {
		t.Fatalf("%d requests in the window, %d in that of the whole", len(part), len(cut))
	}
	for i := range part {
		if part[i].At != cut[i].At {
			t.Fatalf("request %d at %v, in the whole at %v", i, part[i].At, cut[i].At)
		}
	}
}

func TestClientsScale(t *testing.T) {
	folder := writeFolder(t, twoClients)
	for _, factor := range []float64{0.1003, 0.5, 3} {
		got := collect(t, folder, Options{Seed: 1, Rate: factor})
		if want := factor * 4800; math.Abs(float64(len(got))-want) > 6 { // one for each window of a client
			t.Errorf("factor %v: %d requests, want %v", factor, len(got), want)
		}
	}
}

func TestOneClientAlone(t *testing.T) {
	folder := writeFolder(t, twoClients)
	got := collect(t, filepath.Join(folder, "data/chunk-1-trace.csv"), Options{})
	if len(got) != 1200 || got[0].At < 10*time.Minute {
		t.Errorf("%d requests, the first at %v", len(got), got[0].At)
	}
}

func TestImagesCountAsPrompt(t *testing.T) {
	folder := writeFolder(t, map[string]string{
		"chunk-3-trace.csv": "0,1,1,Gamma,1,1\n",
		"chunk-3-dataset.json": `{"0": {"text_tokens": "{10: 1}", "output_tokens": "{3: 1}", "image_count": "{2: 1}", "image_tokens": "{400: 1}",
			"audio_count": "{0: 1}", "audio_tokens": "{9: 1}"}}`,
	})
	if got := collect(t, folder, Options{}); len(got) != 600 || got[0].PromptTokens != 810 || got[0].OutputTokens != 3 {
		t.Errorf("%d requests, the first is %+v, want 10 + 2·400 tokens", len(got), got[0])
	}
}

func TestClientFaults(t *testing.T) {
	trace := func(text string) map[string]string { return map[string]string{"chunk-0-trace.csv": text} }
	dataset := func(text string) map[string]string {
		return map[string]string{"chunk-0-trace.csv": "0,1,1,Gamma,1,1\n", "chunk-0-dataset.json": text}
	}
	tests := map[string]struct {
		files map[string]string
		want  []string
	}{
		"no clients":                {map[string]string{"readme.txt": "x"}, []string{"no chunk-N-trace.csv"}},
		"two services":              {map[string]string{"a/chunk-0-trace.csv": "0,1,1,,0,0\n", "b/chunk-0-trace.csv": "0,1,1,,0,0\n"}, []string{"two services"}},
		"no windows":                {trace(""), []string{"chunk-0-trace.csv", "no windows"}},
		"a time that is none":       {trace("x,1,1,Gamma,1,1\n"), []string{"line 1, column 1 (start_s)"}},
		"a rate that is none":       {trace("0,1,1,Gamma,1,1\n600,-4,1,Gamma,1,1\n"), []string{"line 2, column 2 (rate_rps)", "-4"}},
		"an unknown distribution":   {trace("0,1,1,Pareto,1,1\n"), []string{"column 4 (distribution)", "Pareto", "Weibull"}},
		"no shape":                  {trace("0,1,1,Gamma,0,1\n"), []string{"column 5 (shape)"}},
		"windows out of order":      {trace("600,1,1,,0,0\n0,1,1,,0,0\n"), []string{"line 2", "in order"}},
		"columns missing":           {trace("0,1,1\n"), []string{"line 1", "3 columns"}},
		"a window beyond memory":    {trace("0,900000000,1,,0,0\n"), []string{"at most 50000000"}},
		"sizes that are no JSON":    {dataset("{\n\"0\": {]"), []string{"chunk-0-dataset.json", "line 2, column 7"}},
		"sizes that are no numbers": {dataset(`{"600": {"input_tokens": "{many: 1}", "output_tokens": "{1: 1}"}}`), []string{"600", "input_tokens", "many"}},
		"shares below zero":         {dataset(`{"0": {"output_tokens": "{1: -1}"}}`), []string{"output_tokens", "-1"}},
		"sizes without braces":      {dataset(`{"0": {"output_tokens": "1: 1"}}`), []string{"dictionary"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{writeFolder(t, tc.files), writeTar(t, tc.files)} {
				_, err := Open(path, Options{})
				for _, want := range tc.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v does not say %q", err, want)
					}
				}
			}
		})
	}
	if _, err := Open(writeFolder(t, twoClients), Options{Format: Plain}); err == nil || !strings.Contains(err.Error(), "servegen") {
		t.Errorf("a folder as a CSV: %v", err)
	}
}

// FuzzClients checks that no bytes of a client's files panic, and that what is accepted can be drawn from.
func FuzzClients(f *testing.F) {
	f.Add([]byte(twoClients["data/chunk-0-trace.csv"]), []byte(twoClients["data/chunk-0-dataset.json"]))
	f.Add([]byte("0,1,1,Weibull,0.002,1\n1,1,1,Gamma,0.002,1\n"), []byte(`{"5": {"text_tokens": "{0: 0, 1: 1e9}", "output_tokens": "{1: 1}"}}`))
	f.Fuzz(func(t *testing.T, rates, sizes []byte) {
		var found chunks
		if found.add("chunk-0-trace.csv", bytes.NewReader(rates)) != nil || found.add("chunk-0-dataset.json", bytes.NewReader(sizes)) != nil {
			return
		}
		clients, err := found.all("fuzz")
		if err != nil || expectedOf(clients, Options{}) > 10_000 {
			return
		}
		got, err := Collect(newService(clients, ChatMix(), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		inOrder(t, got)
	})
}

func TestClientsAreNotLookedForFarBelow(t *testing.T) {
	deep := map[string]string{"a/b/c/d/e/chunk-0-trace.csv": "0,1,1,Gamma,1,1\n"}
	if _, err := Open(writeFolder(t, deep), Options{}); err == nil || !strings.Contains(err.Error(), "no chunk-N-trace.csv") {
		t.Errorf("five folders down: %v", err)
	}
	near := map[string]string{"data/language/m-small/chunk-0-trace.csv": "0,1,1,Gamma,1,1\n"}
	if got := collect(t, writeFolder(t, near), Options{}); len(got) != 600 {
		t.Errorf("three folders down: %d requests", len(got))
	}
}
