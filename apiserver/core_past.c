/*
 * A table as it was: lists at an exact older version. It is made of the rows that stand now, with
 * every change after that version taken back, as far as the watch log reaches; what lies before is
 * gone and said to be. Costs the table once more and the changes since. Core's thread; results live
 * as long as the turn.
 */
#include <stdlib.h>

#include "apiserver/core-internal.h"

/* What one object was before a change: old NULL = not there. */
struct was {
	const struct obj *key, *old;
	size_t at; /* the change's place among all */
};

struct past {
	struct op *op;
	struct was *v;
	size_t n, cap;
};

static void note(struct past *p, const struct obj *old, const struct obj *new)
{
	struct str namespace = p->op->req->namespace;

	if (namespace.n && !str_eq(new->namespace, namespace))
		return;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct was *v = arena_array(p->op->a, cap, sizeof(*v));

		for (size_t i = 0; i < p->n; i++)
			v[i] = p->v[i];
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n] = (struct was){.key = new, .old = old, .at = p->n};
	p->n++;
}

static void collect(struct past *p, uint64_t revision)
{
	struct table *t = p->op->served->table;
	const struct core *c = p->op->core;

	for (uint64_t seq = t->log_first; seq < t->log_first + t->log_n; seq++) {
		const struct event *e = watch_log_at(t, seq);

		if (e->revision > revision)
			note(p, e->old, e->new);
	}
	/* The running turn's are not in the log before they are committed. */
	for (size_t i = 0; i < c->nchanges; i++)
		if (c->changes[i].table == t && c->changes[i].event_new->revision > revision)
			note(p, c->changes[i].old, c->changes[i].event_new);
}

static int by_key(const void *a, const void *b)
{
	const struct was *x = a, *y = b;
	int order = table_order(x->key, y->key->namespace, y->key->name);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Of each object the first change counts: what it was before that is what it was then. */
static void keep_first(struct past *p)
{
	size_t n = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_key);
	for (size_t i = 0; i < p->n; i++)
		if (!n ||
		    table_order(p->v[i].key, p->v[n - 1].key->namespace, p->v[n - 1].key->name))
			p->v[n++] = p->v[i];
	p->n = n;
}

int table_past(struct op *op, uint64_t revision, const struct obj ***ret_v, size_t *ret_n)
{
	const struct table *t = op->served->table;
	struct past p = {.op = op};
	size_t from, to, n = 0, k = 0;
	const struct obj **v;

	if (revision < t->forgotten)
		return err_set(&op->err, ERR_EXPIRED,
			       "The resourceVersion for the provided list is too old.");
	collect(&p, revision);
	keep_first(&p);
	table_range(t, op->req->namespace, &from, &to);
	v = arena_array(op->a, to - from + p.n + 1, sizeof(*v));
	while (from < to || k < p.n) {
		int order = from == to ? 1
			    : k == p.n ? -1
				       : table_order(t->rows[from], p.v[k].key->namespace,
						     p.v[k].key->name);

		if (order < 0) {
			v[n++] = t->rows[from++];
			continue;
		}
		from += order == 0; /* it stands there, but as it became */
		if (p.v[k].old)
			v[n++] = p.v[k].old;
		k++;
	}
	*ret_v = v;
	*ret_n = n;
	return 0;
}
