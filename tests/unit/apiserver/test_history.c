/*
 * The history checker is a judge, so it is tried itself: right histories pass, and each kind of
 * mistake that a server can make, planted into one, is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/history/check.c"
#include "tests/history/facts.c"
#include "tests/history/watches.c"
#include "tests/unit/apiserver/history_world.h"

#define SEEDS 25

void test_history__right_histories_pass(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct world *w = world_play(seed);
		struct history_verdict v;

		history_check(&w->h, &v);
		if (v.total)
			fail_msg("seed %llu: %s", (unsigned long long)seed, buf_cstr(&v.why));
		buf_release(&v.why);
		world_free(w);
	}
}

/* Plants it wherever it can be, and demands that it is found in every history. */
static void planted(bool (*plant)(struct world *w), enum history_flaw expected)
{
	int n = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *w = world_play(seed);
		struct history_verdict v;

		if (plant(w)) {
			n++;
			history_check(&w->h, &v);
			if (!v.total)
				fail_msg("seed %llu: not found", (unsigned long long)seed);
			if (!v.count[expected])
				fail_msg("seed %llu: found as something else: %s",
					 (unsigned long long)seed, buf_cstr(&v.why));
			buf_release(&v.why);
		}
		world_free(w);
	}
	assert_true(n > SEEDS / 2);
}

/* ---- places to plant ---- */

/* The change of that revision. */
static struct w_change *change_at(struct world *w, uint64_t revision)
{
	return revision && revision <= w->nlog ? &w->log[revision - 1] : NULL;
}

/* The key's change before that revision. */
static struct w_change *change_before(struct world *w, int key, uint64_t revision)
{
	for (uint64_t r = revision - 1; r; r--)
		if (w->log[r - 1].item.key == key)
			return &w->log[r - 1];
	return NULL;
}

static struct history_op *op_of(struct world *w, int64_t value)
{
	for (size_t i = 0; i < w->nops; i++)
		if (w->ops[i].value == value && w->ops[i].verb < H_DELETE)
			return &w->ops[i];
	return NULL;
}

/* An answered call of that kind in the later half, from index `after` on. */
static struct history_op *some(struct world *w, enum history_verb verb, enum history_end end,
			       size_t after)
{
	for (size_t i = MAX(after, w->nops / 3); i < w->nops; i++)
		if (w->ops[i].verb == verb && w->ops[i].end == end &&
		    (end != H_OK || verb > H_DELETE || w->ops[i].got.revision))
			return &w->ops[i];
	return NULL;
}

static size_t number(struct world *w, const struct history_op *op)
{
	return (size_t)(op - w->ops);
}

static struct history_watch *long_watch(struct world *w)
{
	struct history_watch *best = &w->watches[0];

	for (size_t i = 0; i < w->nwatches; i++)
		if (w->watches[i].n > best->n)
			best = &w->watches[i];
	return best->n >= 8 ? best : NULL;
}

static size_t event_at(const struct history_watch *v, size_t from)
{
	while (from < v->n && v->events[from].type == H_BOOKMARK)
		from++;
	return from;
}

static void event_drop(struct history_watch *v, size_t i)
{
	memmove(&v->events[i], &v->events[i + 1], (--v->n - i) * sizeof(*v->events));
}

static void event_insert(struct history_watch *v, size_t i, struct history_event e)
{
	memmove(&v->events[i + 1], &v->events[i], (v->n++ - i) * sizeof(*v->events));
	v->events[i] = e;
}

/* A read whose object's version was acknowledged before it began, and has a version before it. */
static struct history_op *settled_read(struct world *w, struct w_change **ret_before)
{
	for (struct history_op *g = NULL;;) {
		g = some(w, H_GET, H_OK, g ? number(w, g) + 1 : 0);
		if (!g)
			return NULL;
		if (!g->got.revision)
			continue;
		struct history_op *made = op_of(w, g->got.value);
		*ret_before = change_before(w, g->key, g->got.revision);
		if (made && made->end == H_OK && made->to_ns < g->from_ns && *ret_before &&
		    (*ret_before)->type != H_DELETED)
			return g;
	}
}

/* ---- the mistakes ---- */

