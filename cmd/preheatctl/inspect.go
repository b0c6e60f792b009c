package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/front"
)

// inspectOptions are what the command line of inspect says.
type inspectOptions struct {
	// address is a URL, pod the name of a pod, file that of a file or - for standard input; exactly one is not empty.
	address, pod, file string
	engine, profiles   string
	format             string

	// Of a URL.
	tokenFile, caFile string
	insecure          bool
	timeout           time.Duration

	// Of a pod.
	cluster    explainOptions
	port, path string
}

// newInspect returns the command that tells what Preheat makes of a metric page.
func newInspect(s streams) *cobra.Command {
	o := &inspectOptions{
		format: "table", timeout: 10 * time.Second,
		cluster: explainOptions{rules: clientcmd.NewDefaultClientConfigLoadingRules(), timeout: 10 * time.Second},
	}
	cmd := &cobra.Command{
		Use:   "inspect (URL | pod/NAME | -f FILE)",
		Short: "Tell what Preheat sees on an engine's metric page: engine, version, every value with the sample it comes from, what is missing",
		Long: "Read one metric page, of a URL, of a pod through the API server's proxy, or of a file, and tell of which engine it is and\n" +
			"what tells its version, each normalised value with the sample of which it is made, and each that is missing, with what\n" +
			"was sought and what cannot be known without it; of a gateway's page, what it queues and counts. It is read as the service reads it: same profiles, same bounds (4 MiB,\n" +
			"no redirects). A URL without a path is asked for /metrics. A pod is asked at --port and --path, else where its\n" +
			"annotations and named ports say, else at the ports that it declares and the paths that engines are known by.\n\n" +
			"Counters, and the numbers of latencies, are those since the engine started; Preheat goes by their increase.\n\n" +
			"-o json and yaml: {engine, gateway, metrics: {NAME: {value, source, kind}}, missing: [{name, reason, sought, matters}], versions,\n" +
			"notes, from, contentType, bytes, started}; cmd/preheatctl/INSPECT.md says what each means. They are stable.\n\n" +
			"Exit codes: 0 the page is of an engine or a gateway, whatever is missing; 1 it is not, or cannot be had; 2 a fault of the command\n" +
			"line; 130 interrupted.",
		Example: "  preheatctl inspect http://10.0.3.7:8000/metrics\n" +
			"  preheatctl inspect -n ml pod/vllm-0\n" +
			"  curl -s localhost:30000/metrics | preheatctl inspect -f -\n" +
			"  preheatctl inspect -f page.txt -o json | jq '.metrics.inference_requests_waiting.value, .missing[].name'",
		Args: cobra.MaximumNArgs(1),
	}
	attach(cmd, []group{{"What is told", o.tellFlags()}, {"A URL", o.urlFlags()}, {"A pod", o.podFlags()}})
	completeWith(cmd, "output", doctorFormats)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(o.take(args), o.validate(cmd.Flags().Changed)); err != nil {
			return usageError{err}
		}
		return o.run(cmd.Context(), s)
	}
	return cmd
}

func (o *inspectOptions) tellFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("tell", pflag.ContinueOnError)
	fs.StringVarP(&o.format, "output", "o", o.format, "How it is told: table, json or yaml")
	fs.StringVarP(&o.file, "filename", "f", "", "Page to read in place of one that is asked for, as curl has saved it; - for standard input")
	fs.StringVar(&o.engine, "engine", "", "Read the page as one of this `engine`, whatever it looks like. Absent: the page tells")
	fs.StringVar(&o.profiles, "engine-profiles", "", "Engine profiles of your own, a `folder` of *.yaml, which replace those of the same name, as the service's flag")
	return fs
}

func (o *inspectOptions) urlFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("url", pflag.ContinueOnError)
	fs.StringVar(&o.tokenFile, "bearer-token-file", "", "Token to send, in a `file`")
	fs.StringVar(&o.caFile, "ca-file", "", "Authorities to trust for https, a `file` in PEM. Absent: the system's")
	fs.BoolVar(&o.insecure, "insecure-skip-tls-verify", false, "Do not verify the server's certificate")
	fs.DurationVar(&o.timeout, "timeout", o.timeout, "Longest time for all of it")
	return fs
}

func (o *inspectOptions) podFlags() *pflag.FlagSet {
	fs := o.cluster.clusterFlags()
	fs.StringVar(&o.port, "port", "", "Number or name of the container port. Absent: see above")
	fs.StringVar(&o.path, "path", "", "Path of the page. Absent: see above")
	return fs
}

// take sorts the argument into what it names.
func (o *inspectOptions) take(args []string) error {
	if (len(args) == 1) == (o.file != "") {
		return errors.New("name one page: a URL, pod/NAME, or -f FILE")
	}
	if o.file != "" {
		return nil
	}
	kind, name, slash := strings.Cut(args[0], "/")
	switch {
	case strings.HasPrefix(args[0], "http://"), strings.HasPrefix(args[0], "https://"):
		o.address = args[0]
	case strings.Contains(args[0], ":"):
		return fmt.Errorf("%s: write http://%[1]s, or https://", args[0])
	case slash && slices.Contains([]string{"pod", "pods", "po"}, kind) && name != "" && !strings.Contains(name, "/"):
		o.pod = name
	case slash:
		return fmt.Errorf("%s: neither a URL nor a pod; write http://HOST:PORT/PATH or pod/NAME", args[0])
	default:
		o.pod = args[0] // as kubectl exec and logs take it
	}
	return nil
}

