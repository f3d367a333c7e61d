/*
 * A pod's spec as a whole: defaults that data cannot say, and rules across its fields. Containers
 * and volumes have files of their own.
 *
 * Pure. Used by pods and by everything that holds a pod template.
 */
#include "apiserver/kinds/rules_details.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* Kubernetes pulls again what may have moved: no tag, or "latest". A digest never moves. */
static const char *pull_policy(struct str image)
{
	struct str rest = image, path = image;
	if (str_find(image, STR("@")) >= 0)
		return "IfNotPresent";
	while (str_cut(rest, '/', &path, &rest))
		;
	struct str name, tag;
	struct str last = path;
	if (!str_cut(last, ':', &name, &tag) || str_is(tag, "latest"))
		return "Always";
	return "IfNotPresent";
}

static void default_containers(struct kind_ctx *c, struct json *list, bool host_network)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct json *o = json_item(list, i);
		if (!json_is(o, JSON_OBJECT))
			continue;
		default_str(c, o, "imagePullPolicy",
			    pull_policy(json_str(json_get(o, STR("image")))));
		struct json *ports = json_get(o, STR("ports"));
		for (size_t k = 0; host_network && k < json_len(ports); k++) {
			struct json *port = json_item(ports, k);
			int64_t n = json_int(json_get(port, STR("containerPort")), 0);
			if (json_is(port, JSON_OBJECT) && n)
				default_int(c, port, "hostPort", n);
		}
	}
}

static void default_volumes(struct kind_ctx *c, struct json *volumes)
{
	struct json empty = {.type = JSON_OBJECT};
	for (size_t i = 0; i < json_len(volumes); i++) {
		struct json *v = json_item(volumes, i);
		if (json_is(v, JSON_OBJECT) && json_len(v) == 1 && json_get(v, STR("name")))
			json_set(c->a, v, STR("emptyDir"), &empty);
	}
}

void podspec_defaults(struct kind_ctx *c, struct json *spec)
{
	if (!json_is(spec, JSON_OBJECT))
		return;
	podspec_drop_disabled(spec);
	bool host_network = json_bool(json_get(spec, STR("hostNetwork")), false);
	default_containers(c, json_get(spec, STR("containers")), host_network);
	default_containers(c, json_get(spec, STR("initContainers")), host_network);
	default_containers(c, json_get(spec, STR("ephemeralContainers")), false);
	default_volumes(c, json_get(spec, STR("volumes")));
	/* The old name is kept in step with the new one, both ways. */
	struct str sa = json_str(json_get(spec, STR("serviceAccountName")));
	struct str old = json_str(json_get(spec, STR("serviceAccount")));
	if (!sa.n && old.n)
		json_set_str(c->a, spec, "serviceAccountName", old);
	else if (sa.n && !str_eq(sa, old))
		json_set_str(c->a, spec, "serviceAccount", sa);
}

void podtemplate_defaults(struct kind_ctx *c, struct json *template)
{
	podspec_defaults(c, json_set_object(c->a, template, "spec"));
}

static void check_toleration(struct kind_ctx *c, const struct spath *at, const struct json *t)
{
	const struct json *key = json_get(t, STR("key")), *value = json_get(t, STR("value"));
	struct str op = json_str(json_get(t, STR("operator")));
	if (json_str(key).n)
		rule_name(c, at, "key", key, name_check_qualified);
	else if (!str_is(op, "Exists"))
		rule_invalid(c, at, "operator", json_get(t, STR("operator")),
			     "operator must be Exists when `key` is empty, which means \"match all "
			     "values and all keys\"");
	if (str_is(op, "Exists") && json_str(value).n)
		rule_invalid(c, at, "operator", t,
			     "value must be empty when `operator` is 'Exists'");
	else
		rule_name(c, at, "value", value, name_check_label_value);
	const struct json *seconds = json_get(t, STR("tolerationSeconds"));
	if (json_is(seconds, JSON_INT) &&
	    !str_is(json_str(json_get(t, STR("effect"))), "NoExecute"))
		rule_invalid(c, at, "effect", json_get(t, STR("effect")),
			     "effect must be 'NoExecute' when `tolerationSeconds` is set");
}

void rule_tolerations(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(at, i);
		check_toleration(c, &here, json_item(list, i));
	}
}