static bool plant_stale_read(struct world *w)
{
	struct w_change *before;
	struct history_op *g = settled_read(w, &before);

	if (g)
		g->got = before->item;
	return g;
}

void test_history__finds_a_stale_read(void **state)
{
	(void)state;
	planted(plant_stale_read, H_FLAW_STALE_READ);
}

/* Acknowledged, then never seen again: as if the commit had not been synced. */
static bool plant_lost_write(struct world *w)
{
	struct history_op *last = &w->ops[w->nops - 1];

	for (size_t i = 0; i < last->nitems; i++) {
		struct history_op *made = op_of(w, last->items[i].value);
		struct w_change *was =
			change_before(w, last->items[i].key, last->items[i].revision);
		uint64_t lost = last->items[i].revision;

		if (made->end != H_OK || !was || was->type == H_DELETED)
			continue;
		last->items[i] = was->item;
		for (size_t v = 0; v < w->nwatches; v++)
			for (size_t e = 0; e < w->watches[v].n; e++)
				if (w->watches[v].events[e].item.revision == lost &&
				    w->watches[v].events[e].type != H_BOOKMARK)
					event_drop(&w->watches[v], e--);
		return true;
	}
	return false;
}

void test_history__finds_a_lost_write(void **state)
{
	(void)state;
	planted(plant_lost_write, H_FLAW_LIST_MIXED);
}

static bool plant_lost_event(struct world *w)
{
	struct history_watch *v = long_watch(w);
	size_t i = v ? event_at(v, v->n / 2) : 0;

	if (!v || i + 1 >= v->n)
		return false;
	event_drop(v, i);
	return true;
}

void test_history__finds_a_lost_event(void **state)
{
	(void)state;
	planted(plant_lost_event, H_FLAW_EVENT_LOST);
}

/* By every watcher: nobody but a later list can know. */
static bool plant_lost_deletion(struct world *w)
{
	for (size_t r = w->nlog / 2; r < w->nlog; r++) {
		struct w_change *ch = &w->log[r];
		bool found = false, again = false;

		for (size_t j = r + 1; j < w->nlog; j++)
			again |= w->log[j].item.key == ch->item.key;
		for (size_t j = 0; j < w->nops; j++)
			found |= w->ops[j].verb == H_LIST && w->ops[j].end == H_OK &&
				 j + 1 < w->nops && w->ops[j].revision > r + 1 &&
				 w->ops[j].revision < w->nlog;
		if (ch->type != H_DELETED || again || !found)
			continue;
		for (size_t v = 0; v < w->nwatches; v++)
			for (size_t e = 0; e < w->watches[v].n; e++)
				if (w->watches[v].events[e].item.revision == r + 1 &&
				    w->watches[v].events[e].type == H_DELETED)
					event_drop(&w->watches[v], e--);
		for (size_t v = 0; v < w->nwatches; v++) /* one that goes from before to after */
			if (w->ops[w->watches[v].list].revision < r + 1 && w->watches[v].n &&
			    w->watches[v].events[w->watches[v].n - 1].item.revision == w->nlog)
				return true;
		return false;
	}
	return false;
}

void test_history__finds_a_deletion_nobody_was_told_of(void **state)
{
	int n = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 400 && n < 10; seed++) {
		struct world *w = world_play(seed);
		struct history_verdict v;

		if (plant_lost_deletion(w)) {
			n++;
			history_check(&w->h, &v);
			assert_true(v.count[H_FLAW_WATCH_DIFFERS] > 0);
			buf_release(&v.why);
		}
		world_free(w);
	}
	assert_true(n >= 5);
}

static bool plant_duplicated_event(struct world *w)
{
	struct history_watch *v = long_watch(w);
	size_t i = v ? event_at(v, v->n / 2) : 0;

	if (!v || i >= v->n)
		return false;
	event_insert(v, i + 1, v->events[i]);
	return true;
}

void test_history__finds_a_duplicated_event(void **state)
{
	(void)state;
	planted(plant_duplicated_event, H_FLAW_EVENT_REPEATED);
}

