/*
 * A cluster made of plain lists, for testing reconcile functions: answers views (indexes are
 * computed on the spot with the controller's own functions) and applies plans the way the API
 * server would: names and uids are unique, resourceVersions count, deletion with finalizers or
 * graceful pods only marks.
 */
#ifndef FAKE_H
#define FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controllers/common.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/json/patch.h"

#define OBJECTS_MAX 4000

struct fake_object {
	const struct resource *r;
	const struct json *tree;
};
struct fake {
	struct arena arena;
	struct fake_object v[OBJECTS_MAX];
	size_t n;
	uint64_t revision;
	const struct controller *controller;
	const void *config;
	int64_t now_ns;
	struct err *failed;
	uint32_t gone; /* pods removed: those of the one key that a test looks at */
	size_t writes; /* operations other than events that the last plan had */
	int64_t requeue_ns;
	struct str events[200];
	size_t nevents;
	bool graceful_pods; /* deleting a pod with a node only marks it */
	size_t fail_at;     /* the n-th create fails with err, 0 = none */
};

static struct fake *fake_new(const struct controller *c)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->controller = c;
	f->now_ns = 1700000000 * NS_PER_S;
	return f;
}

static void fake_free(struct fake *f)
{
	arena_release(&f->arena);
	free(f);
}

static struct fake_object *fake_find(struct fake *f, const struct resource *r, struct str ns,
				     struct str name)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == r && str_eq(meta_namespace(f->v[i].tree), ns) &&
		    str_eq(meta_name(f->v[i].tree), name))
			return &f->v[i];
	return NULL;
}

static const struct json *fake_get(struct fake *f, const struct resource *r, const char *ns,
				   const char *name)
{
	struct fake_object *o = fake_find(f, r, str_c(ns), str_c(name));

	return o ? o->tree : NULL;
}

static void fake_stamp(struct fake *f, struct json *o)
{
	json_set_str(&f->arena, json_set_object(&f->arena, o, "metadata"), "resourceVersion",
		     arena_strf(&f->arena, "%llu", (unsigned long long)++f->revision));
}

static const struct json *fake_put(struct fake *f, const struct resource *r, const struct json *o)
{
	struct json *copy = json_copy(&f->arena, o), *meta;
	char text[TIME_TEXT_MAX];

	assert_true(f->n < OBJECTS_MAX);
	meta = json_set_object(&f->arena, copy, "metadata");
	fake_stamp(f, copy);
	if (!meta_uid(copy).n)
		json_set_str(&f->arena, meta, "uid",
			     arena_strf(&f->arena, "uid-%llu", (unsigned long long)f->revision));
	if (!json_at(meta, "creationTimestamp"))
		json_set_str(&f->arena, meta, "creationTimestamp", time_format(f->now_ns, text));
	if (!json_at(meta, "generation"))
		json_set_int(&f->arena, meta, "generation", 1);
	f->v[f->n++] = (struct fake_object){r, copy};
	return copy;
}

/* JSON with ' for ". */
static struct json *fake_json(struct fake *f, const char *text)
{
	char *copy = arena_cstr(&f->arena, str_c(text));
	struct err err = {0};
	struct json *v;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	v = json_parse(&f->arena, str_c(copy), NULL, &err);
	if (!v)
		fail_msg("%s in %s", err.msg, copy);
	return v;
}

static const struct json *fake_add(struct fake *f, const struct resource *r, const char *text)
{
	return fake_put(f, r, fake_json(f, text));
}

static void fake_remove(struct fake *f, struct fake_object *o)
{
	f->gone += o->r == &res_pods;
	memmove(o, o + 1, (size_t)(&f->v[f->n] - (o + 1)) * sizeof(*o));
	f->n--;
}

/* Sets a field by path, e.g. fake_set(f, r, ns, name, "{'status': {'x': 1}}"): a merge patch. */
static void fake_merge(struct fake *f, const struct resource *r, const char *ns, const char *name,
		       const char *patch)
{
	struct fake_object *o = fake_find(f, r, str_c(ns), str_c(name));
	struct json *new;

	assert_non_null(o);
	new = patch_merge(&f->arena, o->tree, fake_json(f, patch));
	assert_non_null(new);
	if (json_at(fake_json(f, patch), "spec"))
		json_set_int(&f->arena, json_set_object(&f->arena, new, "metadata"), "generation",
			     json_int(json_at(new, "metadata", "generation"), 1) + 1);
	fake_stamp(f, new);
	o->tree = new;
}

