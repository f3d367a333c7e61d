/*
 * A server that makes no mistakes, played in memory: clients write, read, list and watch with
 * overlapping calls, and now and then it dies and forgets who asked. What comes out is a history
 * that the checker must find nothing in, and into which test_history.c plants mistakes.
 */
#ifndef PLUMB_TEST_HISTORY_WORLD_H
#define PLUMB_TEST_HISTORY_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "tests/history/history.h"

#define W_KEYS 6
#define W_CLIENTS 5
#define W_OPS 900
#define W_WATCHES 64
#define W_EVENTS 600
#define W_LOG 900

struct w_change {
	enum history_event_type type;
	struct history_item item; /* of a deletion: the last state under the deletion's revision */
	int64_t at_ns;
};

struct world {
	struct rng rng;
	int64_t now;
	uint64_t revision, next_uid;
	int64_t next_value;
	struct history_item now_there[W_KEYS];
	struct w_change log[W_LOG];
	size_t nlog;
	struct history_op ops[W_OPS];
	size_t nops;
	size_t open[W_CLIENTS]; /* op under way + 1 */
	bool done[W_CLIENTS];   /* it has taken effect */
	struct history_watch watches[W_WATCHES];
	size_t nwatches, live[2], told[2]; /* watch + 1, how much of the log it was told */
	struct history h;
};

static void w_change(struct world *w, enum history_event_type type, struct history_item item)
{
	item.revision = ++w->revision;
	w->now_there[item.key] = item;
	if (type == H_DELETED)
		w->now_there[item.key].revision = 0;
	w->log[w->nlog++] = (struct w_change){type, item, w->now};
}

static void w_list(struct world *w, struct history_op *op)
{
	op->revision = w->revision;
	op->items = xalloc(W_KEYS * sizeof(*op->items));
	for (int i = 0; i < W_KEYS; i++)
		if (w->now_there[i].revision)
			op->items[op->nitems++] = w->now_there[i];
}

/* The moment at which a call takes effect. */
static void w_do(struct world *w, struct history_op *op)
{
	struct history_item *i = &w->now_there[op->key], next = {op->key, 0, op->value, i->uid};
	bool there = i->revision != 0;

	op->end = H_OK;
	if (op->verb == H_LIST) {
		w_list(w, op);
	} else if (op->verb == H_GET) {
		op->got = *i;
	} else if ((op->verb == H_CREATE) == there && op->verb != H_APPLY) {
		op->end = H_REFUSED;
	} else if (op->verb == H_UPDATE && op->expected != i->revision) {
		op->end = H_REFUSED;
	} else if (op->verb == H_DELETE) {
		w_change(w, H_DELETED, *i);
	} else {
		if (!there)
			next.uid = ++w->next_uid;
		w_change(w, there ? H_MODIFIED : H_ADDED, next);
		op->got = *i;
	}
}

static struct history_op *w_ask(struct world *w, int client, enum history_verb verb)
{
	struct history_op *op = &w->ops[w->nops++];

	*op = (struct history_op){.verb = verb,
				  .client = client,
				  .from_ns = w->now,
				  .to_ns = INT64_MAX,
				  .end = H_UNKNOWN,
				  .key = (int)rng_below(&w->rng, W_KEYS)};
	op->got.key = op->key;
	if (verb < H_DELETE)
		op->value = ++w->next_value;
	op->expected = w->now_there[op->key].revision;
	if (verb == H_UPDATE && !op->expected)
		op->verb = H_CREATE;
	w->open[client] = w->nops;
	w->done[client] = false;
	return op;
}

/* A list at once, and a watch from it. */
static void w_watch(struct world *w, int which)
{
	struct history_op *op = w_ask(w, 0, H_LIST);
	struct history_watch *v = &w->watches[w->nwatches++];

	w->open[0] = 0;
	w_do(w, op);
	op->to_ns = ++w->now;
	*v = (struct history_watch){.list = w->nops - 1,
				    .events = xalloc(W_EVENTS * sizeof(*v->events))};
	w->live[which] = w->nwatches;
	w->told[which] = w->nlog;
}

static void w_tell(struct world *w, int which)
{
	struct history_watch *v = &w->watches[w->live[which] - 1];

	while (w->told[which] < w->nlog && v->n + 2 < W_EVENTS) {
		const struct w_change *ch = &w->log[w->told[which]++];

		v->events[v->n++] = (struct history_event){ch->type, w->now, ch->item};
	}
	if (!rng_below(&w->rng, 12) && v->n < W_EVENTS)
		v->events[v->n++] = (struct history_event){
			H_BOOKMARK, w->now, {.revision = w->revision, .key = -1}};
}

static void w_client(struct world *w, int client)
{
	struct history_op *op;

	if (!w->open[client]) {
		static const enum history_verb verbs[] = {H_CREATE, H_UPDATE, H_UPDATE, H_UPDATE,
							  H_PATCH,  H_APPLY,  H_DELETE, H_GET,
							  H_GET,    H_LIST};
		if (w->nops + 8 < W_OPS)
			w_ask(w, client, verbs[rng_below(&w->rng, ARRAY_LEN(verbs))]);
		return;
	}
	op = &w->ops[w->open[client] - 1];
	if (!w->done[client]) {
		w_do(w, op);
		w->done[client] = true;
		return;
	}
	op->to_ns = w->now;
	w->open[client] = 0;
}

/* Calls under way get no answer; half of them have taken effect. */
static void w_crash(struct world *w)
{
	for (int i = 1; i < W_CLIENTS; i++) {
		struct history_op *op = w->open[i] ? &w->ops[w->open[i] - 1] : NULL;

		if (!op)
			continue;
		if (!w->done[i] && rng_below(&w->rng, 2))
			w_do(w, op);
		free(op->items);
		op->items = NULL;
		op->nitems = 0;
		op->end = H_UNKNOWN;
		op->to_ns = w->now;
		op->got = (struct history_item){.key = op->key};
		w->open[i] = 0;
	}
	w_watch(w, 0);
	w_watch(w, 1);
}

static struct world *world_play(uint64_t seed)
{
	struct world *w = xalloc(sizeof(*w));

	rng_seed(&w->rng, seed);
	w->next_uid = seed << 32;
	w_watch(w, 0);
	w_watch(w, 1);
	while (w->nops + 2 * W_CLIENTS + 8 < W_OPS) {
		w->now++;
		w_client(w, 1 + (int)rng_below(&w->rng, W_CLIENTS - 1));
		if (rng_below(&w->rng, 2))
			w_tell(w, (int)rng_below(&w->rng, 2));
		if (!rng_below(&w->rng, 150) && w->nwatches + 2 < W_WATCHES)
			w_crash(w);
	}
	for (int round = 0; round < 2; round++) /* what is under way ends */
		for (int i = 1; i < W_CLIENTS; i++, w->now++)
			if (w->open[i])
				w_client(w, i);
	w->now++;
	w_tell(w, 0);
	w_tell(w, 1);
	w_ask(w, 0, H_LIST);
	w_do(w, &w->ops[w->nops - 1]);
	w->ops[w->nops - 1].to_ns = ++w->now;
	w->h = (struct history){w->ops, w->nops, w->watches, w->nwatches};
	return w;
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->nops; i++)
		free(w->ops[i].items);
	for (size_t i = 0; i < w->nwatches; i++)
		free(w->watches[i].events);
	free(w);
}

#endif
