/*
 * What webhook configurations say, and whether a write is their business. Must never let a webhook
 * see or refuse changes of webhook configurations: a bad one could then not be taken out. Pure;
 * memory is the arena's of the list.
 */
#include "apiserver/webhook.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"
#include "lib/schema/cel.h"

#include "lib/base/pure.h"

#define REVIEWED "admissionregistration.k8s.io"

/* ---- reading configurations ---- */

struct webhook_client webhook_client(struct arena *a, const struct json *config)
{
	const struct json *service = json_get(config, STR("service"));
	AUTO(buf) struct buf pem = {0};
	struct webhook_client c = {
		.url = arena_str(a, json_str(json_get(config, STR("url")))),
		.namespace = arena_str(a, json_str(json_get(service, STR("namespace")))),
		.service = arena_str(a, json_str(json_get(service, STR("name")))),
		.path = arena_str(a, json_str(json_get(service, STR("path")))),
		.port = (int)json_int(json_get(service, STR("port")), 443)};

	if (!base64_decode(json_str_or(json_get(config, STR("caBundle")), STR("")), &pem))
		c.ca_bundle = arena_str(a, buf_view(&pem));
	return c;
}

static bool speaks_v1(const struct json *versions)
{
	for (size_t i = 0; i < json_len(versions); i++) {
		if (str_is(json_str(json_item(versions, i)), "v1"))
			return true;
		if (str_is(json_str(json_item(versions, i)), "v1beta1"))
			return false;
	}
	return true;
}

static int read_one(struct webhooks *all, const struct json *w, struct webhook *ret)
{
	static const struct json any = {.type = JSON_OBJECT};
	const struct json *ns = json_get(w, STR("namespaceSelector")),
			  *o = json_get(w, STR("objectSelector"));
	struct str effects = json_str(json_get(w, STR("sideEffects")));

	ret->name = json_str(json_get(w, STR("name")));
	ret->rules = json_get(w, STR("rules"));
	ret->conditions = json_get(w, STR("matchConditions"));
	ret->client = webhook_client(&all->a, json_get(w, STR("clientConfig")));
	ret->timeout_ns = json_int(json_get(w, STR("timeoutSeconds")), 10) * NS_PER_S;
	ret->ignore_failure = str_is(json_str(json_get(w, STR("failurePolicy"))), "Ignore");
	ret->exact = str_is(json_str(json_get(w, STR("matchPolicy"))), "Exact");
	ret->reinvoke = str_is(json_str(json_get(w, STR("reinvocationPolicy"))), "IfNeeded");
	ret->side_effects = !str_is(effects, "None") && !str_is(effects, "NoneOnDryRun");
	ret->v1beta1 = !speaks_v1(json_get(w, STR("admissionReviewVersions")));
	if (!ret->name.n || selector_from_json(&all->a, ns ? ns : &any, &ret->namespaces, NULL))
		return -1;
	return selector_from_json(&all->a, o ? o : &any, &ret->objects, NULL);
}

void webhooks_add(struct webhooks *all, const struct json *config, bool mutating)
{
	const struct json *copy = json_copy(&all->a, config),
			  *list = json_get(copy, STR("webhooks"));

	for (size_t i = 0; i < json_len(list); i++) {
		struct webhook w = {
			.config = meta_name(copy), .uid = meta_uid(copy), .mutating = mutating};

		if (read_one(all, json_item(list, i), &w))
			continue;
		if (all->n == all->cap) {
			all->cap = all->cap ? 2 * all->cap : 8;
			all->v = xreallocarray(all->v, all->cap, sizeof(*all->v));
		}
		all->v[all->n++] = w;
	}
}

void webhooks_release(struct webhooks *w)
{
	arena_release(&w->a);
	free(w->v);
	*w = (struct webhooks){0};
}

/* ---- rules ---- */

static bool lists(const struct json *list, struct str want)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct str s = json_str(json_item(list, i));

		if (str_is(s, "*") || str_eq(s, want))
			return true;
	}
	return false;
}

static const char *op_name(enum admission_op op)
{
	static const char *const names[] = {[ADMIT_CREATE] = "CREATE",
					    [ADMIT_UPDATE] = "UPDATE",
					    [ADMIT_DELETE] = "DELETE",
					    [ADMIT_CONNECT] = "CONNECT"};

	return names[op];
}

/* "pods", "pods/log", "pods/…all of them", "…all/scale": both parts match by themselves. */
static bool names_resource(const struct json *rule, struct str plural, struct str sub)
{
	const struct json *list = json_get(rule, STR("resources"));

	for (size_t i = 0; i < json_len(list); i++) {
		struct str name, part, s = json_str(json_item(list, i));

		if (!str_cut(s, '/', &name, &part))
			part = STR("");
		if ((str_is(name, "*") || str_eq(name, plural)) &&
		    (str_is(part, "*") || str_eq(part, sub)))
			return true;
	}
	return false;
}

static bool is_namespaces(const struct kind *k)
{
	return !k->group[0] && !strcmp(k->plural, "namespaces");
}

