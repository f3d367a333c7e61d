/*
 * Preemption as Kubernetes does it: on each node that was turned down for something that pods there
 * do, all of lower priority are taken away; when the pod then fits, as many as possible come back,
 * first those that a budget protects, and the most important first. Of the nodes left the one is
 * taken where least is lost. Pure, in the cycle's arena; the cache is put back as it was.
 */
#include "scheduler/preempt.h"

#include "scheduler/cycle-internal.h"

#include "lib/base/pure.h"

#define NO_VICTIMS "No preemption victims found for incoming pod"
#define NO_HELP "Preemption is not helpful for scheduling"

enum { CANDIDATES_MIN = 100, CANDIDATES_PERCENT = 10 };

/* What one node would cost. */
struct candidate {
	const struct sched_node *node;
	struct sched_pod **victims; /* the most important first */
	size_t n;
	size_t violating; /* of them are protected by a budget that allows no more */
};
struct search {
	struct sched_cycle cycle;
	struct sched_cache *cache;
	struct lineup lineup;
	struct tally tally;
	struct candidate *v;
	size_t n;
};

/* ---- nominations ---- */

void sched_nominate(struct sched_cache *c, struct sched_pod *pod)
{
	sched_unnominate(c, pod->uid);
	if (pod->nominated.n)
		map_set(&c->nominated, pod->uid, sched_pod_ref(pod));
}

bool sched_unnominate(struct sched_cache *c, struct str uid)
{
	struct sched_pod *p = map_del(&c->nominated, uid);

	sched_pod_unref(p);
	return p != NULL;
}

void sched_nominations_release(struct sched_cache *c)
{
	struct map_iter it = {0};

	while (map_next(&c->nominated, &it))
		sched_pod_unref(it.value);
	map_release(&c->nominated);
}

struct trial sched_nominated_enter(struct sched_cache *c, const struct sched_pod *pod,
				   struct arena *a)
{
	struct trial t = {0};
	struct map_iter it = {0};

	if (!c->nominated.n)
		return t;
	t.v = arena_array(a, c->nominated.n, sizeof(struct sched_pod *));
	while (map_next(&c->nominated, &it)) {
		struct sched_pod *p = it.value;

		if (p->priority < pod->priority || str_eq(p->uid, pod->uid) ||
		    sched_cache_pod(c, p->uid) || !sched_cache_node(c, p->nominated))
			continue;
		t.v[t.n++] = sched_pod_ref(p);
		sched_cache_set_pod(c, p, p->nominated);
	}
	return t;
}

void sched_nominated_leave(struct sched_cache *c, const struct trial *t)
{
	for (size_t i = 0; i < t->n; i++) {
		sched_cache_del_pod(c, t->v[i]->uid);
		t->v[i]->node_name = STR_NONE;
		sched_pod_unref(t->v[i]);
	}
}

/* ---- budgets ---- */

struct budget {
	struct str namespace;
	struct selector selector;
	const struct json *disrupted; /* has spent its leave already */
	int64_t allowed;
};
struct budgets {
	struct budget *v;
	size_t n;
};

static struct budgets read_budgets(const struct search *s)
{
	struct arena *a = s->cycle.arena;
	struct budgets all = {0};
	struct map_iter it = {0};

	all.v = arena_array(a, s->cache->budgets.n + 1, sizeof(*all.v));
	while (map_next(&s->cache->budgets, &it)) {
		const struct sched_object *o = it.value;
		const struct json *picks = json_at(o->tree, "spec", "selector");
		struct budget *b = &all.v[all.n];

		if (!json_len(picks) || selector_from_json(a, picks, &b->selector, NULL) != 0)
			continue;
		b->namespace = o->obj->namespace;
		b->disrupted = json_at(o->tree, "status", "disruptedPods");
		b->allowed = json_int(json_at(o->tree, "status", "disruptionsAllowed"), 0);
		all.n++;
	}
	return all;
}

