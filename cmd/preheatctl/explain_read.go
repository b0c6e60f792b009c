package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that a kubeconfig may name
	"k8s.io/client-go/tools/clientcmd"

	"github.com/preheat-autoscaler/preheat/pkg/api/client"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

// live explains what is in the cluster now.
func (o *explainOptions) live(ctx context.Context, now time.Time) ([]explanation, error) {
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(o.rules, &o.overrides)
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := loaded.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w; give --kubeconfig or --context, or -f for a saved object", err)
	}
	config.Timeout, config.UserAgent = o.timeout, "preheatctl/"+version
	c, err := client.New(config)
	if err != nil {
		return nil, err
	}
	if o.all {
		namespace = metav1.NamespaceAll
	}
	items, err := o.read(ctx, c.InNamespace(namespace))
	if err != nil {
		return nil, unread(err, namespace, config.Host)
	}
	var all []explanation
	for i := range items {
		all = append(all, explain(&items[i], now))
	}
	return all, nil
}

// read gets the one named, or lists all.
func (o *explainOptions) read(ctx context.Context, from *client.Autoscalers) ([]v1alpha1.InferenceAutoscaler, error) {
	if o.name == "" {
		list, err := from.List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}
	a, err := from.Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return []v1alpha1.InferenceAutoscaler{*a}, nil
}

// unread adds to a fault of reading what to do about it.
func unread(err error, namespace, host string) error {
	var refused *url.Error
	var resolved *net.DNSError
	switch {
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fmt.Errorf("the cluster at %s does not know InferenceAutoscalers; install Preheat, or choose another --context: %w", host, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w in namespace %s; name another by -n, or see all by 'preheatctl explain -A'", err, namespace)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w; who may 'kubectl get ia' may do this", err)
	case errors.As(err, &refused), errors.As(err, &resolved):
		return fmt.Errorf("the cluster at %s does not answer; check --context and --request-timeout: %w", host, err)
	}
	return err
}

// saved explains the objects of a file.
func (o *explainOptions) saved(stdin io.Reader) ([]explanation, error) {
	data, err := readAll(o.file, stdin)
	if err != nil {
		return nil, err
	}
	var all []explanation
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		var document json.RawMessage
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		found, err := explainDocument(document)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("holds no %s; 'kubectl get ia NAME -o yaml' writes one", v1alpha1.Kind)
	}
	return all, nil
}

// explainDocument explains one InferenceAutoscaler, each of a list of them, or a decision of a replay.
func explainDocument(text []byte) ([]explanation, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	var is struct {
		Kind   string            `json:"kind"`
		Items  []json.RawMessage `json:"items"`
		Policy string            `json:"policy"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	switch {
	case is.Kind == v1alpha1.Kind:
		a := new(v1alpha1.InferenceAutoscaler)
		if err := json.Unmarshal(text, a); err != nil {
			return nil, err
		}
		return []explanation{explainSaved(a)}, nil
	case is.Items != nil:
		var all []explanation
		for i, item := range is.Items {
			found, err := explainDocument(item)
			if err != nil {
				return nil, fmt.Errorf("items[%d]: %w", i, err)
			}
			all = append(all, found...)
		}
		return all, nil
	case is.Policy != "":
		r := new(replayed)
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("decision of policy %s: %w", is.Policy, err)
		}
		return []explanation{r.explain()}, nil
	}
	return nil, fmt.Errorf("kind is %q, must be %s, a list of them, or a line of decisions.jsonl", is.Kind, v1alpha1.Kind)
}
