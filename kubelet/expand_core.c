/*
 * Environment, $(VAR) expansion and the downward API. Never reads beyond what it is given; the
 * environment is bounded in count and bytes. Pure; results are in the caller's arena.
 */
#include "kubelet/expand_core.h"

#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

bool env_name_ok(struct str s)
{
	if (s.n == 0 || s.n > 4096)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x20 || c > 0x7e || c == '=')
			return false;
	}
	return true;
}

int env_set(struct arena *a, struct env *e, struct str name, struct str value, struct err *err)
{
	if (!env_name_ok(name))
		return err_set(err, ERR_INVALID, "a name can't be an environment variable's");
	if (memchr(value.n ? value.p : "", 0, value.n))
		return err_set(err, ERR_INVALID, "the value of %.*s holds a NUL byte",
			       STR_ARG(name));
	e->bytes += name.n + value.n + 2;
	if (e->bytes > ENV_BYTES_MAX || e->n >= ENV_MAX)
		return err_set(err, ERR_LIMIT, "the environment is too big");
	for (size_t i = 0; i < e->n; i++) {
		if (str_eq(e->v[i].name, name)) {
			e->v[i].value = value;
			e->v[i].hidden = false;
			return 0;
		}
	}
	if (e->n == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : 32;
		struct env_var *more = arena_array(a, cap, sizeof(*more));
		if (e->n)
			memcpy(more, e->v, e->n * sizeof(*more));
		e->v = more;
		e->cap = cap;
	}
	e->v[e->n++] = (struct env_var){name, value, false};
	return 0;
}

void env_hide(struct env *e)
{
	for (size_t i = 0; i < e->n; i++)
		e->v[i].hidden = true;
}

struct str env_get(const struct env *e, struct str name)
{
	for (size_t i = 0; i < e->n; i++) {
		if (str_eq(e->v[i].name, name))
			return e->v[i].value.p ? e->v[i].value : STR("");
	}
	return STR_NONE;
}

static struct str visible(const struct env *e, struct str name)
{
	for (size_t i = 0; i < e->n; i++) {
		if (e->v[i].hidden && str_eq(e->v[i].name, name))
			return STR_NONE;
	}
	return env_get(e, name);
}

/* ret_missing: the first name that has no value; STR_NONE when all have one. */
static struct str expand(struct arena *a, struct str text, const struct env *e,
			 struct str *ret_missing)
{
	AUTO(buf) struct buf out = {0};
	size_t i = 0;

	*ret_missing = STR_NONE;
	if (str_find(text, STR("$")) < 0)
		return text;
	while (i < text.n && out.n <= ENV_BYTES_MAX) {
		struct str rest = str_sub(text, i + 1, text.n);
		ptrdiff_t end;
		if (text.p[i] != '$' || rest.n == 0) {
			buf_putc(&out, text.p[i++]);
			continue;
		}
		if (rest.p[0] == '$') {
			buf_putc(&out, '$');
			i += 2;
			continue;
		}
		end = rest.p[0] == '(' ? str_find(rest, STR(")")) : -1;
		if (end < 0) {
			buf_putc(&out, '$');
			i++;
			continue;
		}
		struct str name = str_sub(rest, 1, (size_t)end - 1), value = visible(e, name);
		if (value.p)
			buf_str(&out, value);
		else
			buf_put(&out, text.p + i, (size_t)end + 2);
		if (!value.p && !ret_missing->p)
			*ret_missing = name;
		i += (size_t)end + 2;
	}
	return out.n ? arena_str(a, buf_view(&out)) : STR("");
}

struct str expand_vars(struct arena *a, struct str text, const struct env *e)
{
	struct str missing;

	return expand(a, text, e, &missing);
}

int expand_all_vars(struct arena *a, struct str text, const struct env *e, struct str *ret,
		    struct err *err)
{
	struct str missing;

	*ret = expand(a, text, e, &missing);
	if (missing.p)
		return err_set(err, ERR_INVALID, "missing value for \"%.*s\"", STR_ARG(missing));
	return 0;
}

static int by_key(const void *x, const void *y)
{
	const struct json_member *const *l = x, *const *r = y;

	return str_cmp((*l)->key, (*r)->key);
}

/* key="value" lines in the keys' order, as kube formats maps; values quoted as Go's %q does for
 * plain text. */
