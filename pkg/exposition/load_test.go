package exposition

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

func TestLoadNamesFileAndLineOfEveryFault(t *testing.T) {
	bad := fstest.MapFS{
		"a.yaml": {Data: []byte(`name: a
port: 0
path: metrics
detect:
  none: ["x{"]
evidence:
  - present: ["b ad"]
rename:
  - from: a
metrics:
  inference_requests_wating: [{sample: a}]
  inference_requests_running:
    - where: {x: y}
    - sample: b
      scale: -1
      reduce: [{sum: [x]}]
    - sample: c
      reduce: [{sum: ["*"], max: ["*"]}]
    - sample: d
      plus:
        - sample: e
          reduce: [{mean: ["*"], weight: inference_nothing, by: [engine]}]
    - sample: f
      like: {sample: g}
    - sample: h
      product: [i]
      names: j
  inference_requests_total:
    - sample: k
      minus: [{sample: l}]
latencies:
  inference_patience_seconds: [{sample: e}]
  inference_request_duration_seconds: [{sum: m}]
`)},
		"b.yaml": {Data: []byte("name: b\nport: 1\nports: 3\n")},
		"c.yaml": {Data: []byte("name: c\n  port: 1\n")},
		"d.yaml": {Data: []byte("port: 1\n")},
		"e.yaml": {Data: []byte("name: e\n\nextends: nobody\n")},
		"f.yml":  {Data: []byte("name: f\npath: {a: b}\n")},
		"g.yaml": {Data: []byte("# the second\nname: e\n")},
		"h.yaml": {Data: []byte("name: h\nextends: e\n")},
		"i.yaml": {Data: []byte("name: i\nport: many\n")},
		"j.yaml": {Data: []byte("name: J 1\n")},
		"README": {Data: []byte("not a profile")},
	}
	_, err := LoadFS(bad)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		"a.yaml:2: port: 0 is not", `a.yaml:3: path: "metrics" does not`, "a.yaml:5: detect: has neither", `a.yaml:5: detect.none[0]: "x{" is no pattern`,
		`a.yaml:7: evidence[0].present[0]: "b ad" is no pattern`, "a.yaml:7: evidence[0]: versions is missing", "a.yaml:9: rename[0]: needs to",
		`a.yaml:11: metrics.inference_requests_wating: "inference_requests_wating" is not a metric`,
		"a.yaml:13: metrics.inference_requests_running[0]: sample is missing", "a.yaml:15: metrics.inference_requests_running[1].scale: -1 is negative",
		"a.yaml:14: metrics.inference_requests_running[1]: the last step", "a.yaml:17: metrics.inference_requests_running[2]: a step of reduce must have exactly one of",
		"a.yaml:21: metrics.inference_requests_running[3].plus[0]: weight must name", "a.yaml:24: metrics.inference_requests_running[4].like: needs",
		"a.yaml:25: metrics.inference_requests_running[5]: product and names", "a.yaml:30: metrics.inference_requests_total[0].minus: a counter must not be a difference",
		"a.yaml:32: latencies.inference_patience_seconds", "a.yaml:33: latencies.inference_request_duration_seconds[0]: sample is missing",
		"b.yaml:3: field ports is not known", "c.yaml:2: mapping values are not allowed", "d.yaml:1: name is missing",
		`e.yaml:3: extends: there is no profile "nobody"`, "f.yml:2: must be a string or a list", "g.yaml:2: name: e is the name of e.yaml too",
		"h.yaml:2: extends: e extends nobody itself", "i.yaml:2: cannot unmarshal", `j.yaml:1: name: "J 1" has other`,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not mention %q:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "README") {
		t.Errorf("a file that is no profile was read: %v", err)
	}
}

func TestLoadOfADirectoryThatIsNotThereFails(t *testing.T) {
	if _, err := Load(os.DirFS("testdata/nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want %v", err, fs.ErrNotExist)
	}
}

