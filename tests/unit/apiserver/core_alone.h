/*
 * A core on a memory store, with nobody around it: requests go in by hand, calls to webhooks come
 * out in a row and are answered by hand. Included by one test program each.
 */
#ifndef PLUMB_TEST_APISERVER_CORE_ALONE_H
#define PLUMB_TEST_APISERVER_CORE_ALONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/core.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#define CALLS_MAX 256

struct asked {
	struct core_req req; /* first */
	struct arena a;
	int status; /* 0 = not answered */
	bool streaming, ended;
	struct buf body, warnings, notes;
};

static struct store *store;
static struct core *core;
static int64_t now_ns;
static struct core_call *calls[CALLS_MAX];
static size_t ncalls, made;        /* waiting; all there ever were */
static UNUSED bool noting, asking; /* as if the audit log, the front asked */

static int64_t test_now(void *arg)
{
	(void)arg;
	return now_ns;
}

static void on_call(void *arg, struct core_call *call)
{
	(void)arg;
	assert_true(ncalls < CALLS_MAX);
	calls[ncalls++] = call;
	made++;
}

static void on_core_answer(struct core_req *r, const struct core_answer *a)
{
	struct asked *q = (struct asked *)r;

	q->status = a->status;
	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&q->body, a->blocks[i]->data);
	buf_str(&q->warnings, a->warnings);
	buf_str(&q->notes, a->notes);
	if (r->verb == CORE_WATCH) /* as for requests from outside: with the answer they are over */
		arena_release(&q->a);
}

static void on_core_begin(struct core_req *r, const struct core_answer *head)
{
	(void)head;
	((struct asked *)r)->streaming = true;
}

static int on_core_write(struct core_req *r, struct block *const *blocks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_str(&((struct asked *)r)->body, blocks[i]->data);
	return 0;
}

static void on_core_end(struct core_req *r)
{
	((struct asked *)r)->ended = true;
}

static const struct core_sink test_sink = {.answer = on_core_answer,
					   .stream_begin = on_core_begin,
					   .stream_write = on_core_write,
					   .stream_end = on_core_end};

/* "/api/v1/…?query"; type NULL = JSON. The request waits in the core. */
static struct asked *ask_core(const char *method, const char *target, const char *type,
			      const char *body)
{
	static const struct user_extra extra = {{"scopes", 6}, {"view", 4}};
	struct asked *q = xalloc(sizeof(*q));
	struct str path, query;

	str_cut(arena_str(&q->a, str_c(target)), '?', &path, &query);
	q->req.arena = &q->a;
	assert_true(core_route(str_c(method), path, query, &q->req));
	q->req.content_type = str_c(type ? type : "application/json");
	q->req.body = body ? arena_str(&q->a, str_c(body)) : STR_NONE;
	q->req.form_version = STR("v1");
	q->req.user = (struct admission_user){.name = STR("bob"), .extra = &extra, .nextra = 1};
	q->req.user_agent = STR("test");
	q->req.sink = &test_sink;
	q->req.ask = asking;
	q->req.noted = q->req.noted_patches = noting;
	core_submit(core, &q->req);
	core_turn(core);
	return q;
}

static void ask_free(struct asked *q)
{
	arena_release(&q->a);
	buf_release(&q->body);
	buf_release(&q->warnings);
	buf_release(&q->notes);
	free(q);
}

/* The oldest call that waits is answered with that text, or fails with `why`. */
static UNUSED void answer_text(const char *text, const char *why)
{
	struct err err = {0};
	struct core_call *call = calls[0];

	assert_true(ncalls > 0);
	memmove(calls, calls + 1, --ncalls * sizeof(*calls));
	if (why)
		err_set(&err, ERR_UNAVAILABLE, "%s", why);
	core_call_done(core, call, str_c(text), &err);
	core_turn(core);
}

/* As a webhook answers: `response` is the members beside uid. */
static UNUSED void answer_review(const char *response)
{
	AUTO(buf) struct buf text = {0};

	assert_true(ncalls > 0);
	buf_printf(&text,
		   "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\","
		   "\"response\":{\"uid\":\"%s\",%s}}",
		   calls[0]->uid, response);
	answer_text(buf_cstr(&text), NULL);
}

static UNUSED void answer_patch(const char *ops)
{
	AUTO(buf) struct buf text = {0};

	buf_puts(&text, "\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\"");
	base64_encode(str_c(ops), &text);
	buf_putc(&text, '"');
	answer_review(buf_cstr(&text));
}

static UNUSED bool has(struct str text, const char *part)
{
	return str_find(text, str_c(part)) >= 0;
}

/* Whether the oldest waiting call's body holds that. */
static UNUSED bool called_with(const char *part)
{
	assert_true(ncalls > 0);
	return has(calls[0]->body, part);
}

static UNUSED bool told(const struct asked *q, const char *part)
{
	return has(buf_view(&q->body), part);
}

/* Asks, expects that status at once, and keeps the body in `last_body`. */
static struct buf last_body;
static UNUSED int status_of(const char *method, const char *target, const char *type,
			    const char *body)
{
	struct asked *q = ask_core(method, target, type, body);
	int status = q->status;

	buf_reset(&last_body);
	buf_str(&last_body, buf_view(&q->body));
	if (!status)
		core_cancel(core, &q->req);
	ask_free(q);
	return status;
}

static UNUSED void alone_begin(void)
{
	struct err err = {0};

	now_ns = INT64_C(1750000000) * NS_PER_S;
	store = store_memory_new();
	core = core_new(
		&(struct core_opts){.store = store, .seed = 7, .now = test_now, .call = on_call},
		&err);
	assert_non_null(core);
	made = ncalls = 0;
	assert_int_equal(status_of("POST", "/api/v1/namespaces", NULL,
				   "{\"metadata\":{\"name\":\"default\",\"labels\":{\"team\":"
				   "\"red\"}}}"),
			 201);
}

static UNUSED void alone_end(void)
{
	while (ncalls)
		answer_text("", "the test is over");
	core_free(core);
	store_free(store);
	buf_release(&last_body);
}

#endif
