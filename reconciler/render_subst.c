/*
 * Post-build variables in rendered objects: values and keys. A plain scalar that held a variable is
 * read anew, so that `replicas: ${n}` becomes a number, as it does where whole texts are
 * substituted; what stands in quotes stays text (Flux loses the quotes on the way, and with them
 * the difference). Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/envsubst.h"
#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

static bool find(void *ctx, struct str name, struct str *ret, bool *sensitive)
{
	const struct render_opts *o = ctx;

	for (size_t i = 0; i < o->nvars; i++) {
		if (str_eq(o->vars[i].name, name)) {
			*ret = o->vars[i].value;
			*sensitive |= o->vars[i].sensitive;
			return true;
		}
	}
	return false;
}

static int text(struct render *r, struct str in, struct buf *out, bool *sensitive, struct err *err)
{
	const struct envsubst e = {.find = find, .ctx = (void *)r->o};

	if (envsubst(&e, in, out, sensitive, err))
		return -1;
	if (!str_is_utf8(buf_view(out)))
		return err_set(err, ERR_INVALID, "not UTF-8 after substitution");
	return 0;
}

/* A list or a map only where it can be seen to be one, not because of a colon in a text. */
static bool typed(struct str s, const struct json *v)
{
	if (json_is(v, JSON_OBJECT))
		return str_starts(s, STR("{"));
	return !json_is(v, JSON_ARRAY) || str_starts(s, STR("["));
}

static void mark(struct json *v, uint8_t flags)
{
	struct json_member *m = json_members(v);

	v->src = 0;
	v->flags |= flags;
	for (size_t i = 0; m && i < json_len(v); i++)
		mark(&m[i].value, flags);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		mark(json_item(v, i), flags);
}

static int fail_at(struct render *r, const struct yaml_src *src, struct err *err)
{
	return src ? render_fail(r, src->file, src->line, err, "%s",
				 arena_cstr(r->a, str_c(err->msg)))
		   : -1;
}

static int scalar(struct render *r, struct json *v, struct err *err)
{
	const struct yaml_src *src = yaml_src_of(&r->out->srcs, v);
	AUTO(buf) struct buf out = {0};
	bool sensitive = false, plain = src && src->style == YAML_PLAIN;
	const struct yaml_limits limits = {.depth = 32, .nodes = 10000};
	struct yaml_docs docs;
	struct str s = json_str(v);
	uint8_t flags = v->flags;

	if (!envsubst_wanted(s))
		return 0;
	if (text(r, s, &out, &sensitive, err))
		return fail_at(r, src, err);
	s = arena_str(r->a, buf_view(&out));
	*v = *json_new_str(r->a, s);
	if (plain && !yaml_parse(r->a, s, 0, NULL, &limits, &docs, NULL) && docs.n == 1 &&
	    typed(s, docs.v[0]))
		*v = *docs.v[0];
	mark(v, flags | (sensitive ? JSON_F_SENSITIVE : 0));
	return 0;
}

/* Names of labels, keys of data: Flux substitutes in them, too. */
static int key(struct render *r, struct json *object, size_t i, struct err *err)
{
	struct json_member *m = &json_members(object)[i];
	AUTO(buf) struct buf out = {0};
	bool sensitive = false;
	struct str name;

	if (!envsubst_wanted(m->key))
		return 0;
	if (text(r, m->key, &out, &sensitive, err))
		return fail_at(r, yaml_src_of(&r->out->srcs, &m->value), err);
	name = arena_str(r->a, buf_view(&out));
	if (str_eq(name, m->key))
		return 0;
	if (json_get(object, name)) {
		err_set(err, ERR_INVALID, "%.*s becomes a key that is there already",
			STR_ARG(m->key));
		return fail_at(r, yaml_src_of(&r->out->srcs, &m->value), err);
	}
	m->key = name;
	return 0;
}

static int walk(struct render *r, struct json *v, struct err *err)
{
	struct json_member *m = json_members(v);

	if (json_is(v, JSON_STRING))
		return scalar(r, v, err);
	for (size_t i = 0; m && i < json_len(v); i++) {
		if (key(r, v, i, err) || walk(r, &m[i].value, err))
			return -1;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		if (walk(r, json_item(v, i), err))
			return -1;
	}
	return 0;
}

int render_substitute(struct render *r, struct json *v, struct err *err)
{
	if (str_is(meta_annotation(v, UNIT_SUBSTITUTE), "disabled") ||
	    str_is(meta_label(v, UNIT_SUBSTITUTE), "disabled"))
		return 0;
	return walk(r, v, err);
}