// notOf are the flags that mean nothing for each kind of page.
func (o *inspectOptions) notOf() (what string, flags []string) {
	url, pod := []string{"bearer-token-file", "ca-file", "insecure-skip-tls-verify", "timeout"}, []string{"port", "path"}
	switch {
	case o.file != "":
		return "a file", append(url, pod...)
	case o.address != "":
		return "a URL", pod
	}
	return "a pod", url
}

func (o *inspectOptions) validate(given func(flag string) bool) error {
	var f faults
	f.check(slices.Contains(doctorFormats, o.format), "--output %s: must be table, json or yaml", o.format)
	f.check(o.timeout > 0, "--timeout %v: must be above 0s", o.timeout)
	f.check(o.cluster.timeout > 0, "--request-timeout %v: must be above 0s", o.cluster.timeout)
	f.check(!o.insecure || o.caFile == "", "--ca-file and --insecure-skip-tls-verify: give one of them")
	f.check(o.path == "" || strings.HasPrefix(o.path, "/"), "--path %s: must begin with /", o.path)
	f.check(o.port == "" || goodPort(o.port), "--port %s: must be a number from 1 to 65535 or the name of a container port", o.port)
	what, flags := o.notOf()
	for _, flag := range flags {
		f.check(!given(flag), "--%s: is not for %s; leave it out", flag, what)
	}
	return errors.Join(f...)
}

// run reads the page, inspects it and writes.
func (o *inspectOptions) run(ctx context.Context, s streams) error {
	profiles, err := loadProfiles(o.profiles)
	if err != nil {
		return err
	}
	var engine *exposition.Profile
	if o.engine != "" {
		p, ok := profiles.Named(o.engine)
		if !ok {
			return usageError{fmt.Errorf("--engine %s: there is no such profile; known are %s", o.engine, strings.Join(profiles.Names(), ", "))}
		}
		engine = p
	}
	page, err := o.read(ctx, s, profiles)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: no page was read", errInterrupted)
	case err != nil:
		return err
	}
	in, err := profiles.Inspect(page.Text, page.ContentType, engine)
	if errors.Is(err, exposition.ErrNoEngine) && engine == nil {
		if g, fault := front.Inspect(page.Text, page.ContentType); fault == nil {
			return o.write(s.Out, newInspectedGateway(g, page))
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", page.from, err, unreadable(err, page.Text, profiles))
	}
	return o.write(s.Out, newInspected(in, page))
}

// loadProfiles reads the profiles that come with the program, and those of a folder where one is named.
func loadProfiles(folder string) (*exposition.Profiles, error) {
	var own []fs.FS
	if folder != "" {
		own = append(own, os.DirFS(folder))
	}
	profiles, err := exposition.Load(own...)
	if err != nil {
		return nil, fmt.Errorf("--engine-profiles %s: correct the folder or leave the flag out: %w", folder, err)
	}
	return profiles, nil
}

// unreadable says what to do about a page that is not one of an engine.
func unreadable(err error, text []byte, profiles *exposition.Profiles) string {
	begin := strings.TrimSpace(string(text[:min(len(text), 64)]))
	switch {
	case errors.Is(err, exposition.ErrTorn):
		return "\nask for it again; if it stays so, a proxy or a full disk cuts it off"
	case errors.Is(err, exposition.ErrNotExposition) && begin == "":
		return "\nthe answer is empty: check port and path, and that the engine's metrics are enabled"
	case errors.Is(err, exposition.ErrNotExposition) && strings.HasPrefix(begin, "\x1f\x8b"):
		return "\nthis is compressed: gunzip it first, or let curl do so (--compressed)"
	case errors.Is(err, exposition.ErrNotExposition) && strings.HasPrefix(begin, "<"):
		return "\nthis is HTML: check port and path, and whether a login page or a proxy answers in the engine's place"
	case errors.Is(err, exposition.ErrNotExposition) && strings.ContainsAny(begin[:1], "[{"):
		return "\nthis is JSON: trtllm-serve has its metric page at /prometheus/metrics; check the path of others"
	case errors.Is(err, exposition.ErrNoEngine):
		return hintOf(text, profiles)
	}
	return "\ncheck that it is the metric page, in the text format of Prometheus or OpenMetrics"
}

// hintOf says what is on a page without an engine, and what to do.
func hintOf(text []byte, profiles *exposition.Profiles) string {
	h, err := profiles.Hint(text)
	if err != nil {
		return ""
	}
	var lines []string
	if told := h.String(); told != "" {
		lines = append(lines, told)
	}
	if h.Kind == "" && len(h.Relevant) > 0 {
		lines = append(lines, "others that may tell its load: "+strings.Join(h.Relevant, ", "))
	}
	switch {
	case h.Kind != "":
	case h.Idle:
		lines = append(lines, "send it a request and look again; "+h.Nearest.Remedy())
	case len(h.Relevant) > 0 || h.Nearest != nil:
		lines = append(lines, "for an engine of its own write a profile (pkg/exposition/DESIGN.md) and give its folder as --engine-profiles; --engine reads the page by one that is known")
	default:
		lines = append(lines, "nothing on it looks like an engine's load: check port and path, and that the engine's metrics are enabled")
	}
	return "\n" + strings.Join(lines, "\n")
}
