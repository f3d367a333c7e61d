/*
 * Applying a plan: its operations in order, each with its preconditions; then waiting until the
 * caches have seen what was written. Creations of one kind that follow each other, and deletions,
 * run side by side, more of them the more have gone well: the API server commits such writes
 * together. The first failure ends the plan. One loop.
 */
#include <stdlib.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/manager-internal.h"
#include "lib/kube/resources.h"

/* A cache that lags longer is cut off from the server; it will list again, and names are
 * deterministic. */
#define SEEN_TIMEOUT (5 * NS_PER_S)

enum { AT_ONCE_MAX = 8 };

static void go_on(struct job *job);

void job_free(struct job *job)
{
	struct runner *r = job->runner;

	LIST_FOREACH (it, &job->calls)
		client_call_cancel(r->manager->client, CONTAINER_OF(it, struct op_call, all)->call);
	loop_timer_cancel(r->manager->client->loop, &job->deadline);
	list_remove(&job->all);
	r->running--;
	workqueue_done(r->queue, job->key);
	arena_release(&job->arena);
	for (size_t i = 0; i < job->npins; i++)
		obj_unref(job->pins[i]);
	free(job->pins);
	free(job);
}

/* ---- waiting for the caches ---- */

static bool deletion_seen(const struct informer *i, const struct own_write *w)
{
	const struct obj *o = informer_get(i, w->namespace, w->name);

	return !o || o->deleted_ns || !str_eq(o->uid, w->uid);
}

static bool write_seen(const struct runner *r, const struct own_write *w)
{
	for (size_t n = 0; r->controller->watches[n].resource; n++) {
		if (r->controller->watches[n].resource != w->resource)
			continue;
		if (w->uid.p ? !deletion_seen(r->informers[n], w)
			     : informer_revision(r->informers[n]) < w->revision)
			return false;
	}
	return true;
}

static bool all_seen(const struct job *job)
{
	for (size_t n = 0; n < job->nwrites; n++)
		if (!write_seen(job->runner, &job->writes[n]))
			return false;
	return true;
}

/* What a repetition can't heal is still looked at once more, to be able to say so. */
static void try_again(struct job *job)
{
	struct runner *r = job->runner;
	bool first = !map_has(&r->failed, job->key);

	runner_failed(r, job->key, &job->err);
	if (err_retryable(job->err.code) || first)
		workqueue_add_failed(r->queue, job->key);
}

static void finish(struct job *job)
{
	struct runner *r = job->runner;

	if (job->err.code != ERR_NONE)
		try_again(job);
	else if (job->plan.requeue_ns)
		workqueue_add_after(r->queue, job->key, job->plan.requeue_ns);
	job_free(job);
	runner_go(r);
}

static void on_deadline(struct loop *l, struct loop_timer *t)
{
	(void)l;
	finish(CONTAINER_OF(t, struct job, deadline));
}

void job_recheck(struct job *job)
{
	if (job->written && all_seen(job))
		finish(job);
}

static void wait_seen(struct job *job)
{
	job->written = true;
	if (all_seen(job))
		finish(job);
	else
		loop_timer_set(job->runner->manager->client->loop, &job->deadline, SEEN_TIMEOUT,
			       on_deadline);
}

/* ---- writing ---- */

static void remember(struct job *job, const struct plan_op *op, struct str body)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct own_write *w = &job->writes[job->nwrites];
	const struct json *answer;

	*w = (struct own_write){.resource = op->resource};
	if (op->type == PLAN_DELETE) {
		w->namespace = op->namespace;
		w->name = op->name;
		w->uid = op->uid;
		job->nwrites++;
		return;
	}
	answer = json_parse(&a, body, NULL, &err);
	if (!str_to_u64(json_str(json_at(answer, "metadata", "resourceVersion")), &w->revision))
		job->nwrites++;
}

/*
 * The first failure ends the plan. What it wrote besides is waited for like any other write: the
 * next look at this key must not miss it.
 */
