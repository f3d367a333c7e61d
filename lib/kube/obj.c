/*
 * Objects as shared bytes. The header is read once, when the object is made; whatever else is
 * asked for is parsed on demand. An object is one allocation: header, labels, and the few strings
 * that stand escaped in the bytes.
 *
 * Never changes bytes. Thread-safe after making: only the count moves.
 */
#include "lib/kube/obj.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"

/* Where strings of the header go that don't stand verbatim in the bytes. */
struct header_space {
	struct str bytes;
	char *at;
	size_t need;
};

static bool stands_in(struct str bytes, struct str s)
{
	return s.p >= bytes.p && s.p + s.n <= bytes.p + bytes.n;
}

/* The same bytes as they stand in an object's text; wherever that is. */
static struct str verbatim(struct str bytes, struct str s)
{
	const char *p = memmem(bytes.p, bytes.n, s.p, s.n);

	return p ? (struct str){p, s.n} : STR_NONE;
}

/* Counting pass (at NULL) and copying pass in one, so that they cannot disagree. */
static struct str header_str(struct header_space *h, struct str s)
{
	struct str copy;

	if (!s.n || stands_in(h->bytes, s))
		return s;
	copy = verbatim(h->bytes, s);
	if (copy.p)
		return copy;
	h->need += s.n;
	if (!h->at)
		return s;
	memcpy(h->at, s.p, s.n);
	copy = (struct str){h->at, s.n};
	h->at += s.n;
	return copy;
}

/* What header_fill and header_numbers read. */
static const char *const header_top[] = {"apiVersion", "kind", "metadata", NULL};
static const char *const header_meta[] = {
	"name",       "namespace",         "uid",    "resourceVersion",
	"generation", "deletionTimestamp", "labels", NULL};

static int label_order(const void *a, const void *b)
{
	return str_cmp(((const struct obj_label *)a)->key, ((const struct obj_label *)b)->key);
}

/* Fills what points into text; `labels` NULL = only measure. */
static void header_fill(struct obj *o, struct obj_label *labels, const struct json *tree,
			struct header_space *h)
{
	const struct json *meta = json_at(tree, "metadata"), *map = json_at(meta, "labels");
	const struct json_member *m = json_members(map);

	o->api_version = header_str(h, json_str(json_at(tree, "apiVersion")));
	o->kind = header_str(h, json_str(json_at(tree, "kind")));
	o->namespace = header_str(h, json_str(json_at(meta, "namespace")));
	o->name = header_str(h, json_str(json_at(meta, "name")));
	o->uid = header_str(h, json_str(json_at(meta, "uid")));
	o->nlabels = 0;
	for (size_t i = 0; m && i < json_len(map); i++) {
		struct obj_label l = {header_str(h, m[i].key),
				      header_str(h, json_str(&m[i].value))};

		if (labels)
			labels[o->nlabels] = l;
		o->nlabels++;
	}
}

static void header_numbers(struct obj *o, const struct json *tree)
{
	const struct json *meta = json_at(tree, "metadata");

	if (str_to_u64(json_str(json_at(meta, "resourceVersion")), &o->revision))
		o->revision = 0;
	o->generation = json_int(json_at(meta, "generation"), 0);
	if (time_parse(json_str(json_at(meta, "deletionTimestamp")), &o->deleted_ns))
		o->deleted_ns = 0;
}

/* An object of the block's bytes whose header `tree` shows, NULL with err set when it is NULL. */
static struct obj *with_header(struct block *b, const struct json *tree, struct err *err)
{
	struct header_space h = {.bytes = b->data};
	struct obj measured = {0}, *o;
	struct obj_label *labels;

	if (!tree || !json_is(json_at(tree, "metadata"), JSON_OBJECT) ||
	    !json_str(json_at(tree, "kind")).n) {
		if (tree)
			err_set(err, ERR_PARSE, "an object must have kind and metadata");
		block_unref(b);
		return NULL;
	}
	header_fill(&measured, NULL, tree, &h);
	o = xalloc(sizeof(*o) + measured.nlabels * sizeof(*labels) + h.need);
	labels = (struct obj_label *)(o + 1);
	h.at = (char *)(labels + measured.nlabels);
	header_fill(o, labels, tree, &h);
	header_numbers(o, tree);
	qsort(labels, o->nlabels, sizeof(*labels), label_order);
	o->labels = labels;
	o->bytes = b->data;
	o->block = b;
	o->refs = 1;
	return o;
}

