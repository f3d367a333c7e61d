/*
 * Keeping ResourceQuotas: who may still come in, and what their status says. One thread, so the
 * answer is exact: a create is measured against all that were put before it, and a turn that is
 * undone gives back what it took. Must never let a namespace's use go past its quota through
 * requests that ask this first, nor walk more than that namespace.
 * Memory: an arena for each namespace that has a quota, renewed when its quotas change.
 * Specification: k8s.io/apiserver/pkg/admission/plugin/resourcequota (controller.go).
 */
#include "apiserver/quota.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/quota_usage.h"

struct quota {
	struct str name;
	const struct json *spec;
	struct amounts used; /* one for each name of spec.hard, in its order */
};

struct quota_ns {
	struct list all; /* of those with something to write, when dirty */
	struct arena arena;
	struct quota *v;
	size_t n;
	bool stale; /* to be counted anew */
	bool dirty; /* statuses may have changed */
	char *name;
};

struct quota_books {
	struct map namespaces;
	struct list dirty;
	bool loaded, settling;
};

struct quota_books *quota_new(void)
{
	struct quota_books *b = xalloc(sizeof(*b));

	list_init(&b->dirty);
	return b;
}

static void ns_free(struct quota_ns *ns)
{
	if (ns->dirty)
		list_remove(&ns->all);
	arena_release(&ns->arena);
	free(ns->name);
	free(ns);
}

void quota_free(struct quota_books *b)
{
	struct map_iter it = {0};

	if (!b)
		return;
	while (map_next(&b->namespaces, &it))
		ns_free(it.value);
	map_release(&b->namespaces);
	free(b);
}

/* ---- the books ---- */

static void soil(struct quota_books *b, struct quota_ns *ns)
{
	if (ns->dirty)
		return;
	ns->dirty = true;
	list_append(&b->dirty, &ns->all);
}

static void open_namespace(struct quota_books *b, struct str name)
{
	struct quota_ns *ns = map_get(&b->namespaces, name);

	if (!ns) {
		AUTO(buf) struct buf text = {0};

		ns = xalloc(sizeof(*ns));
		buf_str(&text, name);
		ns->name = buf_take(&text);
		map_set(&b->namespaces, name, ns);
	}
	ns->stale = true;
	soil(b, ns);
}

static const struct table *quotas_of(const struct core *c)
{
	return core_table(c, "", "resourcequotas");
}

/* Asked of every write, so without a search. */
static bool is_quotas(const struct table *t)
{
	return !*t->kind->group && !strcmp(t->kind->plural, "resourcequotas");
}

static void load(struct core *c)
{
	const struct table *t = quotas_of(c);

	c->quotas->loaded = true;
	for (size_t i = 0; t && i < t->n; i++)
		open_namespace(c->quotas, t->rows[i]->namespace);
}

static void add_to(struct quota *q, const struct amounts *usage, int sign)
{
	for (size_t i = 0; i < q->used.n; i++) {
		const struct amount *by = amounts_find(usage, q->used.v[i].name);
		struct quantity *have = &q->used.v[i].q;

		if (!by || !by->q.nano)
			continue;
		if (!have->nano)
			have->format = by->q.format;
		have->nano += sign * by->q.nano;
	}
}

static void apply(struct quota_ns *ns, const struct kind *k, const struct json *o, int sign,
		  struct arena *a)
{
	struct amounts usage = {0};

	quota_usage(a, k->group, k->plural, o, &usage);
	for (size_t i = 0; i < ns->n; i++)
		if (quota_in_scope(ns->v[i].spec, k->group, k->plural, o))
			add_to(&ns->v[i], &usage, sign);
}

static bool concerned(const struct quota_ns *ns, const struct kind *k)
{
	for (size_t i = 0; i < ns->n; i++)
		for (size_t n = 0; n < ns->v[i].used.n; n++)
			if (quota_concerns(ns->v[i].used.v[n].name, k->group, k->plural))
				return true;
	return false;
}

static void count_table(struct quota_ns *ns, const struct table *t)
{
	bool inside = quota_looks_inside(t->kind->group, t->kind->plural);
	size_t from, to;

	if (!(t->kind->flags & KIND_NAMESPACED) || !concerned(ns, t->kind))
		return;
	table_range(t, str_c(ns->name), &from, &to);
	for (; from < to; from++) {
		AUTO(arena) struct arena a = {0};

		apply(ns, t->kind, inside ? obj_tree(t->rows[from], &a) : NULL, 1, &a);
	}
}