static void fail(struct job *job, const struct err *err)
{
	const char *controller = job->runner->controller->name;
	const char *key = log_fmt("%.*s", STR_ARG(job->key));

	if (err->code == ERR_CONFLICT || err->code == ERR_NOT_FOUND || err->code == ERR_EXISTS)
		log_debug("write refused", "controller", controller, "key", key, "error", err->msg);
	else
		log_warn("write failed", "controller", controller, "key", key, "error", err->msg);
	if (job->err.code == ERR_NONE)
		job->err = *err;
}

static bool tolerated(const struct plan_op *op, const struct err *err)
{
	return (op->ignore_not_found && err->code == ERR_NOT_FOUND) ||
	       (op->ignore_exists && err->code == ERR_EXISTS);
}

static void record(struct job *job, const struct json *event)
{
	AUTO(buf) struct buf type = {0};
	AUTO(buf) struct buf reason = {0};
	struct str message = json_str(json_get(event, STR("message")));

	buf_str(&type, json_str(json_get(event, STR("type"))));
	buf_str(&reason, json_str(json_get(event, STR("reason"))));
	recorder_event(job->runner->recorder, json_get(event, STR("regarding")), buf_cstr(&type),
		       buf_cstr(&reason), "%.*s", STR_ARG(message));
}

/* The events that stand behind an operation tell of it. Returns the next operation. */
static struct plan_op *record_events(struct job *job, struct plan_op *op, bool tell)
{
	for (; op && op->type == PLAN_EVENT; op = op->next)
		if (tell)
			record(job, op->body);
	return op;
}

static void on_written(void *arg, const struct api_answer *a)
{
	struct op_call *c = arg;
	struct job *job = c->job;

	list_remove(&c->all);
	job->ncalls--;
	if (a->err.code == ERR_NONE || tolerated(c->op, &a->err)) {
		if (a->err.code == ERR_NONE)
			remember(job, c->op, a->body);
		job->done++;
		record_events(job, c->op->next, true);
	} else {
		fail(job, &a->err);
	}
	go_on(job);
}

/* DeleteOptions. */
static const struct json *delete_options(struct arena *a, const struct plan_op *op)
{
	struct json *o = json_build(a, "{s:s, s:s}", "kind", "DeleteOptions", "apiVersion", "v1");
	struct json *pre = json_set_object(a, o, "preconditions");

	if (op->uid.n)
		json_set_str(a, pre, "uid", op->uid);
	if (op->revision.n)
		json_set_str(a, pre, "resourceVersion", op->revision);
	if (op->propagation)
		json_set_str(a, o, "propagationPolicy", str_c(op->propagation));
	if (op->grace_s >= 0)
		json_set_int(a, o, "gracePeriodSeconds", op->grace_s);
	return o;
}

/* A merge patch with its preconditions, which the API server checks like any other field. */
static const struct json *patch_body(struct arena *a, const struct plan_op *op)
{
	struct json *body, *meta;

	if (!op->uid.n && !op->revision.n)
		return op->body;
	body = json_copy(a, op->body);
	meta = json_set_object(a, body, "metadata");
	if (op->uid.n)
		json_set_str(a, meta, "uid", op->uid);
	if (op->revision.n)
		json_set_str(a, meta, "resourceVersion", op->revision);
	return body;
}

/* ---- a token for a Secret to keep ---- */

/* No longer than a request may ask for, which is 136 years. */
#define TOKEN_LIFETIME_S UINT32_MAX

static void token_request(struct arena *a, const struct plan_op *op, struct api_call *call,
			  const struct json **ret_body)
{
	call->verb = API_CREATE;
	call->resource = &res_serviceaccounts;
	call->name = op->account;
	call->subresource = "token";
	*ret_body =
		json_build(a, "{s:s,s:s,s:{s:I,s:{s:s,s:s,s:S,s:S}}}", "apiVersion",
			   "authentication.k8s.io/v1", "kind", "TokenRequest", "spec",
			   "expirationSeconds", (int64_t)TOKEN_LIFETIME_S, "boundObjectRef",
			   "apiVersion", "v1", "kind", "Secret", "name", op->name, "uid", op->uid);
}

