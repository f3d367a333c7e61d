/*
 * Post-build variables: ${name}, ${name:-default}, ${name:=default}, ${name-default}; $${x} stands
 * for ${x}. A plain scalar that held a variable is read anew, so that `replicas: ${n}` becomes a
 * number, as it does where whole texts are substituted. Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

#define RESULT_MAX (1u << 20)

static const struct render_var *find(const struct render_opts *o, struct str name)
{
	for (size_t i = 0; i < o->nvars; i++) {
		if (str_eq(o->vars[i].name, name))
			return &o->vars[i];
	}
	return NULL;
}

static bool name_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c != '_' && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(i && c >= '0' && c <= '9'))
			return false;
	}
	return s.n > 0;
}

/* One expression between the braces. */
static int expand(struct render *r, struct str in, struct buf *out, bool *sensitive,
		  struct err *err)
{
	size_t n = 0;
	struct str name, rest;
	const struct render_var *var;
	bool empty_counts;

	while (n < in.n && !strchr(":-=", in.p[n]))
		n++;
	name = str_sub(in, 0, n);
	rest = str_sub(in, n, in.n);
	if (!name_ok(name))
		return err_set(err, ERR_INVALID, "${%.*s}: not a variable", STR_ARG(in));
	empty_counts = str_starts(rest, STR(":"));
	if (empty_counts)
		rest = str_sub(rest, 1, rest.n);
	if (rest.n && rest.p[0] != '-' && rest.p[0] != '=')
		return err_set(err, ERR_INVALID, "${%.*s}: this form is not supported",
			       STR_ARG(in));
	var = find(r->o, name);
	if (var && (var->value.n || !empty_counts || !rest.n)) {
		buf_str(out, var->value);
		*sensitive |= var->sensitive;
	} else if (rest.n) {
		buf_str(out, str_sub(rest, 1, rest.n));
	} else {
		return err_set(err, ERR_INVALID, "variable %.*s is not set", STR_ARG(name));
	}
	return 0;
}

static int text(struct render *r, struct str in, struct buf *out, bool *sensitive, struct err *err)
{
	size_t i = 0;

	while (i < in.n) {
		struct str rest = str_sub(in, i, in.n), head, tail;

		if (str_starts(rest, STR("$${"))) {
			buf_puts(out, "${");
			i += 3;
		} else if (str_starts(rest, STR("${")) &&
			   str_cut(str_sub(rest, 2, rest.n), '}', &head, &tail)) {
			if (expand(r, head, out, sensitive, err))
				return -1;
			i += head.n + 3;
		} else {
			buf_putc(out, in.p[i++]);
		}
		if (out->n > RESULT_MAX)
			return err_set(err, ERR_LIMIT, "too long after substitution");
	}
	return 0;
}

static int scalar(struct render *r, struct json *v, struct err *err)
{
	const struct yaml_src *src = yaml_src_of(&r->out->srcs, v);
	AUTO(buf) struct buf out = {0};
	bool sensitive = false, plain = src && src->style == YAML_PLAIN;
	struct yaml_docs docs;
	struct str s = json_str(v);
	uint8_t flags = v->flags;

	if (str_find(s, STR("${")) < 0)
		return 0;
	if (text(r, s, &out, &sensitive, err))
		return src ? render_fail(r, src->file, src->line, err, "%s",
					 arena_cstr(r->a, str_c(err->msg)))
			   : -1;
	*v = *json_new_str(r->a, buf_view(&out));
	if (plain &&
	    !yaml_parse(r->a, arena_str(r->a, buf_view(&out)), 0, NULL, NULL, &docs, NULL) &&
	    docs.n == 1 && !json_is(docs.v[0], JSON_OBJECT) && !json_is(docs.v[0], JSON_ARRAY))
		*v = *docs.v[0];
	v->src = 0;
	v->flags = flags | (sensitive ? JSON_F_SENSITIVE : 0);
	return 0;
}

static int walk(struct render *r, struct json *v, struct err *err)
{
	struct json_member *m = json_members(v);

	if (json_is(v, JSON_STRING))
		return scalar(r, v, err);
	for (size_t i = 0; m && i < json_len(v); i++) {
		if (walk(r, &m[i].value, err))
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
