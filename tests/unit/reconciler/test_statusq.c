/* Status writes of one object: one at a time, in order, again after the server was away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/statusq.h"

struct fake {
	struct client client;
	int under_way, most;
	char sent[200];
	api_done *done;
	void *arg;
};

static struct client_call *fake_call(struct client *c, const struct api_call *call, api_done *done,
				     void *arg)
{
	struct fake *f = CONTAINER_OF(c, struct fake, client);

	assert_int_equal(call->verb, API_PATCH);
	assert_string_equal(call->subresource, "status");
	strncat(f->sent, call->body.p, call->body.n);
	f->under_way++;
	f->most = f->under_way > f->most ? f->under_way : f->most;
	f->done = done;
	f->arg = arg;
	return (struct client_call *)f;
}

static void fake_cancel(struct client *c, struct client_call *call)
{
	(void)call;
	CONTAINER_OF(c, struct fake, client)->under_way--;
}

static void answer(struct fake *f, enum err_code code)
{
	struct api_answer a = {.status = code == ERR_NONE ? 200 : 503, .err = {.code = code}};

	f->under_way--;
	f->done(f->arg, &a);
	loop_advance(f->client.loop, NS_PER_MS);
}

static const struct client_ops ops = {.call = fake_call, .call_cancel = fake_cancel};

static void put(struct statusq *q, const struct obj *o, int n)
{
	AUTO(arena) struct arena a = {0};

	statusq_put(q, &res_kustomizations, o, json_build(&a, "{s:{s:i}}", "status", "n", n));
}

static struct obj *unit(void)
{
	return obj_from_bytes(STR("{\"kind\":\"Kustomization\",\"metadata\":{\"namespace\":\"n\","
				  "\"name\":\"x\"}}"),
			      NULL);
}

void test_statusq__one_at_a_time_and_in_order(void **state)
{
	struct fake f = {.client = {.ops = &ops, .loop = loop_new_virtual(0)}};
	struct statusq *q = statusq_new(&f.client);
	AUTO(obj) struct obj *o = unit();

	(void)state;
	for (int i = 1; i <= 3; i++)
		put(q, o, i);
	for (int i = 0; i < 3; i++)
		answer(&f, ERR_NONE);
	assert_int_equal(f.most, 1);
	assert_string_equal(f.sent,
			    "{\"status\":{\"n\":1}}{\"status\":{\"n\":2}}{\"status\":{\"n\":3}}");
	assert_true(statusq_busy(q, &res_kustomizations, o));
	loop_advance(f.client.loop, NS_PER_S);
	assert_false(statusq_busy(q, &res_kustomizations, o));
	statusq_free(q);
	loop_free(f.client.loop);
}

void test_statusq__tries_again_and_keeps_the_order(void **state)
{
	struct fake f = {.client = {.ops = &ops, .loop = loop_new_virtual(0)}};
	struct statusq *q = statusq_new(&f.client);
	AUTO(obj) struct obj *o = unit();

	(void)state;
	put(q, o, 1);
	answer(&f, ERR_UNAVAILABLE);
	put(q, o, 2);
	assert_int_equal(f.under_way, 0);
	loop_advance(f.client.loop, NS_PER_S);
	assert_int_equal(f.under_way, 1);
	answer(&f, ERR_NONE);
	assert_string_equal(f.sent,
			    "{\"status\":{\"n\":1}}{\"status\":{\"n\":1}}{\"status\":{\"n\":2}}");
	statusq_free(q);
	loop_free(f.client.loop);
}

void test_statusq__a_late_one_is_sent_once(void **state)
{
	struct fake f = {.client = {.ops = &ops, .loop = loop_new_virtual(0)}};
	struct statusq *q = statusq_new(&f.client);
	AUTO(obj) struct obj *o = unit();

	(void)state;
	put(q, o, 1);
	answer(&f, ERR_NONE);
	loop_advance(f.client.loop, 50 * NS_PER_MS);
	/* The line lingers; its timer must not send this a second time. */
	put(q, o, 2);
	loop_advance(f.client.loop, NS_PER_S);
	assert_int_equal(f.under_way, 1);
	assert_string_equal(f.sent, "{\"status\":{\"n\":1}}{\"status\":{\"n\":2}}");
	answer(&f, ERR_NONE);
	statusq_free(q);
	loop_free(f.client.loop);
}
