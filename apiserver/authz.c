/*
 * Role based access control, evaluated from parsed copies of the roles and bindings. Bindings are
 * indexed by subject, so that a question looks at the asker's bindings only. Must never allow by
 * default: what no rule names is refused. Pure; one thread; each role and binding owns an arena.
 */
#include "apiserver/authz.h"

#include "lib/base/map.h"
#include "lib/json/json.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

#define AGGREGATE_DEPTH 4 /* admin takes edit's rules, which takes view's */

struct role {
	struct arena a;
	struct authz_rule *rules;
	size_t n;
	const struct json *labels;   /* of cluster roles: what others select them by */
	struct selector *aggregates; /* whose rules are added to its own */
	size_t naggregates;
};

struct binding {
	struct arena a;
	struct str namespace, name; /* namespace STR_NONE = cluster-wide */
	struct str role;            /* key in `roles` */
	struct str *subjects;       /* keys in `subjects` */
	size_t n;
};

/* The bindings of one subject. */
struct holder {
	struct binding **v;
	size_t n, cap;
};

struct authz {
	struct map roles, bindings, subjects;
};

struct authz *authz_new(void)
{
	return xalloc(sizeof(struct authz));
}

static void role_free(struct role *r)
{
	struct arena a = r->a;

	arena_release(&a);
}

static void binding_free(struct binding *b)
{
	struct arena a = b->a;

	arena_release(&a);
}

void authz_free(struct authz *z)
{
	struct map_iter it = {0};

	if (!z)
		return;
	while (map_next(&z->roles, &it))
		role_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&z->bindings, &it))
		binding_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&z->subjects, &it)) {
		struct holder *h = it.value;
		free(h->v);
		free(h);
	}
	map_release(&z->roles);
	map_release(&z->bindings);
	map_release(&z->subjects);
	free(z);
}

static struct str scoped_key(struct arena *a, struct str namespace, struct str name)
{
	return arena_strf(a, "%.*s/%.*s", STR_ARG(namespace), STR_ARG(name));
}

/* ---- roles ---- */

static struct str_list copy_list(struct arena *a, const struct json *v)
{
	struct str_list l = {.n = json_is(v, JSON_ARRAY) ? json_len(v) : 0};

	l.v = arena_array(a, l.n, sizeof(*l.v));
	for (size_t i = 0; i < l.n; i++)
		l.v[i] = arena_str(a, json_str(json_item(v, i)));
	return l;
}

static void take_aggregation(struct arena *a, struct role *r, const struct json *o)
{
	const struct json *list = json_at(o, "aggregationRule", "clusterRoleSelectors");
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;

	r->labels = json_copy(a, json_at(o, "metadata", "labels"));
	r->aggregates = arena_array(a, n, sizeof(*r->aggregates));
	for (size_t i = 0; i < n; i++) {
		struct json *copy = json_copy(a, json_item(list, i));
		if (!selector_from_json(a, copy, &r->aggregates[r->naggregates], NULL))
			r->naggregates++;
	}
}

static struct role *role_parse(const struct json *o)
{
	struct arena a = {0};
	struct role *r = arena_alloc(&a, sizeof(*r));
	const struct json *rules = json_at(o, "rules");

	r->n = json_is(rules, JSON_ARRAY) ? json_len(rules) : 0;
	r->rules = arena_array(&a, r->n, sizeof(*r->rules));
	for (size_t i = 0; i < r->n; i++) {
		const struct json *in = json_item(rules, i);
		r->rules[i] = (struct authz_rule){
			.verbs = copy_list(&a, json_at(in, "verbs")),
			.groups = copy_list(&a, json_at(in, "apiGroups")),
			.resources = copy_list(&a, json_at(in, "resources")),
			.names = copy_list(&a, json_at(in, "resourceNames")),
			.paths = copy_list(&a, json_at(in, "nonResourceURLs")),
		};
	}
	take_aggregation(&a, r, o);
	r->a = a;
	return r;
}

void authz_role(struct authz *z, struct str namespace, struct str name, const struct json *o)
{
	AUTO(arena) struct arena tmp = {0};
	struct str key = scoped_key(&tmp, namespace, name);
	struct role *old = o ? map_set(&z->roles, key, role_parse(o)) : map_del(&z->roles, key);

	if (old)
		role_free(old);
}

/* ---- bindings ---- */

/* "u:NAME" or "g:NAME"; STR_NONE for what nobody can be. */
static struct str subject_key(struct arena *a, const struct json *s, struct str namespace)
{
	struct str kind = json_str(json_at(s, "kind"));
	struct str name = json_str(json_at(s, "name"));

	if (str_is(kind, "User"))
		return arena_strf(a, "u:%.*s", STR_ARG(name));
	if (str_is(kind, "Group"))
		return arena_strf(a, "g:%.*s", STR_ARG(name));
	if (!str_is(kind, "ServiceAccount"))
		return STR_NONE;
	struct str ns = json_str(json_at(s, "namespace"));
	if (!ns.n)
		ns = namespace;
	return arena_strf(a, "u:system:serviceaccount:%.*s:%.*s", STR_ARG(ns), STR_ARG(name));
}

