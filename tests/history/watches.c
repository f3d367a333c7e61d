/*
 * The checker's third part: each watch against the facts between its beginning and the last that
 * it was told, and against the lists that fall between. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/history/check-internal.h"

struct walk {
	struct checker *c;
	const struct history_watch *w;
	struct history_item state[HISTORY_KEYS_MAX]; /* revision 0 = absent */
	uint64_t from, last, bookmark;
	const struct history_op **lists; /* by revision */
	size_t nlists, next_list;
	size_t number;
};

static void begin(struct walk *k)
{
	const struct history_op *list = &k->c->h->ops[k->w->list];

	k->from = k->last = list->revision;
	for (size_t i = 0; i < list->nitems; i++)
		k->state[list->items[i].key] = list->items[i];
	while (k->next_list < k->nlists && k->lists[k->next_list]->revision <= k->from)
		k->next_list++;
}

/* ---- states against lists ---- */

static void compare(struct walk *k, const struct history_op *list)
{
	struct history_item there[HISTORY_KEYS_MAX] = {0};

	for (size_t i = 0; i < list->nitems; i++)
		there[list->items[i].key] = list->items[i];
	for (int i = 0; i < HISTORY_KEYS_MAX; i++)
		if (there[i].revision != k->state[i].revision)
			flaw(k->c, H_FLAW_WATCH_DIFFERS,
			     "watch %zu at %llu: key %d watched %llu, listed %llu", k->number,
			     (unsigned long long)list->revision, i,
			     (unsigned long long)k->state[i].revision,
			     (unsigned long long)there[i].revision);
}

/* Lists before the next event's revision saw what the watcher knows now. */
static void compare_upto(struct walk *k, uint64_t revision)
{
	for (; k->next_list < k->nlists && k->lists[k->next_list]->revision < revision;
	     k->next_list++)
		compare(k, k->lists[k->next_list]);
}

/* ---- events ---- */

static bool told_before(const struct walk *k, size_t upto, uint64_t revision)
{
	for (size_t i = 0; i < upto; i++)
		if (k->w->events[i].type != H_BOOKMARK && k->w->events[i].item.revision == revision)
			return true;
	return false;
}

static bool in_order(struct walk *k, size_t at)
{
	uint64_t r = k->w->events[at].item.revision;

	if (r <= k->from || (r <= k->last && told_before(k, at, r)))
		flaw(k->c, H_FLAW_EVENT_REPEATED, "watch %zu: %llu", k->number,
		     (unsigned long long)r);
	else if (r <= k->last)
		flaw(k->c, H_FLAW_EVENT_REORDERED, "watch %zu: %llu behind %llu", k->number,
		     (unsigned long long)r, (unsigned long long)k->last);
	else if (r <= k->bookmark)
		flaw(k->c, H_FLAW_BOOKMARK_AHEAD, "watch %zu: %llu behind bookmark %llu", k->number,
		     (unsigned long long)r, (unsigned long long)k->bookmark);
	else
		return true;
	return false;
}

static void follow(struct walk *k, const struct history_event *e)
{
	struct history_item *was = &k->state[e->item.key];
	unsigned long long r = e->item.revision;
	bool there = was->revision != 0;

	if (there == (e->type == H_ADDED))
		flaw(k->c, H_FLAW_EVENT_TYPE, "watch %zu: %llu of key %d", k->number, r,
		     e->item.key);
	else if (there && was->uid != e->item.uid)
		flaw(k->c, H_FLAW_UID_CHANGED, "watch %zu: %llu of key %d", k->number, r,
		     e->item.key);
	if (e->type == H_DELETED && there && was->value != e->item.value)
		flaw(k->c, H_FLAW_EVENT_OBJECT, "watch %zu: %llu of key %d", k->number, r,
		     e->item.key);
	*was = e->item;
	if (e->type == H_DELETED)
		was->revision = 0;
}

static void bookmark(struct walk *k, uint64_t r)
{
	if (r < k->last || r < k->bookmark)
		flaw(k->c, H_FLAW_BOOKMARK_BACK, "watch %zu: %llu", k->number,
		     (unsigned long long)r);
	k->bookmark = MAX(k->bookmark, r);
}

/* ---- nothing missing ---- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static size_t first_after(const struct checker *c, uint64_t revision)
{
	size_t lo = 0, hi = c->nfacts;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->facts[mid].revision <= revision)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void check_whole(struct walk *k)
{
	struct checker *c = k->c;
	uint64_t *told = arena_array(c->a, k->w->n + 1, sizeof(*told)),
		 upto = MAX(k->last, k->bookmark);
	size_t n = 0;

	for (size_t i = 0; i < k->w->n; i++)
		if (k->w->events[i].type != H_BOOKMARK)
			told[n++] = k->w->events[i].item.revision;
	if (n)
		qsort(told, n, sizeof(*told), by_number);
	for (size_t i = first_after(c, k->from); i < c->nfacts && c->facts[i].revision <= upto; i++)
		if (!n || !bsearch(&c->facts[i].revision, told, n, sizeof(*told), by_number))
			flaw(c, H_FLAW_EVENT_LOST, "watch %zu: %llu of key %d", k->number,
			     (unsigned long long)c->facts[i].revision, c->facts[i].key);
}

static void check_watch(struct walk *k)
{
	begin(k);
	for (size_t i = 0; i < k->w->n; i++) {
		const struct history_event *e = &k->w->events[i];

		if (e->type == H_BOOKMARK) {
			bookmark(k, e->item.revision);
		} else if (in_order(k, i)) {
			compare_upto(k, e->item.revision);
			follow(k, e);
			k->last = e->item.revision;
		}
	}
	compare_upto(k, MAX(k->last, k->bookmark) + 1);
	check_whole(k);
}

static int by_list_revision(const void *a, const void *b)
{
	uint64_t x = (*(const struct history_op *const *)a)->revision;
	uint64_t y = (*(const struct history_op *const *)b)->revision;

	return x < y ? -1 : x > y;
}

void check_watches(struct checker *c)
{
	const struct history *h = c->h;
	const struct history_op **lists = arena_array(c->a, h->nops + 1, sizeof(*lists));
	size_t n = 0;

	for (size_t i = 0; i < h->nops; i++)
		if (h->ops[i].verb == H_LIST && h->ops[i].end == H_OK)
			lists[n++] = &h->ops[i];
	if (n)
		qsort(lists, n, sizeof(*lists), by_list_revision);
	for (size_t i = 0; i < h->nwatches; i++) {
		struct walk k = {
			.c = c, .w = &h->watches[i], .lists = lists, .nlists = n, .number = i};

		if (h->ops[k.w->list].end == H_OK)
			check_watch(&k);
	}
}