static bool plant_reordered_events(struct world *w)
{
	struct history_watch *v = long_watch(w);

	for (size_t i = 1; v && i + 1 < v->n; i++) {
		struct history_event e = v->events[i];
		if (e.type == H_BOOKMARK || v->events[i + 1].type == H_BOOKMARK)
			continue;
		v->events[i] = v->events[i + 1];
		v->events[i + 1] = e;
		return true;
	}
	return false;
}

void test_history__finds_reordered_events(void **state)
{
	(void)state;
	planted(plant_reordered_events, H_FLAW_EVENT_REORDERED);
}

/* What a resumed watch tells again though its client had it. */
static bool plant_event_from_before(struct world *w)
{
	for (size_t v = w->nwatches; v-- > 2;) {
		uint64_t from = w->ops[w->watches[v].list].revision;
		struct w_change *ch = change_at(w, from);

		if (!ch || !w->watches[v].n)
			continue;
		event_insert(
			&w->watches[v], 0,
			(struct history_event){ch->type, w->watches[v].events[0].at_ns, ch->item});
		return true;
	}
	return false;
}

void test_history__finds_an_event_from_before_the_watch(void **state)
{
	(void)state;
	planted(plant_event_from_before, H_FLAW_EVENT_REPEATED);
}

/* Everybody is shown the same, so only real time tells. */
static void swap_revisions(struct world *w, uint64_t a, uint64_t b)
{
	for (size_t i = 0; i < w->nops; i++) {
		uint64_t *r = &w->ops[i].got.revision;
		*r = *r == a ? b : *r == b ? a : *r;
		for (size_t j = 0; j < w->ops[i].nitems; j++) {
			r = &w->ops[i].items[j].revision;
			*r = *r == a ? b : *r == b ? a : *r;
		}
	}
	for (size_t v = 0; v < w->nwatches; v++)
		for (size_t e = 0; e < w->watches[v].n; e++) {
			uint64_t *r = &w->watches[v].events[e].item.revision;
			if (w->watches[v].events[e].type != H_BOOKMARK)
				*r = *r == a ? b : *r == b ? a : *r;
		}
}

static bool plant_revision_going_back(struct world *w)
{
	for (size_t i = w->nlog / 3; i + 4 < w->nlog; i++) {
		struct history_op *a = op_of(w, w->log[i].item.value),
				  *b = op_of(w, w->log[i + 4].item.value);
		if (w->log[i].type == H_DELETED || w->log[i + 4].type == H_DELETED ||
		    a->end != H_OK || b->end != H_OK || a->to_ns >= b->from_ns)
			continue;
		swap_revisions(w, i + 1, i + 5);
		return true;
	}
	return false;
}

void test_history__finds_a_revision_that_goes_back(void **state)
{
	(void)state;
	planted(plant_revision_going_back, H_FLAW_REVISION_WENT_BACK);
}

/* After a restart that forgot the last commit, its revision is given away again. */
static bool plant_reused_revision(struct world *w)
{
	struct history_op *a = some(w, H_PATCH, H_OK, 0);

	if (!a || a->got.revision < 2)
		return false;
	a->got.revision--;
	return true;
}

void test_history__finds_a_revision_given_twice(void **state)
{
	(void)state;
	planted(plant_reused_revision, H_FLAW_SHARED_REVISION);
}

/* An update that was beaten is acknowledged all the same. */
static bool plant_two_winners(struct world *w)
{
	for (struct history_op *u = NULL;;) {
		u = some(w, H_UPDATE, H_OK, u ? number(w, u) + 1 : 0);
		struct w_change *was = u ? change_before(w, u->key, u->got.revision) : NULL,
				*old = NULL;
		if (!u)
			return false;
		if (was && was->type == H_MODIFIED)
			old = change_before(w, u->key, was->item.revision);
		if (!old || old->type == H_DELETED)
			continue;
		u->expected = old->item.revision;
		return true;
	}
}

void test_history__finds_two_winners(void **state)
{
	(void)state;
	planted(plant_two_winners, H_FLAW_TWO_WINNERS);
}