static struct binding *binding_parse(struct str namespace, struct str name, const struct json *o)
{
	struct arena a = {0};
	struct binding *b = arena_alloc(&a, sizeof(*b));
	const struct json *subjects = json_at(o, "subjects");
	size_t n = json_is(subjects, JSON_ARRAY) ? json_len(subjects) : 0;
	bool cluster = str_is(json_str(json_at(o, "roleRef", "kind")), "ClusterRole");

	b->namespace = arena_str(&a, namespace);
	b->name = arena_str(&a, name);
	b->role = scoped_key(&a, cluster ? STR_NONE : namespace,
			     json_str(json_at(o, "roleRef", "name")));
	b->subjects = arena_array(&a, n, sizeof(*b->subjects));
	for (size_t i = 0; i < n; i++) {
		struct str key = subject_key(&a, json_item(subjects, i), namespace);
		if (key.n)
			b->subjects[b->n++] = key;
	}
	b->a = a;
	return b;
}

static void index_add(struct authz *z, struct binding *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct holder *h = map_get(&z->subjects, b->subjects[i]);
		if (!h) {
			h = xalloc(sizeof(*h));
			map_set(&z->subjects, b->subjects[i], h);
		}
		if (h->n == h->cap) {
			h->cap = h->cap ? h->cap * 2 : 4;
			h->v = xreallocarray(h->v, h->cap, sizeof(struct binding *));
		}
		h->v[h->n++] = b;
	}
}

static void index_remove(struct authz *z, const struct binding *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct holder *h = map_get(&z->subjects, b->subjects[i]);
		size_t kept = 0;
		if (!h)
			continue;
		for (size_t j = 0; j < h->n; j++) {
			if (h->v[j] != b)
				h->v[kept++] = h->v[j];
		}
		h->n = kept;
		if (kept)
			continue;
		map_del(&z->subjects, b->subjects[i]);
		free(h->v);
		free(h);
	}
}

void authz_binding(struct authz *z, struct str namespace, struct str name, const struct json *o)
{
	AUTO(arena) struct arena tmp = {0};
	struct str key = scoped_key(&tmp, namespace, name);
	struct binding *b = o ? binding_parse(namespace, name, o) : NULL;
	struct binding *old = b ? map_set(&z->bindings, key, b) : map_del(&z->bindings, key);

	if (old) {
		index_remove(z, old);
		binding_free(old);
	}
	if (b)
		index_add(z, b);
}

/* ---- questions ---- */

static bool list_has(const struct str_list *l, struct str s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_is(l->v[i], "*") || str_eq(l->v[i], s))
			return true;
	}
	return false;
}

static bool resource_matches(const struct str_list *l, struct str resource, struct str sub)
{
	struct str head, tail;

	for (size_t i = 0; i < l->n; i++) {
		if (str_is(l->v[i], "*"))
			return true;
		if (!str_cut(l->v[i], '/', &head, &tail)) {
			if (!sub.n && str_eq(head, resource))
				return true;
			continue;
		}
		if (sub.n && str_eq(tail, sub) && (str_is(head, "*") || str_eq(head, resource)))
			return true;
	}
	return false;
}

static bool name_matches(const struct str_list *l, struct str name)
{
	if (l->n == 0)
		return true;
	for (size_t i = 0; i < l->n; i++) {
		if (name.n && str_eq(l->v[i], name))
			return true;
	}
	return false;
}

static bool path_matches(const struct str_list *l, struct str path)
{
	for (size_t i = 0; i < l->n; i++) {
		struct str p = l->v[i];
		if (str_eq(p, path))
			return true;
		if (p.n && p.p[p.n - 1] == '*' && str_starts(path, str_sub(p, 0, p.n - 1)))
			return true;
	}
	return false;
}

static bool rule_allows(const struct authz_rule *r, const struct authz_ask *q)
{
	if (!list_has(&r->verbs, q->verb))
		return false;
	if (q->path.n)
		return path_matches(&r->paths, q->path);
	return list_has(&r->groups, q->group) &&
	       resource_matches(&r->resources, q->resource, q->subresource) &&
	       name_matches(&r->names, q->name);
}

static bool selected(const struct role *by, const struct role *r)
{
	for (size_t i = 0; i < by->naggregates; i++) {
		if (selector_match_json(&by->aggregates[i], r->labels))
			return true;
	}
	return false;
}

/* Calls fn for each rule of the role, and of those that it aggregates, until fn says true. */
static bool each_rule(const struct authz *z, const struct role *r, int depth,
		      bool (*fn)(void *arg, const struct authz_rule *rule), void *arg)
{
	struct map_iter it = {0};

	for (size_t i = 0; r && i < r->n; i++) {
		if (fn(arg, &r->rules[i]))
			return true;
	}
	if (!r || !r->naggregates || depth == AGGREGATE_DEPTH)
		return false;
	while (map_next(&z->roles, &it)) {
		const struct role *other = it.value;
		/* Keys of cluster roles begin with the separator. */
		if (other != r && it.key.n && it.key.p[0] == '/' && selected(r, other) &&
		    each_rule(z, other, depth + 1, fn, arg))
			return true;
	}
	return false;
}

