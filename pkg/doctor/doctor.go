// Package doctor examines a cluster from the outside in and says of each thing that Preheat rests on whether it is as it
// should be, what was seen, and what to do.
//
// It only reads, asks the API server alone, and dials nothing else. A check that could not look says Unknown and names the
// right that it lacks: data that is missing is never OK. Checks run side by side and are reported in a fixed order.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
)

// Answer is what the API server said to a plain GET.
type Answer struct {
	// Code is the HTTP status.
	Code int
	// Header has the Date.
	Header http.Header
	// Body is cut at a bound of the Getter's.
	Body []byte
	// Sent and Received are by this machine's clock.
	Sent, Received time.Time
}

// Getter asks the API server for a path, with its query. Any HTTP status is an answer, not an error.
type Getter interface {
	Get(ctx context.Context, path string) (Answer, error)
}

// Cluster is how the API server is reached.
type Cluster struct {
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Mapper finds the resource of a kind.
	Mapper meta.RESTMapper
	Raw    Getter
	// Server is its address, for the report.
	Server string
}

// Options say what is examined.
type Options struct {
	// Namespace is that of the InferenceAutoscalers and WarmPools; empty for all.
	Namespace string
	// System is where Preheat runs.
	System string
	// Probe asks each pod for its metric page through the API server's pod proxy.
	Probe bool
	// Profiles are those by which a probed page is read; needed where Probe is set.
	Profiles *exposition.Profiles
	// Timeout bounds the whole examination.
	Timeout time.Duration
	// Progress is told how many checks are done, from any goroutine; it may be nil.
	Progress func(done, total int)
	// Now is this machine's clock; nil for the real one.
	Now func() time.Time
	// Wait pauses, and returns early with the context; nil for the real one.
	Wait func(ctx context.Context, d time.Duration)
}

// ErrUnreachable says that nothing at all could be looked at.
var ErrUnreachable = errors.New("the API server does not answer")

// examination is one run.
type examination struct {
	Cluster
	Options
	// now is the API server's time when it began, of this machine where it did not tell; began is this machine's then.
	now, began time.Time
	// settings are those of the service's Deployment.
	settings settings
}

// clock is the API server's time.
func (e *examination) clock() time.Time { return e.now.Add(e.Now().Sub(e.began)) }

// patient is one check, to be run.
type patient struct {
	check, object string
	run           func(ctx context.Context, w *ward)
}

// workers bounds how many checks run at once.
const workers = 8

// Examine looks at everything and returns what it found. Its error is ErrUnreachable, where nothing can be known.
func Examine(ctx context.Context, c Cluster, o Options) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	e := &examination{Cluster: c, Options: o}
	first := ward{check: "api-server"}
	if err := e.greet(ctx, &first); err != nil {
		return Report{}, err
	}
	report := Report{Server: c.Server, Time: e.now.UTC().Truncate(time.Second), Findings: first.found}
	e.settings = e.readSettings(ctx)
	all := e.clusterChecks()
	targets, found := e.targets(ctx)
	all = append(all, e.targetChecks(targets)...)
	all = append(all, e.poolChecks(ctx, &found)...)
	report.Findings = append(report.Findings, e.runAll(ctx, all)...)
	report.Findings = append(report.Findings, found.found...)
	report.count()
	return report, nil
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// runAll runs the checks side by side, and returns what they found in their order.
func (e *examination) runAll(ctx context.Context, all []patient) []Finding {
	results := make([][]Finding, len(all))
	slots := make(chan struct{}, workers)
	var done atomic.Int64
	var running sync.WaitGroup
	for i, p := range all {
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = runOne(ctx, p)
			if e.Progress != nil {
				e.Progress(int(done.Add(1)), len(all))
			}
		})
	}
	running.Wait()
	var found []Finding
	for _, r := range results {
		found = append(found, r...)
	}
	return found
}

// runOne ends with the context even where the check does not.
func runOne(ctx context.Context, p patient) []Finding {
	done := make(chan []Finding, 1)
	late := ward{check: p.check, object: p.object}
	late.unknown("give a longer --timeout", "not looked at: the time was over")
	if ctx.Err() != nil {
		return late.found
	}
	go func() {
		w := ward{check: p.check, object: p.object}
		p.run(ctx, &w)
		done <- w.found
	}()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
		return late.found
	}
}

// list reads all objects of a resource in a namespace, empty for all, into a slice of their type.
func list[T any](ctx context.Context, e *examination, gvr schema.GroupVersionResource, namespace string) ([]T, error) {
	got, err := e.Dynamic.Resource(gvr).Namespace(namespace).List(ctx, listAll)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(got.Items))
	for i := range got.Items {
		if out[i], err = decode[T](&got.Items[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decode turns what came into its type.
func decode[T any](u *unstructured.Unstructured) (T, error) {
	var out T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &out); err != nil {
		return out, fmt.Errorf("decode %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return out, nil
}

// since puts a time in words for people.
func since(d time.Duration) string {
	if d < 2*time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}
