/*
 * Measuring objects for quotas: every object counts as one of its kind; pods count for what they
 * ask, Services for what they take from outside, claims for their storage. Must never count a pod
 * that has ended for what it no longer uses. Pure; memory is the caller's arena.
 * Specification: k8s.io/kubernetes/pkg/quota/v1/evaluator/core, k8s.io/apiserver/pkg/quota/v1.
 */
#include "apiserver/admission/quota_usage.h"

#include <string.h>

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define CLASS ".storageclass.storage.k8s.io/"

static bool core(const char *group, const char *plural, const char *want)
{
	return !*group && !strcmp(plural, want);
}

static bool counted_plainly(const char *group, const char *plural)
{
	static const char *const plurals[] = {"configmaps", "secrets", "replicationcontrollers",
					      "resourcequotas"};

	for (size_t i = 0; i < ARRAY_LEN(plurals); i++)
		if (core(group, plural, plurals[i]))
			return true;
	return false;
}

static bool is_count_of(struct str name, const char *group, const char *plural)
{
	struct str rest;

	if (!str_starts(name, STR("count/")))
		return false;
	rest = str_sub(name, 6, name.n);
	if (!str_starts(rest, str_c(plural)))
		return false;
	rest = str_sub(rest, strlen(plural), rest.n);
	if (!*group)
		return !rest.n;
	return rest.n > 1 && rest.p[0] == '.' && str_is(str_sub(rest, 1, rest.n), group);
}

static bool of_pods(struct str name)
{
	static const char *const names[] = {"pods", "cpu", "memory", "ephemeral-storage"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_is(name, names[i]))
			return true;
	if (str_is(name, "requests.storage"))
		return false;
	return str_starts(name, STR("requests.")) || str_starts(name, STR("limits.")) ||
	       str_starts(name, STR("hugepages-"));
}

bool quota_concerns(struct str name, const char *group, const char *plural)
{
	if (is_count_of(name, group, plural))
		return true;
	if (core(group, plural, "pods"))
		return of_pods(name);
	if (core(group, plural, "services"))
		return str_is(name, "services") || str_starts(name, STR("services."));
	if (core(group, plural, "persistentvolumeclaims"))
		return str_is(name, "persistentvolumeclaims") || str_is(name, "requests.storage") ||
		       str_find(name, STR(CLASS)) > 0;
	return counted_plainly(group, plural) && str_is(name, plural);
}

bool quota_looks_inside(const char *group, const char *plural)
{
	return core(group, plural, "pods") || core(group, plural, "services") ||
	       core(group, plural, "persistentvolumeclaims");
}

/* ---- pods ---- */

