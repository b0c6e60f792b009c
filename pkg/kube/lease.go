package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Leader says whether this process may write. It is asked right before each write.
type Leader interface{ IsLeader() bool }

// LeaseOptions say which Lease is held, by whom and for how long.
type LeaseOptions struct {
	// Namespace and Name are of the Lease; Identity is of this process, unique among those that compete.
	Namespace, Name, Identity string
	// Duration is how long a lease holds without being renewed, RenewDeadline how long its holder tries to renew it
	// before it stops writing, and RetryPeriod the time between two tries. Each is longer than the next.
	Duration, RenewDeadline, RetryPeriod time.Duration
}

// DefaultLeaseOptions let a follower lead within 15 s of its leader's sudden death: it waits a full Duration from when it
// last saw a renewal, and both that sight and its own try come up to 2.2 retry periods late (client-go's jitter).
func DefaultLeaseOptions(namespace, name, identity string) LeaseOptions {
	return LeaseOptions{
		Namespace: namespace, Name: name, Identity: identity,
		Duration: 10 * time.Second, RenewDeadline: 7 * time.Second, RetryPeriod: time.Second,
	}
}

// Lease makes one of several processes the one that writes. Losing it stops the writing and nothing else: the process
// goes on to observe and serve, and competes again.
type Lease struct {
	client  kubernetes.Interface
	options LeaseOptions
	log     *slog.Logger
	current atomic.Pointer[campaign]
}

// campaign is one competition for the lease, from its start until the lease is lost.
type campaign struct {
	elector *leaderelection.LeaderElector
	won     atomic.Bool
	context context.Context
}

// NewLease returns a lease that is not competed for yet.
func NewLease(client kubernetes.Interface, o LeaseOptions, log *slog.Logger) (*Lease, error) {
	if o.Namespace == "" || o.Name == "" || o.Identity == "" {
		return nil, errors.New("lease: namespace, name and identity must be set")
	}
	l := &Lease{client: client, options: o, log: log}
	if _, err := l.compete(context.Background()); err != nil {
		return nil, err
	}
	return l, nil
}

// IsLeader reports whether this process holds the lease and has renewed it recently enough that no other can hold it:
// a process that was frozen past the lease must not write when it wakes up, before its renewal has failed. It is false
// as soon as the context of Run has ended.
func (l *Lease) IsLeader() bool {
	c := l.current.Load()
	return c != nil && c.context.Err() == nil && c.won.Load() && c.elector.IsLeader() &&
		c.elector.Check(l.options.RenewDeadline-l.options.Duration) == nil
}

// Run competes for the lease until the context ends, and then gives it up at once so that another need not wait.
func (l *Lease) Run(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := l.compete(ctx)
		if err != nil {
			l.log.Error("cannot compete for the lease", "error", err)
			return
		}
		l.current.Store(c)
		c.elector.Run(ctx)
		l.current.Store(nil)
		select {
		case <-ctx.Done():
		case <-time.After(l.options.RetryPeriod):
		}
	}
}

// compete returns a campaign that has not begun.
func (l *Lease) compete(ctx context.Context) (*campaign, error) {
	o, c := l.options, &campaign{context: ctx}
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
		Client:     l.client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: o.Name, ReleaseOnCancel: true,
		LeaseDuration: o.Duration, RenewDeadline: o.RenewDeadline, RetryPeriod: o.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { l.begin(c) },
			OnStoppedLeading: func() { l.end(c) },
		},
	})
	if err != nil {
		return nil, fmt.Errorf("lease %s/%s: %w", o.Namespace, o.Name, err)
	}
	c.elector = elector
	return c, nil
}

func (l *Lease) begin(c *campaign) {
	c.won.Store(true)
	l.log.Info("holding the lease: this process writes", "lease", l.options.Name, "identity", l.options.Identity)
}

func (l *Lease) end(c *campaign) {
	if c.won.Load() {
		l.log.Info("lost the lease: this process no longer writes", "lease", l.options.Name, "identity", l.options.Identity)
	}
}