static void count_anew(struct core *c, struct quota_ns *ns)
{
	const struct table *t = quotas_of(c);
	size_t from = 0, to = 0;

	arena_reset(&ns->arena);
	ns->stale = false;
	table_range(t, str_c(ns->name), &from, &to);
	ns->n = 0;
	ns->v = arena_array(&ns->arena, to - from + 1, sizeof(*ns->v));
	for (; from < to; from++) {
		struct quota *q = &ns->v[ns->n++];
		const struct json *hard;

		q->name = arena_str(&ns->arena, t->rows[from]->name);
		q->spec = json_copy(&ns->arena,
				    json_get(obj_tree(t->rows[from], &ns->arena), STR("spec")));
		hard = json_get(q->spec, STR("hard"));
		for (size_t i = 0; i < json_len(hard); i++) {
			struct quantity none = {0};

			if (amount_read(&hard->members[i].value, &none))
				none.nano = 0;
			amounts_add(&ns->arena, &q->used, hard->members[i].key, none);
		}
	}
	for (size_t i = 0; i < c->ntables; i++)
		count_table(ns, c->tables[i]);
}

static struct quota_ns *books_of(struct core *c, struct str namespace)
{
	struct quota_ns *ns;

	if (!c->quotas->loaded)
		load(c);
	ns = c->quotas->namespaces.n ? map_get(&c->quotas->namespaces, namespace) : NULL;
	if (ns && ns->stale)
		count_anew(c, ns);
	return ns;
}

void quota_change(struct core *c, const struct table *t, const struct obj *old,
		  const struct obj *new)
{
	struct quota_books *b = c->quotas;
	const struct obj *any = new ? new : old;
	bool inside = quota_looks_inside(t->kind->group, t->kind->plural);
	AUTO(arena) struct arena a = {0};
	struct quota_ns *ns;

	if (!any || !b || b->settling || !(t->kind->flags & KIND_NAMESPACED))
		return;
	if (is_quotas(t)) {
		open_namespace(b, any->namespace);
		return;
	}
	ns = b->namespaces.n ? map_get(&b->namespaces, any->namespace) : NULL;
	if (!ns || ns->stale || (old && new && !inside) || !concerned(ns, t->kind))
		return;
	if (old)
		apply(ns, t->kind, inside ? obj_tree(old, &a) : NULL, -1, &a);
	if (new)
		apply(ns, t->kind, inside ? obj_tree(new, &a) : NULL, 1, &a);
	soil(b, ns);
}

/* ---- admission ---- */

/* Only what can grow by a write is measured. */
static bool measured(const struct admission_req *r)
{
	if (r->op == ADMIT_CREATE)
		return !r->subresource;
	if (admission_is(r, "", "pods"))
		return r->subresource && !strcmp(r->subresource, "resize");
	return !r->subresource &&
	       (admission_is(r, "", "services") || admission_is(r, "", "persistentvolumeclaims"));
}

static void put_amount(struct buf *b, struct str name, struct quantity q)
{
	buf_printf(b, "%s%.*s=", b->n ? "," : "", STR_ARG(name));
	quantity_format(q, b);
}

/* In the order of the names, as Kubernetes tells them. */
static struct json *sorted_names(struct arena *a, const struct json *hard)
{
	struct json *names = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(hard); i++) {
		struct str name = hard->members[i].key;
		size_t at = 0;

		while (at < json_len(names) && str_cmp(json_str(json_item(names, at)), name) < 0)
			at++;
		json_insert(a, names, at, json_new_str(a, name));
	}
	return names;
}

static int check(struct admission_req *r, const struct quota *q, const struct amounts *delta,
		 struct err *err)
{
	const struct json *hard = json_get(q->spec, STR("hard")), *names = sorted_names(r->a, hard);
	AUTO(buf) struct buf asked = {0}, used = {0}, limited = {0};

