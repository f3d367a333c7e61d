/*
 * Overload: each request takes a seat of its priority level before it is served, waits for one, or
 * is told to come again; and none takes longer than its timeout. Must never hold back who is
 * exempt, and never keep the seat of a stream that has begun. The core's thread.
 */
#include <stdio.h>

#include "apiserver/front-internal.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

#define GROUP "flowcontrol.apiserver.k8s.io"
#define TIMEOUT_MAX_NS (60 * NS_PER_S)
#define LOOK_NS (250 * NS_PER_MS)
#define LIST_WIDTH 3

struct front_flow {
	struct flows *flows;
	int64_t looked_ns; /* when the deadlines were last looked at */
	struct metric *dispatched, *rejected, *waits, *executing, *inqueue, *nominal, *limit;
};

/* ---- configuration ---- */

void front_flow_change(struct front *f, const struct kind *k, const struct obj *old,
		       const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;

	if (!str_is(str_c(k->group), GROUP))
		return;
	const struct json *v = new ? obj_tree(new, &a) : NULL;
	if (str_is(str_c(k->plural), "flowschemas"))
		flows_schema(f->flow->flows, o->name, v);
	else if (str_is(str_c(k->plural), "prioritylevelconfigurations"))
		flows_level(f->flow->flows, o->name, v);
}

struct feed {
	struct front *f;
	const struct kind *kind;
};

static void feed_one(void *arg, const struct obj *o)
{
	struct feed *f = arg;

	front_flow_change(f->f, f->kind, NULL, o);
}

static void feed(struct front *f, const char *plural)
{
	struct feed to = {f, core_kind_find(f->o.core, STR(GROUP), STR("v1"), str_c(plural))};

	if (to.kind)
		core_each(f->o.core, to.kind, feed_one, &to);
}

static struct metric *counter(const char *name, const char *help, const char *labels)
{
	return metric_new(METRIC_COUNTER, name, help, labels, NULL);
}

static struct metric *gauge(const char *name, const char *help)
{
	return metric_new(METRIC_GAUGE, name, help, "priority_level", NULL);
}

void front_flow_new(struct front *f)
{
	static const double buckets[] = {0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5,
					 1,     2,     5,    10,   15,  30,  0};
	struct front_flow *w = xalloc(sizeof(*w));

	f->flow = w;
	w->flows = flows_new(&(struct flows_opts){.seats = f->o.seats, .wait_ns = f->o.wait_ns});
	w->dispatched = counter("apiserver_flowcontrol_dispatched_requests_total",
				"Requests that got a seat.", "flow_schema,priority_level");
	w->rejected = counter("apiserver_flowcontrol_rejected_requests_total",
			      "Requests that were told to come again.",
			      "flow_schema,priority_level,reason");
	w->waits =
		metric_new(METRIC_HISTOGRAM, "apiserver_flowcontrol_request_wait_duration_seconds",
			   "How long requests stood in a queue.",
			   "flow_schema,priority_level,execute", buckets);
	w->executing = gauge("apiserver_flowcontrol_current_executing_seats",
			     "Seats in use by requests that run.");
	w->inqueue = gauge("apiserver_flowcontrol_current_inqueue_requests",
			   "Requests that stand in queues.");
	w->nominal = gauge("apiserver_flowcontrol_nominal_limit_seats",
			   "A level's share of the server's seats.");
	w->limit = gauge("apiserver_flowcontrol_current_limit_seats",
			 "The seats that a level has for itself now, those it lends not counted.");
	feed(f, "prioritylevelconfigurations");
	feed(f, "flowschemas");
}

void front_flow_free(struct front *f)
{
	if (f->flow)
		flows_free(f->flow->flows);
	free(f->flow);
	f->flow = NULL;
}

/* ---- figures ---- */

struct names {
	char schema[128], level[128];
};

static void put_name(char out[128], struct str name)
{
	snprintf(out, 128, "%.*s", (int)MIN(name.n, (size_t)127), name.p ? name.p : "");
}

static void names_of(const struct flow_ticket *t, struct names *n)
{
	put_name(n->schema, flow_schema_name(t));
	put_name(n->level, flow_level_name(t));
}

static void count_level(void *arg, const struct flow_figures *l)
{
	struct front_flow *w = arg;
	char name[128];

	put_name(name, l->name);
	metric_set(metric_with(w->executing, name, (char *)NULL), l->used);
	metric_set(metric_with(w->inqueue, name, (char *)NULL), l->waiting);
	metric_set(metric_with(w->nominal, name, (char *)NULL), l->nominal);
	metric_set(metric_with(w->limit, name, (char *)NULL), l->nominal);
}

void front_flow_measure(struct front *f)
{
	flows_each_level(f->flow->flows, count_level, f->flow);
}

static void count_dispatched(struct front_req *r)
{
	struct flow_ticket *t = &r->ticket;

	/* The same few schemas over and over: their series is looked up once. */
	struct metric_value **slot = flow_schema_user(t);
	if (!slot)
		return;
	if (!*slot) {
		struct names n;
		names_of(t, &n);
		*slot = metric_with(r->f->flow->dispatched, n.schema, n.level, (char *)NULL);
	}
	metric_add(*slot, 1);
}