static struct str format_map(struct arena *a, const struct json *map)
{
	AUTO(buf) struct buf out = {0};
	const struct json_member *m = json_members(map);
	const struct json_member **sorted = arena_array(a, json_len(map) + 1, sizeof(*sorted));

	for (size_t i = 0; i < json_len(map); i++)
		sorted[i] = &m[i];
	qsort(sorted, json_len(map), sizeof(*sorted), by_key);
	for (size_t i = 0; i < json_len(map); i++) {
		if (out.n)
			buf_putc(&out, '\n');
		buf_str(&out, sorted[i]->key);
		buf_putc(&out, '=');
		json_write_string(json_str(&sorted[i]->value), &out);
	}
	return out.n ? arena_str(a, buf_view(&out)) : STR("");
}

/* metadata.labels['key'] or ["key"]; *ret_key points into path. */
static bool subscript(struct str path, struct str field, struct str *ret_key)
{
	struct str rest;

	if (!str_starts(path, field))
		return false;
	rest = str_sub(path, field.n, path.n);
	if (rest.n < 5 || rest.p[0] != '[' || rest.p[rest.n - 1] != ']' ||
	    (rest.p[1] != '\'' && rest.p[1] != '"') || rest.p[rest.n - 2] != rest.p[1])
		return false;
	*ret_key = str_sub(rest, 2, rest.n - 4);
	return true;
}

int field_value(struct arena *a, const struct field_ctx *ctx, struct str path, struct str *ret,
		struct err *err)
{
	const struct json *meta = json_at(ctx->pod, "metadata");
	const struct json *spec = json_at(ctx->pod, "spec");
	struct str key;

	if (str_is(path, "metadata.name"))
		*ret = json_str(json_at(meta, "name"));
	else if (str_is(path, "metadata.namespace"))
		*ret = json_str(json_at(meta, "namespace"));
	else if (str_is(path, "metadata.uid"))
		*ret = json_str(json_at(meta, "uid"));
	else if (str_is(path, "spec.nodeName"))
		*ret = json_str(json_at(spec, "nodeName"));
	else if (str_is(path, "spec.serviceAccountName"))
		*ret = json_str_or(json_at(spec, "serviceAccountName"), STR("default"));
	else if (str_is(path, "status.podIP") || str_is(path, "status.podIPs"))
		*ret = ctx->pod_ip;
	else if (str_is(path, "status.hostIP") || str_is(path, "status.hostIPs"))
		*ret = ctx->host_ip;
	else if (str_is(path, "metadata.labels"))
		*ret = format_map(a, json_at(meta, "labels"));
	else if (str_is(path, "metadata.annotations"))
		*ret = format_map(a, json_at(meta, "annotations"));
	else if (subscript(path, STR("metadata.labels"), &key))
		*ret = json_str(json_get(json_at(meta, "labels"), key));
	else if (subscript(path, STR("metadata.annotations"), &key))
		*ret = json_str(json_get(json_at(meta, "annotations"), key));
	else
		return err_set(err, ERR_INVALID, "fieldPath %.*s is not supported", STR_ARG(path));
	return 0;
}

int resource_field_value(struct arena *a, const struct json *container,
			 const struct node_resources *node, const struct json *ref, struct str *ret,
			 struct err *err)
{
	struct str what = json_str(json_at(ref, "resource")), list, name;
	struct quantity q, divisor;
	__int128 unit = (__int128)1000000000;

	if (!str_cut(what, '.', &list, &name) ||
	    (!str_is(list, "limits") && !str_is(list, "requests")))
		return err_set(err, ERR_INVALID, "resource %.*s is not supported", STR_ARG(what));
	bool cpu = str_is(name, "cpu");
	const struct json *set = json_get(json_get(json_at(container, "resources"), list), name);
	if (!set && str_is(list, "requests"))
		set = json_get(json_at(container, "resources", "limits"), name);
	if (quantity_parse(json_str(set), &q)) {
		int64_t all = str_is(name, "memory") ? node->memory : node->storage;
		bool none = str_is(list, "requests");
		q.nano = none ? 0 : cpu ? (__int128)node->cpu_m * 1000000 : (__int128)all * unit;
	}
	if (quantity_parse(json_str(json_at(ref, "divisor")), &divisor) || divisor.nano <= 0)
		divisor.nano = unit;
	/* Rounded up, as kube does. */
	int64_t n = (int64_t)((q.nano + divisor.nano - 1) / divisor.nano);
	*ret = arena_strf(a, "%lld", (long long)n);
	return 0;
}
