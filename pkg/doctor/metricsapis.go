package doctor

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/preheat-autoscaler/preheat/pkg/apiservice"
	"github.com/preheat-autoscaler/preheat/pkg/servingcert"
)

var apiServiceResource = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// expiresSoon is how long before its end a certificate should have been renewed.
const expiresSoon = 7 * 24 * time.Hour

// apiServices are the names of those that can be ours.
func apiServices() []string {
	return append(apiservice.CustomMetrics(), apiservice.ExternalMetrics()...)
}

// isExternal reports whether an APIService is of the metrics that are opted into.
func isExternal(name string) bool { return strings.HasSuffix(name, ".external.metrics.k8s.io") }

// readAPIService reads one, nil where there is none.
func (e *examination) readAPIService(ctx context.Context, name string) (*apiregistrationv1.APIService, error) {
	got, err := e.Dynamic.Resource(apiServiceResource).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	svc, err := decode[apiregistrationv1.APIService](got)
	return &svc, err
}

// ours reports whether an APIService points to the service.
func (e *examination) ours(svc *apiregistrationv1.APIService) bool {
	s := svc.Spec.Service
	return s != nil && s.Namespace == e.System && s.Name == serviceName
}

// apiService says who holds one, and whether it answers.
func (e *examination) apiService(ctx context.Context, w *ward, name string) {
	svc, err := e.readAPIService(ctx, name)
	switch {
	case err != nil:
		w.unread(right{"get", "apiservices.apiregistration.k8s.io/" + name, clusterScope}, err)
	case svc == nil:
		e.absent(w, name)
	case !e.ours(svc):
		e.foreign(w, svc)
	default:
		e.held(ctx, w, svc)
	}
}

func (e *examination) absent(w *ward, name string) {
	switch {
	case !isExternal(name):
		w.warn("kubectl apply --server-side -f deploy/base/apiservices.yaml", "does not exist: HPAs cannot read Preheat's metrics")
	case e.settings.external:
		w.problem("kubectl apply --server-side -f deploy/overlays/external-metrics/apiservice.yaml", "does not exist, while the service runs with --external-metrics=true")
	default:
		w.ok("nobody holds it, and the service does not offer external metrics")
	}
}

// foreign is one that points elsewhere: where nothing is asked of it, that is as it should be.
func (e *examination) foreign(w *ward, svc *apiregistrationv1.APIService) {
	holder := "the kube-apiserver itself"
	if s := svc.Spec.Service; s != nil {
		holder = "Service " + s.Namespace + "/" + s.Name
	}
	if status, message := available(svc); status == apiregistrationv1.ConditionFalse {
		w.problem("repair the adapter behind it, or remove it: kubectl delete apiservice "+svc.Name,
			"%s holds it and does not answer, which holds up the deletion of namespaces: %s", holder, message)
		return
	}
	switch {
	case !isExternal(svc.Name):
		w.warn("remove that adapter and apply deploy/base/apiservices.yaml, or use mode Own or Floor, which need no metrics API",
			"%s holds it: HPAs do not get Preheat's metrics", holder)
	case e.settings.external:
		w.problem("remove --external-metrics=true from the service, or that adapter", "%s holds it, while the service runs with --external-metrics=true", holder)
	default:
		w.ok("%s holds it, and the service does not offer external metrics", holder)
	}
}

// available returns the condition of that name, and why it is not.
func available(svc *apiregistrationv1.APIService) (status apiregistrationv1.ConditionStatus, message string) {
	for _, c := range svc.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			return c.Status, strings.Join(strings.Fields(c.Reason+": "+c.Message), " ")
		}
	}
	return apiregistrationv1.ConditionUnknown, "the API server has not said yet"
}

// unavailable is what to do about each reason of the API server's.
func (e *examination) unavailable(reason string) string {
	switch {
	case strings.HasPrefix(reason, "ServiceNotFound"):
		return "kubectl apply --server-side -k deploy/base"
	case strings.HasPrefix(reason, "MissingEndpoints"), strings.HasPrefix(reason, "EndpointsNotFound"):
		return fmt.Sprintf("kubectl -n %s describe pods -l app.kubernetes.io/name=%s", e.System, serviceName)
	case strings.Contains(reason, "x509"):
		return fmt.Sprintf("kubectl -n %s rollout restart deployment/%s, which writes spec.caBundle anew; tell GitOps tools to ignore the field", e.System, serviceName)
	}
	return "let the control plane reach port 6443 of the service's pods (firewall, NetworkPolicy)"
}