static bool ended(const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

static bool is_extended(struct str name)
{
	ptrdiff_t slash = str_find(name, STR("/"));

	return slash > 0 && str_find(str_sub(name, 0, (size_t)slash), STR("kubernetes.io")) < 0;
}

static void pod_request(struct arena *a, const struct amount *v, struct amounts *ret)
{
	bool plain = str_is(v->name, "cpu") || str_is(v->name, "memory") ||
		     str_is(v->name, "ephemeral-storage") || str_starts(v->name, STR("hugepages-"));

	if (plain)
		amounts_add(a, ret, v->name, v->q);
	if (plain || is_extended(v->name))
		amounts_add(a, ret, arena_strf(a, "requests.%.*s", STR_ARG(v->name)), v->q);
}

static void pod_usage(struct arena *a, const struct json *pod, struct amounts *ret)
{
	const struct json *spec = json_get(pod, STR("spec"));
	struct amounts requests = {0}, limits = {0};

	if (ended(pod))
		return;
	amounts_count(a, ret, STR("pods"), 1);
	amounts_of_pod(a, spec, "requests", &requests);
	amounts_of_pod(a, spec, "limits", &limits);
	for (size_t i = 0; i < requests.n; i++)
		pod_request(a, &requests.v[i], ret);
	for (size_t i = 0; i < limits.n; i++) {
		const struct amount *v = &limits.v[i];

		if (str_is(v->name, "cpu") || str_is(v->name, "memory") ||
		    str_is(v->name, "ephemeral-storage"))
			amounts_add(a, ret, arena_strf(a, "limits.%.*s", STR_ARG(v->name)), v->q);
	}
}

/* ---- Services and claims ---- */

static void service_usage(struct arena *a, const struct json *o, struct amounts *ret)
{
	const struct json *spec = json_get(o, STR("spec")), *ports = json_get(spec, STR("ports"));
	struct str type = json_str(json_get(spec, STR("type")));
	bool balancer = str_is(type, "LoadBalancer");
	int64_t n = (int64_t)json_len(ports);

	amounts_count(a, ret, STR("services"), 1);
	if (balancer && !json_bool(json_get(spec, STR("allocateLoadBalancerNodePorts")), true)) {
		n = 0;
		for (size_t i = 0; i < json_len(ports); i++)
			n += json_int(json_get(json_item(ports, i), STR("nodePort")), 0) != 0;
	}
	if (balancer)
		amounts_count(a, ret, STR("services.loadbalancers"), 1);
	if (balancer || str_is(type, "NodePort"))
		amounts_count(a, ret, STR("services.nodeports"), n);
}

static void claim_usage(struct arena *a, const struct json *o, struct amounts *ret)
{
	struct str class = json_str(json_at(o, "spec", "storageClassName"));
	struct quantity q = {0}, given;

	if (!class.n)
		class = meta_annotation(o, "volume.beta.kubernetes.io/storage-class");
	if (!amount_read(json_at(o, "spec", "resources", "requests", "storage"), &q))
		q = (struct quantity){0};
	/* One that shrinks back after a failed growth holds what it was given. */
	if (amount_read(json_at(o, "status", "allocatedResources", "storage"), &given) &&
	    quantity_cmp(q, given) < 0)
		q = given;
	amounts_count(a, ret, STR("persistentvolumeclaims"), 1);
	amounts_add(a, ret, STR("requests.storage"), q);
	if (!class.n)
		return;
	amounts_count(a, ret, arena_strf(a, "%.*s" CLASS "persistentvolumeclaims", STR_ARG(class)),
		      1);
	amounts_add(a, ret, arena_strf(a, "%.*s" CLASS "requests.storage", STR_ARG(class)), q);
}

void quota_usage(struct arena *a, const char *group, const char *plural, const struct json *o,
		 struct amounts *ret)
{
	amounts_count(a, ret, arena_strf(a, "count/%s%s%s", plural, *group ? "." : "", group), 1);
	if (counted_plainly(group, plural))
		amounts_count(a, ret, str_c(plural), 1);
	else if (core(group, plural, "pods"))
		pod_usage(a, o, ret);
	else if (core(group, plural, "services"))
		service_usage(a, o, ret);
	else if (core(group, plural, "persistentvolumeclaims"))
		claim_usage(a, o, ret);
}

/* ---- scopes ---- */

static bool asks_for_something(const struct json *pod, const char *list)
{
	const struct json *all = json_at(pod, "spec", list);

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *r = json_get(json_item(all, i), STR("resources"));
		static const char *const both[] = {"requests", "limits"};

		for (size_t k = 0; k < ARRAY_LEN(both); k++) {
			const struct json *map = json_get(r, str_c(both[k]));

			for (size_t m = 0; m < json_len(map); m++) {
				struct str name = map->members[m].key;
				struct quantity q;

				if ((str_is(name, "cpu") || str_is(name, "memory")) &&
				    amount_read(&map->members[m].value, &q) && q.nano > 0)
					return true;
			}
		}
	}
	return false;
}

static bool crosses_namespaces(const struct json *pod)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	static const char *const lists[] = {"requiredDuringSchedulingIgnoredDuringExecution",
					    "preferredDuringSchedulingIgnoredDuringExecution"};

	for (size_t k = 0; k < 4; k++) {
		const struct json *terms =
			json_at(pod, "spec", "affinity", kinds[k / 2], lists[k % 2]);

		for (size_t i = 0; i < json_len(terms); i++) {
			const struct json *t = json_item(terms, i);

			t = k % 2 ? json_get(t, STR("podAffinityTerm")) : t;
			if (json_len(json_get(t, STR("namespaces"))) ||
			    json_get(t, STR("namespaceSelector")))
				return true;
		}
	}
	return false;
}