static size_t fake_count(const struct fake *f, const struct resource *r)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].r == r;
	return n;
}

/* ---- the view ---- */

static const struct json *fake_view_get(const struct view *v, const struct resource *r,
					struct str ns, struct str name)
{
	struct fake_object *o = fake_find(v->ctx, r, ns, name);

	return o ? o->tree : NULL;
}

struct fake_seek {
	struct str value;
	bool found;
};

static void fake_seek_put(void *ctx, struct str value)
{
	struct fake_seek *s = ctx;

	s->found |= str_eq(s->value, value);
}

static bool fake_in_index(const struct view *v, const struct fake_object *o, const char *index,
			  struct str value)
{
	const struct fake *f = v->ctx;
	struct fake_seek s = {value, false};
	struct err err = {0};
	struct obj *obj;

	for (const struct controller_index *x = f->controller->indexes; x && x->resource; x++) {
		if (x->resource != o->r || strcmp(x->name, index) != 0)
			continue;
		obj = obj_from_json(o->tree, &err);
		assert_non_null(obj);
		x->fn(obj, v->arena, fake_seek_put, &s);
		obj_unref(obj);
		return s.found;
	}
	fail_msg("controller %s has no index %s on %s", f->controller->name, index, o->r->plural);
	return false;
}

static struct json_set_view fake_view_list(const struct view *v, const struct resource *r,
					   struct str ns, const char *index, struct str value)
{
	struct fake *f = v->ctx;
	struct trees t = {0};

	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].r != r || (ns.n && !str_eq(ns, meta_namespace(f->v[i].tree))))
			continue;
		if (!index || fake_in_index(v, &f->v[i], index, value))
			trees_add(v->arena, &t, f->v[i].tree);
	}
	return (struct json_set_view){t.v, t.n};
}

static const struct view_ops fake_ops = {fake_view_get, fake_view_list};

/* ---- applying plans ---- */

static void fake_replace(struct fake *f, const struct plan_op *op)
{
	struct fake_object *o = fake_find(f, op->resource, op->namespace, op->name);
	struct json *new;

	if (!o) {
		assert_true(op->ignore_not_found);
		return;
	}
	/* A plan is made on one state: writing the same object twice would conflict. */
	assert_true(str_eq(json_str(json_at(op->body, "metadata", "resourceVersion")),
			   json_str(json_at(o->tree, "metadata", "resourceVersion"))));
	if (op->type == PLAN_UPDATE_STATUS) {
		new = json_copy(&f->arena, o->tree);
		json_set(&f->arena, new, STR("status"),
			 json_copy(&f->arena, json_at(op->body, "status")));
	} else {
		new = json_copy(&f->arena, op->body);
		json_set(&f->arena, new, STR("status"),
			 json_copy(&f->arena, json_at(o->tree, "status")));
		if (!json_equal(json_at(new, "spec"), json_at(o->tree, "spec")))
			json_set_int(&f->arena, json_set_object(&f->arena, new, "metadata"),
				     "generation",
				     json_int(json_at(o->tree, "metadata", "generation"), 1) + 1);
	}
	fake_stamp(f, new);
	o->tree = new;
}

static void fake_delete(struct fake *f, const struct plan_op *op)
{
	struct fake_object *o = fake_find(f, op->resource, op->namespace, op->name);
	char text[TIME_TEXT_MAX];
	struct json *new;

	if (!o || !str_eq(op->uid, meta_uid(o->tree))) {
		assert_true(op->ignore_not_found);
		return;
	}
	if (op->grace_s == 0 || !f->graceful_pods || op->resource != &res_pods ||
	    !json_str(json_at(o->tree, "spec", "nodeName")).n) {
		fake_remove(f, o);
		return;
	}
	new = json_copy(&f->arena, o->tree);
	json_set_str(&f->arena, json_set_object(&f->arena, new, "metadata"), "deletionTimestamp",
		     time_format(f->now_ns, text));
	fake_stamp(f, new);
	o->tree = new;
}

