/* JSON patch and merge patch: every result is a new tree, the input stays as it was. Pure. */
#include <inttypes.h>

#include "lib/json/patch.h"

#include "lib/json/index.h"

#include "lib/base/pure.h"

#define OPS_MAX 10000
#define GROWTH_MAX (3 << 20) /* bytes that `copy` operations may add */

/* ---- pointers ---- */

void pointer_push(struct buf *pointer, struct str token)
{
	buf_putc(pointer, '/');
	for (size_t i = 0; i < token.n; i++) {
		if (token.p[i] == '~')
			buf_puts(pointer, "~0");
		else if (token.p[i] == '/')
			buf_puts(pointer, "~1");
		else
			buf_putc(pointer, token.p[i]);
	}
}

static struct str token_unescape(struct arena *a, struct str token)
{
	char *out = arena_cstr(a, token);
	size_t n = 0;

	for (size_t i = 0; i < token.n; i++, n++) {
		out[n] = token.p[i];
		if (token.p[i] == '~' && i + 1 < token.n)
			out[n] = token.p[++i] == '1' ? '/' : '~';
	}
	return (struct str){out, n};
}

/* Splits "/a/b/c" into the parent's pointer "/a/b" and the last token "c". False for "" and what
 * has no '/'. */
static bool pointer_split(struct arena *a, struct str pointer, struct str *ret_parent,
			  struct str *ret_token)
{
	if (!pointer.n || pointer.p[0] != '/' || !str_rcut(pointer, '/', ret_parent, ret_token))
		return false;
	*ret_token = token_unescape(a, *ret_token);
	return true;
}

/* ---- JSON patch ---- */

static const struct json null = {.type = JSON_NULL};

struct patching {
	struct arena *a;
	struct json *doc;
	size_t grown;
	struct err *err;
};

static int no_path(struct patching *p, const char *op, struct str path)
{
	return err_set(p->err, ERR_INVALID,
		       "%s operation does not apply: doc is missing path: \"%.*s\": missing value",
		       op, (int)MIN(path.n, 200), path.p);
}

/* An index into an array of n items; `end` allows n itself and "-". */
static bool array_index(struct str token, size_t n, bool end, size_t *ret)
{
	uint64_t i;

	if (end && str_is(token, "-")) {
		*ret = n;
		return true;
	}
	if (str_to_u64(token, &i) || (token.n > 1 && token.p[0] == '0') || token.p[0] == '+')
		return false;
	*ret = (size_t)i;
	return i < n || (end && i == n);
}

static int op_add(struct patching *p, const char *op, struct str path, const struct json *value)
{
	struct str parent_path, token;
	struct json *parent;
	size_t i;

	if (!path.n) {
		p->doc = json_copy(p->a, value);
		return 0;
	}
	if (!pointer_split(p->a, path, &parent_path, &token))
		return no_path(p, op, path);
	parent = json_pointer(p->doc, parent_path);
	if (json_is(parent, JSON_OBJECT)) {
		json_set(p->a, parent, token, json_copy(p->a, value));
		return 0;
	}
	if (!json_is(parent, JSON_ARRAY) || !array_index(token, parent->n, true, &i))
		return no_path(p, op, path);
	json_insert(p->a, parent, i, json_copy(p->a, value));
	return 0;
}

static int op_remove(struct patching *p, const char *op, struct str path)
{
	struct str parent_path, token;
	struct json *parent;
	size_t i;

	if (!pointer_split(p->a, path, &parent_path, &token))
		return no_path(p, op, path);
	parent = json_pointer(p->doc, parent_path);
	if (json_is(parent, JSON_OBJECT) && json_del(parent, token))
		return 0;
	if (!json_is(parent, JSON_ARRAY) || !array_index(token, parent->n, false, &i))
		return no_path(p, op, path);
	json_remove(parent, i);
	return 0;
}

/* The object that `path` names a member of, NULL when it names anything else. */
static struct json *owner(struct patching *p, struct str path, struct str *ret_token)
{
	struct str parent_path;
	struct json *parent;

	if (!pointer_split(p->a, path, &parent_path, ret_token))
		return NULL;
	parent = json_pointer(p->doc, parent_path);
	return json_is(parent, JSON_OBJECT) ? parent : NULL;
}

/* An object's member needn't be there to be replaced, nor to be copied as null: so it is with
 * Kubernetes' servers, and clients rely on it. */
static int op_replace(struct patching *p, struct str path, const struct json *value)
{
	struct json *slot = json_pointer(p->doc, path), *parent;
	struct str token;

	parent = slot ? NULL : owner(p, path, &token);
	if (parent)
		slot = json_add(p->a, parent, token, NULL);
	if (!slot)
		return no_path(p, "replace", path);
	*slot = *json_copy(p->a, value);
	return 0;
}

