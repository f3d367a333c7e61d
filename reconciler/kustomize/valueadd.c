/*
 * ValueAddTransformer: one text into many fields, as it is or as a part of a path that stands
 * there. Pure. Memory: the caller's arena.
 */
#include "reconciler/kustomize/engine.h"
#include "reconciler/kustomize/fieldpath.h"

#include "lib/base/pure.h"

/* Before the part `at` (from 0) of a path, or behind its last; a leading slash stays where it is.
 */
static struct str insert_part(struct arena *a, struct str path, int64_t at, struct str part)
{
	AUTO(buf) struct buf out = {0};
	struct str one;
	bool put = false;

	if (str_starts(path, STR("/"))) {
		buf_putc(&out, '/');
		path = str_sub(path, 1, path.n);
	}
	for (int64_t i = 0; path.n && str_next(&path, '/', &one); i++) {
		if (i == at) {
			buf_str(&out, part);
			buf_putc(&out, '/');
			put = true;
		}
		buf_str(&out, one);
		if (path.n)
			buf_putc(&out, '/');
	}
	if (!put) {
		if (out.n && out.p[out.n - 1] != '/')
			buf_putc(&out, '/');
		buf_str(&out, part);
	}
	return arena_str(a, buf_view(&out));
}

static int add_to(struct arena *a, struct kres *r, struct str value, const struct json *target,
		  struct err *err)
{
	int64_t at = json_int(json_get(target, STR("filePathPosition")), 0);
	struct field_path path =
		field_path_split(a, json_str(json_get(target, STR("fieldPath"))), '/');
	struct json *v = r->tree;

	for (size_t i = 0; i < path.n; i++) {
		if (!json_is(v, JSON_OBJECT))
			return err_set(err, ERR_INVALID, "%.*s %.*s: %.*s stands in no map",
				       STR_ARG(kres_id(r).kind), STR_ARG(kres_id(r).name),
				       STR_ARG(path.v[i]));
		v = json_get(v, path.v[i]) && !json_is(json_get(v, path.v[i]), JSON_NULL)
			    ? json_get(v, path.v[i])
			    : json_set(a, v, path.v[i],
				       &(struct json){.type = i + 1 < path.n ? JSON_OBJECT
									     : JSON_NULL});
	}
	if (!field_is_scalar(v))
		return err_set(err, ERR_INVALID, "a value is expected there");
	if (at > 0)
		value = insert_part(a, field_text(a, v), at - 1, value);
	*v = *json_new_str(a, value);
	return 0;
}

int kustomize_value_add(struct arena *a, struct kres_list *l, struct str value,
			const struct json *target, struct err *err)
{
	const struct json *selector = json_get(target, STR("selector"));
	struct str path = json_str(json_get(target, STR("fieldPath")));
	const struct knamespace n = {.value = json_new_str(a, value)};

	if (!path.n)
		return err_set(err, ERR_INVALID, "a target needs a fieldPath");
	if (json_int(json_get(target, STR("filePathPosition")), 0) < 0)
		return err_set(err, ERR_INVALID, "filePathPosition is counted from 1");
	for (size_t i = 0; i < l->n; i++) {
		struct kres_list one = {.v = &l->v[i], .n = 1};
		bool hit = true;

		if (selector && kustomize_selects(&l->v[i], selector, &hit, err))
			return -1;
		if (!hit)
			continue;
		if (str_is(path, "metadata/namespace") ? kustomize_namespace(a, &one, &n, err)
						       : add_to(a, &l->v[i], value, target, err))
			return -1;
	}
	return 0;
}
