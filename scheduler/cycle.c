/*
 * One scheduling cycle: every plugin filters, then scores what is left; the best wins, by lot
 * among equals. On big clusters the search stops once enough nodes fit, and the next one starts
 * where it stopped. Pure, in the cycle's arena.
 */
#include "scheduler/cycle-internal.h"

#include "lib/base/pure.h"

enum { ENOUGH_NODES = 100 };

void reasons_add(struct reasons *r, const char *why)
{
	if (r->n < REASONS_MAX)
		r->v[r->n++] = why;
}

void reasons_add_for_good(struct reasons *r, const char *why)
{
	reasons_add(r, why);
	r->for_good = true;
}

void lineup_make(const struct sched_cycle *c, struct lineup *l)
{
	l->n = 0;
	for (unsigned i = 0; plugin_registry[i]; i++) {
		size_t at = l->n++;

		assert(l->n <= PLUGINS_MAX);
		for (; at > 0 && l->plugin[at - 1]->order > plugin_registry[i]->order; at--) {
			l->plugin[at] = l->plugin[at - 1];
			l->bit[at] = l->bit[at - 1];
		}
		l->plugin[at] = plugin_registry[i];
		l->bit[at] = i;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct plugin *p = l->plugin[i];

		l->state[i] = p->prepare ? p->prepare(c) : NULL;
		l->skip[i] = !p->filter || (p->skip && p->skip(c, l->state[i]));
	}
}

void lineup_moved(const struct sched_cycle *c, struct lineup *l, const struct sched_pod *p,
		  const struct sched_node *n, int sign)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->plugin[i]->moved)
			l->plugin[i]->moved(c, l->state[i], p, n, sign);
}

void tally_add(struct arena *a, struct tally *t, const char *why)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->v[i].why, why) != 0)
			continue;
		t->v[i].n++;
		return;
	}
	if (t->n == t->cap) {
		void *had = t->v;

		t->cap = t->cap ? t->cap * 2 : 16;
		t->v = arena_array(a, t->cap, sizeof(*t->v));
		if (t->n)
			memcpy(t->v, had, t->n * sizeof(*t->v));
	}
	t->v[t->n].why = why;
	t->v[t->n++].n = 1;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable." */
struct str tally_text(struct arena *a, size_t nodes, const struct tally *t)
{
	const char **part = arena_array(a, t->n + 1, sizeof(*part));
	AUTO(buf) struct buf b = {0};

	if (!nodes)
		return STR("no nodes available to schedule pods");
	for (size_t i = 0; i < t->n; i++)
		part[i] = arena_printf(a, "%zu %s", t->v[i].n, t->v[i].why);
	qsort(part, t->n, sizeof(*part), by_text);
	buf_printf(&b, "0/%zu nodes are available: ", nodes);
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", part[i]);
	buf_putc(&b, '.');
	return arena_str(a, buf_view(&b));
}

bool lineup_fits(const struct sched_cycle *c, const struct lineup *l, const struct sched_node *n,
		 struct tally *t, struct verdict *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		struct reasons why = {0};

		if (l->skip[i] || l->plugin[i]->filter(c, l->state[i], n, &why))
			continue;
		ret->rejected_by |= UINT64_C(1) << l->bit[i];
		ret->for_good = why.for_good;
		for (size_t j = 0; j < why.n; j++)
			tally_add(c->arena, t, why.v[j]);
		return false;
	}
	return true;
}

/* As Kubernetes: all of up to 100 nodes, a falling share of more, at least 5 %. */
static size_t enough(size_t nodes)
{
	size_t percent = 50 - MIN(nodes / 125, (size_t)45);

	return nodes <= ENOUGH_NODES ? nodes : MAX(nodes * percent / 100, (size_t)ENOUGH_NODES);
}

void scores_normalize(int64_t *scores, size_t n, bool reverse)
{
	int64_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = MAX(most, scores[i]);
	for (size_t i = 0; i < n; i++) {
		if (most)
			scores[i] = scores[i] * SCORE_MAX / most;
		if (reverse)
			scores[i] = SCORE_MAX - scores[i];
	}
}

static const struct sched_node *best(const struct sched_cycle *c, const struct lineup *l,
				     struct sched_node *const *fit, size_t n, uint64_t seed)
{
	int64_t *total = arena_array(c->arena, n, sizeof(*total));
	int64_t *score = arena_array(c->arena, n, sizeof(*score));
	size_t at = 0, ties = 1;
	struct rng rng;

	for (size_t i = 0; i < l->n; i++) {
		const struct plugin *p = l->plugin[i];

		if (!p->score)
			continue;
		for (size_t j = 0; j < n; j++)
			score[j] = p->score(c, l->state[i], fit[j]);
		if (p->normalize)
			p->normalize(c, l->state[i], score, n);
		for (size_t j = 0; j < n; j++)
			total[j] += score[j] * (p->weight ? p->weight : 1);
	}
	rng_seed(&rng, seed);
	for (size_t j = 1; j < n; j++) {
		if (total[j] > total[at]) {
			at = j;
			ties = 1;
		} else if (total[j] == total[at] && rng_below(&rng, ++ties) == 0) {
			at = j;
		}
	}
	return fit[at];
}

/* What is so wrong with the pod that no node needs to be looked at. */
static bool refused(const struct sched_cycle *c, const struct lineup *l, struct sched_result *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *why =
			l->plugin[i]->refuse ? l->plugin[i]->refuse(c, l->state[i]) : NULL;

		if (!why)
			continue;
		ret->rejected_by = UINT64_C(1) << l->bit[i];
		ret->message =
			arena_strf(c->arena, "0/%zu nodes are available: %s.", c->cache->n, why);
		return true;
	}
	return false;
}

void sched_pick(struct sched_cache *cache, const struct sched_pod *pod, uint64_t seed,
		struct arena *a, struct sched_result *ret)
{
	struct sched_cycle c = {cache, pod, a, false};
	struct sched_node **fit = arena_array(a, cache->n + 1, sizeof(struct sched_node *));
	size_t want = enough(cache->n);
	struct tally t = {0};
	struct lineup l;

	*ret = (struct sched_result){.hopeful = arena_array(a, cache->n + 1, sizeof(bool))};
	lineup_make(&c, &l);
	if (refused(&c, &l, ret))
		return;
	for (; ret->looked_at < cache->n && ret->fit < want; ret->looked_at++) {
		struct sched_node *n = cache->nodes[(cache->start + ret->looked_at) % cache->n];
		struct verdict v = {0};

		if (lineup_fits(&c, &l, n, &t, &v))
			fit[ret->fit++] = n;
		else
			ret->hopeful[n->at] = !v.for_good;
		ret->rejected_by |= v.rejected_by;
	}
	if (cache->n > ENOUGH_NODES)
		cache->start = (cache->start + ret->looked_at) % cache->n;
	if (!ret->fit)
		ret->message = tally_text(a, cache->n, &t);
	else if (ret->fit == 1)
		ret->node = fit[0];
	else
		ret->node = best(&c, &l, fit, ret->fit, seed);
}

unsigned sched_helped_by(uint64_t rejected_by)
{
	unsigned events = SCHED_NODE_ADDED;

	for (unsigned i = 0; plugin_registry[i]; i++)
		if (rejected_by & UINT64_C(1) << i)
			events |= plugin_registry[i]->helped_by;
	return events;
}