/* Takes a leave of every budget that means the pod; true when one had none left. */
static bool violates(struct budgets *all, const struct sched_pod *p)
{
	bool yes = false;

	for (size_t i = 0; i < all->n; i++) {
		struct budget *b = &all->v[i];

		if (!str_eq(b->namespace, p->namespace) ||
		    !selector_match_obj(&b->selector, p->obj) || json_get(b->disrupted, p->name))
			continue;
		yes |= b->allowed-- <= 0;
	}
	return yes;
}

/* ---- one node ---- */

static int by_importance(const void *pa, const void *pb)
{
	const struct sched_pod *a = *(struct sched_pod *const *)pa,
			       *b = *(struct sched_pod *const *)pb;

	if (a->leaving != b->leaving)
		return a->leaving ? 1 : -1;
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	return str_cmp(a->uid, b->uid);
}

static bool fits_now(struct search *s, const struct sched_node *n, struct tally *t)
{
	struct verdict v;

	return lineup_fits(&s->cycle, &s->lineup, n, t, &v);
}

static void take(struct search *s, const struct sched_node *n, const struct sched_pod *p)
{
	lineup_moved(&s->cycle, &s->lineup, p, n, -1);
	sched_cache_del_pod(s->cache, p->uid);
}

static void give_back(struct search *s, const struct sched_node *n, struct sched_pod *p)
{
	lineup_moved(&s->cycle, &s->lineup, p, n, 1);
	sched_cache_set_pod(s->cache, p, n->name);
}

static bool leaves_anyway(const struct sched_cache *c, const struct sched_pod *p)
{
	return p->obj->deleted_ns || map_has(&c->leaving, p->uid);
}

static struct candidate lesser_pods(struct search *s, const struct sched_node *n)
{
	struct candidate all = {.node = n};

	all.victims = arena_array(s->cycle.arena, n->npods + 1, sizeof(struct sched_pod *));
	for (size_t i = 0; i < n->npods; i++) {
		n->pods[i]->leaving = leaves_anyway(s->cache, n->pods[i]);
		if (n->pods[i]->priority < s->cycle.pod->priority)
			all.victims[all.n++] = sched_pod_ref(n->pods[i]);
	}
	qsort(all.victims, all.n, sizeof(*all.victims), by_importance);
	return all;
}

/* Whoever may come back does; the rest are the victims. protected: of that half of them only. */
static void reprieve(struct search *s, const struct candidate *all, const bool *protected,
		     bool half, struct candidate *ret)
{
	struct tally ignored = {0};

	for (size_t i = 0; i < all->n; i++) {
		struct sched_pod *p = all->victims[i];

		if (protected[i] != half)
			continue;
		give_back(s, all->node, p);
		if (fits_now(s, all->node, &ignored))
			continue;
		take(s, all->node, p);
		ret->victims[ret->n++] = p;
		ret->violating += half;
	}
}

static void put_back(struct search *s, const struct candidate *all)
{
	for (size_t i = 0; i < all->n; i++) {
		if (!sched_cache_pod(s->cache, all->victims[i]->uid))
			give_back(s, all->node, all->victims[i]);
		sched_pod_unref(all->victims[i]);
	}
}

static void try_node(struct search *s, const struct sched_node *n)
{
	struct candidate all = lesser_pods(s, n), won = {.node = n};
	struct budgets budgets = read_budgets(s);
	bool *protected = arena_array(s->cycle.arena, all.n + 1, sizeof(bool));

	if (!all.n) {
		tally_add(s->cycle.arena, &s->tally, NO_VICTIMS);
		return;
	}
	won.victims = arena_array(s->cycle.arena, all.n, sizeof(struct sched_pod *));
	for (size_t i = 0; i < all.n; i++)
		take(s, n, all.victims[i]);
	if (fits_now(s, n, &s->tally)) {
		for (size_t i = 0; i < all.n; i++)
		protected[i] = !all.victims[i]->leaving && violates(&budgets, all.victims[i]);
		reprieve(s, &all, protected, true, &won);
		reprieve(s, &all, protected, false, &won);
		qsort(won.victims, won.n, sizeof(*won.victims), by_importance);
		if (won.n)
			s->v[s->n++] = won;
		/* Nobody else has to go for the room that these leave. */
		while (won.n && won.victims[won.n - 1]->leaving)
			s->v[s->n - 1].n = --won.n;
	}
	put_back(s, &all);
}

