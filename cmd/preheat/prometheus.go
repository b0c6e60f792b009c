package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/component-base/metrics/legacyregistry"

	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/prom"
	"github.com/preheat-autoscaler/preheat/pkg/store"
)

// prometheusOptions are what the flags say of a Prometheus.
type prometheusOptions struct {
	connection prom.Connection
	timeout    time.Duration
	// backfill is how far back demand is asked for, zero not at all.
	backfill time.Duration
}

// addFlags adds the flags of a Prometheus.
func (o *prometheusOptions) addFlags(fs *pflag.FlagSet) {
	c := &o.connection
	fs.StringVar(&c.URL, "prometheus-url", "",
		"Address of a Prometheus, Thanos or Mimir: engines whose spec says metrics.prometheus are read out of it. http(s)://HOST:PORT[/PREFIX]; empty: there is none.")
	fs.StringVar(&c.TokenFile, "prometheus-bearer-token-file", "", "File with a bearer token for --prometheus-url, read for each query.")
	fs.StringVar(&c.User, "prometheus-user", "", "User for --prometheus-url, with --prometheus-password-file.")
	fs.StringVar(&c.PasswordFile, "prometheus-password-file", "", "File with the password of --prometheus-user, read for each query.")
	fs.StringVar(&c.CAFile, "prometheus-ca-file", "", "File with the certificates (PEM) to check that of --prometheus-url against. Empty: those of the system.")
	fs.StringVar(&c.CertFile, "prometheus-cert-file", "", "File with a client certificate (PEM) for --prometheus-url, with --prometheus-key-file; read for each connection.")
	fs.StringVar(&c.KeyFile, "prometheus-key-file", "", "File with the key (PEM) of --prometheus-cert-file.")
	fs.StringVar(&c.ServerName, "prometheus-server-name", "", "Name that the certificate of --prometheus-url must have. Empty: its host.")
	fs.BoolVar(&c.Insecure, "prometheus-insecure-skip-tls-verify", false, "Take any certificate of --prometheus-url.")
	fs.StringToStringVar(&c.Headers, "prometheus-header", nil, "Headers to send to --prometheus-url, such as X-Scope-OrgID=ml.")
	fs.Int64Var(&c.MaxBytes, "prometheus-max-bytes", 32<<20, "Largest answer of --prometheus-url, after decompression.")
	fs.DurationVar(&o.backfill, "prometheus-backfill", 5*7*24*time.Hour,
		"How far back --prometheus-url is asked for the demand of targets, where the history knows nothing; 0: not at all.")
	fs.DurationVar(&o.timeout, "prometheus-timeout", 5*time.Second, "Longest time for a query to --prometheus-url.")
}

// wanted reports whether there is a Prometheus to ask.
func (o *prometheusOptions) wanted() bool { return o.connection.URL != "" }

// validate says what is wrong, nil where there is no Prometheus.
func (o *prometheusOptions) validate() error {
	if !o.wanted() {
		return nil
	}
	if err := o.connection.Validate(); err != nil {
		return fmt.Errorf("--prometheus-url: %w", err)
	}
	if o.timeout <= 0 || o.connection.MaxBytes <= 0 || o.backfill < 0 {
		return errors.New("--prometheus-timeout and --prometheus-max-bytes must be positive, --prometheus-backfill not negative")
	}
	return nil
}

// wirePrometheus prepares reading out of Prometheus, where there is one.
func (s *service) wirePrometheus(profiles *exposition.Profiles) error {
	o := s.options.prometheus
	if !o.wanted() {
		return nil
	}
	api, err := prom.Connect(o.connection)
	if err != nil {
		return fmt.Errorf("--prometheus-url: %w", err)
	}
	s.prometheus, err = prom.New(prom.Options{
		API: api, Source: s.cluster.Endpoints, Store: s.store, Profiles: profiles, Log: s.log, Timeout: o.timeout,
		Registerer: legacyregistry.Registerer(),
	})
	return errors.Join(err, s.wireBackfill(api, profiles))
}

// query reads engines out of Prometheus until ctx ends, where there is one.
func (s *service) query(ctx context.Context) {
	if s.prometheus != nil {
		s.prometheus.Run(ctx, s.options.scrapeInterval)
	}
}

// queried are the pods that are read out of Prometheus.
func (s *service) queried() []store.PodID {
	endpoints := s.cluster.Endpoints.Queried()
	ids := make([]store.PodID, len(endpoints))
	for i, e := range endpoints {
		ids[i] = e.Pod
	}
	return ids
}
