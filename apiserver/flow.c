/*
 * Seats and queues. Must never hold a request back while its level has a seat and nobody waits,
 * nor let more wait than the level says. Pure; one thread; tickets are the callers', levels live
 * while anything names them.
 *
 * The queues of a level share its seats by virtual time: a queue that has had w seats' worth of
 * requests is w ahead, and whoever is least ahead goes first. One that was empty starts at the
 * level's present and not with what it did not use.
 */
#include "apiserver/flow-internal.h"

#include <stdlib.h>

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define SEATS 600
#define WAIT_NS (15 * NS_PER_S)

struct flows *flows_new(const struct flows_opts *o)
{
	struct flows *f = xalloc(sizeof(*f));

	f->o = *o;
	f->o.seats = o->seats ? o->seats : SEATS;
	f->o.wait_ns = o->wait_ns ? o->wait_ns : WAIT_NS;
	list_init(&f->schemas);
	list_init(&f->levels);
	list_init(&f->waiting);
	return f;
}

void flow_level_unref(struct flow_level **l)
{
	struct flow_level *x = *l;

	*l = NULL;
	if (!x || --x->refs)
		return;
	list_remove(&x->all);
	free(x->name);
	free(x->uid);
	free(x->queues);
	free(x);
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	LIST_FOREACH (it, &f->schemas) {
		struct flow_schema *s = CONTAINER_OF(it, struct flow_schema, all);
		list_remove(it);
		flow_schema_unref(&s);
	}
	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		flow_level_unref(&l);
	}
	free(f);
}

/* ---- levels ---- */

static int over_floor(const struct flow_level *l)
{
	return l->exempt ? 0 : MAX(0, l->used - l->floor);
}

/* Everybody's share, after any change; a level that is gone keeps one seat to empty itself. */
static void share_seats(struct flows *f)
{
	int64_t shares = 0;

	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		shares += l->exempt || l->gone ? 0 : l->shares;
	}
	f->pool = f->pool_used = 0;
	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		int64_t n = shares ? ((int64_t)f->o.seats * l->shares + shares - 1) / shares : 0;
		l->nominal = l->exempt ? 0 : l->gone ? 1 : (int)n;
		int lent = l->gone ? 0 : (int)((int64_t)l->nominal * l->lendable_percent / 100);
		l->floor = l->nominal - lent;
		l->ceiling = l->borrowing_percent < 0
				     ? INT32_MAX
				     : l->nominal + (int)((int64_t)l->nominal *
							  l->borrowing_percent / 100);
		f->pool += lent;
		f->pool_used += over_floor(l);
	}
}

/* As many queues as are wanted now; who waits is dealt out again. */
static void set_queues(struct flow_level *l, size_t n)
{
	struct flow_queue *old = l->queues;
	size_t nold = l->nqueues;

	if (n == nold)
		return;
	l->queues = xalloc(MAX(n, (size_t)1) * sizeof(*l->queues));
	l->nqueues = MAX(n, (size_t)1);
	list_init(&l->active);
	for (size_t i = 0; i < l->nqueues; i++) {
		list_init(&l->queues[i].tickets);
		list_init(&l->queues[i].active);
	}
	for (size_t i = 0; i < nold; i++) {
		struct flow_queue *to = &l->queues[i % l->nqueues];
		LIST_FOREACH (it, &old[i].tickets) {
			struct flow_ticket *t = CONTAINER_OF(it, struct flow_ticket, in_queue);
			list_remove(it);
			list_append(&to->tickets, it);
			t->queue = to;
			to->n++;
		}
		if (to->n && list_empty(&to->active))
			list_append(&l->active, &to->active);
	}
	free(old);
}

static int clamp(int64_t v, int64_t low, int64_t high)
{
	return (int)MAX(low, MIN(v, high));
}