static bool has_priority(const struct json *expression, const struct json *pod)
{
	struct str class = json_str(json_at(pod, "spec", "priorityClassName")),
		   operator= json_str(json_get(expression, STR("operator")));
	const struct json *values = json_get(expression, STR("values"));
	bool in = false;

	for (size_t i = 0; i < json_len(values); i++)
		in |= class.n && str_eq(json_str(json_item(values, i)), class);
	if (!operator.n || str_is(operator, "Exists"))
		return class.n > 0;
	if (str_is(operator, "DoesNotExist"))
		return !class.n;
	return str_is(operator, "In") ? in : !in;
}

static bool in_one_scope(struct str scope, const struct json *expression, const struct json *pod)
{
	int64_t deadline = json_int(json_at(pod, "spec", "activeDeadlineSeconds"), -1);
	bool best = !asks_for_something(pod, "containers") &&
		    !asks_for_something(pod, "initContainers");

	if (str_is(scope, "Terminating"))
		return deadline >= 0;
	if (str_is(scope, "NotTerminating"))
		return deadline < 0;
	if (str_is(scope, "BestEffort"))
		return best;
	if (str_is(scope, "NotBestEffort"))
		return !best;
	if (str_is(scope, "PriorityClass"))
		return has_priority(expression, pod);
	if (str_is(scope, "CrossNamespacePodAffinity"))
		return crosses_namespaces(pod);
	return false;
}

bool quota_in_scope(const struct json *spec, const char *group, const char *plural,
		    const struct json *o)
{
	const struct json *scopes = json_get(spec, STR("scopes")),
			  *more = json_at(spec, "scopeSelector", "matchExpressions");

	if ((json_len(scopes) || json_len(more)) && !core(group, plural, "pods"))
		return false;
	for (size_t i = 0; i < json_len(scopes); i++)
		if (!in_one_scope(json_str(json_item(scopes, i)), NULL, o))
			return false;
	for (size_t i = 0; i < json_len(more); i++)
		if (!in_one_scope(json_str(json_get(json_item(more, i), STR("scopeName"))),
				  json_item(more, i), o))
			return false;
	return true;
}

/* ---- what containers must say ---- */

static const char *const must_say[][3] = {
	{"cpu", "requests", "cpu"},
	{"limits.cpu", "limits", "cpu"},
	{"limits.memory", "limits", "memory"},
	{"memory", "requests", "memory"},
	{"requests.cpu", "requests", "cpu"},
	{"requests.memory", "requests", "memory"},
};

static void silent_containers(struct arena *a, const struct json *list, const char *const *rule,
			      struct json *names)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_item(list, i);
		struct str name = json_str(json_get(c, STR("name")));
		size_t at = 0;

		if (json_at(c, "resources", rule[1], rule[2]))
			continue;
		while (at < json_len(names) && str_cmp(json_str(json_item(names, at)), name) < 0)
			at++;
		json_insert(a, names, at, json_new_str(a, name));
	}
}

struct str quota_missing(struct arena *a, const struct json *quota_spec, const struct json *pod)
{
	const struct json *hard = json_get(quota_spec, STR("hard"));
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < ARRAY_LEN(must_say); i++) {
		struct json *names = json_new(a, JSON_ARRAY);

		if (!json_get(hard, str_c(must_say[i][0])))
			continue;
		silent_containers(a, json_at(pod, "spec", "containers"), must_say[i], names);
		silent_containers(a, json_at(pod, "spec", "initContainers"), must_say[i], names);
		for (size_t k = 0; k < json_len(names); k++)
			buf_printf(
				&text, "%s%.*s",
				k        ? ","
				: text.n ? arena_printf(a, "; %s for: ", must_say[i][0])
					 : arena_printf(a, "must specify %s for: ", must_say[i][0]),
				STR_ARG(json_str(json_item(names, k))));
	}
	return text.n ? arena_str(a, buf_view(&text)) : STR_NONE;
}
