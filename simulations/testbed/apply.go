package testbed

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager        = "preheat-testbed"
	yamlBuffer          = 4096
	apiServiceTimeout   = 30 * time.Second
	establishedAttempts = 100 // for a kind that a CustomResourceDefinition just brought in
)

// Apply applies manifests (YAML or JSON, several documents allowed) in their order, as kubectl apply --server-side
// would, and takes fields over from other managers. Objects without a namespace go to default.
func (c *Cluster) Apply(ctx context.Context, manifests []byte) error {
	objects, err := decode(manifests)
	if err != nil {
		return fmt.Errorf("apply manifests: %w", err)
	}
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("apply manifests: %w", err)
	}
	kinds := &kindMap{cluster: c}
	for _, object := range objects {
		if err := applyObject(ctx, client, kinds, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), yamlBuffer)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode document %d: %w", len(objects)+1, err)
		}
		if len(object.Object) > 0 { // a document of comments only
			objects = append(objects, object)
		}
	}
}

func applyObject(ctx context.Context, client dynamic.Interface, kinds *kindMap, object *unstructured.Unstructured) error {
	mapping, err := kinds.mapping(ctx, object.GroupVersionKind())
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if object.GetNamespace() == "" {
			object.SetNamespace(metav1.NamespaceDefault)
		}
		target = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	_, err = target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// kindMap finds the resource of a kind, and looks again for kinds that have just been defined.
type kindMap struct {
	cluster *Cluster
	mapper  meta.RESTMapper // nil before the first look
}

func (k *kindMap) mapping(ctx context.Context, kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	for attempt := 0; ; attempt++ {
		if k.mapper != nil {
			mapping, err := k.mapper.RESTMapping(kind.GroupKind(), kind.Version)
			if err == nil || attempt == establishedAttempts {
				return mapping, err
			}
		}
		if err := k.look(); err != nil {
			return nil, err
		}
		if attempt == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

func (k *kindMap) look() error {
	client, err := discovery.NewDiscoveryClientForConfig(k.cluster.Config())
	if err != nil {
		return fmt.Errorf("discover kinds: %w", err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		return fmt.Errorf("discover kinds: %w", err)
	}
	k.mapper = restmapper.NewDiscoveryRESTMapper(groups)
	return nil
}

// APIServices describes an aggregated API server that runs outside the cluster, on loopback.
type APIServices struct {
	// Namespace and Service name the Service it gets; its serving certificate must be valid for SERVICE.NAMESPACE.svc
	// and signed by the cluster's authority, as those of [Cluster.ServingCert] are.
	Namespace, Service string
	// Port on loopback where it listens.
	Port int
	// User as whom it authenticates to the cluster; it may then check the rights of its callers.
	User string
	// GroupVersions it serves, such as custom.metrics.k8s.io/v1beta2. The HPA controller may read the groups.
	GroupVersions []schema.GroupVersion
}

//go:embed apiservices.yaml.tmpl
var apiServicesText string

var apiServicesTemplate = template.Must(template.New("apiservices").Parse(apiServicesText))

// RegisterAPIServices makes the API server forward the group versions to the server described. It does not wait for it;
// see [Cluster.AwaitAPIService].
func (c *Cluster) RegisterAPIServices(ctx context.Context, s APIServices) error {
	manifests, err := s.manifests(c.CACert())
	if err != nil {
		return fmt.Errorf("register APIServices: %w", err)
	}
	return c.Apply(ctx, manifests)
}

// manifests renders Service, APIServices and roles. The server's certificate is verified against caCert, PEM.
func (s APIServices) manifests(caCert []byte) ([]byte, error) {
	groups := map[string]bool{}
	for _, gv := range s.GroupVersions {
		groups[gv.Group] = true
	}
	var manifests bytes.Buffer
	err := apiServicesTemplate.Execute(&manifests, struct {
		APIServices
		CABundle string
		Groups   []string
	}{s, base64.StdEncoding.EncodeToString(caCert), slices.Sorted(maps.Keys(groups))})
	return manifests.Bytes(), err
}

// AwaitAPIService waits until the API server finds the group version's server available.
func (c *Cluster) AwaitAPIService(ctx context.Context, gv schema.GroupVersion) error {
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("await APIService of %s: %w", gv, err)
	}
	services := client.Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	last := "it does not exist"
	err = wait.PollUntilContextTimeout(ctx, pollInterval, apiServiceTimeout, true, func(ctx context.Context) (bool, error) {
		service, err := services.Get(ctx, gv.Version+"."+gv.Group, metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false, nil //nolint:nilerr // polled again; the last error is told at the end
		}
		var available bool
		available, last = availability(service)
		return available, nil
	})
	if err != nil {
		return fmt.Errorf("APIService of %s is not available: %w: %s", gv, err, last)
	}
	return nil
}

// availability reads the condition Available and its message.
func availability(service *unstructured.Unstructured) (available bool, message string) {
	conditions, _, err := unstructured.NestedSlice(service.Object, "status", "conditions")
	if err != nil {
		return false, err.Error()
	}
	for _, condition := range conditions {
		if fields, ok := condition.(map[string]any); ok && fields["type"] == "Available" {
			return fields["status"] == "True", fmt.Sprint(fields["message"])
		}
	}
	return false, "it has no condition yet"
}
