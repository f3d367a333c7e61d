/*
 * Which FlowSchema a request belongs to: the schemas as tables that are quick to look through, in
 * the order of matchingPrecedence and then of names. Must never look at an object's tree for a
 * request: that would cost more than most requests do. Pure; one thread; a schema owns its texts
 * and lives as long as tickets name it.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/authz.h"
#include "apiserver/flow-internal.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const char account_prefix[] = "system:serviceaccount:";

/* ---- compiling ---- */

static void read_texts(struct arena *a, const struct json *list, struct flow_texts *ret)
{
	ret->n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	ret->v = arena_array(a, ret->n, sizeof(*ret->v));
	for (size_t i = 0; i < ret->n; i++) {
		ret->v[i] = arena_str(a, json_str(json_item(list, i)));
		ret->all |= str_is(ret->v[i], "*");
	}
}

static bool read_subject(struct arena *a, const struct json *s, struct flow_subject *ret)
{
	struct str kind = json_str(json_get(s, STR("kind")));
	const struct json *at;

	if (str_is(kind, "User")) {
		ret->kind = SUBJECT_USER;
		at = json_get(s, STR("user"));
	} else if (str_is(kind, "Group")) {
		ret->kind = SUBJECT_GROUP;
		at = json_get(s, STR("group"));
	} else if (str_is(kind, "ServiceAccount")) {
		ret->kind = SUBJECT_ACCOUNT;
		at = json_get(s, STR("serviceAccount"));
	} else {
		return false;
	}
	ret->name = arena_str(a, json_str(json_get(at, STR("name"))));
	ret->namespace = arena_str(a, json_str(json_get(at, STR("namespace"))));
	ret->all = str_is(ret->name, "*");
	return true;
}

static void read_rule(struct arena *a, const struct json *o, struct flow_rule *r)
{
	const struct json *subjects = json_get(o, STR("subjects")),
			  *resources = json_get(o, STR("resourceRules")),
			  *paths = json_get(o, STR("nonResourceRules"));

	r->subjects = arena_array(a, json_len(subjects), sizeof(*r->subjects));
	for (size_t i = 0; i < json_len(subjects); i++)
		r->nsubjects += read_subject(a, json_item(subjects, i), &r->subjects[r->nsubjects]);
	r->resources = arena_array(a, json_len(resources), sizeof(*r->resources));
	for (size_t i = 0; i < json_len(resources); i++) {
		const struct json *v = json_item(resources, i);
		struct flow_resources *to = &r->resources[r->nresources++];
		read_texts(a, json_get(v, STR("verbs")), &to->verbs);
		read_texts(a, json_get(v, STR("apiGroups")), &to->groups);
		read_texts(a, json_get(v, STR("resources")), &to->resources);
		read_texts(a, json_get(v, STR("namespaces")), &to->namespaces);
		to->cluster = json_bool(json_get(v, STR("clusterScope")), false);
	}
	r->paths = arena_array(a, json_len(paths), sizeof(*r->paths));
	for (size_t i = 0; i < json_len(paths); i++) {
		const struct json *v = json_item(paths, i);
		struct flow_paths *to = &r->paths[r->npaths++];
		read_texts(a, json_get(v, STR("verbs")), &to->verbs);
		read_texts(a, json_get(v, STR("nonResourceURLs")), &to->paths);
	}
}

static struct flow_schema *schema_new(struct str name, const struct json *o)
{
	struct flow_schema *s = xalloc(sizeof(*s));
	struct arena *a = &s->arena;
	const struct json *spec = json_get(o, STR("spec")), *rules = json_get(spec, STR("rules"));
	struct str by = json_str(json_at(spec, "distinguisherMethod", "type"));

	s->refs = 1;
	list_init(&s->all);
	s->name = arena_str(a, name);
	s->uid = arena_str(a, json_str(json_at(o, "metadata", "uid")));
	s->level_name = arena_str(a, json_str(json_at(spec, "priorityLevelConfiguration", "name")));
	s->precedence = json_int(json_get(spec, STR("matchingPrecedence")), 1000);
	s->by = str_is(by, "ByUser")        ? FLOW_BY_USER
		: str_is(by, "ByNamespace") ? FLOW_BY_NAMESPACE
					    : FLOW_BY_NOBODY;
	s->nrules = json_is(rules, JSON_ARRAY) ? json_len(rules) : 0;
	s->rules = arena_array(a, s->nrules, sizeof(*s->rules));
	for (size_t i = 0; i < s->nrules; i++)
		read_rule(a, json_item(rules, i), &s->rules[i]);
	return s;
}

void flow_schema_unref(struct flow_schema **s)
{
	struct flow_schema *x = *s;

	*s = NULL;
	if (!x || --x->refs)
		return;
	flow_level_unref(&x->level);
	arena_release(&x->arena);
	free(x);
}

/* ---- which level each has ---- */

static struct flow_level *find_level(struct flows *f, struct str name)
{
	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		if (!l->gone && str_is(name, l->name))
			return l;
	}
	return NULL;
}