/* An object is gone, and no deletion was asked for since it was made. */
static bool plant_phantom_delete(struct world *w)
{
	for (struct history_op *g = NULL;;) {
		bool asked = false;
		g = some(w, H_GET, H_OK, g ? number(w, g) + 1 : 0);
		if (!g)
			return false;
		struct history_op *made = g->got.revision ? op_of(w, g->got.value) : NULL;
		if (!made || made->to_ns >= g->from_ns)
			continue;
		for (size_t i = 0; i < w->nops; i++)
			asked |= w->ops[i].verb == H_DELETE && w->ops[i].end != H_REFUSED &&
				 w->ops[i].key == g->key && w->ops[i].to_ns >= made->from_ns;
		if (asked)
			continue;
		g->got = (struct history_item){.key = g->key};
		return true;
	}
}

void test_history__finds_a_phantom_delete(void **state)
{
	int n = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 1000 && n < 10; seed++) {
		struct world *w = world_play(seed);
		struct history_verdict v;

		if (plant_phantom_delete(w)) {
			n++;
			history_check(&w->h, &v);
			assert_true(v.count[H_FLAW_VANISHED] > 0);
			buf_release(&v.why);
		}
		world_free(w);
	}
	assert_true(n >= 5);
}

static bool plant_refused_write_seen(struct world *w)
{
	struct history_op *u = some(w, H_UPDATE, H_OK, 0);

	if (u)
		u->end = H_REFUSED;
	return u;
}

void test_history__finds_a_refused_write_that_was_done(void **state)
{
	(void)state;
	planted(plant_refused_write_seen, H_FLAW_REFUSED_SEEN);
}

static bool plant_event_nobody_wrote(struct world *w)
{
	struct history_watch *v = long_watch(w);
	struct history_event e;

	if (!v)
		return false;
	e = v->events[event_at(v, 0)];
	e.type = H_MODIFIED;
	e.item.revision = w->nlog + 1;
	e.item.value = w->next_value + 1;
	event_insert(v, v->n, e);
	return true;
}

void test_history__finds_an_event_for_a_write_nobody_made(void **state)
{
	(void)state;
	planted(plant_event_nobody_wrote, H_FLAW_UNKNOWN_VALUE);
}

static bool plant_wrong_object(struct world *w)
{
	struct history_watch *v = long_watch(w);

	for (size_t i = 1; v && i < v->n; i++) {
		struct history_op *made = op_of(w, v->events[i].item.value);
		struct w_change *was =
			change_before(w, v->events[i].item.key, v->events[i].item.revision);
		if (v->events[i].type != H_MODIFIED || made->end != H_OK || !was)
			continue;
		v->events[i].item.value = was->item.value;
		return true;
	}
	return false;
}

void test_history__finds_a_wrong_object_in_an_event(void **state)
{
	(void)state;
	planted(plant_wrong_object, H_FLAW_SHARED_REVISION);
}

static bool plant_deletion_of_another_state(struct world *w)
{
	struct history_watch *v = long_watch(w);

	for (size_t i = 0; v && i < v->n; i++) {
		if (v->events[i].type != H_DELETED)
			continue;
		v->events[i].item.value = 1;
		return true;
	}
	return false;
}

void test_history__finds_a_deletion_that_shows_another_state(void **state)
{
	(void)state;
	planted(plant_deletion_of_another_state, H_FLAW_EVENT_OBJECT);
}

static bool plant_list_missing(struct world *w)
{
	for (struct history_op *l = NULL;;) {
		l = some(w, H_LIST, H_OK, l ? number(w, l) + 1 : 0);
		if (!l)
			return false;
		for (size_t i = 0; i < l->nitems; i++) {
			struct history_op *made = op_of(w, l->items[i].value);
			bool asked = false;
			for (size_t j = 0; j < w->nops; j++)
				asked |= w->ops[j].verb == H_DELETE && w->ops[j].end != H_REFUSED &&
					 w->ops[j].key == l->items[i].key &&
					 w->ops[j].to_ns >= made->from_ns &&
					 w->ops[j].from_ns <= l->to_ns;
			for (size_t j = l->items[i].revision; j < w->nlog; j++)
				asked |= w->log[j].type == H_DELETED &&
					 w->log[j].item.key == l->items[i].key;
			if (asked)
				continue;
			l->items[i] = l->items[--l->nitems];
			return true;
		}
	}
}

