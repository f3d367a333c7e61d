/*
 * Requests that need an answer from outside: webhooks. The core can't wait, so such a request is
 * abandoned without effect, the calls it needs are handed out, and when all of them are answered it
 * is carried out again from the start, which finds the answers this time. Clock and generator stand
 * for each attempt as they stood for the first, so that what is asked is the same; where it isn't,
 * because others wrote meanwhile, it is asked anew. Must never leave a change of an abandoned
 * attempt behind. One thread; a parked request's memory is its own, its calls' theirs.
 *
 * A request that lacks what a controller makes in a moment is parked, too, without calls: until an
 * account of the name that all wait for comes, or the moment is over.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/core-internal.h"

#define ATTEMPTS_MAX 64
#define WAIT_MAX (90 * NS_PER_S)
#define CALLS_MAX 512          /* under way for all requests: what they hold is bounded so */
#define CALLS_OF_ONE 64        /* of one attempt; the next one makes the rest */
#define MOMENT (10 * NS_PER_S) /* of a controller that has much to do */
#define AWAITING_MAX 512

struct parked {
	struct list all;      /* core.parked, while calls are under way */
	struct core_req *req; /* NULL: cancelled */
	struct rng rng;
	int64_t began_ns;
	struct map answers; /* by key → struct recalled, in the arena */
	struct arena a;
	size_t waiting; /* for so many calls; none: for the moment */
	unsigned attempts;
};

struct pending_call {
	struct core_call call; /* first */
	struct parked *parked;
	struct pending_call *next;
	struct str key;
	const struct str *keys; /* of a conversion's objects */
	size_t nkeys;
	char uid[UUID_TEXT_MAX];
	struct arena a;
	/* of a call without a request */
	void (*done)(struct core *c, void *arg, struct str body, const char *uid,
		     const struct err *err);
	void *arg;
};

static void parked_free(struct parked *p)
{
	list_remove(&p->all);
	map_release(&p->answers);
	arena_release(&p->a);
	free(p);
}

static void call_free(struct pending_call *call)
{
	arena_release(&call->a);
	free(call);
}

/* ---- an attempt ---- */

void op_begin(struct op *op)
{
	struct core *c = op->core;

	op->memo = op->req->core_private;
	op->req->core_private = NULL;
	op->savepoint = c->nchanges;
	op->revision = c->revision;
	op->rng = c->rng;
	if (!op->memo)
		return;
	c->rng = op->memo->rng;
	c->frozen_ns = op->memo->began_ns;
}

/* The calls are handed out when everything is in its place: the first may be answered at once. */
static void park(struct op *op)
{
	struct core *c = op->core;
	struct pending_call *calls = op->calls, *next;
	struct parked *p = op->memo;

	if (!p) {
		p = xalloc(sizeof(*p));
		p->rng = op->rng;
		p->began_ns = core_now(c);
		list_init(&p->all);
	}
	p->req = op->req;
	p->attempts++;
	for (next = calls; next; next = next->next) {
		next->parked = p;
		p->waiting++;
	}
	list_append(&c->parked, &p->all);
	c->nawaiting += !p->waiting;
	for (; calls; calls = next) {
		next = calls->next;
		c->ncalls++;
		c->o.call(c->o.call_arg, &calls->call);
	}
}

void op_end(struct op *op)
{
	struct core *c = op->core;

	if (op->memo)
		c->rng = op->rng;
	c->frozen_ns = 0;
	if (op->parked) {
		core_undo_to(c, op->savepoint);
		c->revision = op->revision;
		park(op);
	} else if (op->memo) {
		parked_free(op->memo);
	}
}

/* ---- asking ---- */

const struct recalled *op_recall(const struct op *op, struct str key)
{
	return op->memo ? map_get(&op->memo->answers, key) : NULL;
}

static int may_ask(struct op *op)
{
	struct core *c = op->core;

	if (!c->o.call || op->req->internal)
		return err_set(&op->err, ERR_UNAVAILABLE, "this server calls nobody");
	if (op->memo && (op->memo->attempts >= ATTEMPTS_MAX ||
			 c->o.now(c->o.now_arg) - op->memo->began_ns > WAIT_MAX))
		return err_set(&op->err, ERR_TIMEOUT,
			       "Timeout: request did not complete within the allotted timeout");
	if (c->ncalls + op->ncalls >= CALLS_MAX) {
		op->err.retry_after_s = 1;
		return err_set(&op->err, ERR_TOO_MANY,
			       "too many webhook calls are under way, please try again later");
	}
	return 0;
}

struct core_call *op_call(struct op *op, struct str key, struct str name)
{
	struct pending_call *p;

	if (op->ncalls >= CALLS_OF_ONE || (!op->ncalls && may_ask(op)))
		return NULL;
	for (p = op->calls; p; p = p->next)
		if (str_eq(p->key, key))
			return NULL; /* asked already in this attempt */
	p = xalloc(sizeof(*p));
	p->key = arena_str(&p->a, key);
	p->call.name = arena_str(&p->a, name);
	p->call.arena = &p->a;
	p->call.uid = p->uid;
	uuid_from(&op->core->rng, p->uid);
	p->next = op->calls;
	op->calls = p;
	op->ncalls++;
	op->parked = true;
	return &p->call;
}

