/*
 * The checker's first half: every answer, list item and event is a statement about one revision.
 * Gathered and put in order they must agree with each other, with the writes that were asked for,
 * and with real time. Pure; memory from the checker's arena and of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/history/check-internal.h"

static void add_known(struct known_list *l, int64_t at_ns, uint64_t max)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = (struct known){at_ns, max};
}

static void add_fact(struct checker *c, const struct history_item *i, bool deleted, int64_t at_ns)
{
	struct fact f = {.revision = i->revision,
			 .key = i->key,
			 .deleted = deleted,
			 .value = i->value,
			 .uid = i->uid,
			 .seen_ns = at_ns};

	if (!i->revision || i->key < 0 || i->key >= HISTORY_KEYS_MAX)
		return;
	add_known(&c->known, at_ns, i->revision);
	add_known(&c->keys[i->key].known, at_ns, i->revision);
	if (c->nfacts == c->cap_facts) {
		c->cap_facts = c->cap_facts ? 2 * c->cap_facts : 256;
		c->facts = xreallocarray(c->facts, c->cap_facts, sizeof(*c->facts));
	}
	c->facts[c->nfacts++] = f;
}

static void gather_op(struct checker *c, const struct history_op *op)
{
	if (op->verb == H_DELETE) {
		struct key_facts *k = &c->keys[op->key];

		if (op->end == H_REFUSED)
			return;
		k->deleters[k->ndeleters++] = op;
		if (op->end == H_OK)
			add_known(&k->deletes, op->to_ns, (uint64_t)op->from_ns);
		return;
	}
	if (op->end != H_OK)
		return;
	if (op->verb == H_LIST) {
		add_known(&c->known, op->to_ns, op->revision);
		for (size_t i = 0; i < op->nitems; i++)
			add_fact(c, &op->items[i], false, op->to_ns);
	} else {
		add_fact(c, &op->got, false, op->to_ns);
	}
}

static void gather(struct checker *c)
{
	const struct history *h = c->h;
	size_t count[HISTORY_KEYS_MAX] = {0};

	for (size_t i = 0; i < h->nops; i++)
		count[h->ops[i].key] += h->ops[i].verb == H_DELETE;
	for (int k = 0; k < HISTORY_KEYS_MAX; k++)
		c->keys[k].deleters = arena_array(c->a, count[k] + 1, sizeof(struct fact *));
	for (size_t i = 0; i < h->nops; i++)
		gather_op(c, &h->ops[i]);
	for (size_t i = 0; i < h->nwatches; i++) {
		const struct history_watch *w = &h->watches[i];
		for (size_t e = 0; e < w->n; e++) {
			if (w->events[e].type == H_BOOKMARK)
				add_known(&c->known, w->events[e].at_ns,
					  w->events[e].item.revision);
			else
				add_fact(c, &w->events[e].item, w->events[e].type == H_DELETED,
					 w->events[e].at_ns);
		}
	}
}

/* ---- order ---- */

static int by_time(const void *a, const void *b)
{
	int64_t x = ((const struct known *)a)->at_ns, y = ((const struct known *)b)->at_ns;

	return x < y ? -1 : x > y;
}

static void sort_known(struct known_list *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_time);
	for (size_t i = 1; i < l->n; i++)
		l->v[i].max = MAX(l->v[i].max, l->v[i - 1].max);
}

uint64_t known_before(const struct known_list *l, int64_t t)
{
	size_t lo = 0, hi = l->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->v[mid].at_ns < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? l->v[lo - 1].max : 0;
}

static int by_revision(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;

	if (x->revision != y->revision)
		return x->revision < y->revision ? -1 : 1;
	return x->seen_ns < y->seen_ns ? -1 : x->seen_ns > y->seen_ns;
}

static bool agree(const struct fact *a, const struct fact *b)
{
	return a->key == b->key && a->deleted == b->deleted && a->uid == b->uid &&
	       (a->deleted || a->value == b->value);
}

static void merge(struct checker *c)
{
	size_t n = 0;

	if (c->nfacts)
		qsort(c->facts, c->nfacts, sizeof(*c->facts), by_revision);
	for (size_t i = 0; i < c->nfacts; i++) {
		struct fact *f = &c->facts[i], *last = n ? &c->facts[n - 1] : NULL;

		if (!last || last->revision != f->revision)
			c->facts[n++] = *f;
		else if (!agree(last, f))
			flaw(c, H_FLAW_SHARED_REVISION,
			     "%llu: key %d value %lld uid %llx%s, and key %d value %lld uid %llx%s",
			     (unsigned long long)f->revision, last->key, (long long)last->value,
			     (unsigned long long)last->uid, last->deleted ? " deleted" : "", f->key,
			     (long long)f->value, (unsigned long long)f->uid,
			     f->deleted ? " deleted" : "");
	}
	c->nfacts = n;
}