static void check_spread(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("topologySpreadConstraints"));
	struct spath all = SPATH_FIELD(at, "topologySpreadConstraints");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *t = json_item(list, i);
		struct spath here = SPATH_INDEX(&all, i);
		if (json_int(json_get(t, STR("maxSkew")), 0) <= 0)
			rule_invalid(c, &here, "maxSkew", json_get(t, STR("maxSkew")),
				     "must be greater than zero");
		rule_name(c, &here, "topologyKey", json_get(t, STR("topologyKey")),
			  name_check_qualified);
		rule_selector(c, &here, "labelSelector", json_get(t, STR("labelSelector")));
	}
}

static void check_requirement(struct kind_ctx *c, const struct spath *at, const struct json *e)
{
	size_t n = json_len(json_get(e, STR("values")));
	struct str op = json_str(json_get(e, STR("operator")));
	if ((str_is(op, "In") || str_is(op, "NotIn")) && !n)
		rule_required(c, at, "values",
			      "must be specified when `operator` is 'In' or 'NotIn'");
	if ((str_is(op, "Exists") || str_is(op, "DoesNotExist")) && n)
		rule_forbidden(c, at, "values",
			       "may not be specified when `operator` is 'Exists' or "
			       "'DoesNotExist'");
	if ((str_is(op, "Gt") || str_is(op, "Lt")) && n != 1)
		rule_required(c, at, "values",
			      "must be specified single value when `operator` is 'Lt' or 'Gt'");
	if (!str_is(op, "In") && !str_is(op, "NotIn") && !str_is(op, "Exists") &&
	    !str_is(op, "DoesNotExist") && !str_is(op, "Gt") && !str_is(op, "Lt"))
		rule_invalid(c, at, "operator", json_get(e, STR("operator")),
			     "not a valid selector operator");
	rule_key(c, at, json_get(e, STR("key")));
}

/* Of a node's fields only its name can be asked for, one at a time. */
static void check_field_requirement(struct kind_ctx *c, const struct spath *at,
				    const struct json *e)
{
	const struct json *values = json_get(e, STR("values")), *key = json_get(e, STR("key"));
	struct str op = json_str(json_get(e, STR("operator")));

	if (!str_is(op, "In") && !str_is(op, "NotIn"))
		rule_invalid(c, at, "operator", json_get(e, STR("operator")),
			     "not a valid selector operator");
	else if (json_len(values) != 1)
		rule_required(c, at, "values",
			      "must be only one value when `operator` is 'In' or 'NotIn' for node "
			      "field selector");
	if (!str_is(json_str(key), "metadata.name"))
		rule_invalid(c, at, "key", key, "not a valid field selector key");
}

static void check_node_term(struct kind_ctx *c, const struct spath *at, const struct json *term)
{
	const struct json *list = json_get(term, STR("matchExpressions"));
	struct spath all = SPATH_FIELD(at, "matchExpressions");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		check_requirement(c, &here, json_item(list, i));
	}
	list = json_get(term, STR("matchFields"));
	all = SPATH_FIELD(at, "matchFields");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		check_field_requirement(c, &here, json_item(list, i));
	}
}

void rule_node_selector(struct kind_ctx *c, const struct spath *at, const struct json *selector)
{
	const struct json *terms = json_get(selector, STR("nodeSelectorTerms"));
	struct spath list = SPATH_FIELD(at, "nodeSelectorTerms");

	if (!json_len(terms))
		rule_required(c, at, "nodeSelectorTerms",
			      "must have at least one node selector term");
	for (size_t i = 0; i < json_len(terms); i++) {
		struct spath here = SPATH_INDEX(&list, i);
		check_node_term(c, &here, json_item(terms, i));
	}
}

static void check_node_affinity(struct kind_ctx *c, const struct spath *at, const struct json *na)
{
	struct spath required = SPATH_FIELD(at, "requiredDuringSchedulingIgnoredDuringExecution");
	const struct json *hard =
		json_get(na, STR("requiredDuringSchedulingIgnoredDuringExecution"));

	if (hard)
		rule_node_selector(c, &required, hard);
	const struct json *soft =
		json_get(na, STR("preferredDuringSchedulingIgnoredDuringExecution"));
	struct spath preferred = SPATH_FIELD(at, "preferredDuringSchedulingIgnoredDuringExecution");
	for (size_t i = 0; i < json_len(soft); i++) {
		struct spath here = SPATH_INDEX(&preferred, i);
		struct spath preference = SPATH_FIELD(&here, "preference");
		int64_t weight = json_int(json_get(json_item(soft, i), STR("weight")), 0);
		if (weight < 1 || weight > 100)
			rule_invalid(c, &here, "weight",
				     json_get(json_item(soft, i), STR("weight")),
				     "must be in the range 1-100");
		check_node_term(c, &preference, json_get(json_item(soft, i), STR("preference")));
	}
}

