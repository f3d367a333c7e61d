/*
 * Watches of versions that somebody else converts: an event waits until its object is known in the
 * watcher's version, and later events wait behind it. What was converted is kept for a while, so
 * that many watchers cost one call. Must never show an object in another version than was asked
 * for. One thread; the cache is bounded and the core's.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"

#define CACHE_MAX 2048
#define BATCH_MAX 128

struct converted {
	struct list all;
	struct obj *o; /* NULL: it failed, err says how */
	char *key;
	struct err err;
};

struct conversions {
	struct map by_key;
	struct list all; /* oldest first */
	size_t n;
	struct list asking; /* struct asking */
	bool news;          /* an answer came: those who wait may go on */
};

struct asking {
	struct list all;
	struct core *core;
	const struct kind *kind;
	struct obj *v[BATCH_MAX];
	size_t n;
};

/* ---- the cache ---- */

static struct conversions *cache_of(struct core *c)
{
	if (!c->conversions) {
		c->conversions = xalloc(sizeof(*c->conversions));
		list_init(&c->conversions->all);
		list_init(&c->conversions->asking);
	}
	return c->conversions;
}

static void forget(struct conversions *cs, struct converted *v)
{
	map_del(&cs->by_key, str_c(v->key));
	list_remove(&v->all);
	cs->n--;
	obj_unref(v->o);
	free(v->key);
	free(v);
}

static char *key_of(const struct kind *k, const struct obj *o)
{
	const struct crd *d = crd_version(k)->crd;
	char hex[65];

	sha256_hex(o->bytes, hex);
	/* A definition that changed converts anew. */
	return xasprintf("%p %s %s %s", (const void *)d, d->name, k->version, hex);
}

static void learn(struct core *c, const struct kind *k, const struct obj *original,
		  const struct json *item, const struct err *why)
{
	AUTO(arena) struct arena a = {0};
	struct conversions *cs = cache_of(c);
	struct converted *v = xalloc(sizeof(*v)), *old;
	struct json *tree = NULL;

	v->key = key_of(k, original);
	if (why)
		v->err = *why;
	else
		tree = conversion_accept(&a, k, obj_tree(original, &a), item, &v->err);
	if (tree)
		v->o = obj_from_json(tree, &v->err);
	old = map_get(&cs->by_key, str_c(v->key));
	if (old)
		forget(cs, old);
	map_set(&cs->by_key, str_c(v->key), v);
	list_append(&cs->all, &v->all);
	if (++cs->n > CACHE_MAX)
		forget(cs, CONTAINER_OF(cs->all.next, struct converted, all));
}

int watch_seen(struct core *c, const struct kind *k, const struct obj *o, const struct obj **ret,
	       struct err *err)
{
	struct converted *v;
	char *key;

	*ret = o;
	if (!conversion_asks(k) || conversion_is_of(k, o->api_version))
		return 0;
	*ret = NULL;
	key = key_of(k, o);
	v = map_get(&cache_of(c)->by_key, str_c(key));
	free(key);
	if (!v)
		return 0;
	if (v->o) {
		*ret = v->o;
		return 0;
	}
	*err = v->err;
	forget(c->conversions, v); /* who asks again is told anew */
	return err_wrap(err, "conversion webhook for %s/%s, Kind=%s failed", k->group, k->version,
			k->kind);
}

/* ---- asking ---- */

static void asking_free(struct asking *q)
{
	list_remove(&q->all);
	for (size_t i = 0; i < q->n; i++)
		obj_unref(q->v[i]);
	free(q);
}

static void answered(struct core *c, void *arg, struct str body, const char *uid,
		     const struct err *why)
{
	AUTO(arena) struct arena a = {0};
	struct asking *q = arg;
	const struct json *list = NULL;
	struct err err = {0};

	if (why)
		err = *why;
	else
		list = conversion_answer(&a, body, uid, q->n, &err);
	for (size_t i = 0; i < q->n; i++)
		learn(c, q->kind, q->v[i], list ? json_item(list, i) : NULL, list ? NULL : &err);
	c->conversions->news = true;
	asking_free(q);
}

bool watch_is_asking(struct core *c, const struct kind *k)
{
	LIST_FOREACH (it, &cache_of(c)->asking)
		if (CONTAINER_OF(it, struct asking, all)->kind == k)
			return true;
	return false;
}

void watch_ask(struct core *c, const struct kind *k, const struct obj *const *v, size_t n)
{
	struct asking *q;
	struct core_call *call;
	struct str texts[BATCH_MAX];
	struct err err = {0};

	if (watch_is_asking(c, k) || !n)
		return;
	q = xalloc(sizeof(*q));
	q->core = c;
	q->kind = k;
	list_init(&q->all);
	for (; q->n < n && q->n < BATCH_MAX; q->n++) {
		q->v[q->n] = obj_ref(v[q->n]);
		texts[q->n] = v[q->n]->bytes;
	}
	list_append(&cache_of(c)->asking, &q->all);
	call = core_call_new(c, str_c(crd_version(k)->crd->name), answered, q);
	if (!call) {
		err_set(&err, ERR_UNAVAILABLE, "too many calls are under way");
		answered(c, q, STR_NONE, "", &err);
		return;
	}
	core_convert_call(call, k, texts, q->n);
	core_call_go(c, call);
}

bool watch_has_news(struct core *c)
{
	bool news = c->conversions && c->conversions->news;

	if (news)
		c->conversions->news = false;
	return news;
}

void watch_conversions_free(struct core *c)
{
	struct conversions *cs = c->conversions;

	if (!cs)
		return;
	LIST_FOREACH (it, &cs->all)
		forget(cs, CONTAINER_OF(it, struct converted, all));
	LIST_FOREACH (it, &cs->asking)
		asking_free(CONTAINER_OF(it, struct asking, all));
	map_release(&cs->by_key);
	free(cs);
	c->conversions = NULL;
}
