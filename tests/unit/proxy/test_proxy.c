/* The shell around the rule set, against a scripted API and a kernel that only listens. Virtual
 * clock. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "proxy/proxy.h"

struct side {
	const struct resource *resource;
	const char *list; /* NULL = 503 */
	api_done *done;
	void *arg;
	struct loop_timer timer;
	struct watch_call watch;
};

static struct world {
	struct client client;
	struct loop *loop;
	struct side sides[5]; /* Services, EndpointSlices, NetworkPolicies, Pods, Nodes */
	struct proxy *proxy;
	struct buf last; /* the last transaction */
	int runs, fail;
	bool synced, probe_fails;
} w;

static struct side *side_of(const struct resource *r)
{
	return &w.sides[r == &res_services         ? 0
			: r == &res_endpointslices ? 1
			: r == &res_pods           ? 3
			: r == &res_nodes          ? 4
						   : 2];
}

static void answer(struct loop *l, struct loop_timer *t)
{
	struct side *s = CONTAINER_OF(t, struct side, timer);
	struct api_answer a = {.status = 200, .body = str_c(s->list)};

	(void)l;
	if (!s->list) {
		a.status = 503;
		err_set(&a.err, ERR_UNAVAILABLE, "no");
	}
	s->done(s->arg, &a);
}

static struct client_call *fake_call(struct client *c, const struct api_call *call, api_done *done,
				     void *arg)
{
	struct side *s = side_of(call->resource);

	s->done = done;
	s->arg = arg;
	loop_timer_set(c->loop, &s->timer, 0, answer);
	return (struct client_call *)s;
}

static void fake_cancel(struct client *c, struct client_call *call)
{
	loop_timer_cancel(c->loop, &((struct side *)call)->timer);
}

static struct client_watch *fake_watch(struct client *c, const struct watch_call *watch)
{
	struct side *s = side_of(watch->resource);

	(void)c;
	s->watch = *watch;
	return (struct client_watch *)s;
}

static void fake_watch_cancel(struct client *c, struct client_watch *watch)
{
	(void)c;
	(void)watch;
}

static const struct client_ops fake_ops = {.call = fake_call,
					   .call_cancel = fake_cancel,
					   .watch = fake_watch,
					   .watch_cancel = fake_watch_cancel};

static int kernel(struct str text, struct err *err)
{
	if (str_starts(text, STR("list ")))
		return w.probe_fails ? err_set(err, ERR_INTERNAL, "no such table") : 0;
	w.runs++;
	buf_reset(&w.last);
	buf_str(&w.last, text);
	if (w.fail) {
		w.fail--;
		return err_set(err, ERR_INTERNAL, "refused");
	}
	return 0;
}

static int no_flows(bool (*gone)(void *arg, const struct net_flow *f), void *arg, struct err *err)
{
	(void)gone;
	(void)arg;
	(void)err;
	return 0;
}

static void on_synced(void *arg)
{
	(void)arg;
	w.synced = true;
}

#define EMPTY(kind)                                                                                \
	"{\"kind\":\"" kind "List\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}"

static void begin(void)
{
	struct proxy_opts o = {
		.node = "n1", .synced = on_synced, .run = kernel, .forget = no_flows};

	w = (struct world){.loop = loop_new_virtual(0)};
	w.client = (struct client){.ops = &fake_ops, .loop = w.loop};
	w.sides[0].list = EMPTY("Service");
	w.sides[1].list = EMPTY("EndpointSlice");
	w.sides[2].list = EMPTY("NetworkPolicy");
	w.sides[3].list = EMPTY("Pod");
	w.sides[4].list = EMPTY("Node");
	w.proxy = proxy_start(&w.client, &o);
}

static void end(void)
{
	proxy_stop(w.proxy);
	loop_free(w.loop);
	buf_release(&w.last);
}

static void event(const struct resource *r, const char *text)
{
	struct err err = {0};
	struct obj *o = obj_from_bytes(str_c(text), &err);
	struct side *s = side_of(r);

	if (!o)
		fail_msg("%s", err.msg);
	s->watch.event(s->watch.arg, WATCH_ADDED, o);
	obj_unref(o);
}

static void add_service(void)
{
	event(&res_services,
	      "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"namespace\":\"d\","
	      "\"name\":\"web\",\"uid\":\"u1\",\"resourceVersion\":\"2\"},\"spec\":{\"clusterIP\":"
	      "\"10.96.0.7\",\"ports\":[{\"port\":80}]}}");
}

static void add_slice(const char *name, const char *ip)
{
	char text[600];

	snprintf(text, sizeof(text),
		 "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{"
		 "\"namespace\":\"d\",\"name\":\"%s\",\"uid\":\"%s\",\"resourceVersion\":\"3\","
		 "\"labels\":{\"kubernetes.io/service-name\":\"web\"}},\"addressType\":\"IPv4\","
		 "\"ports\":[{\"port\":80}],\"endpoints\":[{\"addresses\":[\"%s\"]}]}",
		 name, name, ip);
	event(&res_endpointslices, text);
}

static void pass(int64_t ms)
{
	loop_advance(w.loop, ms * NS_PER_MS);
}

void test_proxy__ready_once_the_whole_picture_is_written(void **state)
{
	(void)state;
	begin();
	w.sides[1].list = NULL; /* the slices don't come yet */
	pass(500);
	assert_int_equal(w.runs, 0);
	assert_false(w.synced);
	w.sides[1].list = EMPTY("EndpointSlice");
	pass(60000);
	assert_int_equal(w.runs, 1);
	assert_true(w.synced);
	assert_non_null(strstr(buf_cstr(&w.last), "delete table ip plumb_proxy"));
	end();
}

void test_proxy__what_comes_together_is_one_small_transaction(void **state)
{
	(void)state;
	begin();
	pass(100);
	add_service();
	add_slice("a", "10.244.0.5");
	add_slice("b", "10.244.1.6");
	assert_int_equal(w.runs, 1);
	pass(5);
	assert_int_equal(w.runs, 2);
	assert_non_null(strstr(buf_cstr(&w.last), "0 : 10.244.0.5 . 80, 1 : 10.244.1.6 . 80"));
	assert_null(strstr(buf_cstr(&w.last), "table ip plumb_proxy {"));
	/* Nothing that matters changed: the kernel isn't bothered. */
	add_slice("c", "10.244.1.6");
	pass(5);
	assert_int_equal(w.runs, 2);
	end();
}

void test_proxy__a_refused_transaction_is_followed_by_everything(void **state)
{
	(void)state;
	begin();
	pass(100);
	w.fail = 1;
	add_service();
	pass(5);
	assert_int_equal(w.runs, 3);
	assert_non_null(strstr(buf_cstr(&w.last), "delete table ip plumb_proxy"));
	assert_non_null(strstr(buf_cstr(&w.last), "10.96.0.7"));
	w.fail = 2;
	add_slice("a", "10.244.0.5");
	pass(5);
	assert_int_equal(w.runs, 5);
	pass(1100);
	assert_int_equal(w.runs, 6);
	assert_non_null(strstr(buf_cstr(&w.last), "10.244.0.5"));
	end();
}

void test_proxy__a_table_that_somebody_deleted_comes_back(void **state)
{
	(void)state;
	begin();
	pass(100);
	pass(31000);
	assert_int_equal(w.runs, 1);
	w.probe_fails = true;
	pass(30000);
	assert_int_equal(w.runs, 2);
	assert_non_null(strstr(buf_cstr(&w.last), "table ip plumb_proxy {"));
	end();
}