static void configure(struct flow_level *l, const struct json *o)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *limited = json_get(spec, STR("limited")),
			  *response = json_get(limited, STR("limitResponse")),
			  *queuing = json_get(response, STR("queuing"));
	struct str uid = json_str(json_at(o, "metadata", "uid"));

	free(l->uid);
	l->uid = xstrndup(uid.n ? uid.p : "", uid.n);
	l->gone = false;
	l->exempt = str_is(json_str(json_get(spec, STR("type"))), "Exempt");
	l->shares =
		clamp(json_int(json_get(limited, STR("nominalConcurrencyShares")), 30), 0, 1 << 20);
	l->lendable_percent = clamp(json_int(json_get(limited, STR("lendablePercent")), 0), 0, 100);
	l->borrowing_percent =
		clamp(json_int(json_get(limited, STR("borrowingLimitPercent")), -1), -1, 1 << 20);
	l->queuing = str_is(json_str(json_get(response, STR("type"))), "Queue");
	set_queues(l, l->queuing ? (size_t)clamp(json_int(json_get(queuing, STR("queues")), 64), 1,
						 FLOW_QUEUES_MAX)
				 : 1);
	l->hand = (size_t)clamp(json_int(json_get(queuing, STR("handSize")), 8), 1, FLOW_HAND_MAX);
	l->hand = MIN(l->hand, l->nqueues);
	l->queue_limit =
		(size_t)clamp(json_int(json_get(queuing, STR("queueLengthLimit")), 50), 1, 10000);
}

static struct flow_level *level_named(struct flows *f, struct str name)
{
	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		if (str_is(name, l->name))
			return l;
	}
	return NULL;
}

void flows_level(struct flows *f, struct str name, const struct json *o)
{
	struct flow_level *l = level_named(f, name);

	if (!l && !o)
		return;
	if (!l) {
		l = xalloc(sizeof(*l));
		l->name = xstrndup(name.p, name.n);
		l->refs = 1;
		list_init(&l->active);
		list_append(&f->levels, &l->all);
	} else if (l->gone && o) {
		l->refs++;
	}
	struct flow_level *dropped = NULL;
	if (o) {
		configure(l, o);
	} else if (!l->gone) {
		l->gone = true;
		dropped = l;
	}
	flows_link(f);
	flow_level_unref(&dropped);
	share_seats(f);
}

/* ---- seats ---- */

static bool has_seat(const struct flows *f, const struct flow_level *l)
{
	/* A level without any seat of its own gets one all the same: nothing waits for ever. */
	if (l->exempt || l->used < l->floor || l->used == 0)
		return true;
	return l->used < l->ceiling && f->pool_used < f->pool;
}

static void sit(struct flows *f, struct flow_ticket *t)
{
	struct flow_level *l = t->level;
	int before = over_floor(l);

	l->used += t->width;
	f->pool_used += over_floor(l) - before;
	t->state = FLOW_RUNS;
}

static void unqueue(struct flows *f, struct flow_ticket *t)
{
	struct flow_queue *q = t->queue;

	list_remove(&t->in_queue);
	list_remove(&t->waiting);
	f->nwaiting--;
	t->level->waiting--;
	if (--q->n == 0)
		list_remove(&q->active);
	t->queue = NULL;
	t->state = FLOW_OUT;
}

/* ---- coming in ---- */

/* Of the flow's few queues the emptiest; a flow that floods fills only its own hand. */
static struct flow_queue *deal(struct flow_level *l, uint64_t hash)
{
	size_t hand[FLOW_HAND_MAX];
	struct flow_queue *best = NULL;

	for (size_t i = 0; i < l->hand; i++) {
		size_t left = l->nqueues - i, card = (size_t)(hash % left);
		hash /= left;
		/* The card-th of those not in the hand yet; the hand is kept sorted. */
		size_t at = 0;
		for (; at < i && card >= hand[at]; at++)
			card++;
		for (size_t k = i; k > at; k--)
			hand[k] = hand[k - 1];
		hand[at] = card;
		if (!best || l->queues[card].n < best->n)
			best = &l->queues[card];
	}
	return best;
}

static enum flow_state line_up(struct flows *f, const struct flow_ask *q, int64_t now_ns,
			       struct flow_ticket *t, const char **ret_why)
{
	struct flow_level *l = t->level;

	if (!l->queuing) {
		*ret_why = "concurrency-limit";
		return FLOW_OUT;
	}
	struct flow_queue *queue = deal(l, flow_hash(t->schema, q));
	if (queue->n >= l->queue_limit) {
		*ret_why = "queue-full";
		return FLOW_OUT;
	}
	if (queue->n == 0) {
		queue->finish = MAX(queue->finish, l->now);
		list_append(&l->active, &queue->active);
	}
	list_append(&queue->tickets, &t->in_queue);
	list_append(&f->waiting, &t->waiting);
	queue->n++;
	l->waiting++;
	f->nwaiting++;
	t->queue = queue;
	t->since_ns = now_ns;
	return t->state = FLOW_WAITS;
}