void test_history__finds_a_list_that_lacks_an_object(void **state)
{
	int n = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 1000 && n < 10; seed++) {
		struct world *w = world_play(seed);
		struct history_verdict v;

		if (plant_list_missing(w)) {
			n++;
			history_check(&w->h, &v);
			assert_true(v.count[H_FLAW_LIST_MISSING] > 0);
			buf_release(&v.why);
		}
		world_free(w);
	}
	assert_true(n >= 5);
}

/* One of its objects is of a later moment. */
static bool plant_list_mixed(struct world *w)
{
	for (struct history_op *l = NULL;;) {
		l = some(w, H_LIST, H_OK, l ? number(w, l) + 1 : 0);
		if (!l)
			return false;
		for (size_t i = 0; i < l->nitems; i++)
			for (size_t r = l->revision; r < w->nlog; r++) {
				if (w->log[r].item.key != l->items[i].key ||
				    w->log[r].type != H_MODIFIED)
					continue;
				l->items[i] = w->log[r].item;
				return true;
			}
	}
}

void test_history__finds_a_list_of_two_moments(void **state)
{
	(void)state;
	planted(plant_list_mixed, H_FLAW_LIST_MIXED);
}

static bool plant_stale_list(struct world *w)
{
	struct history_op *l = some(w, H_LIST, H_OK, w->nops / 2), *old = NULL;

	for (size_t i = 0; l && i + 40 < number(w, l); i++)
		if (w->ops[i].verb == H_LIST && w->ops[i].end == H_OK)
			old = &w->ops[i];
	if (!old || old->revision + 5 > l->revision)
		return false;
	l->revision = old->revision;
	free(l->items);
	l->items = xalloc(W_KEYS * sizeof(*l->items));
	memcpy(l->items, old->items, old->nitems * sizeof(*l->items));
	l->nitems = old->nitems;
	return true;
}

void test_history__finds_a_stale_list(void **state)
{
	(void)state;
	planted(plant_stale_list, H_FLAW_STALE_LIST);
}

/* A read shows what a deletion before it took away. */
static bool plant_resurrected(struct world *w)
{
	for (struct history_op *g = NULL;;) {
		g = some(w, H_GET, H_OK, g ? number(w, g) + 1 : 0);
		if (!g)
			return false;
		if (g->got.revision)
			continue;
		for (size_t i = 0; i < number(w, g); i++) {
			struct history_op *d = &w->ops[i];
			struct w_change *was = NULL;
			if (d->verb != H_DELETE || d->end != H_OK || d->key != g->key ||
			    d->to_ns >= g->from_ns)
				continue;
			for (size_t r = 0; r < w->nlog && w->log[r].at_ns < d->from_ns; r++)
				if (w->log[r].item.key == g->key && w->log[r].type != H_DELETED)
					was = &w->log[r];
			if (!was)
				continue;
			g->got = was->item;
			return true;
		}
	}
}

void test_history__finds_a_resurrected_object(void **state)
{
	(void)state;
	planted(plant_resurrected, H_FLAW_RESURRECTED);
}

static void rename_uid(struct world *w, uint64_t from, uint64_t to, uint64_t since)
{
	for (size_t i = 0; i < w->nops; i++) {
		struct history_op *op = &w->ops[i];
		if (op->got.uid == from && op->got.revision >= since)
			op->got.uid = to;
		for (size_t j = 0; j < op->nitems; j++)
			if (op->items[j].uid == from && op->items[j].revision >= since)
				op->items[j].uid = to;
	}
	for (size_t v = 0; v < w->nwatches; v++)
		for (size_t e = 0; e < w->watches[v].n; e++)
			if (w->watches[v].events[e].item.uid == from &&
			    w->watches[v].events[e].item.revision >= since)
				w->watches[v].events[e].item.uid = to;
}

static bool plant_uid_reused(struct world *w)
{
	uint64_t first = 0;

	for (size_t r = 0; r < w->nlog; r++) {
		if (w->log[r].type != H_ADDED)
			continue;
		if (first && r > w->nlog / 2) {
			rename_uid(w, w->log[r].item.uid, first, 0);
			return true;
		}
		first = first ? first : w->log[r].item.uid;
	}
	return false;
}

