/*
 * What a ResourceQuota may bound, and for which pods: names that somebody counts, amounts of whole
 * things, scopes that go together. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* Scopes speak of pods; some of what pods need only some of them can bound. */
static const struct scope {
	const char *name, *opposite;
	bool pods_alone; /* bounds the number of pods and nothing else */
} scopes[] = {
	{"Terminating", "NotTerminating", false}, {"NotTerminating", "Terminating", false},
	{"BestEffort", "NotBestEffort", true},    {"NotBestEffort", "BestEffort", false},
	{"PriorityClass", NULL, false},           {"CrossNamespacePodAffinity", NULL, false},
};

static const struct scope *scope_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		if (str_is(name, scopes[i].name))
			return &scopes[i];
	return NULL;
}

static bool one_of(struct str name, const char *const *names)
{
	for (; *names; names++)
		if (str_is(name, *names))
			return true;
	return false;
}

/* What scopes can be said of. */
static bool of_pods(struct str resource)
{
	static const char *const names[] = {
		"pods",       "cpu",           "memory", "requests.cpu", "requests.memory",
		"limits.cpu", "limits.memory", NULL};

	return one_of(resource, names);
}

static bool known_resource(struct str resource)
{
	static const char *const counted[] = {"services",
					      "replicationcontrollers",
					      "resourcequotas",
					      "secrets",
					      "configmaps",
					      "persistentvolumeclaims",
					      "services.nodeports",
					      "services.loadbalancers",
					      "requests.storage",
					      "ephemeral-storage",
					      "requests.ephemeral-storage",
					      "limits.ephemeral-storage",
					      NULL};

	return of_pods(resource) || one_of(resource, counted) ||
	       str_starts(resource, STR("hugepages-")) ||
	       str_starts(resource, STR("requests.hugepages-"));
}

/* Things that are there or aren't. */
static bool is_whole(struct str resource)
{
	static const char *const names[] = {"pods",
					    "services",
					    "replicationcontrollers",
					    "resourcequotas",
					    "secrets",
					    "configmaps",
					    "persistentvolumeclaims",
					    "services.nodeports",
					    "services.loadbalancers",
					    NULL};

	/* What is somebody's own is counted in pieces. */
	if (str_find(resource, STR("/")) >= 0 && str_find(resource, STR("kubernetes.io/")) < 0)
		return !str_starts(resource, STR("requests."));
	return one_of(resource, names) || str_starts(resource, STR("count/"));
}

/* One scope beside the others' names and the amounts: where it was said is `at`'s `field`. */
static void check_scope(struct kind_ctx *c, const struct spath *at, const char *field,
			const struct json *said, struct str name)
{
	const struct scope *scope = scope_named(name);

	if (!scope)
		rule_invalid(c, at, field, said, "unsupported scope");
}

static void check_scoped_amounts(struct kind_ctx *c, const struct spath *at, const char *field,
				 const struct json *hard, const struct scope *scope)
{
	for (size_t i = 0; scope && i < json_len(hard); i++) {
		struct str name = hard->members[i].key;

		if (known_resource(name) &&
		    (scope->pods_alone ? !str_is(name, "pods") : !of_pods(name)))
			rule_invalid(c, at, field, json_new_str(c->a, str_c(scope->name)),
				     "unsupported scope applied to resource");
	}
}

static bool says(const struct json *list, const char *key, const char *text)
{
	for (size_t i = 0; text && i < json_len(list); i++) {
		const struct json *item = json_item(list, i);

		if (str_is(json_str(key ? json_get(item, str_c(key)) : item), text))
			return true;
	}
	return false;
}

static void check_conflicts(struct kind_ctx *c, const struct spath *at, const struct json *list,
			    const char *key)
{
	bool conflict = false;

	for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
		conflict |= says(list, key, scopes[i].name) && says(list, key, scopes[i].opposite);
	if (conflict)
		rule_invalid(c, at, NULL, list, "conflicting scopes");
}

