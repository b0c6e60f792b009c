// Package deploy has no code: these tests check the manifests of this folder against each other and against the API types.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
	"github.com/preheat-autoscaler/preheat/pkg/servingcert"
)

const (
	namespace = "preheat-system"
	account   = "preheat"
)

// kustomization is what the tests need of a kustomization.yaml.
type kustomization struct {
	Resources []string `json:"resources"`
	Patches   []struct {
		Path string `json:"path"`
	} `json:"patches"`
}

func knownTypes(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme, v1alpha1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func documents(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimPrefix(string(data), "---\n"), "\n---\n")
}

// objects decodes every document of the files, and fails on a field that the type does not have.
func objects(t *testing.T, files ...string) []runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(knownTypes(t), serializer.EnableStrict).UniversalDeserializer()
	var out []runtime.Object
	for _, file := range files {
		for i, document := range documents(t, file) {
			object, _, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Errorf("%s, document %d: %v", file, i+1, err)
				continue
			}
			out = append(out, object)
		}
	}
	return out
}

func manifests(t *testing.T, directory string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests in %s: %v", directory, err)
	}
	return slices.DeleteFunc(files, func(f string) bool {
		return filepath.Base(f) == "kustomization.yaml" || strings.HasSuffix(f, "-patch.yaml")
	})
}

