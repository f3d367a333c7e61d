/* Pods of a new namespace wait for its account, which a controller makes in a moment. */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define PODS "/api/v1/namespaces/new/pods"
#define ACCOUNTS "/api/v1/namespaces/new/serviceaccounts"
#define POD(name, more)                                                                            \
	"{\"metadata\":{\"name\":\"" name "\"},\"spec\":{" more                                    \
	"\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"

static void begin(void)
{
	alone_begin();
	assert_int_equal(
		status_of("POST", "/api/v1/namespaces", NULL, "{\"metadata\":{\"name\":\"new\"}}"),
		201);
}

static void account(const char *body)
{
	assert_int_equal(status_of("POST", ACCOUNTS, NULL, body), 201);
	core_turn(core);
}

void test_await__a_pod_waits_for_its_account(void **state)
{
	struct asked *a, *b;

	(void)state;
	begin();
	a = ask_core("POST", PODS, NULL, POD("a", ""));
	b = ask_core("POST", PODS, NULL, POD("b", "\"serviceAccountName\":\"default\","));
	account("{\"metadata\":{\"name\":\"other\"}}");
	assert_int_equal(a->status, 0);
	account("{\"metadata\":{\"name\":\"default\"}}");
	assert_int_equal(a->status, 201);
	assert_int_equal(b->status, 201);
	assert_true(told(a, "\"serviceAccountName\":\"default\""));
	ask_free(a);
	ask_free(b);
	alone_end();
}

void test_await__not_longer_than_a_moment(void **state)
{
	struct asked *q;

	(void)state;
	begin();
	q = ask_core("POST", PODS, NULL, POD("a", ""));
	assert_int_equal(q->status, 0);
	now_ns += NS_PER_S;
	core_turn(core);
	assert_int_equal(q->status, 0);
	now_ns += 8 * NS_PER_S;
	core_turn(core);
	assert_int_equal(q->status, 0);
	assert_true(core_due(core) <= now_ns + NS_PER_S);
	now_ns += NS_PER_S;
	core_turn(core);
	core_turn(core);
	assert_int_equal(q->status, 403);
	assert_true(told(q, "error looking up service account new/default"));
	ask_free(q);
	/* Nobody makes what isn't called so. */
	q = ask_core("POST", PODS, NULL, POD("a", "\"serviceAccountName\":\"robot\","));
	assert_int_equal(q->status, 403);
	ask_free(q);
	alone_end();
}

void test_await__who_leaves_is_forgotten(void **state)
{
	struct asked *q;

	(void)state;
	begin();
	q = ask_core("POST", PODS, NULL, POD("a", ""));
	core_cancel(core, &q->req);
	ask_free(q);
	account("{\"metadata\":{\"name\":\"default\"}}");
	assert_int_equal(status_of("GET", PODS "/a", NULL, NULL), 404);
	q = ask_core("POST", PODS, NULL, POD("b", ""));
	assert_int_equal(q->status, 201);
	ask_free(q);
	assert_int_equal(status_of("DELETE", ACCOUNTS "/default", NULL, NULL), 200);
	q = ask_core("POST", PODS, NULL, POD("c", ""));
	alone_end(); /* while it waits */
	ask_free(q);
}
