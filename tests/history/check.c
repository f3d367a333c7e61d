/*
 * The checker's frame, and its second part: reads and lists against what was known when they were
 * asked. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/history/check-internal.h"

#define WHY_MAX 20 /* flaws that are told of, of each history */

const char *history_flaw_text(enum history_flaw f)
{
	static const char *const texts[] = {
#define X(name, text) text,
		HISTORY_FLAWS(X)
#undef X
	};

	return texts[f];
}

void flaw(struct checker *c, enum history_flaw f, const char *fmt, ...)
{
	va_list ap;

	c->verdict->count[f]++;
	if (c->verdict->total++ >= WHY_MAX)
		return;
	buf_printf(&c->verdict->why, "%s: ", history_flaw_text(f));
	va_start(ap, fmt);
	buf_vprintf(&c->verdict->why, fmt, ap);
	va_end(ap);
	buf_putc(&c->verdict->why, '\n');
}

const struct fact *fact_upto(const struct key_facts *k, uint64_t revision)
{
	size_t lo = 0, hi = k->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->v[mid]->revision <= revision)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? k->v[lo - 1] : NULL;
}

static bool is_deletion(const struct key_facts *k, uint64_t revision)
{
	const struct fact *f = fact_upto(k, revision);

	return f && f->deleted;
}

/* A version that is shown though an acknowledged deletion began after it had been seen. */
static void check_deleted(struct checker *c, const struct history_item *i,
			  const struct history_op *op)
{
	const struct key_facts *k = &c->keys[i->key];
	const struct fact *f = fact_upto(k, i->revision);

	if (f && f->seen_ns < (int64_t)known_before(&k->deletes, op->from_ns))
		flaw(c, H_FLAW_RESURRECTED, "%llu: key %d", (unsigned long long)i->revision,
		     i->key);
}

static void check_get(struct checker *c, const struct history_op *op)
{
	const struct key_facts *k = &c->keys[op->key];
	uint64_t before = known_before(&k->known, op->from_ns);
	const struct fact *newest = fact_upto(k, before);

	if (op->got.revision) {
		if (before > op->got.revision)
			flaw(c, is_deletion(k, before) ? H_FLAW_RESURRECTED : H_FLAW_STALE_READ,
			     "key %d: %llu though %llu was known", op->key,
			     (unsigned long long)op->got.revision, (unsigned long long)before);
		check_deleted(c, &op->got, op);
	} else if (before && newest && !newest->deleted && !may_be_gone(c, newest, op->to_ns)) {
		flaw(c, H_FLAW_VANISHED, "key %d: absent though %llu was known", op->key,
		     (unsigned long long)before);
	}
}

static const struct history_item *listed(const struct history_op *list, int key)
{
	for (size_t i = 0; i < list->nitems; i++)
		if (list->items[i].key == key)
			return &list->items[i];
	return NULL;
}

static void check_listed(struct checker *c, const struct history_op *op, int key)
{
	const struct fact *newest = fact_upto(&c->keys[key], op->revision);
	const struct history_item *i = listed(op, key);
	unsigned long long r = op->revision;

	if (!i) {
		if (newest && !newest->deleted && !may_be_gone(c, newest, op->to_ns))
			flaw(c, H_FLAW_LIST_MISSING, "at %llu: key %d, there since %llu", r, key,
			     (unsigned long long)newest->revision);
		return;
	}
	if (i->revision > op->revision)
		flaw(c, H_FLAW_LIST_MIXED, "at %llu: key %d at %llu", r, key,
		     (unsigned long long)i->revision);
	else if (newest && newest->revision > i->revision)
		flaw(c, newest->deleted ? H_FLAW_RESURRECTED : H_FLAW_LIST_MIXED,
		     "at %llu: key %d at %llu, not %llu", r, key, (unsigned long long)i->revision,
		     (unsigned long long)newest->revision);
	check_deleted(c, i, op);
}

static void check_list(struct checker *c, const struct history_op *op)
{
	uint64_t before = known_before(&c->known, op->from_ns);

	if (before > op->revision)
		flaw(c, H_FLAW_STALE_LIST, "at %llu though %llu was known",
		     (unsigned long long)op->revision, (unsigned long long)before);
	for (int k = 0; k < HISTORY_KEYS_MAX; k++)
		check_listed(c, op, k);
}

void check_reads(struct checker *c)
{
	for (size_t i = 0; i < c->h->nops; i++) {
		const struct history_op *op = &c->h->ops[i];

		if (op->end == H_OK && op->verb == H_GET)
			check_get(c, op);
		else if (op->end == H_OK && op->verb == H_LIST)
			check_list(c, op);
	}
}

void history_check(const struct history *h, struct history_verdict *ret)
{
	AUTO(arena) struct arena a = {0};
	struct checker *c = xalloc(sizeof(*c));

	memset(ret, 0, sizeof(*ret));
	c->h = h;
	c->verdict = ret;
	c->a = &a;
	check_facts(c);
	check_reads(c);
	check_watches(c);
	for (int k = 0; k < HISTORY_KEYS_MAX; k++) {
		free(c->keys[k].known.v);
		free(c->keys[k].deletes.v);
	}
	free(c->known.v);
	free(c->facts);
	free(c);
}