static void count_wait(struct front_req *r, bool runs)
{
	struct names n;

	names_of(&r->ticket, &n);
	metric_observe(metric_with(r->f->flow->waits, n.schema, n.level, runs ? "true" : "false",
				   (char *)NULL),
		       (double)(loop_now(r->f->o.loop) - r->ticket.since_ns) / 1e9);
}

/* ---- coming in ---- */

static int width_of(const struct front_req *r)
{
	if (!r->resource || r->core.verb != CORE_LIST)
		return 1;
	return str_find(r->core.query, STR("limit=")) >= 0 ? 1 : LIST_WIDTH;
}

static void refuse(struct front_req *r, const char *why)
{
	struct err err = {0};
	struct names n;

	names_of(&r->ticket, &n);
	metric_add(metric_with(r->f->flow->rejected, n.schema, n.level, why, (char *)NULL), 1);
	metric_add(metric_with(r->f->refused, r->mutating ? "mutating" : "readOnly", (char *)NULL),
		   1);
	err_set(&err, ERR_TOO_MANY, "too many requests, please try again later.");
	err.retry_after_s = 1;
	r->resource = false; /* the Status is about nothing in particular */
	front_fail(r, &err);
}

bool front_flow_enter(struct front_req *r)
{
	struct flow_ask q = {.user = &r->who.user, .verb = front_verb(r)};
	const char *why = NULL;

	if (r->resource) {
		q.group = r->core.group;
		q.resource = r->core.resource;
		q.subresource = r->core.subresource;
		q.namespace = r->core.namespace;
	} else {
		q.path = r->http->path;
	}
	switch (flow_enter(r->f->flow->flows, &q, width_of(r), loop_now(r->f->o.loop), &r->ticket,
			   &why)) {
	case FLOW_RUNS:
		count_dispatched(r);
		return true;
	case FLOW_WAITS:
		r->state = FRONT_WAITS;
		return false;
	case FLOW_OUT:
	default:
		refuse(r, why);
		return false;
	}
}

void front_flow_leave(struct front_req *r)
{
	flow_leave(r->f->flow->flows, &r->ticket);
}

void front_flow_forget(struct front_req *r)
{
	flow_forget(r->f->flow->flows, &r->ticket);
}

size_t front_flow_heads(const struct front_req *r, struct http_header out[2])
{
	if (!r || !r->ticket.schema)
		return 0;
	out[0] = (struct http_header){STR("X-Kubernetes-Pf-Flowschema-Uid"),
				      flow_schema_uid(&r->ticket)};
	out[1] = (struct http_header){STR("X-Kubernetes-Pf-Prioritylevel-Uid"),
				      flow_level_uid(&r->ticket)};
	return 2;
}

/* ---- timeouts ---- */

int front_deadline(struct front_req *r, struct err *err)
{
	int64_t ns = TIMEOUT_MAX_NS;

	if (str_find(r->http->query, STR("timeout=")) >= 0) {
		struct str t = http_query(&r->http->arena, r->http->query, "timeout");
		if (t.n && (duration_parse(t, &ns) || ns < 0))
			return err_set(err, ERR_BAD_REQUEST,
				       "invalid timeout specified in the request URL - time: "
				       "invalid duration \"%.*s\"",
				       (int)MIN(t.n, (size_t)64), t.p);
	}
	if (ns == 0 || ns > TIMEOUT_MAX_NS)
		ns = TIMEOUT_MAX_NS;
	r->deadline_ns = r->http->received_ns + ns;
	return 0;
}

static void end_late(struct front *f, int64_t now)
{
	struct err err = {0};

	err_set(&err, ERR_TIMEOUT,
		"Timeout: request did not complete within requested timeout - context deadline "
		"exceeded");
	LIST_FOREACH (it, &f->in_core) {
		struct front_req *r = CONTAINER_OF(it, struct front_req, link);
		if (r->deadline_ns > now)
			continue;
		core_cancel(f->o.core, &r->core);
		r->resource = false;
		front_fail(r, &err);
	}
}

/* ---- going on ---- */

void front_flow_turn(struct front *f)
{
	struct flows *w = f->flow->flows;
	int64_t now = loop_now(f->o.loop);
	struct flow_ticket *t;

	while ((t = flows_expired(w, now))) {
		struct front_req *r = CONTAINER_OF(t, struct front_req, ticket);
		count_wait(r, false);
		refuse(r, "time-out");
	}
	while ((t = flows_next(w, now))) {
		struct front_req *r = CONTAINER_OF(t, struct front_req, ticket);
		count_wait(r, true);
		count_dispatched(r);
		r->state = FRONT_QUEUED;
		front_serve_seated(r);
	}
	if (list_empty(&f->in_core) || now - f->flow->looked_ns < LOOK_NS)
		return;
	f->flow->looked_ns = now;
	end_late(f, now);
}

bool front_flow_end_one(struct front *f, const struct err *err)
{
	struct flow_ticket *t = flows_expired(f->flow->flows, INT64_MAX);

	if (t)
		front_fail(CONTAINER_OF(t, struct front_req, ticket), err);
	return t;
}

int64_t front_flow_due(const struct front *f)
{
	int64_t now = loop_now(f->o.loop), due = flows_due(f->flow->flows);
	int64_t after = due ? MAX(due - now, 0) : -1;

	if (!list_empty(&f->in_core) && (after < 0 || after > LOOK_NS))
		after = LOOK_NS;
	return after;
}
