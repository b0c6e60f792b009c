package servingcert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Publisher tells the clients which CAs (PEM) to trust. Sync calls it in every round, so it should write only changes;
// a new certificate is not used before it has succeeded.
type Publisher interface {
	Publish(ctx context.Context, caBundle []byte) error
}

// Options configure a Rotator.
type Options struct {
	// Secrets reads and writes the Secrets of the namespace that SecretName is in.
	Secrets clientv1.SecretInterface
	// SecretName is the Secret that all replicas share; it is made where it does not exist.
	SecretName string
	// DNSNames are the names that the certificate is for; see the function of the same name.
	DNSNames []string
	// Publisher tells the clients; it may be nil where somebody else does.
	Publisher Publisher
	// Lifetime is how long a certificate is valid; default 90 days. The next one is prepared when two thirds are over.
	Lifetime time.Duration
	// Overlap is how long a new CA is published before its certificate is used; default 10 minutes, at most a tenth
	// of Lifetime. Each kube-apiserver needs a few seconds to notice.
	Overlap time.Duration
	// Observe is called in every round with the end of the certificate being served; it may be nil.
	Observe func(notAfter time.Time)
	// Logger may be nil.
	Logger *slog.Logger
}

// Rotator keeps a Provider's certificate fresh. Sync must not be called concurrently.
type Rotator struct {
	opts     Options
	policy   policy
	provider *Provider
}

// New returns a Rotator that has no certificate yet.
func New(opts Options) (*Rotator, error) {
	if opts.Lifetime == 0 {
		opts.Lifetime = 90 * 24 * time.Hour
	}
	if opts.Overlap == 0 {
		opts.Overlap = min(10*time.Minute, opts.Lifetime/10)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Observe == nil {
		opts.Observe = func(time.Time) {}
	}
	if err := opts.validate(); err != nil {
		return nil, err
	}
	return &Rotator{
		opts:     opts,
		policy:   policy{names: opts.DNSNames, lifetime: opts.Lifetime, overlap: opts.Overlap},
		provider: &Provider{},
	}, nil
}

func (o Options) validate() error {
	var errs []error
	if o.Secrets == nil || o.SecretName == "" {
		errs = append(errs, errors.New("serving certificate: needs a Secret to keep it in"))
	}
	if len(o.DNSNames) == 0 {
		errs = append(errs, errors.New("serving certificate: needs at least one DNS name"))
	}
	if o.Overlap < 0 || o.Overlap > o.Lifetime/10 {
		errs = append(errs, fmt.Errorf("serving certificate: overlap %v is not within 0 and a tenth of the lifetime %v", o.Overlap, o.Lifetime))
	}
	return errors.Join(errs...)
}

// Provider returns what a server should serve. It is empty until the first Sync.
func (r *Rotator) Provider() *Provider { return r.provider }

// Run syncs at every interval until ctx ends; errors are logged and the certificate at hand is served on.
func (r *Rotator) Run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := r.Sync(ctx, now); err != nil {
				r.opts.Logger.Error("serving certificate not up to date", "error", err)
			}
		}
	}
}

// Sync takes the steps that are due at now: it reads or makes the Secret, publishes its bundle, promotes a new
// certificate and hands it to the Provider. It must have succeeded once before the server starts. After an error the
// Provider has the best certificate known, and the next Sync goes on from there.
func (r *Rotator) Sync(ctx context.Context, now time.Time) error {
	secret, err := r.prepare(ctx, now)
	if err != nil {
		return err
	}
	publishErr := r.publish(ctx, materialOf(secret).bundle)
	if publishErr == nil {
		if secret, err = r.promote(ctx, secret, now); err != nil {
			publishErr = err
		}
	}
	return errors.Join(publishErr, r.serve(materialOf(secret)))
}

func (r *Rotator) publish(ctx context.Context, bundle []byte) error {
	if r.opts.Publisher == nil {
		return nil
	}
	if err := r.opts.Publisher.Publish(ctx, bundle); err != nil {
		return fmt.Errorf("publish CA bundle: %w", err)
	}
	return nil
}

// prepare returns the Secret as it is after what was missing has been added. Where another replica was faster, its
// Secret is taken.
func (r *Rotator) prepare(ctx context.Context, now time.Time) (*corev1.Secret, error) {
	const attempts = 5
	var err error
	for range attempts {
		var secret *corev1.Secret
		if secret, err = r.tryPrepare(ctx, now); err == nil {
			return secret, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return nil, fmt.Errorf("prepare Secret %s: %w", r.opts.SecretName, err)
}

func (r *Rotator) tryPrepare(ctx context.Context, now time.Time) (*corev1.Secret, error) {
	secret, err := r.opts.Secrets.Get(ctx, r.opts.SecretName, metav1.GetOptions{})
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return nil, err
	}
	if absent {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: r.opts.SecretName}, Type: corev1.SecretTypeTLS}
	}
	before := materialOf(secret)
	after, err := r.policy.prepare(before, now)
	if err != nil {
		return nil, err
	}
	if after.equal(before) {
		return secret, nil
	}
	changed := secret.DeepCopy()
	after.into(changed)
	if absent {
		r.opts.Logger.Info("serving certificate made", "secret", r.opts.SecretName, "names", r.policy.names)
		return r.opts.Secrets.Create(ctx, changed, metav1.CreateOptions{})
	}
	r.opts.Logger.Info("serving certificate prepared", "secret", r.opts.SecretName)
	return r.opts.Secrets.Update(ctx, changed, metav1.UpdateOptions{})
}

// promote writes the promotion that is due, if one is. Where another replica was faster, the next Sync sees its work.
func (r *Rotator) promote(ctx context.Context, secret *corev1.Secret, now time.Time) (*corev1.Secret, error) {
	before := materialOf(secret)
	after := r.policy.promote(before, now)
	if after.equal(before) {
		return secret, nil
	}
	changed := secret.DeepCopy()
	after.into(changed)
	written, err := r.opts.Secrets.Update(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		return secret, nil
	}
	if err != nil {
		return secret, fmt.Errorf("promote certificate in Secret %s: %w", r.opts.SecretName, err)
	}
	r.opts.Logger.Info("serving certificate rotated", "secret", r.opts.SecretName)
	return written, nil
}

func (r *Rotator) serve(m material) error {
	leaf, err := m.current.leaf()
	if err != nil {
		return fmt.Errorf("read certificate of Secret %s: %w", r.opts.SecretName, err)
	}
	if r.provider.set(m.current) {
		r.opts.Logger.Info("serving certificate in use", "serial", leaf.SerialNumber.Text(16), "notAfter", leaf.NotAfter)
	}
	r.opts.Observe(leaf.NotAfter)
	return nil
}
