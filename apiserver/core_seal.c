/*
 * What of an object goes into the store: its key, and its bytes, encrypted where the kind asks for
 * it. After the key changed, everything that is encrypted is written again under the new one,
 * slice by slice between turns: rows keep their revision, nobody is told. One thread.
 */
#include "apiserver/core-internal.h"

#define NOTED "~changed/" /* GROUP/PLURAL/ */
#define SLICE 32          /* rows of a commit: bounds how long requests wait behind it */

struct str core_store_key(struct arena *a, const struct table *t, const struct obj *o)
{
	return arena_strf(a, "%s/%s/%.*s/%.*s", t->kind->group, t->kind->plural,
			  STR_ARG(o->namespace), STR_ARG(o->name));
}

bool core_is_sealed(const struct core *c, const struct kind *k)
{
	if (k->flags & KIND_SECRET)
		return true;
	for (size_t i = 0; i < c->o.nencrypt; i++) {
		struct str plural, group;

		str_cut(str_c(c->o.encrypt[i]), '.', &plural, &group);
		if (str_is(plural, k->plural) && str_is(group, k->group))
			return true;
	}
	return false;
}

int core_store_value(struct core *c, const struct table *t, struct str key, struct str plain,
		     struct str *ret, struct err *err)
{
	AUTO(buf) struct buf sealed = {0};

	*ret = plain;
	if (!t->sealed || !c->o.seal)
		return 0;
	if (c->o.seal(c->o.seal_arg, key, plain, &sealed, err))
		return -1;
	*ret = arena_str(&c->turn, buf_view(&sealed));
	return 0;
}

/* ---- when tables were changed last ---- */

size_t core_store_noted(struct core *c, struct store_write *w)
{
	size_t n = 0;

	c->commits++;
	for (size_t i = c->nchanges; i-- > 0;) { /* the newest of each table first */
		struct table *t = c->changes[i].table;
		uint64_t revision = c->changes[i].event_new->revision;

		if (t->noted == c->commits)
			continue;
		t->noted = c->commits;
		w[n].key = arena_strf(&c->turn, NOTED "%s/%s/", t->kind->group, t->kind->plural);
		w[n].value = arena_strf(&c->turn, "%llu", (unsigned long long)revision);
		w[n++].revision = revision;
	}
	return n;
}

bool core_load_noted(struct core *c, struct str key, struct str value)
{
	struct str rest, group, plural, tail;
	uint64_t revision;

	if (!str_starts(key, STR(NOTED)))
		return false;
	rest = str_sub(key, sizeof(NOTED) - 1, key.n);
	if (!str_cut(rest, '/', &group, &rest) || !str_cut(rest, '/', &plural, &tail) ||
	    str_to_u64(value, &revision))
		return true;
	for (size_t i = 0; i < c->ntables; i++)
		if (str_is(group, c->tables[i]->kind->group) &&
		    str_is(plural, c->tables[i]->kind->plural))
			c->tables[i]->forgotten = revision;
	return true;
}

/* ---- again, under another key ---- */

static void start_at(struct reseal *r, size_t table)
{
	r->table = table;
	buf_reset(&r->namespace);
	buf_reset(&r->name);
}

void core_reseal_start(struct core *c, void *seal_arg)
{
	c->o.seal_arg = seal_arg;
	c->reseal.wanted = true;
	start_at(&c->reseal, 0);
}

/* The next rows of a table, from behind the one that was done last. */
static int next_rows(struct core *c, struct table *t, struct store_write *w, size_t *ret_n,
		     struct err *err)
{
	struct reseal *r = &c->reseal;
	size_t at = table_lower(t, buf_view(&r->namespace), buf_view(&r->name)), n = 0;
	const struct obj *last = NULL;

	if (at < t->n && r->name.n && str_eq(t->rows[at]->name, buf_view(&r->name)) &&
	    str_eq(t->rows[at]->namespace, buf_view(&r->namespace)))
		at++;
	for (; at < t->n && n < SLICE; at++, n++) {
		last = t->rows[at];
		w[n].key = core_store_key(&c->turn, t, last);
		w[n].revision = last->revision;
		if (core_store_value(c, t, w[n].key, last->bytes, &w[n].value, err))
			return -1;
	}
	*ret_n = n;
	if (n && c->o.store->ops->commit(c->o.store, w, n, c->revision, err))
		return -1;
	if (last) {
		buf_reset(&r->namespace);
		buf_str(&r->namespace, last->namespace);
		buf_reset(&r->name);
		buf_str(&r->name, last->name);
	}
	return 0;
}

int core_reseal(struct core *c, struct err *err)
{
	struct reseal *r = &c->reseal;
	struct store_write w[SLICE];
	size_t n = 0;
	int rc = 0;

	if (!r->wanted || !c->o.seal)
		return 0;
	while (r->table < c->ntables && !n && !rc) {
		struct table *t = c->tables[r->table];

		if (t->sealed || t->was_sealed)
			rc = next_rows(c, t, w, &n, err);
		if (!rc && n < SLICE)
			start_at(r, r->table + 1);
	}
	arena_reset(&c->turn);
	if (rc)
		return -1;
	r->wanted = r->table < c->ntables;
	return r->wanted;
}

bool core_reseal_wanted(const struct core *c)
{
	return c->reseal.wanted && c->o.seal;
}

void core_reseal_free(struct core *c)
{
	buf_release(&c->reseal.namespace);
	buf_release(&c->reseal.name);
}
