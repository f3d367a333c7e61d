/*
 * Which requests are told of, and how much: the first rule that fits decides, and nothing is told
 * when none does. Must never take a policy that says something it doesn't understand for one that
 * doesn't. Pure. Specification: k8s.io/apiserver/pkg/audit/policy.
 */
#include <stdlib.h>

#include "apiserver/audit.h"
#include "lib/json/yaml.h"

#include "lib/base/pure.h"

struct texts {
	struct str *v;
	size_t n;
};

struct resources {
	struct str group;
	struct texts resources, names;
};

struct rule {
	enum audit_level level;
	unsigned omit;
	bool omit_managed;
	struct texts users, groups, verbs, namespaces, paths;
	struct resources *resources;
	size_t nresources;
};

struct audit_policy {
	struct arena arena;
	struct rule *rules;
	size_t nrules;
	unsigned omit;
};

/* ---- reading ---- */

static int read_texts(struct arena *a, const struct json *o, const char *key, struct texts *ret,
		      struct err *err)
{
	const struct json *list = json_get(o, str_c(key));

	*ret = (struct texts){arena_array(a, json_len(list), sizeof(struct str)), 0};
	if (list && !json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
		return err_set(err, ERR_INVALID, "%s is not a list", key);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		if (!json_is(v, JSON_STRING))
			return err_set(err, ERR_INVALID, "%s[%zu] is not text", key, i);
		ret->v[ret->n++] = json_str(v);
	}
	return 0;
}

static int read_stages(struct arena *a, const struct json *o, unsigned *ret, struct err *err)
{
	static const char *const names[] = {"RequestReceived", "ResponseStarted",
					    "ResponseComplete", "Panic"};
	struct texts t;

	if (read_texts(a, o, "omitStages", &t, err))
		return -1;
	for (size_t i = 0; i < t.n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(names) && !str_is(t.v[i], names[k]))
			k++;
		if (k == ARRAY_LEN(names))
			return err_set(err, ERR_INVALID, "omitStages: unknown stage \"%.*s\"",
				       (int)MIN(t.v[i].n, (size_t)64), t.v[i].p);
		*ret |= 1U << k;
	}
	return 0;
}

static int read_level(const struct json *o, enum audit_level *ret, struct err *err)
{
	static const char *const names[] = {"None", "Metadata", "Request", "RequestResponse"};
	struct str s = json_str(json_get(o, STR("level")));

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_is(s, names[i])) {
			*ret = (enum audit_level)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "level: unknown level \"%.*s\"", (int)MIN(s.n, (size_t)64),
		       s.p ? s.p : "");
}

static int read_rule(struct arena *a, const struct json *o, struct rule *r, struct err *err)
{
	static const char *const known[] = {"level",           "users",      "userGroups",
					    "verbs",           "resources",  "namespaces",
					    "nonResourceURLs", "omitStages", "omitManagedFields"};
	const struct json *list = json_get(o, STR("resources"));

	if (!json_is(o, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "not an object");
	for (size_t i = 0; i < json_len(o); i++) {
		struct str key = json_members(o)[i].key;
		size_t k = 0;
		while (k < ARRAY_LEN(known) && !str_is(key, known[k]))
			k++;
		if (k == ARRAY_LEN(known))
			return err_set(err, ERR_INVALID, "unknown field \"%.*s\"",
				       (int)MIN(key.n, (size_t)64), key.p);
	}
	if (read_level(o, &r->level, err) || read_texts(a, o, "users", &r->users, err) ||
	    read_texts(a, o, "userGroups", &r->groups, err) ||
	    read_texts(a, o, "verbs", &r->verbs, err) ||
	    read_texts(a, o, "namespaces", &r->namespaces, err) ||
	    read_texts(a, o, "nonResourceURLs", &r->paths, err) || read_stages(a, o, &r->omit, err))
		return -1;
	/* What a rule doesn't say, the policy has said: it was read before. */
	r->omit_managed = json_bool(json_get(o, STR("omitManagedFields")), r->omit_managed);
	r->resources = arena_array(a, json_len(list), sizeof(*r->resources));
	for (size_t i = 0; i < json_len(list); i++) {
		struct resources *to = &r->resources[r->nresources++];
		const struct json *v = json_item(list, i);
		to->group = json_str_or(json_get(v, STR("group")), STR(""));
		if (read_texts(a, v, "resources", &to->resources, err) ||
		    read_texts(a, v, "resourceNames", &to->names, err))
			return -1;
	}
	if (r->paths.n && (r->nresources || r->namespaces.n))
		return err_set(err, ERR_INVALID,
			       "rules cannot apply to both regular resources and non-resource "
			       "URLs");
	return 0;
}

static int read_policy(struct audit_policy *p, const struct json *o, struct err *err)
{
	const struct json *rules = json_get(o, STR("rules"));

	if (!str_is(json_str(json_get(o, STR("kind"))), "Policy") ||
	    !str_starts(json_str(json_get(o, STR("apiVersion"))), STR("audit.k8s.io/")))
		return err_set(err, ERR_INVALID, "it is no Policy of audit.k8s.io/v1");
	if (!json_len(rules) || !json_is(rules, JSON_ARRAY))
		return err_set(err, ERR_INVALID, "it has no rules");
	if (read_stages(&p->arena, o, &p->omit, err))
		return -1;
	bool omit_managed = json_bool(json_get(o, STR("omitManagedFields")), false);
	p->rules = arena_array(&p->arena, json_len(rules), sizeof(*p->rules));
	for (size_t i = 0; i < json_len(rules); i++) {
		p->rules[i].omit_managed = omit_managed;
		if (read_rule(&p->arena, json_item(rules, i), &p->rules[p->nrules++], err))
			return err_wrap(err, "rules[%zu]", i);
	}
	return 0;
}

struct audit_policy *audit_policy_new(struct str text, struct err *err)
{
	struct audit_policy *p = xalloc(sizeof(*p));
	struct yaml_docs docs = {0};

	text = arena_str(&p->arena, text);
	if (yaml_parse(&p->arena, text, 0, NULL, NULL, &docs, err)) {
		audit_policy_free(p);
		return NULL;
	}
	if (docs.n != 1) {
		err_set(err, ERR_INVALID, "it holds %zu documents", docs.n);
		audit_policy_free(p);
		return NULL;
	}
	if (read_policy(p, docs.v[0], err)) {
		audit_policy_free(p);
		return NULL;
	}
	return p;
}

void audit_policy_free(struct audit_policy *p)
{
	if (!p)
		return;
	arena_release(&p->arena);
	free(p);
}

/* ---- deciding ---- */

static bool has(const struct texts *t, struct str s)
{
	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(t->v[i], s))
			return true;
	}
	return false;
}