static int op_test(struct patching *p, struct str path, const struct json *value)
{
	const struct json *slot = json_pointer(p->doc, path);

	if (json_equal(slot ? slot : &null, value))
		return 0;
	return err_set(p->err, ERR_INVALID, "testing path %.*s: test failed", (int)MIN(path.n, 200),
		       path.p);
}

static int op_copy(struct patching *p, struct str from, struct str path)
{
	const struct json *value = json_pointer(p->doc, from);
	AUTO(buf) struct buf text = {0};
	struct str token;

	if (!value && owner(p, from, &token))
		value = &null;
	if (!value)
		return no_path(p, "copy", from);
	json_write(value, &text);
	p->grown += text.n;
	if (p->grown > GROWTH_MAX)
		return err_set(p->err, ERR_LIMIT, "copy operations add more than %d bytes",
			       GROWTH_MAX);
	return op_add(p, "copy", path, value);
}

static int op_move(struct patching *p, struct str from, struct str path)
{
	const struct json *value = json_copy(p->a, json_pointer(p->doc, from));

	if (!value || op_remove(p, "move", from))
		return no_path(p, "move", from);
	return op_add(p, "move", path, value);
}

/*
 * -1 is the last item, and where something is added, the place behind it: not RFC 6902's, but what
 * Kubernetes and kustomize understand. Written as what it is counted from the front.
 */
static struct str count_back(struct patching *p, struct str path, bool add)
{
	AUTO(buf) struct buf out = {0};
	struct str rest = path, token;

	if (!str_starts(path, STR("/")) || str_find(path, STR("/-")) < 0)
		return path;
	str_next(&rest, '/', &token);
	while (str_next(&rest, '/', &token)) {
		const struct json *in = json_pointer(p->doc, buf_view(&out));
		uint64_t back = 0, n = json_len(in) + (add && !rest.p);
		bool counts = token.n > 1 && token.p[0] == '-' && json_is(in, JSON_ARRAY) &&
			      !str_to_u64(str_sub(token, 1, token.n), &back) && back && back <= n;

		if (counts)
			buf_printf(&out, "/%" PRIu64, n - back);
		else
			buf_printf(&out, "/%.*s", STR_ARG(token));
	}
	return arena_str(p->a, buf_view(&out));
}

static int apply_op(struct patching *p, const struct json *op)
{
	struct str name = json_str(json_get(op, STR("op")));
	const struct json *path_value = json_get(op, STR("path")),
			  *value = json_get(op, STR("value"));
	struct str path = json_str(path_value), from = json_str(json_get(op, STR("from")));

	if (!json_is(op, JSON_OBJECT))
		return err_set(p->err, ERR_BAD_REQUEST, "a patch operation must be an object");

	if (!json_is(path_value, JSON_STRING))
		return err_set(p->err, ERR_INVALID, "a patch operation has no path");
	/* RFC 6902 wants one; Kubernetes takes none for null, and its clients leave out what is
	 * empty. */
	if (!value)
		value = &null;
	if ((str_is(name, "copy") || str_is(name, "move")) &&
	    !json_is(json_get(op, STR("from")), JSON_STRING))
		return err_set(p->err, ERR_INVALID, "patch operation %.*s has no from",
			       STR_ARG(name));
	from = count_back(p, from, false);
	path = count_back(p, path,
			  str_is(name, "add") || str_is(name, "copy") || str_is(name, "move"));
	if (str_is(name, "add"))
		return op_add(p, "add", path, value);
	if (str_is(name, "remove"))
		return op_remove(p, "remove", path);
	if (str_is(name, "replace"))
		return op_replace(p, path, value);
	if (str_is(name, "test"))
		return op_test(p, path, value);
	if (str_is(name, "copy"))
		return op_copy(p, from, path);
	if (str_is(name, "move"))
		return op_move(p, from, path);
	return err_set(p->err, ERR_INVALID, "Unexpected kind: %.*s", (int)MIN(name.n, 50),
		       name.p ? name.p : "");
}

struct json *patch_json(struct arena *a, const struct json *doc, const struct json *ops,
			struct err *err)
{
	struct patching p = {.a = a, .err = err};

	if (json_is(ops, JSON_NULL))
		return json_copy(a, doc);
	if (!json_is(ops, JSON_ARRAY)) {
		err_set(err, ERR_BAD_REQUEST, "a JSON patch must be an array of operations");
		return NULL;
	}
	if (ops->n > OPS_MAX) {
		err_set(err, ERR_TOO_LARGE,
			"The allowed maximum operations in a JSON patch is %d, got %u", OPS_MAX,
			ops->n);
		return NULL;
	}
	p.doc = json_copy(a, doc);
	for (uint32_t i = 0; i < ops->n; i++)
		if (apply_op(&p, &ops->items[i]))
			return NULL;
	return p.doc;
}