static void check_pod_term(struct kind_ctx *c, const struct spath *at, const struct json *term)
{
	const struct json *in = json_get(term, STR("namespaces"));

	for (size_t i = 0; i < json_len(in); i++) /* which one isn't said */
		rule_name(c, at, "namespace", json_item(in, i), name_check_dns1123_label);
	rule_selector(c, at, "labelSelector", json_get(term, STR("labelSelector")));
	rule_selector(c, at, "namespaceSelector", json_get(term, STR("namespaceSelector")));
	rule_name(c, at, "topologyKey", json_get(term, STR("topologyKey")), name_check_qualified);
	if (!json_get(term, STR("labelSelector"))) {
		rule_label_keys(c, at, term, "matchLabelKeys");
		rule_label_keys(c, at, term, "mismatchLabelKeys");
	}
}

static void check_pod_affinity(struct kind_ctx *c, const struct spath *at, const struct json *pa)
{
	const struct json *hard =
		json_get(pa, STR("requiredDuringSchedulingIgnoredDuringExecution"));
	struct spath required = SPATH_FIELD(at, "requiredDuringSchedulingIgnoredDuringExecution");
	for (size_t i = 0; i < json_len(hard); i++) {
		struct spath here = SPATH_INDEX(&required, i);
		check_pod_term(c, &here, json_item(hard, i));
	}
	const struct json *soft =
		json_get(pa, STR("preferredDuringSchedulingIgnoredDuringExecution"));
	struct spath preferred = SPATH_FIELD(at, "preferredDuringSchedulingIgnoredDuringExecution");
	for (size_t i = 0; i < json_len(soft); i++) {
		struct spath here = SPATH_INDEX(&preferred, i);
		struct spath term = SPATH_FIELD(&here, "podAffinityTerm");
		int64_t weight = json_int(json_get(json_item(soft, i), STR("weight")), 0);
		if (weight < 1 || weight > 100)
			rule_invalid(c, &here, "weight",
				     json_get(json_item(soft, i), STR("weight")),
				     "must be in the range 1-100");
		check_pod_term(c, &term, json_get(json_item(soft, i), STR("podAffinityTerm")));
	}
}

static void check_scheduling(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	rule_labels(c, at, "nodeSelector", json_get(spec, STR("nodeSelector")));
	struct spath tolerations = SPATH_FIELD(at, "tolerations");

	rule_tolerations(c, &tolerations, json_get(spec, STR("tolerations")));
	check_spread(c, at, spec);
	const struct json *affinity = json_get(spec, STR("affinity"));
	struct spath aff = SPATH_FIELD(at, "affinity");
	struct spath node = SPATH_FIELD(&aff, "nodeAffinity");
	struct spath pod = SPATH_FIELD(&aff, "podAffinity");
	struct spath anti = SPATH_FIELD(&aff, "podAntiAffinity");
	check_node_affinity(c, &node, json_get(affinity, STR("nodeAffinity")));
	check_pod_affinity(c, &pod, json_get(affinity, STR("podAffinity")));
	check_pod_affinity(c, &anti, json_get(affinity, STR("podAntiAffinity")));
}

static void check_dns(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	struct spath dns = SPATH_FIELD(at, "dnsConfig");
	const struct json *servers = json_at(spec, "dnsConfig", "nameservers");
	if (str_is(json_str(json_get(spec, STR("dnsPolicy"))), "None") && !json_len(servers))
		rule_required(c, &dns, "nameservers",
			      "must provide at least one DNS nameserver when `dnsPolicy` is None");
	if (json_len(servers) > 3)
		rule_invalid(c, &dns, "nameservers", servers,
			     "must not have more than 3 nameservers");
}

