/*
 * Objects of definitions whose versions somebody else converts: seen in the version that was asked
 * for, written in the one that is stored. What isn't known yet parks the request (core_park.c), in
 * batches. The server's own requests see objects as they are stored: nothing that it does by itself
 * may depend on others. One thread.
 */
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"

#define BATCH_OBJECTS 250
#define BATCH_BYTES (2 << 20)

/* ---- asking ---- */

struct batch {
	const struct kind *to;
	struct str keys[BATCH_OBJECTS], texts[BATCH_OBJECTS];
	size_t n, bytes;
};

void core_convert_call(struct core_call *call, const struct kind *to, const struct str *texts,
		       size_t n)
{
	const struct webhook_client *w = crd_version(to)->crd->converter;
	AUTO(buf) struct buf body = {0};

	conversion_review(to, call->uid, texts, n, &body);
	call->body = arena_str(call->arena, buf_view(&body));
	call->url = arena_str(call->arena, w->url);
	call->namespace = arena_str(call->arena, w->namespace);
	call->service = arena_str(call->arena, w->service);
	call->path = arena_str(call->arena, w->path);
	call->ca_bundle = arena_str(call->arena, w->ca_bundle);
	call->port = w->port;
	call->timeout_ns = 30 * NS_PER_S;
}

static void flush(struct op *op, struct batch *b)
{
	AUTO(buf) struct buf all = {0};
	struct core_call *call;
	char hex[65];

	if (!b->n)
		return;
	for (size_t i = 0; i < b->n; i++)
		buf_str(&all, b->keys[i]);
	sha256_hex(buf_view(&all), hex);
	call = op_call(op, (struct str){hex, 64}, str_c(crd_version(b->to)->crd->name));
	if (call) {
		core_convert_call(call, b->to, b->texts, b->n);
		op_call_many(call, b->keys, b->n);
	}
	b->n = b->bytes = 0;
}

static void want(struct op *op, struct batch *b, struct str key, struct str text)
{
	if (b->n == BATCH_OBJECTS || (b->n && b->bytes + text.n > BATCH_BYTES))
		flush(op, b);
	b->keys[b->n] = key;
	b->texts[b->n++] = text;
	b->bytes += text.n;
}

static struct str key_of(struct op *op, const struct kind *to, struct str text)
{
	char hex[65];

	sha256_hex(text, hex);
	return arena_strf(op->a, "%s/%s/%s %s", to->group, to->plural, to->version, hex);
}

static int failed(struct op *op, const struct kind *to, const char *why)
{
	return err_set(&op->err, ERR_INTERNAL, "conversion webhook for %s/%s, Kind=%s failed: %s",
		       to->group, to->version, to->kind, why);
}

/* The answer's object under that key; NULL with op->err. */
static struct json *accepted(struct op *op, const struct kind *to, const struct recalled *known,
			     const struct json *original)
{
	struct err err = known->err;
	const struct json *v;
	struct json *r = NULL;

	v = err.code == ERR_NONE ? json_parse(op->a, known->body, NULL, &err) : NULL;
	if (v)
		r = conversion_accept(op->a, to, original, v, &err);
	if (!r)
		failed(op, to, err.msg);
	return r;
}

/* ---- reading ---- */

static bool differs(const struct op *op, const struct kind *to, const struct obj *o)
{
	return conversion_asks(to) && !op->req->internal && !conversion_is_of(to, o->api_version);
}

static const struct obj *see_one(struct op *op, const struct kind *to, const struct obj *o)
{
	struct json *tree;
	struct obj *seen;

	if (!differs(op, to, o))
		return o;
	tree = accepted(op, to, op_recall(op, key_of(op, to, o->bytes)), obj_tree(o, op->a));
	seen = tree ? obj_from_json(tree, &op->err) : NULL;
	if (seen)
		core_keep(op->core, seen);
	return seen;
}

int op_see(struct op *op, const struct obj *const *v, size_t n, const struct obj **ret)
{
	const struct kind *to = op->served->kind;
	struct batch *b = NULL;

	for (size_t i = 0; i < n; i++) {
		struct str key;

		if (!differs(op, to, v[i]))
			continue;
		key = key_of(op, to, v[i]->bytes);
		if (op_recall(op, key))
			continue;
		if (!b) {
			b = arena_alloc(op->a, sizeof(*b));
			b->to = to;
		}
		want(op, b, key, v[i]->bytes);
	}
	if (b) {
		flush(op, b);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		ret[i] = see_one(op, to, v[i]);
		if (!ret[i])
			return -1;
	}
	return 0;
}

const struct obj *op_live(struct op *op)
{
	const struct obj *o = table_get(op->served->table, op->req->namespace, op->req->name);

	return o && op_see(op, &o, 1, &o) ? NULL : o;
}

bool op_stuck(const struct op *op)
{
	return op->parked || op->err.code != ERR_NONE;
}

const struct obj *op_like(struct op *op, const struct obj *seen, const struct obj *o)
{
	struct json *tree;
	struct obj *r;

	if (seen == o || !differs(op, op->served->kind, o))
		return o;
	tree = conversion_like(op->a, obj_tree(seen, op->a), obj_tree(o, op->a));
	r = obj_from_json(tree, &op->err);
	if (r)
		core_keep(op->core, r);
	return r;
}

/* ---- writing ---- */

struct json *op_convert(struct op *op, const struct json *o, const struct kind *to)
{
	const struct recalled *known;
	struct batch *b;
	AUTO(buf) struct buf text = {0};
	struct str key;

	json_write(o, &text);
	key = key_of(op, to, buf_view(&text));
	known = op_recall(op, key);
	if (known)
		return accepted(op, to, known, o);
	b = arena_alloc(op->a, sizeof(*b));
	b->to = to;
	want(op, b, key, buf_view(&text));
	flush(op, b);
	return NULL;
}
