package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clusterRules and systemRules are what deploy/base/rbac.yaml grants the service, in the cluster and in its own namespace. A
// test holds them against that file.
var (
	clusterRules = []rbacv1.PolicyRule{
		rule("preheat.dev", "inferenceautoscalers", "get list watch"),
		rule("preheat.dev", "warmpools", "list watch"),
		rule("preheat.dev", "inferenceautoscalers/status warmpools/status", "update"),
		rule("", "pods services", "list watch"),
		rule("", "pods/status", "patch"),
		rule("", "pods/eviction", "create"),
		rule("", "nodes", "list watch"),
		rule("discovery.k8s.io", "endpointslices", "list watch"),
		rule("apps", "deployments statefulsets", "get list watch"),
		rule("apps", "deployments/scale statefulsets/scale", "get update"),
		rule("autoscaling", "horizontalpodautoscalers", "list watch patch"),
		rule("keda.sh", "scaledobjects", "list watch patch"),
		rule("", "events", "create patch"),
		rule("apiregistration.k8s.io", "apiservices", "get patch", apiServices()...),
	}
	systemRules = []rbacv1.PolicyRule{
		rule("coordination.k8s.io", "leases", "get create update"),
		rule("", "secrets", "create"),
		rule("", "secrets", "get update", certSecret),
	}
	// delegated is what role system:auth-delegator gives.
	delegated = []rbacv1.PolicyRule{
		rule("authentication.k8s.io", "tokenreviews", "create"),
		rule("authorization.k8s.io", "subjectaccessreviews", "create"),
	}
	// ownRules are what an examination reads; who examines needs them.
	ownRules = []rbacv1.PolicyRule{
		rule("preheat.dev", "inferenceautoscalers warmpools", "list"),
		rule("", "pods services", "list"),
		rule("autoscaling", "horizontalpodautoscalers", "list"),
	}
	ownClusterRules = []rbacv1.PolicyRule{
		rule("apiextensions.k8s.io", "customresourcedefinitions", "get"),
		rule("apiregistration.k8s.io", "apiservices", "get"),
		rule("authorization.k8s.io", "subjectaccessreviews", "create"),
	}
	ownSystemRules = []rbacv1.PolicyRule{
		rule("apps", "deployments", "get"),
		rule("coordination.k8s.io", "leases", "get"),
		rule("", "secrets", "get", certSecret),
	}
	// unscoped are the resources that are in no namespace.
	unscoped = []string{"nodes", "apiservices", "customresourcedefinitions", "subjectaccessreviews", "tokenreviews"}
)

func rule(group, resources, verbs string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{group}, Resources: strings.Fields(resources), Verbs: strings.Fields(verbs), ResourceNames: names,
	}
}

// asked is one question to the authorizer.
type asked struct {
	authorizationv1.ResourceAttributes
}

// String names the right.
func (a asked) String() string {
	text := a.Verb + " " + a.Resource
	if a.Subresource != "" {
		text += "/" + a.Subresource
	}
	if a.Group != "" {
		text += " of " + a.Group
	}
	if a.Name != "" {
		text += " " + a.Name
	}
	if a.Namespace != "" {
		text += " in " + a.Namespace
	}
	return text
}

// questions are a rule's rights in a namespace, empty for all.
func questions(rules []rbacv1.PolicyRule, namespace string) []asked {
	var all []asked
	for _, r := range rules {
		names := r.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				for _, name := range names {
					base, sub, _ := strings.Cut(resource, "/")
					q := asked{authorizationv1.ResourceAttributes{Verb: verb, Group: r.APIGroups[0], Resource: base, Subresource: sub, Name: name, Namespace: namespace}}
					if slices.Contains(unscoped, base) {
						q.Namespace = ""
					}
					all = append(all, q)
				}
			}
		}
	}
	return all
}

// ownRights says what the one who examines lacks for it. It is no fault of the cluster, so that it is no problem.
func (e *examination) ownRights(ctx context.Context, w *ward) {
	all := append(questions(ownRules, e.Namespace), questions(ownClusterRules, "")...)
	all = append(all, questions(ownSystemRules, e.System)...)
	lacking, err := refused(all, func(q asked) (bool, error) {
		got, err := e.Kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx,
			&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &q.ResourceAttributes}}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return got.Status.Allowed, nil
	})
	switch {
	case err != nil:
		w.unread(right{"create", "selfsubjectaccessreviews.authorization.k8s.io", clusterScope}, err)
	case len(lacking) > 0:
		w.unknown("ask for them, or have somebody with role cluster-admin run this", "may not: %s; what they would show is unknown below", join(lacking))
	default:
		w.ok("may read all that is examined")
	}
}

// serviceRights says what the service's account lacks of what deploy/base grants it.
func (e *examination) serviceRights(ctx context.Context, w *ward) {
	all := append(questions(clusterRules, e.settings.watch), questions(delegated, "")...)
	all = append(all, questions(systemRules, e.System)...)
	user := fmt.Sprintf("system:serviceaccount:%s:%s", e.System, e.settings.account)
	lacking, err := refused(all, func(q asked) (bool, error) {
		got, err := e.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				ResourceAttributes: &q.ResourceAttributes, User: user,
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + e.System, "system:authenticated"},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return got.Status.Allowed, nil
	})
	if err != nil {
		w.unread(right{"create", "subjectaccessreviews.authorization.k8s.io", clusterScope}, err)
		return
	}
	// Without nodes all works, less exactly.
	optional := func(q asked) bool { return q.Resource == "nodes" }
	remedy := "kubectl apply --server-side -f deploy/base/rbac.yaml"
	if needed := slices.DeleteFunc(slices.Clone(lacking), optional); len(needed) > 0 {
		w.problem(remedy, "may not: %s", join(needed))
	} else if len(lacking) > 0 {
		w.warn(remedy, "may not: %s; starts on new nodes are not told from others", join(lacking))
	} else {
		w.ok("has each of the %d rights that deploy/base/rbac.yaml grants", len(all))
	}
}

// refused are those of the questions that are answered with no.
func refused(all []asked, allowed func(asked) (bool, error)) ([]asked, error) {
	var lacking []asked
	for _, q := range all {
		ok, err := allowed(q)
		if err != nil {
			return nil, err
		}
		if !ok {
			lacking = append(lacking, q)
		}
	}
	return lacking, nil
}

func join(all []asked) string {
	texts := make([]string, len(all))
	for i, q := range all {
		texts[i] = q.String()
	}
	return strings.Join(firstOf(texts, 8), ", ")
}