void op_call_many(struct core_call *base, const struct str *keys, size_t n)
{
	struct pending_call *call = (struct pending_call *)base;
	struct str *copy = arena_array(&call->a, n, sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_str(&call->a, keys[i]);
	call->keys = copy;
	call->nkeys = n;
}

struct core_call *core_call_new(struct core *c, struct str name,
				void (*done)(struct core *c, void *arg, struct str body,
					     const char *uid, const struct err *err),
				void *arg)
{
	struct pending_call *p;

	if (!c->o.call || c->ncalls >= CALLS_MAX)
		return NULL;
	p = xalloc(sizeof(*p));
	p->call.name = arena_str(&p->a, name);
	p->call.arena = &p->a;
	p->call.uid = p->uid;
	p->done = done;
	p->arg = arg;
	uuid_from(&c->rng, p->uid);
	return &p->call;
}

void core_call_go(struct core *c, struct core_call *call)
{
	c->ncalls++;
	c->o.call(c->o.call_arg, call);
}

/* ---- answers ---- */

void core_requeue(struct core *c, struct core_req *r)
{
	r->core_next = NULL;
	*c->queue_end = r;
	c->queue_end = &r->core_next;
}

static void remember(struct pending_call *call, struct str key, struct str body,
		     const struct err *err)
{
	struct parked *p = call->parked;
	struct recalled *r = arena_alloc(&p->a, sizeof(*r));

	r->body = arena_str(&p->a, body);
	memcpy(r->uid, call->uid, sizeof(r->uid));
	if (err)
		r->err = *err;
	map_set(&p->answers, key, r);
}

static void remember_many(struct pending_call *call, struct str body, const struct err *why)
{
	AUTO(arena) struct arena a = {0};
	const struct json *list = NULL;
	struct err err = {0};

	if (!why)
		list = conversion_answer(&a, body, call->uid, call->nkeys, &err);
	for (size_t i = 0; i < call->nkeys; i++) {
		AUTO(buf) struct buf text = {0};

		if (list)
			json_write(json_item(list, i), &text);
		remember(call, call->keys[i], buf_view(&text), list ? NULL : why ? why : &err);
	}
}

void core_call_done(struct core *c, struct core_call *base, struct str body, const struct err *err)
{
	struct pending_call *call = (struct pending_call *)base;
	struct parked *p = call->parked;

	if (err && err->code == ERR_NONE)
		err = NULL;
	c->ncalls--;
	if (call->done)
		call->done(c, call->arg, body, call->uid, err);
	else if (p->req && call->nkeys)
		remember_many(call, body, err);
	else if (p->req)
		remember(call, call->key, body, err);
	call_free(call);
	if (!p)
		return;
	if (--p->waiting)
		return;
	list_remove(&p->all);
	if (!p->req) {
		parked_free(p);
		return;
	}
	p->req->core_private = p;
	core_requeue(c, p->req);
}

/* ---- what comes in a moment ---- */

bool op_await(struct op *op)
{
	struct core *c = op->core;
	int64_t now = c->o.now(c->o.now_arg);

	/* Who has nobody outside waits for nobody. */
	if (!c->o.call || op->req->internal || op->calls || c->nawaiting >= AWAITING_MAX ||
	    (op->memo && now - op->memo->began_ns >= MOMENT))
		return false;
	op->parked = true;
	return true;
}

void core_park_wake(struct core *c, bool came)
{
	int64_t now = c->o.now(c->o.now_arg);

	if (!c->nawaiting)
		return;
	LIST_FOREACH (it, &c->parked) {
		struct parked *p = CONTAINER_OF(it, struct parked, all);

		if (p->waiting || (!came && now - p->began_ns < MOMENT))
			continue;
		list_remove(&p->all);
		c->nawaiting--;
		p->req->core_private = p;
		core_requeue(c, p->req);
	}
}

int64_t core_park_due(const struct core *c)
{
	int64_t due = INT64_MAX;

	if (!c->nawaiting)
		return due;
	LIST_FOREACH (it, &c->parked) {
		const struct parked *p = CONTAINER_OF(it, struct parked, all);

		if (!p->waiting)
			due = MIN(due, p->began_ns + MOMENT);
	}
	return due;
}

/* ---- leaving ---- */

bool core_park_cancel(struct core *c, struct core_req *r)
{
	LIST_FOREACH (it, &c->parked) {
		struct parked *p = CONTAINER_OF(it, struct parked, all);

		if (p->req != r)
			continue;
		if (!p->waiting) {
			c->nawaiting--;
			parked_free(p);
			return true;
		}
		p->req = NULL; /* the calls still end, and are nobody's then */
		return true;
	}
	return false;
}

void core_park_forget(struct core_req *r)
{
	if (r->core_private)
		parked_free(r->core_private);
	r->core_private = NULL;
}

void core_park_free(struct core *c)
{
	for (struct core_req *r = c->queue; r; r = r->core_next)
		core_park_forget(r);
	LIST_FOREACH (it, &c->parked)
		parked_free(CONTAINER_OF(it, struct parked, all));
}