static bool allows(void *arg, const struct authz_rule *rule)
{
	return rule_allows(rule, arg);
}

static bool role_allows(const struct authz *z, const struct binding *b, const struct authz_ask *q)
{
	return each_rule(z, map_get(&z->roles, b->role), 0, allows, (void *)(uintptr_t)q);
}

/* A cluster-wide binding counts everywhere, another in its namespace. */
static bool binding_covers(const struct binding *b, struct str namespace)
{
	return !b->namespace.n || (namespace.n && str_eq(b->namespace, namespace));
}

static const struct binding *holder_allows(const struct authz *z, struct str key,
					   const struct authz_ask *q)
{
	const struct holder *h = map_get(&z->subjects, key);
	struct str namespace = q->path.n ? STR_NONE : q->namespace;

	for (size_t i = 0; h && i < h->n; i++) {
		if (binding_covers(h->v[i], namespace) && role_allows(z, h->v[i], q))
			return h->v[i];
	}
	return NULL;
}

bool user_in_group(const struct admission_user *u, const char *group)
{
	for (size_t i = 0; i < u->ngroups; i++) {
		if (str_is(u->groups[i], group))
			return true;
	}
	return false;
}

/* The keys of `subjects` that the user answers to, in turn: itself, then its groups. */
static struct str user_key(struct arena *a, const struct admission_user *u, size_t i)
{
	if (i == 0)
		return arena_strf(a, "u:%.*s", STR_ARG(u->name));
	return arena_strf(a, "g:%.*s", STR_ARG(u->groups[i - 1]));
}

/* What a binding gives the user, in Kubernetes' words. */
static void explain(const struct binding *b, const struct admission_user *u, size_t as,
		    struct buf *why)
{
	static const char account[] = "system:serviceaccount:";
	struct str namespace, role, name, rest;

	str_cut(b->role, '/', &namespace, &role);
	buf_printf(why, "RBAC: allowed by %s \"%.*s%s%.*s\" of %s \"%.*s\" to ",
		   b->namespace.n ? "RoleBinding" : "ClusterRoleBinding", STR_ARG(b->name),
		   b->namespace.n ? "/" : "", STR_ARG(b->namespace),
		   namespace.n ? "Role" : "ClusterRole", STR_ARG(role));
	if (as)
		buf_printf(why, "Group \"%.*s\"", STR_ARG(u->groups[as - 1]));
	else if (str_starts(u->name, STR(account)) &&
		 str_cut(str_sub(u->name, sizeof(account) - 1, u->name.n), ':', &rest, &name))
		buf_printf(why, "ServiceAccount \"%.*s/%.*s\"", STR_ARG(name), STR_ARG(rest));
	else
		buf_printf(why, "User \"%.*s\"", STR_ARG(u->name));
}

bool authz_role_allows(const struct authz *z, struct str cluster_role, const struct authz_ask *q)
{
	AUTO(arena) struct arena tmp = {0};
	struct str key = arena_strf(&tmp, "/%.*s", STR_ARG(cluster_role));

	return each_rule(z, map_get(&z->roles, key), 0, allows, (void *)(uintptr_t)q);
}

bool authz_allows(const struct authz *z, const struct authz_ask *q, struct buf *why)
{
	AUTO(arena) struct arena tmp = {0};

	if (user_in_group(q->user, "system:masters"))
		return true;
	for (size_t i = 0; i <= q->user->ngroups; i++) {
		const struct binding *b = holder_allows(z, user_key(&tmp, q->user, i), q);
		if (!b)
			continue;
		if (why)
			explain(b, q->user, i, why);
		return true;
	}
	return false;
}

struct each {
	void (*fn)(void *arg, const struct authz_rule *r);
	void *arg;
};

static bool pass_on(void *arg, const struct authz_rule *rule)
{
	struct each *e = arg;

	e->fn(e->arg, rule);
	return false;
}

void authz_each_rule(const struct authz *z, const struct admission_user *u, struct str namespace,
		     void (*fn)(void *arg, const struct authz_rule *r), void *arg)
{
	static struct str all[] = {{"*", 1}};
	static const struct str_list star = {all, 1};
	AUTO(arena) struct arena tmp = {0};
	struct each e = {fn, arg};

	if (user_in_group(u, "system:masters")) {
		fn(arg, &(struct authz_rule){.verbs = star, .groups = star, .resources = star});
		fn(arg, &(struct authz_rule){.verbs = star, .paths = star});
	}
	for (size_t i = 0; i <= u->ngroups; i++) {
		const struct holder *h = map_get(&z->subjects, user_key(&tmp, u, i));
		for (size_t j = 0; h && j < h->n; j++) {
			if (binding_covers(h->v[j], namespace))
				each_rule(z, map_get(&z->roles, h->v[j]->role), 0, pass_on, &e);
		}
	}
}
