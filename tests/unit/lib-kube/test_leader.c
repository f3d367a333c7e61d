/* Leader election: candidates and one Lease, under a virtual clock; the recorder beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/events.h"
#include "lib/kube/leader.h"

/* A server of one object at a time: what was created or updated last. */
struct server {
	struct loop *loop;
	char *object; /* NULL = none */
	int revision;
	int creates, updates, patches;
	bool down;
	char last[2048]; /* body of the last write */
};

struct caller {
	struct client client;
	struct server *server;
	struct loop_timer timer;
	enum api_verb verb;
	char *body;
	api_done *done;
	void *arg;
	bool cut_off;
};

static void store(struct server *s, const char *body)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct json *o = json_parse(&a, str_c(body), NULL, NULL);
	char revision[16];

	snprintf(revision, sizeof(revision), "%d", ++s->revision);
	json_set_str(&a, json_set_object(&a, o, "metadata"), "resourceVersion", str_c(revision));
	json_write(o, &out);
	free(s->object);
	s->object = buf_take(&out);
}

static int64_t sent_revision(const char *body)
{
	AUTO(arena) struct arena a = {0};
	int64_t v = 0;

	if (str_to_i64(json_str(json_at(json_parse(&a, str_c(body), NULL, NULL), "metadata",
					"resourceVersion")),
		       &v))
		return 0;
	return v;
}

static enum err_code serve(struct server *s, enum api_verb verb, const char *body)
{
	if (verb != API_GET && body)
		snprintf(s->last, sizeof(s->last), "%s", body);
	switch (verb) {
	case API_GET:
		return s->object ? ERR_NONE : ERR_NOT_FOUND;
	case API_CREATE:
		s->creates++;
		if (s->object)
			return ERR_EXISTS;
		store(s, body);
		return ERR_NONE;
	case API_UPDATE:
		s->updates++;
		if (sent_revision(body) != s->revision)
			return ERR_CONFLICT;
		store(s, body);
		return ERR_NONE;
	case API_PATCH:
		s->patches++;
		return s->object ? ERR_NONE : ERR_NOT_FOUND;
	case API_LIST:
	case API_APPLY:
	case API_DELETE:
		break;
	}
	fail();
	return ERR_INTERNAL;
}

static void answer(struct loop *l, struct loop_timer *t)
{
	struct caller *c = CONTAINER_OF(t, struct caller, timer);
	struct server *s = c->server;
	struct api_answer a = {.status = 200};
	enum err_code code = s->down || c->cut_off ? ERR_UNAVAILABLE : serve(s, c->verb, c->body);

	(void)l;
	if (code != ERR_NONE) {
		a.status = err_http(code);
		err_set(&a.err, code, "no");
	} else {
		a.body = str_c(s->object);
	}
	free(c->body);
	c->body = NULL;
	c->done(c->arg, &a);
}

static struct client_call *call(struct client *client, const struct api_call *call, api_done *done,
				void *arg)
{
	struct caller *c = CONTAINER_OF(client, struct caller, client);

	assert_false(loop_timer_armed(&c->timer)); /* one at a time */
	c->verb = call->verb;
	c->body = xstrndup(call->body.p ? call->body.p : "", call->body.n);
	c->done = done;
	c->arg = arg;
	loop_timer_set(client->loop, &c->timer, NS_PER_MS, answer);
	return (struct client_call *)c;
}

static void cancel(struct client *client, struct client_call *call)
{
	struct caller *c = CONTAINER_OF(client, struct caller, client);

	(void)call;
	loop_timer_cancel(client->loop, &c->timer);
	free(c->body);
	c->body = NULL;
}

static const struct client_ops ops = {.call = call, .call_cancel = cancel};

struct candidate {
	struct caller caller;
	struct leader *leader;
	bool leads, gone;
	int starts;
};

static void started(void *arg)
{
	struct candidate *c = arg;

	c->leads = true;
	c->starts++;
}

static void stopped(void *arg)
{
	struct candidate *c = arg;

	c->leads = false;
}

static void released(void *arg)
{
	struct candidate *c = arg;

	c->gone = true;
}