// held is one of ours.
func (e *examination) held(ctx context.Context, w *ward, svc *apiregistrationv1.APIService) {
	status, message := available(svc)
	switch status {
	case apiregistrationv1.ConditionTrue:
	case apiregistrationv1.ConditionFalse:
		w.problem(e.unavailable(message), "points to us and is not available, which holds up the deletion of namespaces: %s", message)
		return
	default:
		w.unknown("kubectl get apiservice "+svc.Name+" -o yaml", "points to us; whether it is available is not known: %s", message)
		return
	}
	path := "/apis/" + svc.Spec.Group + "/" + svc.Spec.Version
	got, err := e.Raw.Get(ctx, path)
	var served metav1.APIResourceList
	switch {
	case err != nil:
		w.unread(right{"get", path, clusterScope}, err)
	case got.Code == http.StatusForbidden || got.Code == http.StatusUnauthorized:
		w.unknown("ask for role system:discovery", "not looked at: you lack the right to get %s", path)
	case got.Code != http.StatusOK:
		w.problem(fmt.Sprintf("kubectl -n %s logs deployment/%s", e.System, serviceName), "points to us and answers with HTTP %d", got.Code)
	case json.Unmarshal(got.Body, &served) != nil || len(served.APIResources) == 0:
		w.problem(fmt.Sprintf("kubectl -n %s logs deployment/%s", e.System, serviceName), "points to us and lists no metric")
	default:
		w.ok("points to us, is available, and lists %d metrics", len(served.APIResources))
	}
}

// certificate says whether the serving certificate is of the bundles of our APIServices, and until when.
func (e *examination) certificate(ctx context.Context, w *ward) {
	if e.settings.ownCert {
		w.unknown("see that it is renewed: openssl x509 -enddate -noout -in FILE", "the service brings its certificate from a file (--tls-cert-file or --cert-dir), which cannot be read from outside")
		return
	}
	name := e.settings.secret
	secret, err := e.Kube.CoreV1().Secrets(e.System).Get(ctx, name, metav1.GetOptions{})
	restart := fmt.Sprintf("kubectl -n %s rollout restart deployment/%s", e.System, serviceName)
	switch {
	case apierrors.IsNotFound(err):
		w.problem(restart+", which makes it", "does not exist: there is no serving certificate")
		return
	case err != nil:
		w.unread(right{"get", "secrets/" + name, e.System}, err)
		return
	}
	cert := firstCertificate(secret.Data[servingcert.CertKey])
	if cert == nil {
		w.problem(fmt.Sprintf("kubectl -n %s delete secret %s && %s", e.System, name, restart), "holds no certificate under %s", servingcert.CertKey)
		return
	}
	switch left := cert.NotAfter.Sub(e.clock()); {
	case left <= 0:
		w.problem(restart, "expired %s ago", since(-left))
		return
	case left < expiresSoon:
		w.warn(restart, "expires in %s and is not renewed", since(left))
	default:
		w.ok("is valid until %s", cert.NotAfter.UTC().Format(time.DateOnly))
	}
	for _, name := range apiServices() {
		e.bundle(ctx, w, cert, name)
	}
}

// bundle says where the CA bundle of an APIService of ours does not go with the certificate.
func (e *examination) bundle(ctx context.Context, w *ward, cert *x509.Certificate, name string) {
	svc, err := e.readAPIService(ctx, name)
	if err != nil {
		w.unread(right{"get", "apiservices.apiregistration.k8s.io/" + name, clusterScope}, err)
		return
	}
	if svc == nil || !e.ours(svc) {
		return
	}
	if svc.Spec.InsecureSkipTLSVerify {
		w.warn("set spec.insecureSkipTLSVerify to false", "APIService %s takes any certificate", name)
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(svc.Spec.CABundle)
	host := serviceName + "." + e.System + ".svc"
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: e.clock()}); err != nil {
		w.problem(fmt.Sprintf("kubectl -n %s rollout restart deployment/%s, which writes spec.caBundle anew; tell GitOps tools to ignore the field", e.System, serviceName),
			"spec.caBundle of APIService %s does not go with it: %s", name, oneLine(err))
		return
	}
	w.ok("spec.caBundle of APIService %s goes with it", name)
}

// firstCertificate is that of the server in a chain, nil where there is none.
func firstCertificate(text []byte) *x509.Certificate {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}