enum flow_state flow_enter(struct flows *f, const struct flow_ask *q, int width, int64_t now_ns,
			   struct flow_ticket *t, const char **ret_why)
{
	struct flow_schema *s = flow_classify(f, q);

	t->width = width;
	if (!s || !s->level)
		return t->state = FLOW_RUNS;
	s->refs++;
	s->level->refs++;
	t->schema = s;
	t->level = s->level;
	if (s->level->exempt || (!s->level->waiting && has_seat(f, s->level))) {
		sit(f, t);
		return FLOW_RUNS;
	}
	return line_up(f, q, now_ns, t, ret_why);
}

void flow_leave(struct flows *f, struct flow_ticket *t)
{
	struct flow_level *l = t->level;

	if (t->state == FLOW_WAITS)
		unqueue(f, t);
	if (t->state == FLOW_RUNS && l) {
		int before = over_floor(l);
		l->used -= t->width;
		f->pool_used += over_floor(l) - before;
	}
	t->state = FLOW_OUT;
}

void flow_forget(struct flows *f, struct flow_ticket *t)
{
	flow_leave(f, t);
	flow_level_unref(&t->level);
	flow_schema_unref(&t->schema);
}

/* ---- going on ---- */

/* Among the levels that may start something: those below their share first, then by how much of
 * it they use. */
static struct flow_level *next_level(struct flows *f)
{
	struct flow_level *best = NULL;

	LIST_FOREACH (it, &f->levels) {
		struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		if (!l->waiting || !has_seat(f, l))
			continue;
		if (!best || (int64_t)l->used * MAX(best->nominal, 1) <
				     (int64_t)best->used * MAX(l->nominal, 1))
			best = l;
	}
	return best;
}

struct flow_ticket *flows_next(struct flows *f, int64_t now_ns)
{
	struct flow_level *l = f->nwaiting ? next_level(f) : NULL;
	struct flow_queue *best = NULL;

	(void)now_ns;
	if (!l)
		return NULL;
	LIST_FOREACH (it, &l->active) {
		struct flow_queue *q = CONTAINER_OF(it, struct flow_queue, active);
		if (!best || q->finish < best->finish)
			best = q;
	}
	struct flow_ticket *t = CONTAINER_OF(best->tickets.next, struct flow_ticket, in_queue);
	l->now = MAX(l->now, best->finish);
	best->finish += (uint64_t)t->width;
	unqueue(f, t);
	sit(f, t);
	return t;
}

struct flow_ticket *flows_expired(struct flows *f, int64_t now_ns)
{
	if (list_empty(&f->waiting))
		return NULL;
	struct flow_ticket *t = CONTAINER_OF(f->waiting.next, struct flow_ticket, waiting);
	if (now_ns - t->since_ns < f->o.wait_ns)
		return NULL;
	unqueue(f, t);
	return t;
}

int64_t flows_due(const struct flows *f)
{
	if (list_empty(&f->waiting))
		return 0;
	return CONTAINER_OF(f->waiting.next, struct flow_ticket, waiting)->since_ns + f->o.wait_ns;
}

size_t flows_waiting(const struct flows *f)
{
	return f->nwaiting;
}

/* ---- for headers and figures ---- */

struct str flow_schema_name(const struct flow_ticket *t)
{
	return t->schema ? t->schema->name : STR_NONE;
}

struct str flow_schema_uid(const struct flow_ticket *t)
{
	return t->schema ? t->schema->uid : STR_NONE;
}

struct str flow_level_name(const struct flow_ticket *t)
{
	return t->level ? str_c(t->level->name) : STR_NONE;
}

struct str flow_level_uid(const struct flow_ticket *t)
{
	return t->level ? str_c(t->level->uid) : STR_NONE;
}

struct metric_value **flow_schema_user(const struct flow_ticket *t)
{
	return t->schema ? &t->schema->user : NULL;
}

void flows_each_level(const struct flows *f, void (*fn)(void *arg, const struct flow_figures *l),
		      void *arg)
{
	LIST_FOREACH (it, &f->levels) {
		const struct flow_level *l = CONTAINER_OF(it, struct flow_level, all);
		fn(arg, &(struct flow_figures){.name = str_c(l->name),
					       .nominal = l->nominal,
					       .used = l->used,
					       .waiting = (int)l->waiting,
					       .exempt = l->exempt});
	}
}