static void join(struct candidate *c, struct server *s, const char *identity)
{
	struct leader_opts o = {.namespace = "kube-system",
				.name = "x",
				.identity = identity,
				.lease_ns = 15 * NS_PER_S,
				.renew_ns = 10 * NS_PER_S,
				.retry_ns = 2 * NS_PER_S,
				.started = started,
				.lost = stopped,
				.arg = c};

	c->caller.server = s;
	c->caller.client = (struct client){.ops = &ops, .loop = s->loop};
	c->leader = leader_new(&c->caller.client, &o);
}

static void leave(struct server *s, struct candidate *a, struct candidate *b)
{
	leader_free(a->leader);
	leader_free(b->leader);
	free(s->object);
	loop_free(s->loop);
}

/* Second by second: never do two lead. */
static void run(struct server *s, struct candidate *a, struct candidate *b, int seconds)
{
	for (int i = 0; i < seconds * 10; i++) {
		loop_advance(s->loop, NS_PER_S / 10);
		assert_false(a->leads && b->leads);
	}
}

void test_leader__one_leads_and_hands_over(void **state)
{
	struct server s = {.loop = loop_new_virtual(0)};
	struct candidate a = {0}, b = {0};

	(void)state;
	join(&a, &s, "a");
	run(&s, &a, &b, 1);
	join(&b, &s, "b");
	run(&s, &a, &b, 120);
	assert_true(a.leads);
	assert_int_equal(b.starts, 0);
	leader_release(a.leader, released, &a);
	a.leads = false;
	run(&s, &a, &b, 3);
	assert_true(a.gone);
	assert_true(b.leads); /* at once, not after the lease's time */
	assert_non_null(strstr(s.object, "\"leaseTransitions\":1"));
	leave(&s, &a, &b);
}

void test_leader__who_is_cut_off_stops_before_another_starts(void **state)
{
	struct server s = {.loop = loop_new_virtual(0)};
	struct candidate a = {0}, b = {0};

	(void)state;
	join(&a, &s, "a");
	run(&s, &a, &b, 1);
	join(&b, &s, "b");
	run(&s, &a, &b, 30);
	a.caller.cut_off = true;
	run(&s, &a, &b, 60);
	assert_false(a.leads);
	assert_true(b.leads);
	a.caller.cut_off = false;
	run(&s, &a, &b, 60);
	assert_true(b.leads);
	assert_int_equal(a.starts, 1);
	leave(&s, &a, &b);
}

void test_leader__a_short_outage_changes_nothing(void **state)
{
	struct server s = {.loop = loop_new_virtual(0)};
	struct candidate a = {0}, b = {0};

	(void)state;
	join(&a, &s, "a");
	run(&s, &a, &b, 1);
	join(&b, &s, "b");
	for (int i = 0; i < 20; i++) {
		s.down = i % 2;
		run(&s, &a, &b, s.down ? 4 : 10);
		assert_true(a.leads);
	}
	assert_int_equal(a.starts, 1);
	assert_int_equal(b.starts, 0);
	leave(&s, &a, &b);
}

void test_leader__takes_its_own_lease_back_at_once(void **state)
{
	struct server s = {.loop = loop_new_virtual(0)};
	struct candidate a = {0}, b = {0};

	(void)state;
	join(&a, &s, "a");
	run(&s, &a, &b, 5);
	leader_free(a.leader); /* killed */
	a = (struct candidate){0};
	join(&a, &s, "a");
	run(&s, &a, &b, 1);
	assert_true(a.leads);
	assert_non_null(strstr(s.object, "\"leaseTransitions\":0"));
	leave(&s, &a, &b);
}

/* ---- events ---- */

static void settle(struct server *s, int ms)
{
	loop_advance(s->loop, ms * NS_PER_MS);
}

