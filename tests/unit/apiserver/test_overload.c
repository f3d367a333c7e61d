/* Too much at once, too big, too late: what the front says then, and that others don't suffer. */
#include "tests/unit/apiserver/live.h"

#include <unistd.h>

#define FLOOD 60
#define FLOW "/apis/flowcontrol.apiserver.k8s.io/v1/"

static struct result flood[FLOOD];

static void on_flood(void *arg, const struct http_answer *a)
{
	on_done(arg, a);
	if (a->status == 429) {
		assert_true(str_is(http_header(&a->headers, "Retry-After"), "1"));
		assert_true(http_header(&a->headers, "X-Kubernetes-PF-FlowSchema-UID").n == 36);
		assert_true(http_header(&a->headers, "X-Kubernetes-PF-PriorityLevel-UID").n == 36);
	}
}

/* All of them reach the core's thread in one go. */
static void send_flood(struct http_client *c, const char *path)
{
	for (size_t i = 0; i < FLOOD; i++) {
		forget(&flood[i]);
		http_client_call(c, &(struct http_call){.method = "GET",
							.path = str_c(path),
							.done = on_flood,
							.arg = &flood[i]});
	}
}

static int answered(int status)
{
	int n = 0;

	for (size_t i = 0; i < FLOOD; i++)
		n += flood[i].done && flood[i].status == status;
	return n;
}

static void await_flood(void)
{
	for (int i = 0; i < 12000; i++) {
		int done = 0;
		for (size_t k = 0; k < FLOOD; k++)
			done += flood[k].done;
		if (done == FLOOD)
			return;
		loop_turn(loop, 10);
	}
	fail_msg("not everybody was answered");
}

static struct http_client *wide_client(struct who *w)
{
	struct err err = {0};
	struct http_client *c = http_client_new(
		loop,
		&(struct http_client_opts){
			.host = "127.0.0.1", .port = port, .tls = w->tls, .max_conns = FLOOD},
		&err);

	assert_non_null(c);
	return c;
}

void test_overload__who_floods_is_told_to_come_again(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", FLOW "prioritylevelconfigurations",
		    "{\"kind\":\"PriorityLevelConfiguration\",\"apiVersion\":\"flowcontrol."
		    "apiserver."
		    "k8s.io/v1\",\"metadata\":{\"name\":\"narrow\"},\"spec\":{\"type\":\"Limited\","
		    "\"limited\":{\"nominalConcurrencyShares\":0,\"borrowingLimitPercent\":0,"
		    "\"limitResponse\":{\"type\":\"Queue\",\"queuing\":{\"queues\":1,\"handSize\":"
		    "1,"
		    "\"queueLengthLimit\":3}}}}}"),
		201);
	assert_int_equal(
		ASK(&admin, "POST", FLOW "flowschemas",
		    "{\"kind\":\"FlowSchema\",\"apiVersion\":\"flowcontrol.apiserver.k8s.io/v1\","
		    "\"metadata\":{\"name\":\"narrow\"},\"spec\":{\"matchingPrecedence\":9,"
		    "\"priorityLevelConfiguration\":{\"name\":\"narrow\"},\"rules\":[{\"subjects\":"
		    "[{"
		    "\"kind\":\"User\",\"user\":{\"name\":\"alice\"}}],\"resourceRules\":[{"
		    "\"verbs\":[\"list\"],\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],"
		    "\"namespaces\":[\"default\"]}]}]}}"),
		201);
	assert_int_equal(
		ASK(&admin, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		    "{\"kind\":\"ClusterRoleBinding\",\"apiVersion\":\"rbac.authorization.k8s.io/"
		    "v1\","
		    "\"metadata\":{\"name\":\"alice\"},\"roleRef\":{\"apiGroup\":\"rbac."
		    "authorization."
		    "k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"cluster-admin\"},\"subjects\":[{"
		    "\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":"
		    "\"alice\"}]"
		    "}"),
		201);
	struct http_client *c = wide_client(&alice);
	send_flood(c, "/api");
	await_flood();
	assert_int_equal(answered(200), FLOOD);
	int tries = 0;
	do { /* where the server took them one by one as they came, once more */
		send_flood(c, CM);
		loop_turn(loop, 0); /* they leave … */
		usleep(300000);     /* … and arrive, before anybody looks */
		await_flood();
	} while (!answered(429) && ++tries < 20);
	assert_true(answered(429) > 0);
	assert_true(answered(200) >= 4);
	assert_int_equal(answered(200) + answered(429), FLOOD);
	for (size_t i = 0; i < FLOOD; i++) {
		if (flood[i].status == 429) {
			assert_true(str_find(buf_view(&flood[i].body),
					     STR("\"reason\":\"TooManyRequests\"")) > 0);
			assert_true(str_find(buf_view(&flood[i].body),
					     STR("\"retryAfterSeconds\":1")) > 0);
		}
		forget(&flood[i]);
	}
	/* Others never noticed. */
	assert_int_equal(ASK(&admin, "GET", "/version", NULL), 200);
	assert_int_equal(ASK(&alice, "GET", CM, NULL), 200);
	assert_int_equal(ASK(&admin, "GET", "/metrics", NULL), 200);
	assert_true(said("apiserver_flowcontrol_rejected_requests_total{flow_schema=\"narrow\","
			 "priority_level=\"narrow\",reason=\"queue-full\"}"));
	assert_true(
		said("apiserver_flowcontrol_current_inqueue_requests{priority_level=\"narrow\"} "
		     "0\n"));
	assert_true(said("apiserver_flowcontrol_current_executing_seats{priority_level=\"narrow\"} "
			 "0\n"));
	http_client_free(c);
	teardown();
}