static void by_key(struct checker *c)
{
	size_t n[HISTORY_KEYS_MAX] = {0};

	for (size_t i = 0; i < c->nfacts; i++)
		n[c->facts[i].key]++;
	for (int k = 0; k < HISTORY_KEYS_MAX; k++)
		c->keys[k].v = arena_array(c->a, n[k] + 1, sizeof(struct fact *));
	for (size_t i = 0; i < c->nfacts; i++) {
		struct key_facts *k = &c->keys[c->facts[i].key];

		k->v[k->n++] = &c->facts[i];
	}
	for (int k = 0; k < HISTORY_KEYS_MAX; k++) {
		sort_known(&c->keys[k].known);
		sort_known(&c->keys[k].deletes);
	}
	sort_known(&c->known);
}

/* ---- facts and the writes that made them ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = (*(const struct history_op *const *)a)->value;
	int64_t y = (*(const struct history_op *const *)b)->value;

	return x < y ? -1 : x > y;
}

static void index_writes(struct checker *c)
{
	c->writes = arena_array(c->a, c->h->nops + 1, sizeof(*c->writes));
	for (size_t i = 0; i < c->h->nops; i++)
		if (c->h->ops[i].verb < H_DELETE)
			c->writes[c->nwrites++] = &c->h->ops[i];
	if (c->nwrites)
		qsort(c->writes, c->nwrites, sizeof(*c->writes), by_value);
}

static const struct history_op *writer(const struct checker *c, int64_t value)
{
	const struct history_op probe = {.value = value}, *key = &probe, **found = NULL;

	if (c->nwrites)
		found = bsearch(&key, c->writes, c->nwrites, sizeof(*c->writes), by_value);
	return found ? *found : NULL;
}

static void attribute(struct checker *c, struct fact *f)
{
	const struct history_op *op = writer(c, f->value);
	unsigned long long r = f->revision;

	if (f->deleted)
		return;
	if (f->value < 0) {
		flaw(c, H_FLAW_HALF_WRITE, "%llu: key %d", r, f->key);
	} else if (!op || op->key != f->key) {
		flaw(c, H_FLAW_UNKNOWN_VALUE, "%llu: key %d value %lld", r, f->key,
		     (long long)f->value);
	} else if (op->end == H_REFUSED) {
		flaw(c, H_FLAW_REFUSED_SEEN, "%llu: key %d value %lld", r, f->key,
		     (long long)f->value);
	} else {
		f->op = op;
		if (f->seen_ns < op->from_ns)
			flaw(c, H_FLAW_FROM_THE_FUTURE, "%llu: key %d", r, f->key);
		if (op->end == H_OK && op->got.revision != f->revision)
			flaw(c, H_FLAW_WRITTEN_TWICE, "%llu: key %d, acknowledged as %llu", r,
			     f->key, (unsigned long long)op->got.revision);
		uint64_t before = known_before(&c->known, op->from_ns);
		if (before >= f->revision)
			flaw(c, H_FLAW_REVISION_WENT_BACK, "%llu: key %d, %llu was known", r,
			     f->key, (unsigned long long)before);
	}
}

/* Writes without an end that is known may have happened once. */
static void check_twice(struct checker *c)
{
	const struct history_op **seen = arena_array(c->a, c->nfacts + 1, sizeof(*seen));
	size_t n = 0;

	for (size_t i = 0; i < c->nfacts; i++)
		if (c->facts[i].op && c->facts[i].op->end == H_UNKNOWN)
			seen[n++] = c->facts[i].op;
	if (n)
		qsort(seen, n, sizeof(*seen), by_value);
	for (size_t i = 1; i < n; i++)
		if (seen[i] == seen[i - 1])
			flaw(c, H_FLAW_WRITTEN_TWICE, "key %d value %lld", seen[i]->key,
			     (long long)seen[i]->value);
}

static void check_answers(struct checker *c)
{
	for (size_t i = 0; i < c->nwrites; i++) {
		const struct history_op *op = c->writes[i];

		if (op->end == H_OK && (op->got.key != op->key || op->got.value != op->value))
			flaw(c, H_FLAW_WRONG_ANSWER, "%llu: key %d value %lld shown as %lld",
			     (unsigned long long)op->got.revision, op->key, (long long)op->value,
			     (long long)op->got.value);
	}
}

/* ---- one key's versions, each from the one before ---- */