static void fake_patch(struct fake *f, const struct plan_op *op)
{
	struct fake_object *o = fake_find(f, op->resource, op->namespace, op->name);
	struct str revision = json_str(json_at(op->body, "metadata", "resourceVersion"));
	struct json *new;

	assert_non_null(o);
	if (revision.n)
		assert_true(str_eq(revision,
				   json_str(json_at(o->tree, "metadata", "resourceVersion"))));
	new = patch_merge(&f->arena, o->tree, op->body);
	assert_non_null(new);
	fake_stamp(f, new);
	o->tree = new;
}

/* "token of ACCOUNT", in base64 as it stands in the Secret. */
static void fake_token(struct fake *f, const struct plan_op *op)
{
	struct fake_object *o = fake_find(f, op->resource, op->namespace, op->name);
	struct json *new = json_copy(&f->arena, o->tree);
	AUTO(buf) struct buf text = {0};

	assert_true(str_eq(op->uid, meta_uid(o->tree)));
	base64_encode(arena_strf(&f->arena, "token of %.*s", STR_ARG(op->account)), &text);
	json_set_str(&f->arena, json_set_object(&f->arena, new, "data"), "token", buf_view(&text));
	fake_stamp(f, new);
	o->tree = new;
}

static void fake_apply(struct fake *f, const struct plan_op *op)
{
	if (op->type == PLAN_EVENT) {
		if (f->nevents < ARRAY_LEN(f->events))
			f->events[f->nevents++] =
				arena_strf(&f->arena, "%.*s: %.*s",
					   STR_ARG(json_str(json_at(op->body, "reason"))),
					   STR_ARG(json_str(json_at(op->body, "message"))));
		return;
	}
	f->writes++;
	switch (op->type) {
	case PLAN_CREATE:
		if (fake_find(f, op->resource, op->namespace, op->name))
			assert_true(op->ignore_exists);
		else
			fake_put(f, op->resource, op->body);
		return;
	case PLAN_UPDATE:
	case PLAN_UPDATE_STATUS:
		fake_replace(f, op);
		return;
	case PLAN_PATCH:
		fake_patch(f, op);
		return;
	case PLAN_DELETE:
		fake_delete(f, op);
		return;
	case PLAN_TOKEN:
		fake_patch(f, op);
		fake_token(f, op);
		return;
	case PLAN_APPLY:
	case PLAN_EVENT:
		break;
	}
	fail_msg("unexpected operation");
}

/* One reconcile of a key; its plan is applied whole. */
static void fake_run(struct fake *f, const char *ns, const char *name)
{
	AUTO(arena) struct arena a = {0};
	struct rng rng;
	struct plan p = {.a = &a};
	struct view v = {.arena = &a,
			 .now_ns = f->now_ns,
			 .rng = &rng,
			 .ops = &fake_ops,
			 .ctx = f,
			 .config = f->config,
			 .failed = f->failed,
			 .gone = f->gone};
	struct err err = {0};

	rng_seed(&rng, 1);
	f->writes = f->nevents = 0;
	if (f->controller->reconcile(&v, str_c(ns), str_c(name), &p, &err) != 0)
		fail_msg("%s", err.msg);
	for (const struct plan_op *op = p.first; op; op = op->next)
		fake_apply(f, op);
	f->requeue_ns = p.requeue_ns;
}

/* Until nothing is written any more; fails when that never comes. */
static void fake_settle(struct fake *f, const char *ns, const char *name)
{
	for (int i = 0; i < 50; i++) {
		fake_run(f, ns, name);
		if (!f->writes)
			return;
	}
	fail_msg("%s/%s doesn't settle", ns ? ns : "", name);
}

UNUSED static bool fake_had_event(const struct fake *f, const char *text)
{
	for (size_t i = 0; i < f->nevents; i++)
		if (str_find(f->events[i], str_c(text)) >= 0)
			return true;
	return false;
}

UNUSED static void fake_unused(void)
{
	(void)fake_free;
	(void)fake_get;
	(void)fake_add;
	(void)fake_merge;
	(void)fake_count;
	(void)fake_settle;
	(void)fake_new;
}

#define assert_str(s, text)                                                                        \
	do {                                                                                       \
		struct str got_ = (s);                                                             \
		if (!str_is(got_, text))                                                           \
			fail_msg("got \"%.*s\", wanted \"%s\"", STR_ARG(got_), text);              \
	} while (0)

#endif