/* ---- which node ---- */

static int64_t sum_of_priorities(const struct candidate *c)
{
	int64_t sum = 0;

	/* Moved up, so that many pods of negative priority don't look like a bargain. */
	for (size_t i = 0; i < c->n; i++)
		sum += c->victims[i]->priority + INT32_MAX + 1;
	return sum;
}

/* Since when the most important victims have run, of the one that has for longest. */
static int64_t oldest(const struct candidate *c)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < c->n && c->victims[i]->priority == c->victims[0]->priority; i++)
		first = MIN(first, c->victims[i]->start_ns);
	return first;
}

static int order(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static bool cheaper(const struct candidate *a, const struct candidate *b)
{
	int c;

	if (!a->n || !b->n)
		return !a->n && b->n;
	if ((c = order((int64_t)a->violating, (int64_t)b->violating)) ||
	    (c = order(a->victims[0]->priority, b->victims[0]->priority)) ||
	    (c = order(sum_of_priorities(a), sum_of_priorities(b))) ||
	    (c = order((int64_t)a->n, (int64_t)b->n)) || (c = order(oldest(b), oldest(a))))
		return c < 0;
	return false;
}

/* ---- the whole ---- */

/* Why this pod takes nobody's place now; NULL = it may. */
static const char *ineligible(const struct sched_cache *c, const struct sched_pod *pod,
			      const struct sched_result *of)
{
	const struct sched_node *n = sched_cache_node(c, pod->nominated);

	if (pod->never_preempts)
		return "not eligible due to preemptionPolicy=Never.";
	if (!n || !of->hopeful[n->at])
		return NULL;
	for (size_t i = 0; i < n->npods; i++)
		if (((n->pods[i]->obj->deleted_ns && n->pods[i]->preempted) ||
		     map_has(&c->leaving, n->pods[i]->uid)) &&
		    n->pods[i]->priority < pod->priority)
			return "not eligible due to a terminating pod on the nominated node.";
	return NULL;
}

static void say_why_not(struct search *s, struct preemption *ret)
{
	ret->message = arena_strf(s->cycle.arena, "preemption: %.*s",
				  STR_ARG(tally_text(s->cycle.arena, s->cache->n, &s->tally)));
}

void sched_preempt(struct sched_cache *c, const struct sched_pod *pod,
		   const struct sched_result *of, struct arena *a, struct preemption *ret)
{
	struct search s = {.cycle = {c, pod, a, true}, .cache = c};
	size_t enough = MAX(c->n * CANDIDATES_PERCENT / 100, (size_t)CANDIDATES_MIN);
	const char *why = ineligible(c, pod, of);
	const struct candidate *best;

	*ret = (struct preemption){0};
	if (why) {
		ret->message = arena_strf(a, "preemption: %s", why);
		ret->keep = !pod->never_preempts;
		return;
	}
	s.v = arena_array(a, c->n + 1, sizeof(*s.v));
	lineup_make(&s.cycle, &s.lineup);
	for (size_t i = 0; i < c->n && s.n < enough; i++) {
		struct sched_node *n = c->nodes[(c->start + i) % c->n];

		if (of->hopeful[n->at])
			try_node(&s, n);
		else
			tally_add(a, &s.tally, NO_HELP);
	}
	if (!s.n) {
		say_why_not(&s, ret);
		return;
	}
	best = &s.v[0];
	for (size_t i = 1; i < s.n; i++)
		if (cheaper(&s.v[i], best))
			best = &s.v[i];
	ret->node = best->node;
	ret->victims = best->victims;
	ret->n = best->n;
}