struct obj *obj_from_block(struct block *b, struct err *err)
{
	AUTO(arena) struct arena a = {0};

	return with_header(b, json_parse(&a, b->data, NULL, err), err);
}

/* Members of an object's text by name, parsed; the rest is skipped. */
static struct json *some_members(struct arena *a, struct str text, const char *const *names,
				 struct err *err)
{
	struct json *out = json_new(a, JSON_OBJECT);
	struct json_scan s = {.rest = text};
	struct str key, value;

	while (json_scan_next(&s, &key, &value)) {
		struct json *v;
		size_t i = 0;

		while (names[i] && !str_is(key, names[i]))
			i++;
		if (!names[i])
			continue;
		v = str_is(key, "metadata") && str_starts(value, STR("{"))
			    ? some_members(a, value, header_meta, err)
			    : json_parse(a, value, NULL, err);
		if (!v)
			return NULL;
		json_add_borrowed(a, out, key, v);
	}
	return out;
}

struct obj *obj_from_written(struct block *b, struct err *err)
{
	AUTO(arena) struct arena a = {0};

	return with_header(b, some_members(&a, b->data, header_top, err), err);
}

struct obj *obj_from_bytes(struct str bytes, struct err *err)
{
	return obj_from_block(block_new(bytes), err);
}

struct obj *obj_from_json(const struct json *v, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	/* Objects stay for long: their block is made to measure. */
	buf_reserve(&text, 4096);
	json_write(v, &text);
	return with_header(block_new(buf_view(&text)), v, err);
}

struct obj *obj_ref(const struct obj *o)
{
	struct obj *shared = (struct obj *)(uintptr_t)o;

	atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
	return shared;
}

void obj_unref(const struct obj *o)
{
	struct obj *shared = (struct obj *)(uintptr_t)o;

	if (!o || atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
		return;
	block_unref(shared->block);
	free(shared);
}

void obj_cleanup(struct obj **o)
{
	obj_unref(*o);
}

const struct json *obj_tree(const struct obj *o, struct arena *a)
{
	struct err err = {0};
	const struct json *tree = json_parse(a, o->bytes, NULL, &err);

	if (!tree)
		panic("an object of ours does not parse: %s", err.msg);
	return tree;
}

/* The text of a member, STR_NONE when it isn't there. */
static struct str member_text(struct str text, const char *name)
{
	struct json_scan s = {.rest = text};
	struct str key, value;

	while (json_scan_next(&s, &key, &value))
		if (str_is(key, name))
			return value;
	return STR_NONE;
}

bool obj_mentions(const struct obj *o, const char *member)
{
	char quoted[64];
	int n = snprintf(quoted, sizeof(quoted), "\"%s\"", member);

	return n >= (int)sizeof(quoted) || str_find(o->bytes, (struct str){quoted, (size_t)n}) >= 0;
}

const struct json *obj_controller(const struct obj *o, struct arena *a)
{
	if (!obj_mentions(o, "ownerReferences"))
		return NULL;

	struct str meta = member_text(o->bytes, "metadata");
	struct str owners = meta.p ? member_text(meta, "ownerReferences") : STR_NONE;
	const struct json *all = owners.p ? json_parse(a, owners, NULL, NULL) : NULL;

	for (size_t i = 0; i < json_len(all); i++)
		if (json_bool(json_get(json_item(all, i), STR("controller")), false))
			return json_item(all, i);
	return NULL;
}

struct str obj_label(const struct obj *o, struct str key)
{
	size_t lo = 0, hi = o->nlabels;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = str_cmp(o->labels[mid].key, key);

		if (!order)
			return o->labels[mid].value;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return STR_NONE;
}

struct str obj_key(struct arena *a, struct str namespace, struct str name)
{
	if (!namespace.n)
		return arena_str(a, name);
	return arena_strf(a, "%.*s/%.*s", STR_ARG(namespace), STR_ARG(name));
}

void obj_key_split(struct str key, struct str *ret_namespace, struct str *ret_name)
{
	if (str_cut(key, '/', ret_namespace, ret_name))
		return;
	*ret_name = key;
	*ret_namespace = STR_NONE;
}

void api_version_split(struct str api_version, struct str *ret_group, struct str *ret_version)
{
	if (str_cut(api_version, '/', ret_group, ret_version))
		return;
	*ret_version = api_version;
	*ret_group = STR("");
}
