/*
 * What sops encrypted for one object stays in that object: a binding (secrets/sops_bind.h) is noted
 * when its file is opened, before kustomize has a say, and every object of the build is held
 * against it under its last name. Its values are flagged, and the flag goes wherever they or parts
 * of them do; whose one is, its place in the sources says, or where a replacement took that away,
 * what it says. Must never put a value into an error. Pure; memory: the render's arena.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "reconciler/render-internal.h"
#include "secrets/sops_bind.h"

#include "lib/base/pure.h"

enum { TELLING = 4 /* shorter values are anybody's */ };

struct render_binding {
	uint32_t file, doc;
	struct sops_binding to;
	struct str *values; /* what was encrypted, as text */
	size_t nvalues;
};

static struct json *annotations_of(const struct json *doc)
{
	return json_at(doc, "metadata", "annotations");
}

int render_bind_look(struct render *r, uint32_t file, const struct yaml_docs *docs, bool **ret,
		     struct err *err)
{
	*ret = arena_array(r->a, docs->n + 1, sizeof(**ret));
	for (size_t i = 0; i < docs->n; i++) {
		const struct json *v = json_get(annotations_of(docs->v[i]), STR(SOPS_BINDING));
		uint32_t line = render_line(r, v ? v : docs->v[i], 1);

		(*ret)[i] = v != NULL;
		if (v && !str_starts(json_str(v), STR("ENC[AES256_GCM,")))
			return render_fail(r, file, line, err,
					   SOPS_BINDING
					   " is in clear, so anybody may have written "
					   "it: encrypt it (plumb seal --sops --bind)");
		if (!v && r->o->must_bind)
			return render_fail(
				r, file, line, err,
				"encrypted with sops, and bound to no object, which this "
				"cluster wants: plumb seal --sops --bind");
	}
	return 0;
}

/* ---- what is bound ---- */

struct gather {
	struct arena *a;
	struct str *v;
	size_t n, cap;
};

static void gather(struct gather *g, struct json *v)
{
	struct json_member *m = json_members(v);

	for (size_t i = 0; m && i < json_len(v); i++)
		gather(g, &m[i].value);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		gather(g, json_item(v, i));
	if (!(v->flags & JSON_F_SENSITIVE))
		return;
	v->flags |= JSON_F_BOUND;
	if (json_str(v).n < TELLING)
		return;
	if (g->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 16;
		struct str *now = arena_array(g->a, cap, sizeof(*now));

		if (g->n)
			memcpy(now, g->v, g->n * sizeof(*now));
		g->v = now;
		g->cap = cap;
	}
	g->v[g->n++] = json_str(v);
}

static void push(struct render *r, const struct render_binding *b)
{
	size_t n = r->nbindings;

	if (!(n & (n - 1))) {
		struct render_binding *now = arena_array(r->a, n ? n * 2 : 1, sizeof(*now));

		if (n)
			memcpy(now, r->bindings, n * sizeof(*now));
		r->bindings = now;
	}
	r->bindings[r->nbindings++] = *b;
}

int render_bind_note(struct render *r, uint32_t file, const struct yaml_docs *docs,
		     const bool *bound, struct err *err)
{
	for (size_t i = 0; i < docs->n; i++) {
		struct json *annotations = annotations_of(docs->v[i]);
		const struct yaml_src *src = yaml_src_of(&r->out->srcs, docs->v[i]);
		struct render_binding b = {.file = file, .doc = src ? src->doc : (uint32_t)i};
		struct gather g = {.a = r->a};
		struct err why = {0};

		if (!bound[i])
			continue;
		if (sops_binding_parse(sops_binding_of(docs->v[i]), &b.to, &why))
			return render_fail(r, file, render_line(r, docs->v[i], 1), err, "%s",
					   why.msg);
		if (!str_eq(sops_binding_keys(r->a, docs->v[i]), b.to.keys))
			return render_fail(r, file, render_line(r, docs->v[i], 1), err,
					   "it is bound to other keys than it has: a key came or "
					   "went without its " SOPS_BINDING);
		json_del(annotations, STR(SOPS_BINDING));
		if (!json_len(annotations))
			json_del(json_get(docs->v[i], STR("metadata")), STR("annotations"));
		gather(&g, docs->v[i]);
		b.values = g.v;
		b.nvalues = g.n;
		push(r, &b);
	}
	return 0;
}