// only returns the objects of type T.
func only[T runtime.Object](all []runtime.Object) []T {
	var out []T
	for _, object := range all {
		if typed, ok := object.(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

// one returns the only object of type T.
func one[T runtime.Object](t *testing.T, all []runtime.Object) T {
	t.Helper()
	found := only[T](all)
	if len(found) != 1 {
		t.Fatalf("found %d objects of type %T, want 1", len(found), *new(T))
	}
	return found[0]
}

func base(t *testing.T) []runtime.Object {
	t.Helper()
	return objects(t, manifests(t, "base")...)
}

func TestEveryManifestIsOfAKnownTypeWithKnownFields(t *testing.T) {
	want := map[string]int{"crds": 2, "base": 18, "overlays/external-metrics": 1, "components/critical-pods-quota": 1, "components/shared-state": 1, "components/activator": 8, "components/alerts": 1, "components/scraping": 6, "samples": 19}
	for directory, count := range want {
		if got := len(objects(t, manifests(t, directory)...)); got != count {
			t.Errorf("%s: decoded %d objects, want %d", directory, got, count)
		}
	}
}

func TestKustomizationsListEveryFile(t *testing.T) {
	for _, directory := range []string{"crds", "base", "overlays/external-metrics", "components/critical-pods-quota", "components/shared-state", "components/activator", "components/alerts", "components/scraping"} {
		t.Run(directory, func(t *testing.T) {
			var k kustomization
			data, err := os.ReadFile(filepath.Join(directory, "kustomization.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal(data, &k); err != nil {
				t.Fatal(err)
			}
			var present []string
			for _, file := range manifests(t, directory) {
				present = append(present, filepath.Base(file))
			}
			listed := slices.DeleteFunc(slices.Clone(k.Resources), func(r string) bool { return strings.HasPrefix(r, "../") })
			slices.Sort(listed)
			if diff := cmp.Diff(present, listed); diff != "" {
				t.Errorf("files (-present +listed):\n%s", diff)
			}
			for _, patch := range k.Patches {
				if _, err := os.Stat(filepath.Join(directory, patch.Path)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestKustomizeBuildsBaseAndOverlay(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed: the kustomizations are not built here")
	}
	cases := map[string]struct {
		objects int
		flag    bool
	}{"base": {20, false}, "overlays/external-metrics": {21, true}}
	for directory, want := range cases {
		rendered, err := exec.Command(kubectl, "kustomize", directory).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", directory, err, rendered)
			continue
		}
		if got := len(strings.Split(string(rendered), "\n---\n")); got != want.objects {
			t.Errorf("%s: built %d objects, want %d", directory, got, want.objects)
		}
		if got := strings.Contains(string(rendered), "- --external-metrics=true\n"); got != want.flag {
			t.Errorf("%s: --external-metrics=true is there: %v, want %v", directory, got, want.flag)
		}
	}
}

func TestServiceAndBudgetSelectTheDeployment(t *testing.T) {
	all := base(t)
	deployment := one[*appsv1.Deployment](t, all)
	pod := labels.Set(deployment.Spec.Template.Labels)
	budget := one[*policyv1.PodDisruptionBudget](t, all)
	selectors := map[string]map[string]string{
		"Deployment":          deployment.Spec.Selector.MatchLabels,
		"Service":             one[*corev1.Service](t, all).Spec.Selector,
		"PodDisruptionBudget": budget.Spec.Selector.MatchLabels,
		"anti-affinity":       deployment.Spec.Template.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm.LabelSelector.MatchLabels,
	}
	for name, selector := range selectors {
		if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(pod) {
			t.Errorf("%s selects %v, which is not the pods' %v", name, selector, pod)
		}
	}
	if replicas := *deployment.Spec.Replicas; int32(budget.Spec.MinAvailable.IntValue()) >= replicas {
		t.Errorf("the budget keeps %v of %d replicas: no node could be drained", budget.Spec.MinAvailable, replicas)
	}
}

func TestPortsAgree(t *testing.T) {
	all := base(t)
	container := one[*appsv1.Deployment](t, all).Spec.Template.Spec.Containers[0]
	port := container.Ports[0]
	if !slices.Contains(container.Args, "--secure-port=6443") || port.ContainerPort != 6443 {
		t.Errorf("the service listens as %v says, but port %d is declared", container.Args, port.ContainerPort)
	}
	service := one[*corev1.Service](t, all).Spec.Ports[0]
	if service.TargetPort.StrVal != port.Name {
		t.Errorf("the Service sends to %v, the container has %q", service.TargetPort, port.Name)
	}
	for _, api := range allAPIServices(t) {
		if *api.Spec.Service.Port != service.Port {
			t.Errorf("%s asks at port %d, the Service has %d", api.Name, *api.Spec.Service.Port, service.Port)
		}
	}
}

// Prometheus' operator drops a PodMonitor in silence where a port, a pod or a Secret is not as it says.
func TestPrometheusIsLedToOurPods(t *testing.T) {
	all := append(base(t), objects(t, manifests(t, "components/activator")...)...)
	all = append(all, objects(t, manifests(t, "components/scraping")...)...)
	secrets := map[string][]string{"preheat-serving-cert": {servingcert.CAKey}} // which the service makes
	for _, s := range only[*corev1.Secret](all) {
		secrets[s.Name] = []string{corev1.ServiceAccountTokenKey}
	}
	monitors := only[*monitoringv1.PodMonitor](all)
	for _, m := range monitors {
		led := false
		for _, d := range only[*appsv1.Deployment](all) {
			if selector := labels.SelectorFromSet(m.Spec.Selector.MatchLabels); selector.Empty() || !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
				continue
			}
			for _, e := range m.Spec.PodMetricsEndpoints {
				led = led || slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == *e.Port })
			}
		}
		if !led {
			t.Errorf("%s leads to no port of a Deployment", m.Name)
		}
		for _, e := range m.Spec.PodMetricsEndpoints {
			if !e.HonorLabels {
				t.Errorf("%s: the labels namespace and name would be those of our own pods", m.Name)
			}
			var asked []corev1.SecretKeySelector
			if e.Authorization != nil {
				asked = append(asked, *e.Authorization.Credentials)
			}
			if e.TLSConfig != nil {
				asked = append(asked, *e.TLSConfig.CA.Secret)
			}
			for _, s := range asked {
				if !slices.Contains(secrets[s.Name], s.Key) {
					t.Errorf("%s asks for key %s of Secret %s", m.Name, s.Key, s.Name)
				}
			}
		}
	}
	if len(monitors) != 2 {
		t.Errorf("%d PodMonitors, want one of the service and one of the activators", len(monitors))
	}
}

func allAPIServices(t *testing.T) []*apiregistrationv1.APIService {
	t.Helper()
	return only[*apiregistrationv1.APIService](objects(t, "base/apiservices.yaml", "overlays/external-metrics/apiservice.yaml"))
}

func TestAPIServicesPointToTheServiceAndMayBePatched(t *testing.T) {
	service := one[*corev1.Service](t, base(t))
	var names []string
	priority := map[string]int32{}
	for _, api := range allAPIServices(t) {
		names = append(names, api.Name)
		priority[api.Name] = api.Spec.VersionPriority
		if want := api.Spec.Version + "." + api.Spec.Group; api.Name != want {
			t.Errorf("APIService %s must be named %s", api.Name, want)
		}
		if s := api.Spec.Service; s == nil || s.Name != service.Name || s.Namespace != service.Namespace {
			t.Errorf("%s points to %v, want %s/%s", api.Name, s, service.Namespace, service.Name)
		}
		if api.Spec.InsecureSkipTLSVerify || api.Spec.CABundle != nil {
			t.Errorf("%s: verification off, or a bundle that only the service can know", api.Name)
		}
	}
	slices.Sort(names)
	if priority["v1beta2.custom.metrics.k8s.io"] <= priority["v1beta1.custom.metrics.k8s.io"] {
		t.Errorf("v1beta2 must be preferred: %v", priority)
	}
	var mayPatch []string
	for _, rule := range role(t, "preheat").Rules {
		if slices.Contains(rule.Resources, "apiservices") {
			mayPatch = append(mayPatch, rule.ResourceNames...)
		}
	}
	slices.Sort(mayPatch)
	if diff := cmp.Diff(names, mayPatch); diff != "" {
		t.Errorf("APIServices (-shipped +may be patched):\n%s", diff)
	}
}

func role(t *testing.T, name string) *rbacv1.ClusterRole {
	t.Helper()
	for _, r := range only[*rbacv1.ClusterRole](base(t)) {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no ClusterRole %s", name)
	return nil
}

func TestBindingsBindOurAccountToRolesThatExist(t *testing.T) {
	all := base(t)
	exists := map[string]bool{ // of Kubernetes itself
		"ClusterRole system:auth-delegator":              true,
		"Role extension-apiserver-authentication-reader": true,
	}
	for _, r := range only[*rbacv1.ClusterRole](all) {
		exists["ClusterRole "+r.Name] = true
	}
	for _, r := range only[*rbacv1.Role](all) {
		exists["Role "+r.Name] = true
	}
	bound := 0
	check := func(name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		bound++
		if !exists[ref.Kind+" "+ref.Name] {
			t.Errorf("%s binds %s %s, which does not exist", name, ref.Kind, ref.Name)
		}
		want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: namespace}}
		if diff := cmp.Diff(want, subjects); diff != "" {
			t.Errorf("%s: subjects (-want +got):\n%s", name, diff)
		}
	}
	for _, b := range only[*rbacv1.ClusterRoleBinding](all) {
		check(b.Name, b.RoleRef, b.Subjects)
	}
	for _, b := range only[*rbacv1.RoleBinding](all) {
		check(b.Name, b.RoleRef, b.Subjects)
	}
	if bound != 5 {
		t.Errorf("%d bindings, want 5", bound)
	}
	if got := one[*appsv1.Deployment](t, all).Spec.Template.Spec.ServiceAccountName; got != account {
		t.Errorf("the Deployment runs as %q, want %q", got, account)
	}
}

func TestRightsAreLeastAndEachHasItsReason(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := append(role(t, "preheat").Rules, one[*rbacv1.Role](t, base(t)).Rules...)
	for _, rule := range rules {
		for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
			if word == "*" {
				t.Errorf("a wildcard in %v", rule)
			}
		}
		if slices.Contains(rule.Verbs, "delete") {
			t.Errorf("a right to delete in %v", rule)
		}
		for _, resource := range rule.Resources {
			row := tableRow(string(readme), resource)
			if row == "" {
				t.Errorf("README.md gives no reason for %s", resource)
			}
			for _, verb := range rule.Verbs {
				if row != "" && !strings.Contains(row, verb) {
					t.Errorf("README.md: the row of %s lacks %s: %s", resource, verb, row)
				}
			}
		}
	}
}

func tableRow(markdown, resource string) string {
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(line, "| ") && strings.Contains(line, "`"+resource+"`") {
			return line
		}
	}
	return ""
}

// The namespace enforces the restricted Pod Security Standard, which would refuse the pod for any of these.
func TestThePodMeetsTheRestrictedStandard(t *testing.T) {
	all := base(t)
	if got := one[*corev1.Namespace](t, all).Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("the namespace enforces %q", got)
	}
	spec := one[*appsv1.Deployment](t, all).Spec.Template.Spec
	pod, container := spec.SecurityContext, spec.Containers[0].SecurityContext
	got := map[string]bool{
		"runs as a user other than root":  *pod.RunAsNonRoot && *pod.RunAsUser == 65532,
		"has the default seccomp profile": pod.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"may not gain privileges":         !*container.AllowPrivilegeEscalation,
		"has a read-only root":            *container.ReadOnlyRootFilesystem,
		"drops all capabilities":          slices.Equal(container.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(container.Capabilities.Add) == 0,
		"is in its own network and PID":   !spec.HostNetwork && !spec.HostPID && !spec.HostIPC,
		"has a limit of memory":           !spec.Containers[0].Resources.Limits.Memory().IsZero(),
		"mounts but a folder of its own":  len(spec.Volumes) == 1 && spec.Volumes[0].EmptyDir != nil,
		"outlives its time of draining":   *spec.TerminationGracePeriodSeconds > spec.Containers[0].Lifecycle.PreStop.Sleep.Seconds,
	}
	for property, holds := range got {
		if !holds {
			t.Errorf("the pod no longer %s", property)
		}
	}
}

func TestWhatIsLearnedIsKeptWhereAVolumeIsMounted(t *testing.T) {
	deployment := one[*appsv1.Deployment](t, base(t))
	pod := deployment.Spec.Template.Spec
	mount := pod.Containers[0].VolumeMounts[0]
	if !slices.Contains(pod.Containers[0].Args, "--state-dir="+mount.MountPath) || mount.ReadOnly || mount.Name != pod.Volumes[0].Name {
		t.Errorf("the service is told %v, and %v is mounted of %v", pod.Containers[0].Args, mount, pod.Volumes)
	}
}

func TestTheSharedStateReplacesTheFolder(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed: the component is not built here")
	}
	overlay := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	up, err := filepath.Rel(overlay, here)
	if err != nil {
		t.Fatal(err)
	}
	text := "resources: [" + up + "/base]\ncomponents: [" + up + "/components/shared-state]\n"
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered, err := exec.Command(kubectl, "kustomize", overlay).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, rendered)
	}
	file := filepath.Join(overlay, "rendered.yaml")
	if err := os.WriteFile(file, rendered, 0o600); err != nil {
		t.Fatal(err)
	}
	all := objects(t, file)
	pod, claim := one[*appsv1.Deployment](t, all).Spec.Template.Spec, one[*corev1.PersistentVolumeClaim](t, all)
	if v := pod.Volumes; len(v) != 1 || v[0].EmptyDir != nil || v[0].PersistentVolumeClaim == nil || v[0].PersistentVolumeClaim.ClaimName != claim.Name || v[0].Name != pod.Containers[0].VolumeMounts[0].Name {
		t.Errorf("the pod mounts %v, want the claim %s", v, claim.Name)
	}
	if !slices.Equal(claim.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}) {
		t.Errorf("replicas on different nodes cannot share a claim that is %v", claim.Spec.AccessModes)
	}
	if g := pod.SecurityContext.FSGroup; g == nil || *g != *pod.SecurityContext.RunAsGroup {
		t.Errorf("the volume belongs to group %v, the service runs as %v", g, *pod.SecurityContext.RunAsGroup)
	}
}

func TestProbesAskTheHealthEndpointsOverTLS(t *testing.T) {
	container := one[*appsv1.Deployment](t, base(t)).Spec.Template.Spec.Containers[0]
	for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Scheme != corev1.URISchemeHTTPS {
			t.Errorf("no probe of %s over HTTPS: %v", path, probe)
		}
	}
}

func TestEverythingNamespacedIsInOurNamespace(t *testing.T) {
	for _, object := range base(t) {
		accessor, ok := object.(metav1.Object)
		if !ok {
			t.Fatalf("%T has no metadata", object)
		}
		if ns := accessor.GetNamespace(); ns != "" && ns != namespace && accessor.GetName() != "preheat-auth-reader" {
			t.Errorf("%T %s is in %s", object, accessor.GetName(), ns)
		}
	}
}