func TestAUsersProfileReplacesOursOfTheSameName(t *testing.T) {
	own := fstest.MapFS{
		"renamed.yaml": {Data: []byte(`name: vllm
port: 9999
path: /m
detect: {any: ["vllm:*"]}
metrics:
  inference_requests_waiting: [{sample: vllm:num_requests_waiting, scale: 10}]
`)},
		"mine.yaml": {Data: []byte(`name: mine
extends: dynamo-frontend
rename: [{from: dynamo_frontend_, to: [acme_]}]
detect: {any: ["acme_*"]}
metrics:
  inference_requests_inflight: []
`)},
	}
	own["other.yaml"] = &fstest.MapFile{Data: []byte(`name: other
extends: triton-tensorrt-llm
rename: [{from: nv_, to: [xy_]}]
detect: {any: ["xy_*"]}
`)}
	ps, err := Load(own)
	if err != nil {
		t.Fatal(err)
	}
	const page = "vllm:num_requests_waiting 4\nvllm:num_requests_running 4\n"
	cases := map[string]struct {
		page, engine string
		want         map[string]float64
	}{
		"instead of ours": {page, "vllm", map[string]float64{"requests_waiting": 40}},
		"and for those that extend it": {
			page + "dynamo_component_requests_total 1\n", "dynamo-vllm", map[string]float64{"requests_waiting": 40},
		},
		"a new one, extending ours under other names": {
			"acme_queued_requests 3\nacme_inflight_requests 7\n", "mine",
			map[string]float64{"requests_waiting": 3, "requests_waiting_capacity": 3, "requests_running": 4},
		},
		"one whose comparisons with another sample are renamed too": {
			"xy_trt_llm_request_metrics{model=\"a\",request_type=\"active\"} 1\nxy_inference_request_success{model=\"a\"} 5\nxy_inference_request_success{model=\"b\"} 6\n",
			"other",
			map[string]float64{"requests_running": 1, "requests_total": 5},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, p, err := ps.Decode([]byte(c.page), "")
			if err != nil {
				t.Fatal(err)
			}
			checkScalars(t, c.want, r)
			if p.Name() != c.engine {
				t.Errorf("engine = %s, want %s", p.Name(), c.engine)
			}
		})
	}
	if p, _ := ps.Named("vllm"); p.Port() != 9999 || p.Path() != "/m" {
		t.Errorf("vllm listens at %d %s", p.Port(), p.Path())
	}
	if got, want := len(ps.Names()), len(mustLoad(t).Names())+2; got != want {
		t.Errorf("%d profiles, want %d", got, want)
	}
	if slices.Index(ps.Names(), "vllm") < slices.Index(ps.Names(), "triton-vllm") {
		t.Errorf("the replacement has not kept the rank of what it replaced: %v", ps.Names())
	}
}

func TestPatterns(t *testing.T) {
	cases := map[string]struct {
		pattern, page string
		want          bool
	}{
		"a name":                            {"a_total", "a_total 1\n", true},
		"a name that goes on":               {"a_total", "a_totals 1\n", false},
		"a prefix":                          {"a:*", "a:b 1\n", true},
		"nothing behind the prefix":         {"a:*", "a: 1\n", false},
		"a label":                           {"a{x}", "a 1\na{x=\"1\"} 1\n", true},
		"an empty label":                    {"a{x}", "a{x=\"\"} 1\n", false},
		"a label of another sample":         {"a{x}", "b{x=\"1\"} 1\na 1\n", false},
		"a label of some of a prefix":       {"a:*{x}", "a:b 1\na:c{x=\"1\"} 1\n", true},
		"labels of different series":        {"a{x,y}", "a{x=\"1\"} 1\na{y=\"1\"} 1\n", false},
		"a label that must not be there":    {"a{x,!y}", "a{y=\"1\",x=\"1\"} 1\n", false},
		"one series without that label":     {"a{x,!y}", "a{y=\"1\",x=\"1\"} 1\na{x=\"1\"} 1\n", true},
		"labels after a blank":              {"a{x}", "a { x = \"1\" , } 1\n", true},
		"labels of a quoted name":           {"a{x}", "{\"a\",x=\"1\"} 1\n", true},
		"broken labels":                     {"a{x}", "a{x=1} 1\n", false},
		"a comment":                         {"# HELP a Some", "# HELP a Something\na 1\n", true},
		"another comment":                   {"# HELP a Some", "# HELP a Other\na 1\n", false},
		"a sample that looks like a prefix": {"# a", "a 1\n", false},
		"a last line without an end":        {"b", "a 1\nb 1", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := parsePattern(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			l, err := look([]byte(c.page), []pattern{p})
			if err != nil {
				t.Fatal(err)
			}
			if l.seen[0] != c.want {
				t.Errorf("%s on %q: %v, want %v", c.pattern, c.page, l.seen[0], c.want)
			}
		})
	}
	for _, bad := range []string{"", "*", "a b", "a*b", "a{", "a{x", "a{x,}", "a{}", "a{!}", "a}b"} {
		if _, err := parsePattern(bad); err == nil {
			t.Errorf("%q passes for a pattern", bad)
		}
	}
}

// checkScalars compares all known scalars, by their names without the common prefix.
func checkScalars(t *testing.T, want map[string]float64, r *signals.Reading) {
	t.Helper()
	if diff := cmpScalars(want, r); diff != "" {
		t.Errorf("scalars (-want +got):\n%s", diff)
	}
}
