/*
 * CustomResourceDefinitions at work: a definition that is committed is served from then on, one
 * that changes is served anew, and one that is deleted takes its objects with it before it goes.
 * The cleaning up is done by requests of the core's own, in the queue like everybody's, so that
 * finalizers, watches and the store see nothing special. Kinds once made stay in memory until the
 * core goes: watchers and tables may still point to them. One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/core-internal.h"
#include "apiserver/crd.h"

static const char definitions[] = "customresourcedefinitions";

static struct table *definition_table(const struct core *c)
{
	return core_table(c, "apiextensions.k8s.io", definitions);
}

static struct crd *find(const struct core *c, struct str name)
{
	struct crd *d = c->crds;

	while (d && !str_is(name, d->name))
		d = d->next;
	return d;
}

static void retire(struct core *c, struct crd *d)
{
	struct crd **at = &c->crds;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	d->next = c->crds_retired;
	c->crds_retired = d;
}

/* ---- serving ---- */

static bool is_built_in(const struct core *c, const struct crd *d)
{
	const struct table *t = core_table(c, d->group, d->plural);

	return t && !t->kind->crd;
}

static void withdraw(struct core *c, const struct crd *d)
{
	for (size_t i = 0; d->established && !d->shadowed && i < d->n; i++)
		core_unregister(c, &d->versions[i].kind);
}

static void serve(struct core *c, struct crd *d)
{
	struct table *t;

	d->next = c->crds;
	c->crds = d;
	d->shadowed = is_built_in(c, d);
	if (d->shadowed || !d->established)
		return;
	t = core_table_for(c, &d->stored->kind);
	t->kind = &d->stored->kind;
	for (size_t i = 0; i < d->n; i++)
		if (d->versions[i].served)
			core_register(c, &d->versions[i].kind, t);
}

static void renew(struct core *c, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct crd *old = find(c, o->name), *d = crd_new(obj_tree(o, &a));

	if (old) {
		withdraw(c, old);
		retire(c, old);
	}
	if (d) {
		d->since = o->revision;
		serve(c, d);
	}
}

/* ---- going ---- */

struct errand {
	struct core_req req;
	struct arena arena;
	char *name; /* of the definition */
	bool last;  /* the finalizer's removal */
};

static void errand_free(struct errand *e)
{
	arena_release(&e->arena);
	free(e->name);
	free(e);
}

static void done(struct core_req *r, const struct core_answer *answer);
static const struct core_sink sink = {.answer = done};

static struct errand *errand_new(struct core *c, const struct crd *d, enum core_verb verb)
{
	struct errand *e = xalloc(sizeof(*e));

	e->name = xstrdup(d->name);
	e->req = (struct core_req){.verb = verb,
				   .user = {.name = STR("system:apiserver")},
				   .user_agent = STR("plumb"),
				   .internal = true,
				   .sink = &sink,
				   .user_data = c,
				   .arena = &e->arena};
	return e;
}

/* The objects are gone: what holds the definition is taken off. */
static void let_go(struct core *c, const struct crd *d)
{
	struct errand *e = errand_new(c, d, CORE_PATCH);
	const struct obj *o = table_get(definition_table(c), STR_NONE, str_c(e->name));
	struct json *patch = json_new(&e->arena, JSON_OBJECT), *left;
	const struct json *have;
	AUTO(buf) struct buf text = {0};

	if (!o) {
		errand_free(e);
		return;
	}
	left = json_set_array(&e->arena, json_set_object(&e->arena, patch, "metadata"),
			      "finalizers");
	have = json_at(obj_tree(o, &e->arena), "metadata", "finalizers");
	for (size_t i = 0; i < json_len(have); i++)
		if (!str_is(json_str(json_item(have, i)), CRD_FINALIZER))
			json_append(&e->arena, left, json_item(have, i));
	json_write(patch, &text);
	e->last = true;
	e->req.group = STR("apiextensions.k8s.io");
	e->req.version = STR("v1");
	e->req.resource = str_c(definitions);
	e->req.name = str_c(e->name);
	e->req.content_type = STR("application/merge-patch+json");
	e->req.body = arena_str(&e->arena, buf_view(&text));
	core_submit(c, &e->req);
}

static const struct kind *any_served(const struct core *c, const struct crd *d)
{
	const struct kind *k = NULL;

	for (size_t i = 0; i < d->n && !k; i++)
		k = core_kind_find(c, str_c(d->group), str_c(d->versions[i].kind.version),
				   str_c(d->plural));
	return k;
}

static void clean(struct core *c, const struct crd *d)
{
	const struct table *t = core_table(c, d->group, d->plural);
	const struct kind *k = d->shadowed ? NULL : any_served(c, d);
	struct errand *e;

	if (!k || !t || !t->n) {
		let_go(c, d);
		return;
	}
	e = errand_new(c, d, CORE_DELETE_COLLECTION);
	e->req.group = arena_str(&e->arena, str_c(d->group));
	e->req.version = arena_str(&e->arena, str_c(k->version));
	e->req.resource = arena_str(&e->arena, str_c(d->plural));
	core_submit(c, &e->req);
}