/* A schema whose level is missing sends its requests where nobody else's go. */
void flows_link(struct flows *f)
{
	LIST_FOREACH (it, &f->schemas) {
		struct flow_schema *s = CONTAINER_OF(it, struct flow_schema, all);
		struct flow_level *l = find_level(f, s->level_name);
		if (!l)
			l = find_level(f, STR("catch-all"));
		if (l)
			l->refs++;
		flow_level_unref(&s->level);
		s->level = l;
	}
}

static bool comes_before(const struct flow_schema *a, const struct flow_schema *b)
{
	if (a->precedence != b->precedence)
		return a->precedence < b->precedence;
	return str_cmp(a->name, b->name) < 0;
}

void flows_schema(struct flows *f, struct str name, const struct json *o)
{
	LIST_FOREACH (it, &f->schemas) {
		struct flow_schema *s = CONTAINER_OF(it, struct flow_schema, all);
		if (!str_eq(s->name, name))
			continue;
		list_remove(&s->all);
		flow_schema_unref(&s);
		break;
	}
	if (!o)
		return;
	struct flow_schema *s = schema_new(name, o);
	struct list *at = f->schemas.next;
	while (at != &f->schemas && comes_before(CONTAINER_OF(at, struct flow_schema, all), s))
		at = at->next;
	list_append(at, &s->all); /* before `at` */
	flows_link(f);
}

/* ---- matching ---- */

static bool has(const struct flow_texts *t, struct str text)
{
	if (t->all)
		return true;
	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(t->v[i], text))
			return true;
	}
	return false;
}

static bool is_account(struct str user, const struct flow_subject *s)
{
	size_t n = sizeof(account_prefix) - 1;
	struct str ns, name;

	return str_starts(user, str_c(account_prefix)) &&
	       str_cut(str_sub(user, n, user.n), ':', &ns, &name) && str_eq(ns, s->namespace) &&
	       (s->all || str_eq(name, s->name));
}

static bool is_member(const struct admission_user *u, struct str group)
{
	for (size_t i = 0; i < u->ngroups; i++) {
		if (str_eq(u->groups[i], group))
			return true;
	}
	return false;
}

static bool is_subject(const struct flow_rule *r, const struct admission_user *u)
{
	for (size_t i = 0; i < r->nsubjects; i++) {
		const struct flow_subject *s = &r->subjects[i];
		if (s->kind == SUBJECT_ACCOUNT ? is_account(u->name, s)
		    : s->all                   ? true
		    : s->kind == SUBJECT_USER  ? str_eq(u->name, s->name)
					       : is_member(u, s->name))
			return true;
	}
	return false;
}

/* "pods" or "pods/status", without writing the latter down. */
static bool has_resource(const struct flow_texts *t, const struct flow_ask *q)
{
	if (t->all)
		return true;
	for (size_t i = 0; i < t->n; i++) {
		struct str main, sub;
		if (!q->subresource.n && str_eq(t->v[i], q->resource))
			return true;
		if (q->subresource.n && str_cut(t->v[i], '/', &main, &sub) &&
		    str_eq(main, q->resource) && str_eq(sub, q->subresource))
			return true;
	}
	return false;
}

static bool fits_resource(const struct flow_resources *r, const struct flow_ask *q)
{
	return has(&r->verbs, q->verb) && has(&r->groups, q->group) &&
	       has_resource(&r->resources, q) &&
	       (q->namespace.n ? has(&r->namespaces, q->namespace) : r->cluster);
}

/* A path ends in "*" when it stands for all below it. */
static bool fits_path(const struct flow_paths *p, const struct flow_ask *q)
{
	if (!has(&p->verbs, q->verb))
		return false;
	if (has(&p->paths, q->path))
		return true;
	for (size_t i = 0; i < p->paths.n; i++) {
		struct str t = p->paths.v[i];
		if (str_ends(t, STR("*")) && str_starts(q->path, str_sub(t, 0, t.n - 1)))
			return true;
	}
	return false;
}

static bool fits(const struct flow_rule *r, const struct flow_ask *q)
{
	if (!is_subject(r, q->user))
		return false;
	for (size_t i = 0; q->path.n && i < r->npaths; i++) {
		if (fits_path(&r->paths[i], q))
			return true;
	}
	for (size_t i = 0; !q->path.n && i < r->nresources; i++) {
		if (fits_resource(&r->resources[i], q))
			return true;
	}
	return false;
}

struct flow_schema *flow_classify(struct flows *f, const struct flow_ask *q)
{
	LIST_FOREACH (it, &f->schemas) {
		struct flow_schema *s = CONTAINER_OF(it, struct flow_schema, all);
		for (size_t i = 0; i < s->nrules; i++) {
			if (fits(&s->rules[i], q))
				return s;
		}
	}
	return NULL;
}

uint64_t flow_hash(const struct flow_schema *s, const struct flow_ask *q)
{
	uint64_t h = str_hash(s->name);

	if (s->by == FLOW_BY_USER)
		h ^= str_hash(q->user->name) * UINT64_C(0x9E3779B97F4A7C15);
	else if (s->by == FLOW_BY_NAMESPACE)
		h ^= str_hash(q->namespace) * UINT64_C(0x9E3779B97F4A7C15);
	return h;
}