/* The token came: it goes nowhere but into the Secret. */
static void on_token(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct op_call *c = arg;
	const struct plan_op *op = c->op;
	struct err err = answer->err;
	const struct json *got = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);
	struct buf coded = {0}, text = {0};
	struct json *patch;

	if (!got) {
		on_written(arg, &(struct api_answer){.err = err});
		return;
	}
	base64_encode(json_str(json_at(got, "status", "token")), &coded);
	patch = json_copy(&a, patch_body(&a, op));
	json_set_str(&a, json_set_object(&a, patch, "data"), "token", buf_view(&coded));
	json_write(patch, &text);
	struct api_call call = {.verb = API_PATCH,
				.resource = op->resource,
				.namespace = op->namespace,
				.name = op->name,
				.body = buf_view(&text),
				.field_manager = c->job->runner->controller->name};
	c->call = client_call(c->job->runner->manager->client, &call, on_written, c);
	buf_wipe(&coded);
	buf_wipe(&text);
}

static void describe(struct job *job, const struct plan_op *op, struct api_call *call,
		     const struct json **ret_body)
{
	struct arena *a = &job->arena;

	*call = (struct api_call){.resource = op->resource,
				  .namespace = op->namespace,
				  .name = op->name,
				  .subresource = op->subresource};
	*ret_body = op->body;
	switch (op->type) {
	case PLAN_CREATE:
		call->verb = API_CREATE;
		call->name = STR_NONE;
		break;
	case PLAN_UPDATE_STATUS:
		call->subresource = "status";
		call->verb = API_UPDATE;
		break;
	case PLAN_UPDATE:
		call->verb = API_UPDATE;
		break;
	case PLAN_PATCH:
		call->verb = API_PATCH;
		*ret_body = patch_body(a, op);
		break;
	case PLAN_APPLY:
		call->verb = API_APPLY;
		call->force = true;
		break;
	case PLAN_DELETE:
		call->verb = API_DELETE;
		*ret_body = delete_options(a, op);
		break;
	case PLAN_TOKEN:
		token_request(a, op, call, ret_body);
		break;
	case PLAN_EVENT:
		break;
	}
}

static void begin(struct job *job)
{
	struct op_call *c = arena_alloc(&job->arena, sizeof(*c));
	AUTO(buf) struct buf text = {0};
	const struct json *body;
	struct api_call call;

	c->job = job;
	c->op = job->op;
	describe(job, c->op, &call, &body);
	json_write(body, &text);
	call.body = buf_view(&text);
	call.field_manager = job->runner->controller->name;
	list_append(&job->calls, &c->all);
	job->ncalls++;
	c->call = client_call(job->runner->manager->client, &call,
			      c->op->type == PLAN_TOKEN ? on_token : on_written, c);
	job->op = record_events(job, c->op->next, false);
}

/* Whether the next operation needn't wait for those that are under way: they are all of its
 * type and kind, or it would have waited for them. */
static bool may_begin(const struct job *job)
{
	const struct plan_op *now, *next = job->op;

	if (!job->ncalls)
		return true;
	now = CONTAINER_OF(job->calls.next, struct op_call, all)->op;
	return (next->type == PLAN_CREATE || next->type == PLAN_DELETE) &&
	       next->type == now->type && next->resource == now->resource &&
	       job->ncalls <= job->done && job->ncalls < AT_ONCE_MAX;
}

static void go_on(struct job *job)
{
	while (job->op && job->err.code == ERR_NONE && may_begin(job))
		begin(job);
	if (job->ncalls)
		return;
	if (job->err.code == ERR_NONE) {
		runner_failed(job->runner, job->key, NULL);
		workqueue_forget(job->runner->queue, job->key);
	}
	wait_seen(job);
}

void job_apply(struct job *job)
{
	job->writes = arena_array(&job->arena, job->plan.n + 1, sizeof(*job->writes));
	job->op = record_events(job, job->plan.first, true);
	go_on(job);
}