bool may_be_gone(const struct checker *c, const struct fact *f, int64_t by_ns)
{
	const struct key_facts *k = &c->keys[f->key];
	int64_t born = f->op ? f->op->from_ns : INT64_MIN;

	for (size_t i = 0; i < k->n; i++)
		if (k->v[i]->deleted && k->v[i]->revision > f->revision)
			return true;
	for (size_t i = 0; i < k->ndeleters; i++)
		if (k->deleters[i]->from_ns <= by_ns && k->deleters[i]->to_ns >= born)
			return true;
	return false;
}

static bool makes(const struct fact *f)
{
	return !f->op || f->op->verb == H_CREATE || f->op->verb == H_APPLY;
}

/* A creation without a known end, which nobody saw, may stand between two versions. */
static bool may_be_made_between(const struct checker *c, const struct fact *prev,
				const struct fact *f)
{
	int64_t born = prev->op ? prev->op->from_ns : INT64_MIN;

	for (size_t i = 0; i < c->nwrites; i++) {
		const struct history_op *op = c->writes[i];

		if (op->key == f->key && op->end == H_UNKNOWN &&
		    (op->verb == H_CREATE || op->verb == H_APPLY) && op->to_ns >= born &&
		    op->from_ns <= f->seen_ns)
			return true;
	}
	return false;
}

static void check_replacing(struct checker *c, const struct fact *f, const struct fact *prev)
{
	unsigned long long r = f->revision, p = prev->revision;

	if (f->uid == prev->uid) {
		if (f->op && f->op->verb == H_CREATE)
			flaw(c, H_FLAW_CREATED_OVER, "%llu: key %d over %llu", r, f->key, p);
		if (f->op && f->op->verb == H_UPDATE && prev->revision > f->op->expected)
			flaw(c, H_FLAW_TWO_WINNERS, "%llu and %llu: key %d, both replace %llu", p,
			     r, f->key, (unsigned long long)f->op->expected);
		return;
	}
	if (!makes(f) && !may_be_made_between(c, prev, f))
		flaw(c, H_FLAW_UID_CHANGED, "%llu: key %d", r, f->key);
	else if (!may_be_gone(c, prev, f->seen_ns))
		flaw(c, H_FLAW_CREATED_OVER, "%llu: key %d over %llu", r, f->key, p);
}

static bool deleted_by_somebody(const struct checker *c, const struct fact *f,
				const struct fact *prev)
{
	const struct key_facts *k = &c->keys[f->key];
	int64_t born = prev && prev->op ? prev->op->from_ns : INT64_MIN;

	for (size_t i = 0; i < k->ndeleters; i++)
		if (k->deleters[i]->from_ns <= f->seen_ns && k->deleters[i]->to_ns >= born)
			return true;
	return false;
}

static void check_chain(struct checker *c, const struct key_facts *k)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct fact *f = k->v[i], *prev = i ? k->v[i - 1] : NULL;

		if (f->deleted && !deleted_by_somebody(c, f, prev))
			flaw(c, H_FLAW_VANISHED, "%llu: key %d", (unsigned long long)f->revision,
			     f->key);
		if (f->deleted || !prev)
			continue;
		if (!prev->deleted)
			check_replacing(c, f, prev);
		else if (f->uid == prev->uid || (!makes(f) && !may_be_made_between(c, prev, f)))
			flaw(c, H_FLAW_RESURRECTED, "%llu: key %d", (unsigned long long)f->revision,
			     f->key);
	}
}

/* ---- identities ---- */

struct life {
	uint64_t uid;
	int key;
};

static int by_uid(const void *a, const void *b)
{
	const struct life *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static void check_uids(struct checker *c)
{
	struct life *v = arena_array(c->a, c->nfacts + 1, sizeof(*v));
	size_t n = 0;

	for (int k = 0; k < HISTORY_KEYS_MAX; k++)
		for (size_t i = 0; i < c->keys[k].n; i++)
			if (!i || c->keys[k].v[i]->uid != c->keys[k].v[i - 1]->uid)
				v[n++] = (struct life){c->keys[k].v[i]->uid, k};
	if (n)
		qsort(v, n, sizeof(*v), by_uid);
	for (size_t i = 1; i < n; i++)
		if (v[i].uid == v[i - 1].uid)
			flaw(c, H_FLAW_UID_REUSED, "%llx: keys %d and %d",
			     (unsigned long long)v[i].uid, v[i - 1].key, v[i].key);
}

void check_facts(struct checker *c)
{
	gather(c);
	merge(c);
	by_key(c);
	index_writes(c);
	for (size_t i = 0; i < c->nfacts; i++)
		attribute(c, &c->facts[i]);
	check_twice(c);
	check_answers(c);
	for (int k = 0; k < HISTORY_KEYS_MAX; k++)
		check_chain(c, &c->keys[k]);
	check_uids(c);
}