/* Objects that something holds are waited for: their going calls core_crd_change(). */
static void done(struct core_req *r, const struct core_answer *answer)
{
	struct errand *e = CONTAINER_OF(r, struct errand, req);

	(void)answer;
	errand_free(e);
}

static bool is_held(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *m = json_get(obj_tree(o, &a), STR("metadata")),
			  *list = json_get(m, STR("finalizers"));

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), CRD_FINALIZER))
			return true;
	return false;
}

static bool is_going(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};

	return json_str(json_at(obj_tree(o, &a), "metadata", "deletionTimestamp")).n > 0;
}

/* All that decides how it is served: its spec, and which names it was granted. */
static bool same_definition(const struct obj *x, const struct obj *y)
{
	static const char *const conditions[] = {"Established", "NamesAccepted"};
	AUTO(arena) struct arena a = {0};
	const struct json *p = obj_tree(x, &a), *q = obj_tree(y, &a);

	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (!json_equal(json_get(condition_find(p, conditions[i]), STR("status")),
				json_get(condition_find(q, conditions[i]), STR("status"))))
			return false;
	return str_eq(x->uid, y->uid) &&
	       json_equal(json_get(p, STR("spec")), json_get(q, STR("spec")));
}

/* Whose names are taken is looked at again: somebody gave up some. */
static void look_again(struct core *c, const struct crd *gone)
{
	const struct table *t = definition_table(c);

	for (size_t i = 0; i < t->n; i++) {
		AUTO(arena) struct arena a = {0};
		const struct json *o = obj_tree(t->rows[i], &a);
		struct errand *e;

		if (!str_is(json_str(json_at(o, "spec", "group")), gone->group) ||
		    !str_is(json_str(json_get(condition_find(o, "NamesAccepted"), STR("status"))),
			    "False"))
			continue;
		e = errand_new(c, gone, CORE_PATCH);
		e->req.group = STR("apiextensions.k8s.io");
		e->req.version = STR("v1");
		e->req.resource = str_c(definitions);
		e->req.name = arena_str(&e->arena, t->rows[i]->name);
		e->req.content_type = STR("application/merge-patch+json");
		e->req.body = STR("{}");
		core_submit(c, &e->req);
	}
}

static void definition_gone(struct core *c, const struct obj *old)
{
	struct crd *d = find(c, old->name);

	if (!d)
		return;
	withdraw(c, d);
	retire(c, d);
	look_again(c, d);
}

static void definition_changed(struct core *c, const struct obj *old, const struct obj *new)
{
	struct crd *d = find(c, new->name);

	if (!d || !old || !same_definition(old, new)) {
		renew(c, new);
		if (old && find(c, new->name))
			look_again(c, find(c, new->name));
	}
	d = find(c, new->name);
	if (!d || !is_going(new))
		return;
	if (!d->terminating || (old && !is_going(old)) || !is_held(new)) {
		d->terminating = true;
		if (is_held(new))
			clean(c, d);
	}
}

/* The last object of a definition that is going lets it go. */
static void object_gone(struct core *c, const struct table *t)
{
	const struct crd_version *v = crd_version(t->kind);
	const struct crd *d = v ? v->crd : NULL;

	if (d && d->terminating && !t->n)
		let_go(c, d);
}

void core_crd_change(struct core *c, const struct change *ch)
{
	if (ch->table == definition_table(c) && !ch->new)
		definition_gone(c, ch->old);
	else if (ch->table == definition_table(c))
		definition_changed(c, ch->old, ch->new);
	else if (ch->table->kind->crd && !ch->new)
		object_gone(c, ch->table);
}

/* ---- starting and ending ---- */

void core_crd_load(struct core *c)
{
	const struct table *t = definition_table(c);

	for (size_t i = 0; t && i < t->n; i++)
		renew(c, t->rows[i]);
}

void core_crd_resume(struct core *c)
{
	const struct table *t = definition_table(c);

	for (size_t i = 0; t && i < t->n; i++) {
		const struct crd *d = find(c, t->rows[i]->name);

		if (d && d->terminating && is_held(t->rows[i]))
			clean(c, d);
	}
}

void core_crd_free(struct core *c)
{
	struct core_req *r = c->queue;

	while (r) {
		struct core_req *next = r->core_next;

		if (r->sink == &sink)
			done(r, NULL);
		r = next;
	}
	while (c->crds)
		retire(c, c->crds);
	while (c->crds_retired) {
		struct crd *d = c->crds_retired;

		c->crds_retired = d->next;
		crd_free(d);
	}
}
