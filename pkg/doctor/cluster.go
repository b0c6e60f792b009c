package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/preheat-autoscaler/preheat/deploy/crds"
	"github.com/preheat-autoscaler/preheat/pkg/api/v1alpha1"
)

var (
	listAll = metav1.ListOptions{}

	crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

const (
	// serviceName is the Deployment, Service, ServiceAccount and Lease of Preheat, certSecret its certificate's Secret.
	serviceName = "preheat"
	certSecret  = "preheat-serving-cert"
	// skewAllowed is how far clocks may be apart: less is what a Date in whole seconds and the network make.
	skewAllowed = 5 * time.Second
)

// clusterChecks are those that are not of one target, in their order.
func (e *examination) clusterChecks() []patient {
	system := func(kind string) string { return kind + " " + e.System + "/" + serviceName }
	all := []patient{
		{"crd", "CustomResourceDefinition inferenceautoscalers.preheat.dev", e.crd(crds.InferenceAutoscaler, "inferenceautoscalers.preheat.dev")},
		{"crd", "CustomResourceDefinition warmpools.preheat.dev", e.crd(crds.WarmPool, "warmpools.preheat.dev")},
		{"service", system("Deployment"), e.deployment},
		{"leader", system("Lease"), e.lease},
		{"rights", "you", e.ownRights},
		{"rights", "ServiceAccount " + e.System + "/" + e.settings.account, e.serviceRights},
	}
	for _, name := range apiServices() {
		all = append(all, patient{"metrics-api", "APIService " + name, func(ctx context.Context, w *ward) { e.apiService(ctx, w, name) }})
	}
	return append(all, patient{"certificate", "Secret " + e.System + "/" + e.settings.secret, e.certificate})
}

// greet asks for the version: who cannot do that knows nothing. The Date of the answer is the time that ages are taken by.
func (e *examination) greet(ctx context.Context, w *ward) error {
	e.began = e.Now()
	e.now = e.began
	got, err := e.Raw.Get(ctx, "/version")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if got.Code == http.StatusUnauthorized {
		return fmt.Errorf("%w: it does not know you (401); log in, or choose another --context", ErrUnreachable)
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if json.Unmarshal(got.Body, &version) == nil && got.Code == http.StatusOK {
		w.ok("answers in %v, %s", got.Received.Sub(got.Sent).Round(time.Millisecond), version.GitVersion)
	} else {
		w.unknown("kubectl get --raw /version", "the version is not told (HTTP %d)", got.Code)
	}
	e.setClock(w, got)
	return nil
}

// setClock compares this machine's clock with the API server's, which is what ages are taken by.
func (e *examination) setClock(w *ward, got Answer) {
	date, err := http.ParseTime(got.Header.Get("Date"))
	w.check = "clock"
	if err != nil {
		w.unknown("compare 'date -u' here and on the control plane; ages below are by this machine's clock", "the API server tells no time (header Date)")
		return
	}
	took := got.Received.Sub(got.Sent)
	// A Date is cut to whole seconds.
	skew := date.Add(time.Second / 2).Sub(got.Sent.Add(took / 2))
	e.now, e.began = got.Received.Add(skew), got.Received
	if skew.Abs() > skewAllowed+took/2 {
		w.warn("set this machine's clock (timedatectl set-ntp true); ages below are by the API server's", "this machine's clock is %s %s the API server's", since(skew.Abs()), side(skew < 0))
		return
	}
	e.now, e.began = got.Received, got.Received
	w.ok("this machine's clock and the API server's agree within %s", since(skewAllowed))
}

// side says on which side of another a clock is.
func side(ahead bool) string {
	if ahead {
		return "ahead of"
	}
	return "behind"
}

// crd compares what is installed with what this program was built with.
func (e *examination) crd(text, name string) func(ctx context.Context, w *ward) {
	const apply = "kubectl apply --server-side -k deploy/crds, of the release of this preheatctl"
	return func(ctx context.Context, w *ward) {
		got, err := e.Dynamic.Resource(crdResource).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			w.problem(apply, "is not installed")
			return
		}
		if err != nil {
			w.unread(right{"get", "customresourcedefinitions.apiextensions.k8s.io/" + name, clusterScope}, err)
			return
		}
		var want map[string]any
		if err := yaml.Unmarshal([]byte(text), &want); err != nil {
			w.unknown("build preheatctl anew", "the definition in this program cannot be read: %s", oneLine(err))
			return
		}
		if !isTrue(got.Object, "Established") {
			w.problem("kubectl describe crd "+name, "is not established: the API server does not serve it")
			return
		}
		if where := differences(versionsOf(want), versionsOf(got.Object)); len(where) > 0 {
			w.problem(apply, "is of another version: it differs in %s", strings.Join(firstOf(where, 3), ", "))
			return
		}
		w.ok("is installed, of the version of this program")
	}
}

// firstOf cuts a list, and says how many are left out.
func firstOf(all []string, n int) []string {
	if len(all) <= n {
		return all
	}
	return append(append([]string{}, all[:n]...), fmt.Sprintf("and %d more", len(all)-n))
}

// isTrue reports whether an object that came as it is has a condition that is True.
func isTrue(object map[string]any, kind string) bool {
	text, err := json.Marshal(object)
	if err != nil {
		return false
	}
	var is struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	if json.Unmarshal(text, &is) != nil {
		return false
	}
	for _, c := range is.Status.Conditions {
		if c.Type == kind {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

// versionsOf are the schemas of a CustomResourceDefinition, by version.
func versionsOf(object map[string]any) map[string]any {
	out := map[string]any{}
	spec, _ := object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		if version, ok := v.(map[string]any); ok {
			schema, _ := version["schema"].(map[string]any)
			out[fmt.Sprint(version["name"])] = schema["openAPIV3Schema"]
		}
	}
	return out
}

// differences are the paths of what is in want and is absent, or another, in got, and of properties in got alone. Texts for
// people do not count, nor does what the API server adds by itself.
func differences(want, got any) []string {
	var where []string
	differ(want, got, "", &where)
	return where
}

func differ(want, got any, path string, where *[]string) {
	w, isMap := want.(map[string]any)
	g, hasMap := got.(map[string]any)
	if !isMap || !hasMap {
		if !sameValue(want, got) {
			*where = append(*where, strings.TrimPrefix(path, "."))
		}
		return
	}
	for _, key := range sortedKeys(w) {
		if key == "description" && !strings.HasSuffix(path, ".properties") {
			continue
		}
		below := path + "." + key
		if key == "properties" {
			for _, extra := range sortedKeys(toMap(g[key])) {
				if _, known := toMap(w[key])[extra]; !known {
					*where = append(*where, strings.TrimPrefix(below+"."+extra, "."))
				}
			}
		}
		if _, there := g[key]; !there {
			*where = append(*where, strings.TrimPrefix(below, "."))
			continue
		}
		differ(w[key], g[key], below, where)
	}
}

// sameValue compares what is no object, by its JSON: numbers come in several types.
func sameValue(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && equality.Semantic.DeepEqual(x, y)
}

// settings are what the flags of the running service say.
type settings struct {
	// deployment is nil where it could not be read; err says why.
	deployment *appsv1.Deployment
	err        error

	account, secret, watch string
	external, elects       bool
	// ownCert says that the operator brings the certificate.
	ownCert bool
}

// readSettings reads the Deployment's flags; what it has not is as deploy/base says.
func (e *examination) readSettings(ctx context.Context) settings {
	s := settings{account: serviceName, secret: certSecret, elects: true}
	s.deployment, s.err = e.Kube.AppsV1().Deployments(e.System).Get(ctx, serviceName, metav1.GetOptions{})
	if s.err != nil {
		s.deployment = nil
		return s
	}
	pod := s.deployment.Spec.Template.Spec
	if pod.ServiceAccountName != "" {
		s.account = pod.ServiceAccountName
	}
	for _, c := range pod.Containers {
		s.flags(slices.Concat(c.Command, c.Args))
	}
	return s
}

// flags takes notice of the arguments of the service, whose values may stand by themselves.
func (s *settings) flags(args []string) {
	for i, arg := range args {
		if next := i + 1; !strings.Contains(arg, "=") && next < len(args) && !strings.HasPrefix(args[next], "-") {
			arg += "=" + args[next]
		}
		s.flag(arg)
	}
}

// flag takes notice of one argument of the service.
func (s *settings) flag(arg string) {
	name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	switch name {
	case "watch-namespace":
		s.watch = value
	case "serving-cert-secret":
		s.secret = value
	case "tls-cert-file", "cert-dir":
		s.ownCert = true
	case "external-metrics":
		s.external = value != "false"
	case "leader-elect":
		s.elects = value != "false"
	}
}

// deployment says whether the service runs.
func (e *examination) deployment(_ context.Context, w *ward) {
	d, err := e.settings.deployment, e.settings.err
	switch {
	case apierrors.IsNotFound(err):
		w.problem("kubectl apply --server-side -k deploy/base; where it runs in another namespace, give --system-namespace",
			"does not exist: nobody decides")
		return
	case err != nil:
		w.unread(right{"get", "deployments.apps/" + serviceName, e.System}, err)
		return
	}
	runs(w, d, 2)
}

// runs says whether the pods of a Deployment are ready; fewer than enough is a risk.
func runs(w *ward, d *appsv1.Deployment, enough int32) {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	look := fmt.Sprintf("kubectl -n %s describe pods -l %s", d.Namespace, metav1.FormatLabelSelector(d.Spec.Selector))
	switch ready := d.Status.ReadyReplicas; {
	case ready == 0:
		w.problem(look, "none of %d replicas is ready", wanted)
	case ready < wanted:
		w.warn(look, "%d of %d replicas are ready", ready, wanted)
	case d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < wanted:
		w.warn(fmt.Sprintf("kubectl -n %s rollout status deployment/%s", d.Namespace, d.Name), "is being rolled out: %d of %d replicas are new", d.Status.UpdatedReplicas, wanted)
	case ready < enough:
		w.warn(fmt.Sprintf("kubectl -n %s scale deployment/%s --replicas=%d", d.Namespace, d.Name, enough), "%d replica alone: nobody takes over when it goes", ready)
	default:
		w.ok("%d of %d replicas are ready", ready, wanted)
	}
}

// lease says whether somebody leads, and whether the leader's clock is right: it writes the time of each renewal itself.
func (e *examination) lease(ctx context.Context, w *ward) {
	log := fmt.Sprintf("kubectl -n %s logs deployment/%s", e.System, serviceName)
	if !e.settings.elects {
		w.warn("--leader-elect=true, which lets a second replica take over", "the service runs with --leader-elect=false: nobody tells whether it is alive")
		return
	}
	read := func() (*coordinationv1.Lease, bool) {
		l, err := e.Kube.CoordinationV1().Leases(e.System).Get(ctx, serviceName, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			w.problem(log, "does not exist: no replica has ever led")
		case err != nil:
			w.unread(right{"get", "leases.coordination.k8s.io/" + serviceName, e.System}, err)
		case l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || l.Spec.RenewTime == nil:
			w.problem(log, "nobody holds it: no replica writes")
		default:
			return l, true
		}
		return nil, false
	}
	l, held := read()
	if !held {
		return
	}
	bound := 10 * time.Second
	if l.Spec.LeaseDurationSeconds != nil {
		bound = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
	}
	age := e.clock().Sub(l.Spec.RenewTime.Time)
	if age <= bound && age >= -skewAllowed {
		w.ok("%s leads, renewed %s ago", *l.Spec.HolderIdentity, since(max(age, 0)))
		return
	}
	// Old, or of the future: one that is renewed meanwhile is of a clock that is wrong.
	e.Wait(ctx, 3*time.Second)
	again, held := read()
	if !held {
		return
	}
	if again.Spec.RenewTime.Equal(l.Spec.RenewTime) {
		w.problem(log, "%s holds it and does not renew it (last %s ago): nobody decides", *l.Spec.HolderIdentity, since(age))
		return
	}
	w.problem("set the clock of the node of pod "+*again.Spec.HolderIdentity+" (time synchronisation)",
		"%s leads with a clock %s %s the API server's: ages of samples and starts are wrong by that", *again.Spec.HolderIdentity, since(age.Abs()), side(age < 0))
}

// autoscalers and pools are the resources of ours.
var (
	autoscalerResource = v1alpha1.GroupVersion.WithResource(v1alpha1.ResourceName)
	poolResource       = v1alpha1.GroupVersion.WithResource(v1alpha1.PoolResourceName)
)
