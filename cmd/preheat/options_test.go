package main

import (
	"strings"
	"testing"
	"time"
)

func TestOptionsReportEveryFault(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want []string // parts of the error; none: valid
	}{
		"the defaults are valid":               {nil, nil},
		"intervals below the least":            {[]string{"--interval=1ms", "--scrape-interval=1ms"}, []string{"--interval 1ms", "--scrape-interval 1ms"}},
		"scraping so seldom that all is stale": {[]string{"--interval=1m", "--scrape-interval=20s"}, []string{"--scrape-interval 20s", "10s"}},
		"scraping less often than deciding":    {[]string{"--interval=2s", "--scrape-interval=5s"}, []string{"see nothing new"}},
		"a log format that does not exist":     {[]string{"--log-format=xml"}, []string{`"xml"`, "text or json"}},
		"an argument that is not a flag":       {[]string{"serve"}, []string{`"serve"`, "flags only"}},
		"a Prometheus without a scheme":        {[]string{"--prometheus-url=prometheus:9090"}, []string{"--prometheus-url", "want http://"}},
		"a Prometheus with all that it takes":  {[]string{"--prometheus-url=https://thanos/x", "--prometheus-bearer-token-file=t", "--prometheus-header=X-Scope-OrgID=ml"}, nil},
		"a Prometheus that has no time":        {[]string{"--prometheus-url=http://p", "--prometheus-timeout=0s"}, []string{"--prometheus-timeout"}},
		"several faults are reported together": {[]string{"--kube-api-qps=0", "--scrape-concurrency=0"}, []string{"--kube-api-qps", "--scrape-concurrency"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOptions()
			fs := o.flags()
			if err := fs.Parse(tc.args); err != nil {
				t.Fatal(err)
			}
			err := o.validate(fs.Args())
			wantFaults(t, err, tc.want)
		})
	}
}

// wantFaults checks that an error mentions all parts, or that there is none where none are wanted.
func wantFaults(t *testing.T, err error, parts []string) {
	t.Helper()
	if (err == nil) != (parts == nil) {
		t.Fatalf("error is %v, want one with %q", err, parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
}

func TestPulseFailsWhereTheLoopHangs(t *testing.T) {
	p := &pulse{interval: time.Second}
	if err := p.check(nil); err != nil {
		t.Errorf("before the start: %v", err)
	}
	p.beat(time.Now())
	if err := p.check(nil); err != nil {
		t.Errorf("just after a tick: %v", err)
	}
	p.beat(time.Now().Add(-time.Minute))
	if err := p.check(nil); err == nil {
		t.Error("a minute after the last tick of a loop of one second nothing is wrong")
	}
}