int render_bind_refuse(struct render *r, uint32_t file, struct str plain, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct yaml_docs docs;

	if (yaml_parse(&a, plain, 0, NULL, NULL, &docs, NULL))
		return render_fail(r, file, 0, err, "cannot be read once it is opened");
	for (size_t i = 0; i < docs.n; i++)
		if (json_get(annotations_of(docs.v[i]), STR(SOPS_BINDING)))
			return render_fail(r, file, 0, err,
					   "it is bound to its object: no generator or patch may "
					   "take it");
	return 0;
}

/* ---- what became of it ---- */

/* Whether a value that stands nowhere in the sources holds one of the bound ones. */
static bool holds(const struct render_binding *b, struct str text)
{
	struct buf raw = {0};
	bool coded = text.n && base64_decode(text, &raw) == 0, yes = false;

	for (size_t i = 0; i < b->nvalues && !yes; i++)
		yes = str_find(text, b->values[i]) >= 0 ||
		      (coded && str_find(buf_view(&raw), b->values[i]) >= 0);
	buf_wipe(&raw);
	return yes;
}

static bool is_for(const struct render_binding *b, const struct rendered_object *o)
{
	return str_eq(o->kind, b->to.kind) && str_eq(o->namespace, b->to.namespace) &&
	       str_eq(o->name, b->to.name);
}

/* Whose a bound value is: by its place, by what it says, or, when only a part of one was taken,
 * that of the object it has come to, if any is. */
static const struct render_binding *binding_of(const struct render *r, const struct json *v,
					       const struct rendered_object *o)
{
	const struct yaml_src *src = yaml_src_of(&r->out->srcs, v);

	for (size_t i = 0; src && i < r->nbindings; i++)
		if (src->file == r->bindings[i].file && src->doc == r->bindings[i].doc)
			return &r->bindings[i];
	for (size_t i = 0; i < r->nbindings; i++)
		if (holds(&r->bindings[i], json_str(v)))
			return &r->bindings[i];
	for (size_t i = 0; i < r->nbindings; i++)
		if (is_for(&r->bindings[i], o))
			return &r->bindings[i];
	return &r->bindings[0];
}

struct checking {
	struct render *r;
	const struct rendered_object *o;
	struct err *err;
};

static int check_leaf(struct checking *c, const struct json *v, struct str key)
{
	const struct rendered_object *o = c->o;
	const struct render_binding *b;

	if (!(v->flags & JSON_F_BOUND))
		return 0;
	b = binding_of(c->r, v, o);
	if (!is_for(b, o))
		return render_fail(
			c->r, o->file, o->line, c->err,
			"%.*s %.*s/%.*s holds what %.*s encrypts for %.*s %.*s/%.*s only",
			STR_ARG(o->kind), STR_ARG(o->namespace), STR_ARG(o->name),
			STR_ARG(c->r->out->files.v[b->file].path), STR_ARG(b->to.kind),
			STR_ARG(b->to.namespace), STR_ARG(b->to.name));
	if (b->to.keys.n && key.p && !sops_binding_has(&b->to, key))
		return render_fail(c->r, o->file, o->line, c->err,
				   "key %.*s holds what %.*s encrypts for other keys", STR_ARG(key),
				   STR_ARG(c->r->out->files.v[b->file].path));
	return 0;
}

static bool is_data(struct str field)
{
	return str_is(field, "data") || str_is(field, "stringData") || str_is(field, "binaryData");
}

/* key: below data and its like; STR_NONE elsewhere. */
static int check_below(struct checking *c, const struct json *v, struct str key, unsigned depth)
{
	const struct json_member *m = json_members(v);

	for (size_t i = 0; m && i < json_len(v); i++)
		if (check_below(c, &m[i].value, depth == 1 ? m[i].key : key,
				depth || is_data(m[i].key) ? depth + 1 : 2))
			return -1;
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		if (check_below(c, json_item(v, i), key, depth + 1))
			return -1;
	return m || json_is(v, JSON_ARRAY) ? 0 : check_leaf(c, v, key);
}

int render_bind_check(struct render *r, const struct rendered_object *o, struct err *err)
{
	struct checking c = {r, o, err};

	return r->nbindings ? check_below(&c, o->tree, STR_NONE, 0) : 0;
}
