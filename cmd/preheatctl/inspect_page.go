package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/doctor"
	"github.com/preheat-autoscaler/preheat/pkg/exposition"
	"github.com/preheat-autoscaler/preheat/pkg/scrape"
)

// inspectedPage is a page with where it comes from.
type inspectedPage struct {
	scrape.Page
	from string
}

// read gets the page.
func (o *inspectOptions) read(ctx context.Context, s streams, profiles *exposition.Profiles) (inspectedPage, error) {
	switch {
	case o.file != "":
		return o.saved(s.In)
	case o.pod != "":
		return o.ofPod(ctx, profiles)
	}
	return o.ofURL(ctx)
}

// saved reads a file, or standard input.
func (o *inspectOptions) saved(stdin io.Reader) (inspectedPage, error) {
	in, from := stdin, "standard input"
	if o.file != "-" {
		file, err := os.Open(o.file)
		if err != nil {
			return inspectedPage{}, fmt.Errorf("-f: %w", err)
		}
		defer file.Close()
		in, from = file, o.file
	}
	page, err := scrape.Read(in)
	if err != nil {
		return inspectedPage{}, fmt.Errorf("-f %s: %w; give a metric page", o.file, err)
	}
	return inspectedPage{page, from}, nil
}

// ofURL asks a URL; one without a path for the usual one.
func (o *inspectOptions) ofURL(ctx context.Context) (inspectedPage, error) {
	u, err := url.Parse(o.address)
	if err != nil {
		return inspectedPage{}, usageError{err}
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	request := scrape.Request{URL: u.String(), Timeout: o.timeout}
	if request.TLS, err = o.tlsConfig(); err != nil {
		return inspectedPage{}, err
	}
	if o.tokenFile != "" {
		token, err := os.ReadFile(o.tokenFile)
		if request.Token = strings.TrimSpace(string(token)); err == nil && request.Token == "" {
			err = errors.New("the file is empty")
		}
		if err != nil {
			return inspectedPage{}, fmt.Errorf("--bearer-token-file %s: %w", o.tokenFile, err)
		}
	}
	page, err := scrape.Get(ctx, request)
	return inspectedPage{page, u.Redacted()}, err
}

// tlsConfig is how certificates are verified, nil for as the system does.
func (o *inspectOptions) tlsConfig() (*tls.Config, error) {
	if o.caFile == "" {
		return &tls.Config{InsecureSkipVerify: o.insecure}, nil
	}
	text, err := os.ReadFile(o.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file %s: %w", o.caFile, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca-file %s: has no certificate in PEM", o.caFile)
	}
	return &tls.Config{RootCAs: roots}, nil
}

// ofPod asks a pod through the API server.
func (o *inspectOptions) ofPod(ctx context.Context, profiles *exposition.Profiles) (inspectedPage, error) {
	cluster, namespace, err := connect(&o.cluster)
	if err != nil {
		return inspectedPage{}, err
	}
	where := v1alpha1.MetricsSource{Engine: o.engine, Path: o.path}
	if o.port != "" {
		port := intstr.Parse(o.port)
		where.Port = &port
	}
	got, err := doctor.ReadPodPage(ctx, cluster, namespace, o.pod, where, profiles)
	if err != nil {
		return inspectedPage{}, err
	}
	page, err := scrape.Read(bytes.NewReader(got.Text)) // within the bounds of all pages
	page.ContentType = got.ContentType
	return inspectedPage{page, got.Path}, err
}

// goodPort says whether a text is the number or the name of a port.
func goodPort(text string) bool {
	if n, err := strconv.Atoi(text); err == nil {
		return n >= 1 && n <= 65535
	}
	return len(validation.IsValidPortName(text)) == 0
}