static bool has_group(const struct texts *t, const struct admission_user *u)
{
	for (size_t i = 0; i < u->ngroups; i++) {
		if (has(t, u->groups[i]))
			return true;
	}
	return false;
}

/* "pods", "pods/log", or a star instead of any of its parts. */
static bool is_resource(struct str pattern, const struct audit_ask *q)
{
	struct str main, sub;
	bool slash = str_cut(pattern, '/', &main, &sub);

	if (str_is(pattern, "*"))
		return true;
	if (!slash)
		return !q->subresource.n && str_eq(pattern, q->resource);
	if (!q->subresource.n)
		return str_is(sub, "*") && str_eq(main, q->resource);
	return (str_is(main, "*") || str_eq(main, q->resource)) &&
	       (str_is(sub, "*") || str_eq(sub, q->subresource));
}

static bool fits_resource(const struct resources *r, const struct audit_ask *q)
{
	if (!str_eq(r->group, q->group))
		return false;
	if (r->names.n && !has(&r->names, q->name))
		return false;
	for (size_t i = 0; i < r->resources.n; i++) {
		if (is_resource(r->resources.v[i], q))
			return true;
	}
	return r->resources.n == 0;
}

static bool fits_path(const struct texts *paths, struct str path)
{
	for (size_t i = 0; i < paths->n; i++) {
		struct str t = paths->v[i];
		if (str_is(t, "*") || str_eq(t, path) ||
		    (str_ends(t, STR("*")) && str_starts(path, str_sub(t, 0, t.n - 1))))
			return true;
	}
	return false;
}

static bool fits(const struct rule *r, const struct audit_ask *q)
{
	bool any = false;

	if ((r->users.n && !has(&r->users, q->user->name)) ||
	    (r->groups.n && !has_group(&r->groups, q->user)) ||
	    (r->verbs.n && !has(&r->verbs, q->verb)))
		return false;
	if (!r->paths.n && !r->nresources && !r->namespaces.n)
		return true;
	if (q->path.n)
		return fits_path(&r->paths, q->path);
	if (r->paths.n || (r->namespaces.n && !has(&r->namespaces, q->namespace)))
		return false;
	for (size_t i = 0; i < r->nresources && !any; i++)
		any = fits_resource(&r->resources[i], q);
	return any || !r->nresources;
}

struct audit_verdict audit_policy_find(const struct audit_policy *p, const struct audit_ask *q)
{
	for (size_t i = 0; i < p->nrules; i++) {
		if (fits(&p->rules[i], q))
			return (struct audit_verdict){p->rules[i].level, p->omit | p->rules[i].omit,
						      p->rules[i].omit_managed};
	}
	return (struct audit_verdict){AUDIT_NONE, 0, false};
}