static bool in_scope(const struct json *rule, const struct webhook_ask *q)
{
	struct str scope = json_str(json_get(rule, STR("scope")));
	bool cluster = is_namespaces(q->kind) || !q->namespace.n;

	if (str_is(scope, "Cluster"))
		return cluster;
	return !str_is(scope, "Namespaced") || !cluster;
}

static bool rules_match(const struct webhook *w, const struct webhook_ask *q, const struct kind *k)
{
	for (size_t i = 0; i < json_len(w->rules); i++) {
		const struct json *rule = json_item(w->rules, i);

		if (lists(json_get(rule, STR("operations")), str_c(op_name(q->op))) &&
		    lists(json_get(rule, STR("apiGroups")), str_c(k->group)) &&
		    lists(json_get(rule, STR("apiVersions")), str_c(k->version)) &&
		    names_resource(rule, str_c(k->plural),
				   q->subresource ? str_c(q->subresource) : STR("")) &&
		    in_scope(rule, q))
			return true;
	}
	return false;
}

bool webhook_connects(const struct webhook *w)
{
	for (size_t i = 0; i < json_len(w->rules); i++)
		if (lists(json_get(json_item(w->rules, i), STR("operations")), STR("CONNECT")))
			return true;
	return false;
}

/* ---- selectors ---- */

static const struct json *labels_of(const struct json *o)
{
	return json_at(o, "metadata", "labels");
}

static bool namespace_matches(const struct webhook *w, const struct webhook_ask *q)
{
	if (!w->namespaces.n && !w->namespaces.nothing)
		return true;
	if (is_namespaces(q->kind) && !q->subresource)
		return selector_match_json(&w->namespaces,
					   labels_of(q->object ? q->object : q->old));
	return !q->namespace.n || selector_match_json(&w->namespaces, q->namespace_labels);
}

static bool object_matches(const struct webhook *w, const struct webhook_ask *q)
{
	if (!w->objects.n && !w->objects.nothing)
		return true;
	return (q->object && selector_match_json(&w->objects, labels_of(q->object))) ||
	       (q->old && selector_match_json(&w->objects, labels_of(q->old)));
}

static int nobody(void *arg, const struct json *attributes, struct str *ret_reason)
{
	(void)arg, (void)attributes, (void)ret_reason;
	return 0;
}

enum { OBJECT, OLD, REQUEST, NAMES };
static const struct cel_var names[NAMES] = {
	{.name = "object"}, {.name = "oldObject"}, {.name = "request"}};

int webhook_condition_check(struct str text, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct cel_env env = {.vars = names, .nvars = NAMES, .may = nobody};

	return cel_compile(&a, text, &env, CEL_WANT_BOOL, err) ? 0 : -1;
}

static int condition(struct arena *a, struct str text, const struct cel_env *env, bool *ret,
		     struct err *err)
{
	const struct cel_program *p = cel_compile(a, text, env, CEL_WANT_BOOL, err);

	return p ? cel_eval_bool(p, a, env, ret, err) : -1;
}

int webhook_conditions(struct arena *a, const struct webhook *w, const struct webhook_ask *q,
		       const struct kind *as, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	struct cel_var vars[NAMES];
	int64_t budget = CEL_COST_REQUEST;
	struct cel_env env = {.vars = vars,
			      .nvars = NAMES,
			      .budget = &budget,
			      .may = q->may ? q->may : nobody,
			      .may_arg = q->may_arg};
	struct json *request;
	int r = 1;

	if (!json_len(w->conditions))
		return 1;
	webhook_request(q, as, &text);
	request = json_parse(a, arena_str(a, buf_view(&text)), NULL, err);
	if (!request)
		return -1;
	memcpy(vars, names, sizeof(vars));
	vars[OBJECT].value = json_copy(a, json_get(request, STR("object")));
	vars[OLD].value = json_copy(a, json_get(request, STR("oldObject")));
	json_del(request, STR("object"));
	json_del(request, STR("oldObject"));
	vars[REQUEST].value = request;
	for (size_t i = 0; i < json_len(w->conditions); i++) {
		struct str e = json_str(json_get(json_item(w->conditions, i), STR("expression")));
		struct err why = {0};
		bool holds = false;

		if (!condition(a, e, &env, &holds, &why)) {
			if (!holds)
				return 0;
		} else if (r > 0) {
			*err = why;
			r = -1;
		}
	}
	return r;
}

const struct kind *webhook_match(const struct webhook *w, const struct webhook_ask *q)
{
	const struct kind *as = NULL;

	if (!strcmp(q->kind->group, REVIEWED))
		return NULL;
	if (rules_match(w, q, q->kind))
		as = q->kind;
	for (size_t i = 0; !as && !w->exact && q->same && q->same[i]; i++)
		if (rules_match(w, q, q->same[i]))
			as = q->same[i];
	return as && namespace_matches(w, q) && object_matches(w, q) ? as : NULL;
}