	for (size_t i = 0; i < json_len(names); i++) {
		struct str name = json_str(json_item(names, i));
		const struct amount *d = amounts_find(delta, name),
				    *u = amounts_find(&q->used, name);
		struct quantity limit, after;

		if (!d || !u || d->q.nano <= 0 || !amount_read(json_get(hard, name), &limit))
			continue;
		after = u->q;
		if (!__builtin_add_overflow(u->q.nano, d->q.nano, &after.nano) &&
		    quantity_cmp(after, limit) <= 0)
			continue;
		put_amount(&asked, name, d->q);
		put_amount(&used, name, u->q);
		put_amount(&limited, name, limit);
	}
	if (!asked.n)
		return 0;
	return admission_forbid(
		r, err,
		arena_strf(r->a, "exceeded quota: %.*s, requested: %s, used: %s, limited: %s",
			   STR_ARG(q->name), buf_cstr(&asked), buf_cstr(&used),
			   buf_cstr(&limited)));
}

int quota_admit(void *core, struct admission_req *r, struct err *err)
{
	struct core *c = core;
	struct quota_ns *ns = books_of(c, r->namespace);
	struct amounts delta = {0}, was = {0};

	if (!ns || !ns->n || !measured(r) || !concerned(ns, r->kind))
		return 0;
	quota_usage(r->a, r->kind->group, r->kind->plural, r->object, &delta);
	if (r->old)
		quota_usage(r->a, r->kind->group, r->kind->plural, r->old, &was);
	for (size_t i = 0; i < was.n; i++)
		amounts_add(r->a, &delta, was.v[i].name,
			    (struct quantity){-was.v[i].q.nano, was.v[i].q.format});
	for (size_t i = 0; i < ns->n; i++) {
		const struct quota *q = &ns->v[i];
		struct str missing = STR_NONE;

		if (!quota_in_scope(q->spec, r->kind->group, r->kind->plural, r->object))
			continue;
		if (admission_is(r, "", "pods"))
			missing = quota_missing(r->a, q->spec, r->object);
		if (missing.n)
			return admission_forbid(r, err,
						arena_strf(r->a, "failed quota: %.*s: %.*s",
							   STR_ARG(q->name), STR_ARG(missing)));
		if (check(r, q, &delta, err))
			return -1;
	}
	return 0;
}

/* ---- status ---- */

static void write_status(struct core *c, struct table *t, const char *namespace,
			 const struct quota *q)
{
	const struct obj *live = table_get(t, str_c(namespace), q->name);
	const struct json *tree = live ? obj_tree(live, &c->turn) : NULL,
			  *hard = json_get(q->spec, STR("hard"));
	struct json *status = json_new(&c->turn, JSON_OBJECT), *names, *said, *used, *next;

	if (!live)
		return;
	names = sorted_names(&c->turn, hard);
	said = json_set_object(&c->turn, status, "hard");
	for (size_t i = 0; i < json_len(names); i++) {
		struct str name = json_str(json_item(names, i));

		json_set(&c->turn, said, name, json_get(hard, name));
	}
	used = json_set_object(&c->turn, status, "used");
	for (size_t i = 0; i < json_len(names); i++) {
		const struct amount *u = amounts_find(&q->used, json_str(json_item(names, i)));
		AUTO(buf) struct buf text = {0};

		quantity_format(u ? u->q : (struct quantity){0}, &text);
		json_set(&c->turn, used, json_str(json_item(names, i)),
			 json_new_str(&c->turn, buf_view(&text)));
	}
	if (json_equal(status, json_get(tree, STR("status"))))
		return;
	next = json_copy(&c->turn, tree);
	json_set(&c->turn, next, STR("status"), status);
	core_put(c, t, next, &c->turn);
}

void quota_settle(struct core *c)
{
	struct quota_books *b = c->quotas;
	struct table *t = core_table(c, "", "resourcequotas");
	bool first = !b->loaded;

	if (first)
		load(c);
	/* A status that could not be committed waits for the next write. */
	if (!t || list_empty(&b->dirty) || (!c->nchanges && !first))
		return;
	b->settling = true;
	LIST_FOREACH (it, &b->dirty) {
		struct quota_ns *ns = CONTAINER_OF(it, struct quota_ns, all);

		if (ns->stale)
			count_anew(c, ns);
		for (size_t i = 0; i < ns->n; i++)
			write_status(c, t, ns->name, &ns->v[i]);
		list_remove(&ns->all);
		ns->dirty = false;
		if (!ns->n) {
			map_del(&b->namespaces, str_c(ns->name));
			ns_free(ns);
		}
	}
	b->settling = false;
}