/* "kernel.shm_rmid_forced", "net/ipv4/conf.x/y": words between dots and slashes. */
static bool is_sysctl(struct str name)
{
	bool inside = false; /* a word, behind its first character */

	if (!name.n || name.n > 253)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char ch = name.p[i];
		bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
		bool joint = ch == '-' || ch == '_', end = i + 1 == name.n;

		if (!alnum && (!inside || end || (!joint && ch != '.' && ch != '/')))
			return false;
		if (!alnum && !joint && (name.p[i - 1] == '-' || name.p[i - 1] == '_'))
			return false;
		inside = alnum || joint;
	}
	return true;
}

static void check_sysctls(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "sysctls");

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *name = json_get(json_item(list, i), STR("name"));

		if (!json_str(name).n)
			rule_required(c, &here, "name", NULL);
		else if (!is_sysctl(json_str(name)))
			rule_invalid(c, &here, "name", name,
				     "must have at most 253 characters and match regex "
				     "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*"
				     "[a-z0-9])?$");
		for (size_t k = 0; k < i; k++)
			if (json_equal(name, json_get(json_item(list, k), STR("name"))))
				rule_duplicate(c, &here, "name", name);
	}
}

static void check_security(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	static const char *const ids[] = {"runAsUser", "runAsGroup", "fsGroup"};
	const struct json *sc = json_get(spec, STR("securityContext"));
	struct spath here = SPATH_FIELD(at, "securityContext");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		rule_range(c, &here, sc, ids[i], 0, INT32_MAX);
	check_sysctls(c, &here, json_get(sc, STR("sysctls")));
	if (json_bool(json_get(spec, STR("shareProcessNamespace")), false) &&
	    json_bool(json_get(spec, STR("hostPID")), false))
		rule_invalid(c, at, "shareProcessNamespace",
			     json_get(spec, STR("shareProcessNamespace")),
			     "ShareProcessNamespace and HostPID cannot both be enabled");
}

void podspec_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	if (!json_is(spec, JSON_OBJECT)) {
		rule_required(c, at, "containers", NULL);
		return;
	}
	if (!json_len(json_get(spec, STR("containers"))))
		rule_required(c, at, "containers", NULL);
	volumes_validate(c, at, spec);
	containers_validate(c, at, spec);
	rule_non_negative(c, at, spec, "terminationGracePeriodSeconds");
	rule_range(c, at, spec, "activeDeadlineSeconds", 1, INT32_MAX);
	rule_optional_name(c, at, "hostname", json_get(spec, STR("hostname")),
			   name_check_dns1123_label);
	rule_optional_name(c, at, "subdomain", json_get(spec, STR("subdomain")),
			   name_check_dns1123_label);
	static const char *const names[] = {"serviceAccountName", "nodeName", "priorityClassName",
					    "runtimeClassName"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct json *v = json_get(spec, str_c(names[i]));
		rule_optional_name(c, at, names[i], v, name_check_dns1123_subdomain);
	}
	check_scheduling(c, at, spec);
	podspec_validate_placing(c, at, spec);
	check_dns(c, at, spec);
	check_security(c, at, spec);
	podspec_validate_details(c, at, spec);
}

void podtemplate_validate(struct kind_ctx *c, const struct spath *at, const struct json *template)
{
	struct spath spec = SPATH_FIELD(at, "spec");
	/* said without "metadata" in Kubernetes' own paths */
	rule_labels(c, at, "labels", json_at(template, "metadata", "labels"));
	rule_annotations(c, at, "annotations", json_at(template, "metadata", "annotations"));
	podspec_validate(c, &spec, json_get(template, STR("spec")));
	if (json_len(json_at(template, "spec", "ephemeralContainers")))
		rule_forbidden(c, &spec, "ephemeralContainers",
			       "ephemeral containers not allowed in pod template");
}

void rule_template(struct kind_ctx *c, const struct spath *at, const struct json *template,
		   const char *owner)
{
	static const char *const always[] = {"Always", NULL};
	struct spath spec = SPATH_FIELD(at, "spec");
	const struct json *policy = json_at(template, "spec", "restartPolicy");

	podtemplate_validate(c, at, template);
	if (json_str(policy).n && !str_is(json_str(policy), "Always"))
		rule_unsupported(c, &spec, "restartPolicy", policy, always);
	if (json_at(template, "spec", "activeDeadlineSeconds"))
		rule_forbidden(
			c, &spec, "activeDeadlineSeconds",
			arena_printf(c->a, "activeDeadlineSeconds in %s is not Supported", owner));
}
