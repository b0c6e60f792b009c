package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// candidate is one process that competes; cut makes the API server unreachable for it, hung leaves it without an answer.
type candidate struct {
	*Lease
	cut  atomic.Bool
	hung atomic.Bool
	stop context.CancelFunc
	done chan struct{}
}

// compete starts a process that shares the API server's objects with the others.
func compete(t *testing.T, server *fake.Clientset, identity string) *candidate {
	t.Helper()
	c := &candidate{done: make(chan struct{})}
	client := fake.NewSimpleClientset()
	client.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		for c.hung.Load() {
			time.Sleep(time.Second)
		}
		if c.cut.Load() {
			return true, nil, errors.New("no route to host")
		}
		obj, err := server.Invokes(a, nil)
		return true, obj, err
	})
	lease, err := NewLease(client, DefaultLeaseOptions("preheat", "preheat", identity), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c.Lease = lease
	var ctx context.Context
	ctx, c.stop = context.WithCancel(t.Context())
	go func() {
		defer close(c.done)
		lease.Run(ctx)
	}()
	return c
}

// end stops the processes and waits for them.
func end(all ...*candidate) {
	for _, c := range all {
		c.stop()
		<-c.done
	}
}

// takeover returns how long it takes until one leads, watching that it is never two at once.
func takeover(t *testing.T, next *candidate, others ...*candidate) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		if next.IsLeader() {
			for _, o := range others {
				if o.IsLeader() {
					t.Error("two leaders at once")
				}
			}
			return time.Since(began)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("no takeover within a minute")
	return 0
}

func TestLeaseHasOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewSimpleClientset()
		a := compete(t, server, "a")
		takeover(t, a)
		b := compete(t, server, "b")
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if !a.IsLeader() || b.IsLeader() {
				t.Fatal("the lease changed hands without a reason")
			}
		}
		end(a, b)
	})
}

func TestStoppedHolderHandsOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewSimpleClientset()
		a := compete(t, server, "a")
		takeover(t, a)
		b := compete(t, server, "b")
		time.Sleep(3 * time.Second)
		a.stop()
		if a.IsLeader() {
			t.Error("still leads after its context ended")
		}
		if took := takeover(t, b, a); took > 3*time.Second {
			t.Errorf("takeover took %v, want at most one retry period and its jitter", took)
		}
		end(a, b)
	})
}

func TestCutOffHolderStopsBeforeTheNextBeginsAndCompetesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewSimpleClientset()
		a := compete(t, server, "a")
		takeover(t, a)
		b := compete(t, server, "b")
		time.Sleep(5 * time.Second)
		a.cut.Store(true)
		if took := takeover(t, b, a); took > 15*time.Second {
			t.Errorf("takeover took %v, want at most 15 s", took)
		}
		a.cut.Store(false)
		time.Sleep(10 * time.Second)
		b.cut.Store(true)
		takeover(t, a, b)
		end(a, b)
	})
}

func TestHolderWithoutAnswersStopsBeforeTheNextBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewSimpleClientset()
		a := compete(t, server, "a")
		takeover(t, a)
		b := compete(t, server, "b")
		time.Sleep(5 * time.Second)
		a.hung.Store(true)
		takeover(t, b, a)
		a.hung.Store(false)
		end(a, b)
	})
}

func TestLeaseNeedsAName(t *testing.T) {
	for name, o := range map[string]LeaseOptions{
		"no namespace":                          DefaultLeaseOptions("", "preheat", "a"),
		"no name":                               DefaultLeaseOptions("preheat", "", "a"),
		"no identity":                           DefaultLeaseOptions("preheat", "preheat", ""),
		"a deadline longer than the lease":      {Namespace: "n", Name: "n", Identity: "a", Duration: 5 * time.Second, RenewDeadline: 7 * time.Second, RetryPeriod: time.Second},
		"a retry that comes after the deadline": {Namespace: "n", Name: "n", Identity: "a", Duration: 10 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewLease(fake.NewSimpleClientset(), o, slog.New(slog.DiscardHandler)); err == nil {
				t.Error("accepted")
			}
		})
	}
}