static void check_scopes(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("scopes"));
	struct spath here = SPATH_FIELD(at, "scopes");

	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_item(list, i));

		check_scope(c, &here, NULL, list, name);
		check_scoped_amounts(c, &here, NULL, json_get(spec, STR("hard")),
				     scope_named(name));
	}
	check_conflicts(c, &here, list, NULL);
}

/* What a requirement says of its scope: In and NotIn compare with values, the others with none. */
static void check_requirement(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	const struct json *op = json_get(item, STR("operator")),
			  *values = json_get(item, STR("values"));
	struct str is = json_str(op), scope = json_str(json_get(item, STR("scopeName")));
	bool compares = str_is(is, "In") || str_is(is, "NotIn");
	bool asks = str_is(is, "Exists") || str_is(is, "DoesNotExist");

	if (scope_named(scope) && !str_is(scope, "PriorityClass") && !str_is(is, "Exists"))
		rule_invalid(c, at, "operator", op,
			     "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
			     "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
			     "ResourceQuotaScopeNotBestEffort or "
			     "ResourceQuotaScopeCrossNamespacePodAffinity");
	if (compares && !json_len(values))
		rule_required(c, at, "values",
			      "must be at least one value when `operator` is 'In' or 'NotIn' for "
			      "scope selector");
	else if (asks && json_len(values))
		rule_invalid(c, at, "values", values,
			     "must be no value when `operator` is 'Exist' or 'DoesNotExist' for "
			     "scope selector");
	else if (!compares && !asks)
		rule_invalid(c, at, "operator", op, "not a valid selector operator");
}

static void check_selector(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_at(spec, "scopeSelector", "matchExpressions");
	struct spath selector = SPATH_FIELD(at, "scopeSelector");
	struct spath all = SPATH_FIELD(&selector, "matchExpressions");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *item = json_item(list, i),
				  *name = json_get(item, STR("scopeName"));

		/* Which one it is isn't said in Kubernetes' paths. */
		check_scope(c, &all, "scopeName", name, json_str(name));
		check_scoped_amounts(c, &all, "scopeName", json_get(spec, STR("hard")),
				     scope_named(json_str(name)));
		check_requirement(c, &all, item);
	}
	check_conflicts(c, &all, list, "scopeName");
}

static void check_amounts(struct kind_ctx *c, const struct spath *at, const struct json *amounts)
{
	for (size_t i = 0; i < json_len(amounts); i++) {
		const struct json_member *m = &amounts->members[i];
		struct spath here = SPATH_KEY(at, m->key);
		const char *why = name_check_qualified(m->key);
		struct quantity q;

		if (why)
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key), why);
		else if (str_find(m->key, STR("/")) < 0 && !known_resource(m->key))
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key),
				     "must be a standard resource for quota");
		if (quantity_parse(json_str(&m->value), &q))
			continue;
		if (q.nano < 0)
			rule_invalid(c, &here, NULL, &m->value,
				     "must be greater than or equal to 0");
		if (is_whole(m->key) && quantity_milli(q) % 1000)
			rule_invalid(c, &here, NULL, &m->value, "must be an integer");
	}
}

void quota_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *spec = json_get(next, STR("spec")),
			  *status = json_get(next, STR("status"));
	struct spath at = SPATH_FIELD(NULL, "spec"), hard = SPATH_FIELD(&at, "hard");
	struct spath status_at = SPATH_FIELD(NULL, "status"),
		     status_hard = SPATH_FIELD(&status_at, "hard"),
		     used = SPATH_FIELD(&status_at, "used");

	if (c->subresource) {
		check_amounts(c, &status_hard, json_get(status, STR("hard")));
		check_amounts(c, &used, json_get(status, STR("used")));
		return;
	}
	check_amounts(c, &hard, json_get(spec, STR("hard")));
	check_scopes(c, &at, spec);
	check_selector(c, &at, spec);
	if (live)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), "scopes");
}