/* ---- merge patch ---- */

/* Into `to`, an object that is ours alone to change down to what is copied here. */
static void merge(struct arena *a, struct json *to, const struct json *patch)
{
	AUTO(json_index) struct json_index in_to = json_index_of(to);
	bool *gone = arena_alloc(a, (size_t)to->n + patch->n + 1), any = false;

	for (uint32_t i = 0; i < patch->n; i++) {
		const struct json_member *m = &patch->members[i];
		struct json *slot = json_index_get(&in_to, m->key);

		if (m->value.type == JSON_NULL) {
			if (slot)
				gone[CONTAINER_OF(slot, struct json_member, value) - to->members] =
					any = true;
			continue;
		}
		if (!slot)
			slot = json_add(a, to, m->key, NULL);
		if (m->value.type != JSON_OBJECT) {
			*slot = *json_copy(a, &m->value);
			continue;
		}
		if (slot->type != JSON_OBJECT)
			*slot = (struct json){.type = JSON_OBJECT};
		merge(a, slot, &m->value);
	}
	if (any)
		json_sweep(to, gone);
}

struct json *patch_merge(struct arena *a, const struct json *doc, const struct json *patch)
{
	struct json *to;

	if (!json_is(patch, JSON_OBJECT))
		return json_copy(a, patch);
	to = json_is(doc, JSON_OBJECT) ? json_copy(a, doc) : json_new(a, JSON_OBJECT);
	merge(a, to, patch);
	return to;
}

struct json *patch_merge_diff(struct arena *a, const struct json *from, const struct json *to)
{
	AUTO(json_index) struct json_index in_from = json_index_of(from);
	AUTO(json_index) struct json_index in_to = json_index_of(to);
	struct json *patch;

	if (json_equal(from, to))
		return NULL;
	if (!json_is(from, JSON_OBJECT) || !json_is(to, JSON_OBJECT))
		return json_copy(a, to);
	patch = json_new(a, JSON_OBJECT);
	for (uint32_t i = 0; i < to->n; i++) {
		const struct json_member *m = &to->members[i];
		const struct json *old = json_index_get(&in_from, m->key), *diff;

		diff = old ? patch_merge_diff(a, old, &m->value) : json_copy(a, &m->value);
		if (diff)
			json_add(a, patch, m->key, diff);
	}
	for (uint32_t i = 0; i < from->n; i++)
		if (!json_index_get(&in_to, from->members[i].key))
			json_add(a, patch, from->members[i].key, NULL);
	return patch;
}

/* ---- comparing ---- */

static void diff_at(const struct json *from, const struct json *to, struct buf *path,
		    patch_diff_fn *fn, void *arg);

static void diff_member(const struct json *from, const struct json *to, struct str token,
			struct buf *path, patch_diff_fn *fn, void *arg)
{
	size_t n = path->n;

	pointer_push(path, token);
	diff_at(from, to, path, fn, arg);
	path->n = n;
}

static void diff_objects(const struct json *from, const struct json *to, struct buf *path,
			 patch_diff_fn *fn, void *arg)
{
	AUTO(json_index) struct json_index in_from = json_index_of(from);
	AUTO(json_index) struct json_index in_to = json_index_of(to);

	for (uint32_t i = 0; i < from->n; i++) {
		struct str key = from->members[i].key;

		diff_member(&from->members[i].value, json_index_get(&in_to, key), key, path, fn,
			    arg);
	}
	for (uint32_t i = 0; i < to->n; i++)
		if (!json_index_get(&in_from, to->members[i].key))
			diff_member(NULL, &to->members[i].value, to->members[i].key, path, fn, arg);
}

static void diff_arrays(const struct json *from, const struct json *to, struct buf *path,
			patch_diff_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < MAX(from->n, to->n); i++) {
		AUTO(buf) struct buf token = {0};

		buf_i64(&token, i);
		diff_member(json_item(from, i), json_item(to, i), buf_view(&token), path, fn, arg);
	}
}

static void diff_at(const struct json *from, const struct json *to, struct buf *path,
		    patch_diff_fn *fn, void *arg)
{
	if (from && to && json_equal(from, to))
		return;
	if (json_is(from, JSON_OBJECT) && json_is(to, JSON_OBJECT))
		diff_objects(from, to, path, fn, arg);
	else if (json_is(from, JSON_ARRAY) && json_is(to, JSON_ARRAY))
		diff_arrays(from, to, path, fn, arg);
	else
		fn(arg, path->n ? buf_view(path) : STR(""), from, to);
}

void patch_diff(const struct json *from, const struct json *to, patch_diff_fn *fn, void *arg)
{
	AUTO(buf) struct buf path = {0};

	if (from || to)
		diff_at(from, to, &path, fn, arg);
}
