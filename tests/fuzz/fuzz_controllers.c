/*
 * Reconcile functions over any objects: the input is an array of them, every controller looks at
 * every one. Whatever the API server let in must not make a plan that can't be written.
 */
#include <stddef.h>
#include <stdint.h>

#include "controllers/controller.h"
#include "lib/base/timefmt.h"
#include "lib/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { OBJECTS_MAX = 32 };

struct world {
	struct obj *v[OBJECTS_MAX];
	const struct resource *r[OBJECTS_MAX];
	size_t n;
	const struct controller *controller;
};

static const struct json *get(const struct view *v, const struct resource *r, struct str ns,
			      struct str name)
{
	const struct world *w = v->ctx;

	for (size_t i = 0; i < w->n; i++)
		if (w->r[i] == r && str_eq(w->v[i]->name, name) &&
		    (!r->namespaced || str_eq(w->v[i]->namespace, ns)))
			return obj_tree(w->v[i], v->arena);
	return NULL;
}

struct seek {
	struct str value;
	bool found;
};

static void seek_put(void *ctx, struct str value)
{
	struct seek *s = ctx;

	s->found |= str_eq(s->value, value);
}

static bool indexed(const struct view *v, size_t at, const char *index, struct str value)
{
	const struct world *w = v->ctx;
	struct seek s = {value, false};

	for (const struct controller_index *x = w->controller->indexes; x && x->resource; x++)
		if (x->resource == w->r[at] && strcmp(x->name, index) == 0)
			x->fn(w->v[at], v->arena, seek_put, &s);
	return s.found;
}

static struct json_set_view list(const struct view *v, const struct resource *r, struct str ns,
				 const char *index, struct str value)
{
	const struct world *w = v->ctx;
	const struct json **found = arena_array(v->arena, w->n + 1, sizeof(*found));
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->r[i] == r && (!ns.n || str_eq(w->v[i]->namespace, ns)) &&
		    (!index || indexed(v, i, index, value)))
			found[n++] = obj_tree(w->v[i], v->arena);
	return (struct json_set_view){found, n};
}

static void put_nowhere(void *ctx, struct str key)
{
	(void)ctx;
	(void)key;
}

static void write_all(const struct plan *p)
{
	AUTO(buf) struct buf text = {0};

	for (const struct plan_op *op = p->first; op; op = op->next)
		if (op->body)
			json_write(op->body, &text);
}

static void look(struct world *w, size_t at)
{
	static const struct view_ops ops = {get, list};
	static const struct controllers_config config = {
		.root_ca = {"x", 1}, .cluster_net = 10u << 24, .cluster_bits = 16, .node_bits = 24};
	AUTO(arena) struct arena a = {0};
	struct rng rng;
	struct plan p = {.a = &a};
	struct err err = {0};
	struct view v = {.arena = &a,
			 .now_ns = INT64_C(1700000000) * NS_PER_S,
			 .rng = &rng,
			 .ops = &ops,
			 .ctx = w,
			 .config = &config};

	rng_seed(&rng, 1);
	for (const struct controller_watch *x = w->controller->watches; x->resource; x++) {
		if (x->resource != w->r[at])
			continue;
		if (x->map_view)
			x->map_view(&v, w->v[at], put_nowhere, NULL);
		else if (x->map)
			x->map(w->v[at], &a, put_nowhere, NULL);
	}
	if (w->controller->reconcile(&v, w->v[at]->namespace, w->v[at]->name, &p, &err) == 0)
		write_all(&p);
}

/* Of the right types: the API server lets nothing else in. */
static bool well_typed(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct schema *s = schema_find_kind(o->api_version, o->kind);
	struct schema_problems ps = {.a = &a};

	if (!s)
		return false;
	schema_check(s, obj_tree(o, &a), &ps, NULL);
	for (size_t i = 0; i < ps.n; i++)
		if (strcmp(ps.v[i].reason, "FieldValueTypeInvalid") == 0)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct world w = {0};
	const struct json *all = json_parse(&a, (struct str){(const char *)data, n}, NULL, &err);

	for (size_t i = 0; i < json_len(all) && w.n < OBJECTS_MAX && json_is(all, JSON_ARRAY);
	     i++) {
		struct obj *o = obj_from_json(json_item(all, i), &err);

		w.r[w.n] = o && well_typed(o) ? resource_known(o->api_version, o->kind) : NULL;
		if (w.r[w.n])
			w.v[w.n++] = o;
		else
			obj_unref(o);
	}
	for (size_t c = 0; controller_registry[c]; c++) {
		w.controller = controller_registry[c];
		for (size_t i = 0; i < w.n; i++)
			look(&w, i);
	}
	for (size_t i = 0; i < w.n; i++)
		obj_unref(w.v[i]);
	return 0;
}