void test_history__finds_a_uid_used_again(void **state)
{
	(void)state;
	planted(plant_uid_reused, H_FLAW_UID_REUSED);
}

static bool plant_uid_changed(struct world *w)
{
	struct history_op *u = some(w, H_UPDATE, H_OK, 0);

	if (u)
		rename_uid(w, u->got.uid, 1, u->got.revision);
	return u;
}

void test_history__finds_a_uid_that_changes(void **state)
{
	(void)state;
	planted(plant_uid_changed, H_FLAW_UID_CHANGED);
}

/* A creation is acknowledged though the object was there. */
static bool plant_created_over(struct world *w)
{
	struct history_op *u = some(w, H_UPDATE, H_OK, 0);

	if (u)
		u->verb = H_CREATE;
	return u;
}

void test_history__finds_a_creation_over_what_is_there(void **state)
{
	(void)state;
	planted(plant_created_over, H_FLAW_CREATED_OVER);
}

static bool plant_bookmark_too_new(struct world *w)
{
	struct history_watch *v = long_watch(w);
	size_t i = v ? event_at(v, v->n / 2) : 0;

	if (!v || i >= v->n)
		return false;
	event_insert(v, i,
		     (struct history_event){H_BOOKMARK,
					    v->events[i].at_ns,
					    {.key = -1, .revision = v->events[i].item.revision}});
	return true;
}

void test_history__finds_a_bookmark_that_is_too_new(void **state)
{
	(void)state;
	planted(plant_bookmark_too_new, H_FLAW_BOOKMARK_AHEAD);
}

static bool plant_bookmark_too_old(struct world *w)
{
	struct history_watch *v = long_watch(w);

	if (!v)
		return false;
	event_insert(v, v->n,
		     (struct history_event){H_BOOKMARK, w->now, {.key = -1, .revision = 1}});
	return true;
}

void test_history__finds_a_bookmark_that_goes_back(void **state)
{
	(void)state;
	planted(plant_bookmark_too_old, H_FLAW_BOOKMARK_BACK);
}

static bool plant_wrong_type(struct world *w)
{
	struct history_watch *v = long_watch(w);

	for (size_t i = 0; v && i < v->n; i++) {
		if (v->events[i].type != H_MODIFIED)
			continue;
		v->events[i].type = H_ADDED;
		return true;
	}
	return false;
}

void test_history__finds_an_addition_of_what_is_there(void **state)
{
	(void)state;
	planted(plant_wrong_type, H_FLAW_EVENT_TYPE);
}

static bool plant_half_write(struct world *w)
{
	struct history_op *g = some(w, H_GET, H_OK, 0);

	while (g && !g->got.revision)
		g = some(w, H_GET, H_OK, number(w, g) + 1);
	if (g)
		g->got.value = -1;
	return g;
}

void test_history__finds_half_a_write(void **state)
{
	(void)state;
	planted(plant_half_write, H_FLAW_SHARED_REVISION);
}

/* Watchers hear of a commit before anybody has asked for it: an event before its write. */
static bool plant_from_the_future(struct world *w)
{
	struct history_op *u = some(w, H_PATCH, H_OK, 0);

	for (size_t v = 0; u && v < w->nwatches; v++)
		for (size_t e = 0; e < w->watches[v].n; e++)
			if (w->watches[v].events[e].item.revision == u->got.revision &&
			    w->watches[v].events[e].type != H_BOOKMARK) {
				w->watches[v].events[e].at_ns = u->from_ns - 5;
				return true;
			}
	return false;
}

void test_history__finds_what_is_seen_before_it_was_asked_for(void **state)
{
	(void)state;
	planted(plant_from_the_future, H_FLAW_FROM_THE_FUTURE);
}

static bool plant_wrong_answer(struct world *w)
{
	struct history_op *u = some(w, H_APPLY, H_OK, 0);

	if (u)
		u->got.value = u->value - 1;
	return u;
}

void test_history__finds_an_answer_that_shows_something_else(void **state)
{
	(void)state;
	planted(plant_wrong_answer, H_FLAW_WRONG_ANSWER);
}