void test_overload__what_is_too_big_is_not_read(void **state)
{
	char *body = xalloc((3 << 20) + 2);

	(void)state;
	setup();
	memset(body, ' ', (3 << 20) + 1);
	assert_int_equal(ASK(&admin, "POST", CM, body), 413);
	assert_true(said("\"kind\":\"Status\""));
	assert_true(said("\"reason\":\"RequestEntityTooLarge\""));
	assert_true(said("limit is 3145728"));
	assert_true(str_is(buf_view(&last.type), "application/json"));
	body[3 << 20] = 0;
	assert_int_equal(ASK(&admin, "POST", CM, body), 400); /* read, and no object */
	free(body);
	teardown();
}

void test_overload__timeouts_are_looked_at(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "GET", CM "?timeout=soon", NULL), 400);
	assert_true(said("invalid timeout specified in the request URL"));
	assert_int_equal(ASK(&admin, "GET", CM "?timeout=5s", NULL), 200);
	assert_int_equal(ASK(&admin, "GET", CM "?timeout=0s", NULL), 200);
	assert_int_equal(ASK(&admin, "GET", CM "?timeout=32h", NULL), 200);
	teardown();
}

#define HEAVY (500 << 10)
#define TIMES 60

static long resident_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void test_overload__who_does_not_read_is_cut_off(void **state)
{
	struct result watch = {0};
	char *body = xalloc(HEAVY + 300);

	(void)state;
	setup();
	snprintf(body, 300,
		 "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"big\"},"
		 "\"data\":{\"k\":\"");
	size_t n = strlen(body);
	memset(body + n, 'x', HEAVY);
	snprintf(body + n + HEAVY, 100, "\"}}");
	assert_int_equal(ASK(&admin, "POST", CM, body), 201);
	struct http_running *r =
		http_client_call(admin.client, &(struct http_call){.method = "GET",
								   .path = STR(CM "?watch=true"),
								   .head = on_head,
								   .data = on_data,
								   .done = on_done,
								   .arg = &watch});
	turn_until(&watch.heads, 1);
	http_call_pause(r, true);
	long before = resident_kb();
	for (int i = 0; i < TIMES; i++) {
		body[n] = (char)('a' + i % 26);
		assert_int_equal(ASK(&admin, "PUT", CM "/big", body), 200);
	}
	/* What the log of changes keeps is in it, too. */
	print_message("%ld kB more\n", resident_kb() - before);
	http_call_pause(r, false);
	turn_until(&watch.done, 1);
	assert_true(watch.body.n < (size_t)HEAVY * TIMES);
	forget(&watch);
	/* The others never noticed, and it may come again. */
	assert_int_equal(ASK(&admin, "GET", CM "/big", NULL), 200);
	free(body);
	teardown();
}
