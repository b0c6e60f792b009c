package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/signals"
)

const (
	// pageTables are the tables of what pages tell, worked out by hand or by a script that knows no profile.
	pageTables = "../../pkg/exposition/testdata"
	// foreignPages are pages that are not part of the project.
	foreignPages = "../../../shared/expositions"
)

// pageTold is what a page tells: its engine, "-" or "!" for none, and values by name, with /count and /sum for latencies.
type pageTold struct {
	Engine string
	Values map[string]valueOf
}

type valueOf struct {
	Value  float64
	Source string
}

// readTable reads a table of page, engine, name, value and source.
func readTable(t *testing.T, name string) map[string]*pageTold {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pageTables, name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*pageTold{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || strings.HasSuffix(f[2], "/bounds") { // the command does not tell of bounds
			continue
		}
		if all[f[0]] == nil {
			all[f[0]] = &pageTold{f[1], map[string]valueOf{}}
		}
		if v, err := strconv.ParseFloat(f[3], 64); err == nil {
			all[f[0]].Values[f[2]] = valueOf{v, f[4]}
		}
	}
	return all
}

// TestInspectTellsWhatEachPageTells has every page of the project, and those beside it where they are.
func TestInspectTellsWhatEachPageTells(t *testing.T) {
	for table, dir := range map[string]string{
		"traps": filepath.Join(pageTables, "traps"), "layouts": filepath.Join(pageTables, "layouts"), "corpus": foreignPages,
	} {
		t.Run(table, func(t *testing.T) {
			if _, err := os.Stat(dir); err != nil && dir == foreignPages {
				t.Skipf("no pages in %s: this part only runs beside them", dir)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.prom"))
			want := readTable(t, table)
			if err != nil || len(files) != len(want) {
				t.Errorf("%d pages for a table of %d, %v", len(files), len(want), err)
			}
			for _, file := range files {
				t.Run(filepath.Base(file), func(t *testing.T) { inspectsAs(t, file, want[filepath.Base(file)]) })
			}
		})
	}
}

// gatewayPages are those of gateways, with what awk adds up of the samples that the catalogue of gateways names.
var gatewayPages = map[string]pageTold{
	"gateway-counts-at-response-end.prom": {"envoy-ai-gateway", map[string]valueOf{"inference_gateway_requests_total": {Value: 4}}},
	"router-re-exports-engines.prom":      {"production-stack-router", map[string]valueOf{"inference_gateway_requests_total": {Value: 812}}},
	"envoy-ai-gateway-1.1.prom":           {"envoy-ai-gateway", map[string]valueOf{"inference_gateway_requests_total": {Value: 1}}},
	"litellm-1.9x.handmade.prom":          {"litellm", map[string]valueOf{"inference_gateway_requests_total": {Value: 812}}},
	"agentgateway-1.4-openmetrics.handmade.prom": {
		"agentgateway", map[string]valueOf{"inference_gateway_requests_total": {Value: 9139}},
	},
	"envoy-istio-1.30.handmade.prom": {"istio", map[string]valueOf{
		"inference_gateway_requests_queued": {Value: 3}, "inference_gateway_requests_inflight": {Value: 37 + 3},
		"inference_gateway_requests_total": {Value: 9210 + 19 + 4},
	}},
	"llm-d-router-epp-0.10.handmade.prom": {"endpoint-picker", map[string]valueOf{
		"inference_gateway_requests_queued": {Value: 12}, "inference_gateway_requests_inflight": {Value: 37},
		"inference_gateway_requests_total": {Value: 9210},
	}},
}

func inspectsGatewayAs(t *testing.T, out string, want pageTold) {
	t.Helper()
	got := readInspected(t, out)
	if got.Engine != want.Engine || got.Gateway.Kind == "" || len(got.Metrics) != len(want.Values) || len(got.Metrics)+len(got.Missing) != 3 {
		t.Errorf("%s, want %+v", out, want)
	}
	for name, v := range want.Values {
		if is := got.Metrics[name]; is.Value == nil || *is.Value != v.Value || is.Source == "" {
			t.Errorf("%s is %+v, want %v", name, is, v.Value)
		}
	}
}

func inspectsAs(t *testing.T, file string, want *pageTold) {
	t.Helper()
	if want == nil {
		t.Fatal("nothing is expected of the page")
	}
	code, out, errs := call(t.Context(), "inspect", "-f", file, "-o", "json")
	if gateway, ok := gatewayPages[filepath.Base(file)]; ok {
		inspectsGatewayAs(t, out, gateway)
		return
	}
	if want.Engine == "-" || want.Engine == "!" {
		if code != exitFault || out != "" || strings.Count(errs, "\n") < 2 {
			t.Errorf("exit %d: %s%s; want a fault with a remedy", code, out, errs)
		}
		return
	}
	if code != exitOK || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	got := readInspected(t, out)
	if diff := cmp.Diff(want, got.told(), cmpopts.EquateApprox(1e-9, 1e-12)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(got.Metrics) + len(got.Missing); n != int(signals.NumMetrics)+int(signals.NumLatencies) {
		t.Errorf("%d names are accounted for", n)
	}
	for _, m := range got.Missing {
		if m.Name == "" || m.Reason == "" || m.Sought == nil || m.Matters == "" {
			t.Errorf("%+v says too little", m)
		}
	}
}

// inspectedJSON is what INSPECT.md promises to other programs.
type inspectedJSON struct {
	Engine  string
	Gateway struct {
		Kind          string
		Pools         []string
		Holds, Proven bool
		Counted       string
	}
	Versions, Notes []string
	From            string
	ContentType     string
	Bytes           int
	Started         string
	Metrics         map[string]struct {
		Value        *float64
		Source, Kind string
		Derived      bool
		Count, Sum   *float64
		Quantiles    map[string]float64
		Saturated    []string
	}
	Missing []struct {
		Name, Reason string
		Sought       []string
		Matters      string
	}
}

// readInspected reads what the command wrote, and refuses fields that were not promised.
func readInspected(t *testing.T, out string) inspectedJSON {
	t.Helper()
	var got inspectedJSON
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}

// told is what was written in the form of the tables; a distribution whose mean is not that of its sum and count has no
// number for a sum.
func (in *inspectedJSON) told() *pageTold {
	p := &pageTold{in.Engine, map[string]valueOf{}}
	for name, v := range in.Metrics {
		switch {
		case v.Kind != "distribution" && v.Value != nil && v.Count == nil && v.Quantiles == nil:
			p.Values[name] = valueOf{*v.Value, v.Source}
		case v.Kind == "distribution" && v.Count != nil && v.Sum != nil:
			sum := *v.Sum
			if none := *v.Count == 0; none != (v.Value == nil) || !none && math.Abs(*v.Value**v.Count-sum) > 1e-9*sum {
				sum = math.NaN()
			}
			p.Values[name+"/count"] = valueOf{*v.Count, v.Source}
			p.Values[name+"/sum"] = valueOf{sum, v.Source}
		default:
			p.Values[name] = valueOf{math.NaN(), v.Source}
		}
	}
	return p
}

// TestInspectionsAreWritten has pages as they are read on a terminal, and one as other programs read it.
func TestInspectionsAreWritten(t *testing.T) {
	for name, args := range map[string]string{
		"vllm-two-engines.txt": "layouts/vllm-0.8-dp2.prom",
		"trtllm-idle.txt":      "traps/trtllm-gauges-without-children.prom",
		"mlserver.txt":         "traps/mlserver-queue-lengths-are-histograms.prom",
		"tgi.json":             "layouts/tgi-3-idle.prom -o json",
		"tgi.yaml":             "layouts/tgi-3-idle.prom -o yaml",
	} {
		golden(t, filepath.Join("inspect", name), must(t, append([]string{"inspect", "-f"}, strings.Fields(filepath.Join(pageTables, args))...)...))
	}
}

// inspectText inspects a page from standard input.
func inspectText(page string, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(context.Background(), streams{In: strings.NewReader(page), Out: &o, Err: &e}, append([]string{"inspect", "-f", "-"}, args...))
	return code, o.String(), e.String()
}

// An engine or a gateway is known by its samples' names before they tell anything.
func TestInspectKnowsAPageThatTellsNothingYet(t *testing.T) {
	for page, want := range map[string]string{
		"# TYPE trtllm_num_requests_running gauge\n":                         "tensorrt-llm",
		"# TYPE trtllm_num_requests_running gauge\nprocess_open_fds 9\n":     "tensorrt-llm",
		"trtllm_model_config_info{dtype=\"fp8\"} 1\n":                        "tensorrt-llm",
		"llm_d_epp_ready_endpoints{name=\"p\"} 0\n":                          "endpoint-picker",
		"llm_d_router_epp_flow_control_queue_size{inference_pool=\"p\"} 2\n": "endpoint-picker",
		"litellm_in_flight_requests 1\n":                                     "litellm",
	} {
		code, out, errs := inspectText(page, "-o", "json")
		var got inspected
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitOK || got.Engine != want {
			t.Errorf("%q: exit %d, engine %q (%v), want %q: %s", page, code, got.Engine, err, want, errs)
		}
		if len(got.Metrics) > 0 != strings.Contains(page, "queue_size") || len(got.Missing) == 0 {
			t.Errorf("%q: %d values, %d missing", page, len(got.Metrics), len(got.Missing))
		}
	}
}

func TestInspectSaysWhatToDoAboutAPageThatIsNone(t *testing.T) {
	for name, c := range map[string]struct{ page, says string }{
		"nothing":        {"", "the answer is empty: check port and path"},
		"gzip":           {"\x1f\x8b\x08\x00\n", "gunzip it first"},
		"HTML":           {"<!DOCTYPE html><html>\n", "this is HTML: check port and path"},
		"JSON":           {`[{"iter": 1}]`, "trtllm-serve has its metric page at /prometheus/metrics"},
		"a torn page":    {"vllm:num_requests_running 1\nvllm:num_requests_wai", "ask for it again"},
		"words":          {"404 page not found\n", "in the text format of Prometheus"},
		"a gateway":      {"gen_ai_client_x 1\n", "it is the page of an AI gateway"},
		"another engine": {"acme_requests_running 1\n", "others that may tell its load: acme_requests_running\n  for an engine of its own write a profile"},
		"another thing":  {"up 1\n", "nothing on it looks like an engine's load"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := inspectText(c.page)
			if code != exitFault || out != "" || !strings.Contains(errs, c.says) || !strings.HasPrefix(errs, "preheatctl:\n  standard input: ") {
				t.Errorf("exit %d: %s%s; want %q", code, out, errs, c.says)
			}
		})
	}
}

func TestInspectByAnotherProfile(t *testing.T) {
	const page = "vllm:num_requests_running 3\nacme:queued 2\n"
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), "name: acme\nextends: vllm\nrank: 1\nport: 8000\npath: /metrics\ndetect: {any: [\"acme:*\"]}\n"+
		"metrics: {inference_requests_waiting: [{sample: \"acme:queued\"}]}\n")
	for args, want := range map[string]string{
		"":                                       "vllm",
		"--engine llm-d-inference-sim":           "llm-d-inference-sim",
		"--engine-profiles " + dir:               "acme",
		"--engine acme --engine-profiles " + dir: "acme",
	} {
		code, out, errs := inspectText(page, append(strings.Fields(args), "-o", "json")...)
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", args, code, errs)
		}
		got := readInspected(t, out)
		if _, waits := got.Metrics["inference_requests_waiting"]; got.Engine != want || waits != (want == "acme") {
			t.Errorf("%s: engine %s, %v", args, got.Engine, got.Metrics)
		}
	}
	if code, _, errs := inspectText(page, "--engine", "tgi"); code != exitFault || !strings.Contains(errs, "sought samples of tgi_") {
		t.Errorf("exit %d: %s", code, errs)
	}
	write(t, filepath.Join(dir, "acme.yaml"), "name: acme\nnonsense: 1\n")
	if code, _, errs := inspectText(page, "--engine-profiles", dir); code != exitFault || !strings.Contains(errs, "acme.yaml") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestInspectAsksAURL(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.Header.Get("Authorization") != "Bearer open" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, "sglang:num_running_reqs 3\n")
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	token, empty := filepath.Join(dir, "token"), filepath.Join(dir, "empty")
	write(t, token, "open\n")
	write(t, empty, "\n")
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"--insecure-skip-tls-verify --bearer-token-file " + token: {exitOK, server.URL + `/metrics, 26 bytes, text/plain; version=0.0.4`},
		"--insecure-skip-tls-verify":                              {exitFault, "HTTP status 403 Forbidden"},
		"--bearer-token-file " + token:                            {exitFault, "name the authority"},
		"--bearer-token-file " + empty:                            {exitFault, "the file is empty"},
		"--ca-file " + token:                                      {exitFault, "has no certificate in PEM"},
		"--ca-file " + token + " --insecure-skip-tls-verify":      {exitUsage, "give one of them"},
		"--timeout 0s":                                            {exitUsage, "must be above 0s"},
		"--port 8000":                                             {exitUsage, "--port: is not for a URL"},
	} {
		if code, out, errs := call(t.Context(), append([]string{"inspect", server.URL}, strings.Fields(args)...)...); code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q: %s%s", args, code, c.code, c.says, out, errs)
		}
	}
}

func TestInspectAsksAPodThroughTheAPIServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/ml/pods/chat-0":
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"chat-0","namespace":"ml"},"spec":{"containers":[{"name":"e","ports":[{"containerPort":30000}]}]}}`)
		case "/api/v1/namespaces/ml/pods/chat-0:30000/proxy/metrics", "/api/v1/namespaces/ml/pods/chat-0:9/proxy/m":
			fmt.Fprint(w, "sglang:num_running_reqs 3\n")
		case "/api/v1/namespaces/ml/pods/gone":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	config := kubeconfig(t, server.URL)
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"pod/chat-0 -n ml":                  {exitOK, "Engine:   sglang"},
		"chat-0":                            {exitOK, "chat-0:30000/proxy/metrics"},
		"po/chat-0 --port 9 --path /m":      {exitOK, "chat-0:9/proxy/m"},
		"po/chat-0 --port 9":                {exitFault, "name port and path"},
		"pod/gone":                          {exitFault, "see 'kubectl get pods -n ml'"},
		"pod/chat-0 --path m":               {exitUsage, "must begin with /"},
		"pod/chat-0 --port 0":               {exitUsage, "from 1 to 65535"},
		"pod/chat-0 --timeout 1s":           {exitUsage, "--timeout: is not for a pod"},
		"deploy/chat":                       {exitUsage, "neither a URL nor a pod"},
		"localhost:8000/metrics":            {exitUsage, "write http://localhost:8000/metrics"},
		"pod/chat-0 -f page":                {exitUsage, "name one page"},
		"":                                  {exitUsage, "name one page"},
		"-f - --path /m":                    {exitUsage, "--path: is not for a file"},
		"-f - -o text":                      {exitUsage, "must be table, json or yaml"},
		"-f no-such-page":                   {exitFault, "no-such-page"},
		"-f - --engine acme":                {exitUsage, "there is no such profile"},
		"pod/chat-0 --context dead":         {exitFault, "127.0.0.1:1"},
		"pod/chat-0 --request-timeout 0s":   {exitUsage, "--request-timeout"},
		"pod/chat-0 --engine-profiles none": {exitFault, "--engine-profiles none"},
	} {
		if code, out, errs := call(t.Context(), append([]string{"inspect", "--kubeconfig", config}, strings.Fields(args)...)...); code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: exit %d, want %d and %q: %s%s", args, code, c.code, c.says, out, errs)
		}
	}
}

func TestNumbersOfAnInspection(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234567: "1234567", 0.43751: "0.4375", 2.5e20: "2.5e+20"} {
		if got := numberText(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0s", 12.345: "12.3s", 0.0123: "12.3ms", 0.0000094: "9.4µs"} {
		if got := secondsText(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