void test_events__repeats_are_counted_not_written(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct server s = {.loop = loop_new_virtual(0)};
	struct caller c = {.server = &s};
	struct json *pod = json_build(&a, "{s:s,s:s,s:{s:s,s:s,s:s}}", "apiVersion", "v1", "kind",
				      "Pod", "metadata", "namespace", "n", "name", "p", "uid", "u");
	struct recorder *r;

	(void)state;
	c.client = (struct client){.ops = &ops, .loop = s.loop};
	r = recorder_new(&c.client, "tester", "host");
	recorder_event(r, pod, "Normal", "Pulled", "image %s", "x");
	settle(&s, 10);
	assert_int_equal(s.creates, 1);
	assert_non_null(strstr(s.last, "\"reason\":\"Pulled\",\"message\":\"image x\""));
	assert_non_null(strstr(s.last, "\"uid\":\"u\""));
	assert_non_null(strstr(s.last, "\"count\":1,"));
	for (int i = 0; i < 100; i++)
		recorder_event(r, pod, "Normal", "Pulled", "image %s", "x");
	settle(&s, 5000);
	assert_int_equal(s.creates, 1);
	assert_int_equal(s.patches, 1);
	assert_non_null(strstr(s.last, "\"count\":101,"));
	recorder_free(r);
	free(s.object);
	loop_free(s.loop);
}

/* Names tell the order, whatever it was about; a part is named. */
void test_events__names_are_in_the_order_of_time(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct server s = {.loop = loop_new_virtual(0)};
	struct caller c = {.server = &s};
	struct json *pod = json_build(&a, "{s:s,s:s,s:{s:s,s:s},s:s}", "apiVersion", "v1", "kind",
				      "Pod", "metadata", "namespace", "n", "name", "p", "fieldPath",
				      "spec.containers{c}");
	char first[64];
	const char *name;
	struct recorder *r;

	(void)state;
	c.client = (struct client){.ops = &ops, .loop = s.loop};
	r = recorder_new(&c.client, "tester", NULL);
	recorder_event(r, pod, "Normal", "Zoo", "one");
	settle(&s, 10);
	assert_int_equal(s.creates, 1);
	name = strstr(s.object, "\"name\":\"p.");
	assert_non_null(name);
	snprintf(first, sizeof(first), "%s", name);
	assert_non_null(strstr(s.object, "\"fieldPath\":\"spec.containers{c}\""));
	settle(&s, 1000);
	recorder_event(r, pod, "Normal", "Ape", "two");
	settle(&s, 10);
	name = strstr(s.object, "\"name\":\"p.");
	assert_true(strcmp(first, name) < 0);
	recorder_free(r);
	free(s.object);
	loop_free(s.loop);
}

void test_events__two_at_once_count_two(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct server s = {.loop = loop_new_virtual(0)};
	struct caller c = {.server = &s};
	struct json *pod = json_build(&a, "{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "Node",
				      "metadata", "name", "n");
	struct recorder *r;

	(void)state;
	c.client = (struct client){.ops = &ops, .loop = s.loop};
	r = recorder_new(&c.client, "tester", NULL);
	recorder_event(r, pod, "Warning", "Odd", "same");
	recorder_event(r, pod, "Warning", "Odd", "same");
	settle(&s, 5000);
	assert_int_equal(s.creates, 1);
	assert_non_null(strstr(s.object, "\"namespace\":\"default\""));
	assert_non_null(strstr(s.last, "\"count\":2,"));
	recorder_free(r);
	free(s.object);
	loop_free(s.loop);
}

void test_events__an_outage_costs_one_retry_and_no_more(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct server s = {.loop = loop_new_virtual(0), .down = true};
	struct caller c = {.server = &s};
	struct json *pod = json_build(&a, "{s:s,s:s,s:{s:s,s:s}}", "apiVersion", "v1", "kind",
				      "Pod", "metadata", "name", "p", "namespace", "n");
	struct recorder *r;

	(void)state;
	c.client = (struct client){.ops = &ops, .loop = s.loop};
	r = recorder_new(&c.client, "tester", "host");
	recorder_event(r, pod, "Normal", "A", "x");
	settle(&s, 60000);
	s.down = false;
	settle(&s, 60000);
	assert_int_equal(s.creates, 0); /* dropped */
	recorder_event(r, pod, "Normal", "A", "x");
	settle(&s, 1000);
	assert_int_equal(s.creates, 1);
	recorder_event(r, pod, "Normal", "A", "x");
	recorder_free(r); /* with a call to come */
	free(s.object);
	loop_free(s.loop);
}
