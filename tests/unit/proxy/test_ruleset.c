/*
 * The rule set's core: what a Service becomes, that the difference applied to one state gives
 * exactly the other, and (as root) that the real nft takes all of it and packets go where they
 * should.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <nftables/libnftables.h>

#include "lib/base/codec.h"
#include "proxy/ruleset.h"
#include "proxy/udp.h"

static const struct ruleset_opts opts = {.cluster = {0x0af40000, 16}};

static const struct json *parse(struct arena *a, const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(a, arena_str(a, str_c(text)), NULL, &err);

	if (!v)
		fail_msg("%s: %s", err.msg, text);
	return v;
}

static struct service *read_service(struct arena *a, const char *service, const char *slice)
{
	const struct json *slices[1] = {slice ? parse(a, slice) : NULL};

	return service_read(a, parse(a, service), slices, slice ? 1 : 0,
			    &(struct place){STR("n1"), STR("z1")});
}

/* extra: further members of spec, with a leading comma. */
static const char *web(struct arena *a, const char *extra)
{
	return arena_printf(
		a,
		"{\"metadata\":{\"namespace\":\"default\",\"name\":\"web\"},\"spec\":{\"type\":"
		"\"NodePort\",\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"nodePort\":"
		"30080}]"
		"%s}}",
		extra);
}

/* Each endpoint: "IP node conditions". */
static const char *slice(struct arena *a, const char *const *endpoints)
{
	AUTO(buf) struct buf b = {0};

	buf_puts(&b, "{\"addressType\":\"IPv4\",\"ports\":[{\"port\":8080}],\"endpoints\":[");
	for (size_t i = 0; endpoints[i]; i++) {
		char ip[32], node[32], conditions[128] = "";

		sscanf(endpoints[i], "%31s %31s %127[^\n]", ip, node, conditions);
		buf_printf(&b, "%s{\"addresses\":[\"%s\"],\"nodeName\":\"%s\",\"conditions\":{%s}}",
			   i ? "," : "", ip, node, conditions);
	}
	buf_puts(&b, "]}");
	return arena_cstr(a, buf_view(&b));
}
#define SLICE(a, ...) slice((a), (const char *const[]){__VA_ARGS__, NULL})

/* All objects of a Service, a line each. */
static const char *render(struct arena *a, const char *service, const char *slice_text)
{
	struct service *s = read_service(a, service, slice_text);
	AUTO(buf) struct buf b = {0};
	struct rules rules = {0};

	assert_non_null(s);
	rules_of_service(a, &opts, s, &rules);
	for (size_t i = 0; i < rules.n; i++)
		buf_printf(&b, "%d %.*s %.*s = %.*s\n", (int)rules.v[i].kind,
			   STR_ARG(rules.v[i].object), STR_ARG(rules.v[i].key),
			   STR_ARG(rules.v[i].text));
	return arena_cstr(a, buf_view(&b));
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void hasnt(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

void test_ruleset__two_endpoints_share_the_load(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t = render(&a, web(&a, ""), SLICE(&a, "10.244.0.5 n1", "10.244.1.6 n2"));

	(void)state;
	/* What the map lacks for the moment of a change is not refused. */
	has(t, "numgen random mod 2 map { 0 : 10.244.0.5 . 8080, 1 : 10.244.1.6 . 8080 }\ndrop\n");
	has(t, "ip daddr 10.96.0.7 ip saddr != 10.244.0.0/16 jump mark-masq");
	has(t, "2 service-ips 10.96.0.7 . tcp . 80 = goto svc-");
	has(t, "2 nodeports tcp . 30080 = goto ext-");
	has(t, "jump mark-masq\ngoto svc-");
	has(t, "2 hairpin 10.244.0.5 . 10.244.0.5");
	hasnt(t, "10.244.1.6 . 10.244.1.6");
	hasnt(t, "no-endpoint");
}

void test_ruleset__without_endpoints_it_refuses(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t = render(&a, web(&a, ""), NULL);

	(void)state;
	has(t, "no-endpoint-ips 10.96.0.7 . tcp . 80 = goto refuse");
	has(t, "no-endpoint-nodeports tcp . 30080 = goto refuse");
	hasnt(t, "service-ips");
	hasnt(t, "svc-");
}

/* Conditions, and then whom it is meant for. */
#define MEANT_FOR(zone) "},\"hints\":{\"forZones\":[{\"name\":\"" zone "\"}]"

void test_ruleset__endpoints_meant_for_this_zone(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *near = "10.244.0.5 n1 " MEANT_FOR("z1"),
		   *far = "10.244.1.6 n2 " MEANT_FOR("z2");
	const char *t = render(&a, web(&a, ""), SLICE(&a, near, far));

	(void)state;
	has(t, "numgen random mod 1 map { 0 : 10.244.0.5 . 8080 }");
	hasnt(t, "10.244.1.6 . 8080");
	/* Nobody's of ours, or one for everybody: all. */
	t = render(&a, web(&a, ""), SLICE(&a, far, "10.244.1.7 n2 " MEANT_FOR("z3")));
	has(t, "mod 2 map { 0 : 10.244.1.6 . 8080, 1 : 10.244.1.7 . 8080 }");
	t = render(&a, web(&a, ""), SLICE(&a, near, far, "10.244.1.8 n2"));
	has(t, "mod 3 map");
	/* Those that aren't ready have no say. */
	t = render(&a, web(&a, ""), SLICE(&a, near, far, "10.244.1.8 n2 \"ready\":false"));
	has(t, "mod 1 map { 0 : 10.244.0.5 . 8080 }");
	t = render(&a, web(&a, ",\"externalTrafficPolicy\":\"Local\""),
		   SLICE(&a, "10.244.0.5 n1 " MEANT_FOR("z2"), "10.244.1.6 n2 " MEANT_FOR("z1")));
	has(t, "0 : 10.244.1.6 . 8080 }");
	has(t, "0 : 10.244.0.5 . 8080 }");
}

void test_ruleset__only_ready_endpoints(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t =
		render(&a, web(&a, ""),
		       SLICE(&a, "10.244.0.5 n1 \"ready\":false", "10.244.0.6 n1 \"ready\":true",
			     "10.244.0.7 n1 \"ready\":false,\"serving\":true,"
			     "\"terminating\":true"));

	(void)state;
	has(t, "mod 1 map { 0 : 10.244.0.6 . 8080 }");
	hasnt(t, "10.244.0.5");
	hasnt(t, "10.244.0.7");
}

void test_ruleset__terminating_serve_when_none_is_ready(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t =
		render(&a, web(&a, ""),
		       SLICE(&a,
			     "10.244.0.5 n1 "
			     "\"ready\":false,\"serving\":false,\"terminating\":true",
			     "10.244.0.7 n1 \"ready\":false,\"serving\":true,\"terminating\":true",
			     "10.244.0.8 n1 \"ready\":false"));

	(void)state;
	has(t, "mod 1 map { 0 : 10.244.0.7 . 8080 }");
	hasnt(t, "no-endpoint");
}

void test_ruleset__external_traffic_stays_local(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *svc = web(&a, ",\"externalTrafficPolicy\":\"Local\"");
	const char *t = render(&a, svc, SLICE(&a, "10.244.0.5 n1", "10.244.1.6 n2"));

	(void)state;
	has(t, "ip saddr 10.244.0.0/16 goto svc-");
	has(t, "fib saddr type local jump mark-masq");
	has(t, "mod 1 map { 0 : 10.244.0.5 . 8080 }");
	has(t, "mod 2 map");
	t = render(&a, svc, SLICE(&a, "10.244.1.6 n2"));
	has(t, "2 service-ips 10.96.0.7 . tcp . 80 = goto svc-");
	has(t, "no-endpoint-nodeports tcp . 30080 = drop");
	has(t, "2 nodeports tcp . 30080 = goto ext-"); /* for the cluster's own clients */
}

void test_ruleset__internal_traffic_stays_local(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *svc = web(&a, ",\"internalTrafficPolicy\":\"Local\"");
	const char *t = render(&a, svc, SLICE(&a, "10.244.0.5 n1", "10.244.1.6 n2"));

	(void)state;
	has(t, "service-ips 10.96.0.7 . tcp . 80 = goto int-");
	t = render(&a, svc, SLICE(&a, "10.244.1.6 n2"));
	has(t, "no-endpoint-ips 10.96.0.7 . tcp . 80 = drop");
}

void test_ruleset__the_load_balancer_is_for_some(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t =
		render(&a,
		       "{\"metadata\":{\"namespace\":\"default\",\"name\":\"web\"},\"spec\":"
		       "{\"type\":\"LoadBalancer\",\"clusterIP\":\"10.96.0.7\","
		       "\"externalIPs\":[\"5.6.7.8\"],\"loadBalancerSourceRanges\":["
		       "\"10.9.8.7/16\",\"x\"],\"ports\":[{\"port\":80}]},\"status\":{"
		       "\"loadBalancer\":{\"ingress\":[{\"ip\":\"5.6.7.9\"}]}}}",
		       SLICE(&a, "10.244.0.5 n1"));

	(void)state;
	has(t, "2 service-ips 5.6.7.8 . tcp . 80 = goto ext-");
	has(t, "2 service-ips 5.6.7.9 . tcp . 80 = goto fw-");
	has(t, "ip saddr 10.9.0.0/16 goto ext-");
	has(t, "ip saddr 0.0.0.0/32 goto ext-");
	has(t, "drop\n");
}

void test_ruleset__host_ports(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct rules rules = {0};

	(void)state;
	rules_of_host_ports(
		&a,
		parse(&a, "{\"spec\":{\"containers\":[{\"ports\":[{\"containerPort\":80,"
			  "\"hostPort\":8080},{\"containerPort\":53,\"hostPort\":5353,\"protocol\":"
			  "\"UDP\",\"hostIP\":\"172.30.0.10\"},{\"containerPort\":9},{"
			  "\"containerPort\":9,\"hostPort\":9,\"hostIP\":\"x\"}]}]},\"status\":{"
			  "\"podIP\":\"10.244.0.5\"}}"),
		&rules);
	assert_int_equal(rules.n, 4); /* each with its hairpin */
	assert_true(str_is(rules.v[0].object, "host-ports"));
	assert_true(str_is(rules.v[0].key, "tcp . 8080"));
	assert_true(str_is(rules.v[0].text, "10.244.0.5 . 80"));
	assert_true(str_is(rules.v[2].object, "host-ports-at"));
	assert_true(str_is(rules.v[2].key, "172.30.0.10 . udp . 5353"));
}

void test_ruleset__session_affinity(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t = render(&a,
			       web(&a, ",\"sessionAffinity\":\"ClientIP\","
				       "\"sessionAffinityConfig\":{\"clientIP\":{"
				       "\"timeoutSeconds\":60}}"),
			       SLICE(&a, "10.244.0.5 n1", "10.244.1.6 n2"));

	(void)state;
	has(t, "flags dynamic,timeout; timeout 60s;");
	has(t, "update @aff-");
	has(t, "ip saddr @aff-");
	has(t, "numgen random mod 2 vmap { 0 : goto ep-");
}

void test_ruleset__hostile_objects_leave_no_trace(void **state)
{
	AUTO(arena) struct arena a = {0};
	const char *t;

	(void)state;
	t = render(
		&a,
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"x; flush ruleset\\n{}\"},\"spec\":"
		"{\"type\":\"NodePort\",\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[\"1.2.3.4; "
		"drop\",\"127.0.0.1\",\"5.6.7.8\",\"5.6.7.8\"],\"ports\":[{\"port\":99999},{"
		"\"port\":"
		"80,\"protocol\":\"ICMP\"},{\"port\":80,\"nodePort\":-1}]}}",
		SLICE(&a, "127.0.0.1 n1", "169.254.169.254 n1", "10.244.0.5} n1", "10.244.0.9 n1",
		      "10.244.0.9 n1"));
	hasnt(t, ";");
	hasnt(t, "flush ruleset");
	hasnt(t, "127.0.0.1");
	hasnt(t, "169.254");
	hasnt(t, "1.2.3.4");
	has(t, "mod 1 map { 0 : 10.244.0.9 . 8080 }");
	hasnt(t, "nodeports");
}

void test_ruleset__not_ours(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_null(read_service(&a, "{\"spec\":{\"clusterIP\":\"None\"}}", NULL));
	assert_null(read_service(&a, "{\"spec\":{\"type\":\"ExternalName\"}}", NULL));
	assert_null(read_service(&a, "{\"spec\":{\"clusterIP\":\"fd00::1\"}}", NULL));
	assert_null(
		read_service(&a,
			     "{\"metadata\":{\"labels\":{\"service.kubernetes.io/"
			     "service-proxy-name\":\"x\"}},\"spec\":{\"clusterIP\":\"10.96.0.1\"}}",
			     NULL));
	assert_null(service_read(&a, NULL, NULL, 0, &(struct place){STR("n1"), STR("")}));
}

/* ---- a model of what nft does with a transaction ---- */

struct model {
	struct map objects; /* "chain x", "set x", "map key" → text */
};

static void model_clear(struct model *m)
{
	struct map_iter it = {0};

	while (map_next(&m->objects, &it))
		free(it.value);
	map_release(&m->objects);
}

static void model_line(struct model *m, struct str line)
{
	char verb[16], what[16], object[128];
	int at = 0;
	char *text = xstrndup(line.p, line.n);

	assert_int_equal(sscanf(text, "%15s %15s ip plumb_proxy %127s %n", verb, what, object, &at),
			 3);
	AUTO(free) char *rest = xstrdup(text + at);
	char *name = xasprintf("%s %s", !strcmp(what, "rule") ? "chain" : what, object);

	if (!strcmp(what, "element")) {
		free(name);
		char *colon = strstr(rest, " : "), *key = xstrdup(rest);

		if (colon)
			key[colon - rest] = '\0';
		else
			key[strlen(key) - 2] = '\0';
		name = xasprintf("element %s %s", object, key);
		free(key);
	}
	char *old = map_get(&m->objects, str_c(name));
	if (!strcmp(verb, "delete")) {
		assert_non_null(old); /* nft refuses what isn't there */
		if (!strcmp(what, "chain"))
			assert_string_equal(old, "");
		free(map_del(&m->objects, str_c(name)));
	} else if (!strcmp(verb, "flush")) {
		assert_non_null(old);
		free(map_set(&m->objects, str_c(name), xstrdup("")));
	} else if (!strcmp(what, "rule")) {
		assert_non_null(old);
		free(map_set(&m->objects, str_c(name), xasprintf("%s%s\n", old, rest)));
	} else {
		assert_null(old);
		map_set(&m->objects, str_c(name), xstrdup(!strcmp(what, "chain") ? "" : rest));
	}
	free(name);
	free(text);
}

static void model_run(struct model *m, const struct buf *text)
{
	struct str rest = buf_view(text), line;
	bool block = false;

	while (str_next(&rest, '\n', &line)) {
		if (str_is(line, "delete table ip plumb_proxy"))
			model_clear(m);
		if (str_starts(line, STR("table ")))
			block = true;
		if (!block && line.n && !str_ends(line, STR("table ip plumb_proxy")))
			model_line(m, line);
		if (str_is(line, "}"))
			block = false;
	}
}

static void models_equal(const struct model *x, const struct model *y)
{
	struct map_iter it = {0};

	assert_int_equal(x->objects.n, y->objects.n);
	while (map_next(&x->objects, &it)) {
		const char *other = map_get(&y->objects, it.key);

		if (!other)
			fail_msg("%.*s is missing", STR_ARG(it.key));
		assert_string_equal((char *)it.value, other);
	}
}

/* A random Service, several of which share addresses and node ports. */
static struct service *random_service(struct arena *a, struct rng *g, unsigned i)
{
	static const char *const extras[] = {
		"", ",\"externalTrafficPolicy\":\"Local\"", ",\"internalTrafficPolicy\":\"Local\"",
		",\"sessionAffinity\":\"ClientIP\"", ",\"externalIPs\":[\"5.5.5.5\",\"5.5.5.6\"]"};
	static const char *const conditions[] = {
		"", "\"ready\":false", "\"ready\":false,\"serving\":true,\"terminating\":true"};
	const char *eps[8] = {0};
	size_t n = rng_below(g, 6);
	const char *text;

	for (size_t j = 0; j < n; j++)
		eps[j] = arena_printf(a, "10.244.%u.%u n%u %s", (unsigned)rng_below(g, 2),
				      (unsigned)rng_below(g, 5) + 1, (unsigned)rng_below(g, 2) + 1,
				      conditions[rng_below(g, ARRAY_LEN(conditions))]);
	text = arena_printf(
		a,
		"{\"metadata\":{\"namespace\":\"default\",\"name\":\"s%u\"},\"spec\":{\"type\":"
		"\"%s\",\"clusterIP\":\"10.96.0.%u\",\"ports\":[{\"port\":80,\"nodePort\":%u}]%s}}",
		i, rng_below(g, 2) ? "NodePort" : "ClusterIP", i / 2 + 1,
		30000 + (unsigned)rng_below(g, 3), extras[rng_below(g, ARRAY_LEN(extras))]);
	return read_service(a, text, slice(a, eps));
}

static void random_step(struct ruleset *r, struct ruleset *twin, struct rng *g)
{
	AUTO(arena) struct arena a = {0};
	unsigned i = (unsigned)rng_below(g, 8);
	struct service *s = rng_below(g, 4) ? random_service(&a, g, i) : NULL;
	struct str key = arena_strf(&a, "default/s%u", i);

	ruleset_put(r, key, s);
	ruleset_put(twin, key, s);
}

void test_ruleset__difference_leads_to_the_same_as_all_anew(void **state)
{
	struct rng g;

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct ruleset *r = ruleset_new(&opts), *twin = ruleset_new(&opts);
		AUTO(buf) struct buf text = {0};
		struct model stepped = {0}, anew = {0};

		rng_seed(&g, seed);
		ruleset_full(r, &text);
		model_run(&stepped, &text);
		ruleset_commit(r);
		for (int i = 0; i < 40; i++) {
			for (uint64_t n = rng_below(&g, 3) + 1; n; n--)
				random_step(r, twin, &g);
			buf_reset(&text);
			ruleset_diff(r, &text);
			model_run(&stepped, &text);
			ruleset_commit(r);
		}
		buf_reset(&text);
		ruleset_full(twin, &text);
		model_run(&anew, &text);
		models_equal(&stepped, &anew);
		models_equal(&anew, &stepped);
		model_clear(&stepped);
		model_clear(&anew);
		ruleset_free(r);
		ruleset_free(twin);
	}
}

void test_ruleset__nothing_changed_nothing_written(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct service *s = read_service(&a, web(&a, ""), SLICE(&a, "10.244.0.5 n1"));
	struct ruleset *r = ruleset_new(&opts);
	AUTO(buf) struct buf text = {0};

	(void)state;
	ruleset_put(r, STR("default/web"), s);
	ruleset_full(r, &text);
	ruleset_commit(r);
	buf_reset(&text);
	ruleset_put(r, STR("default/web"), s);
	ruleset_diff(r, &text);
	assert_int_equal(text.n, 0);
	ruleset_commit(r);
	ruleset_put(r, STR("default/web"),
		    read_service(&a, web(&a, ""), SLICE(&a, "10.244.0.5 n1", "10.244.1.6 n2")));
	ruleset_diff(r, &text);
	/* One chain is rewritten; maps and everything else stay. */
	assert_null(strstr(buf_cstr(&text), "element"));
	assert_null(strstr(buf_cstr(&text), "add chain"));
	assert_non_null(strstr(buf_cstr(&text), "flush chain ip plumb_proxy svc-"));
	ruleset_free(r);
}

/* ---- the real thing ---- */

static bool own_netns(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
		print_message("needs root for a network namespace of its own\n");
		return false;
	}
	return true;
}

static void kernel_takes(struct buf *text)
{
	struct err err = {0};

	if (text->n && nft_run(buf_view(text), &err))
		fail_msg("%s\n%s", err.msg, buf_cstr(text));
	buf_reset(text);
}

static char *nft_list(void)
{
	struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	char *text;

	nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_STATELESS);
	nft_ctx_buffer_output(ctx);
	assert_int_equal(nft_run_cmd_from_buffer(ctx, "list table ip plumb_proxy"), 0);
	text = xstrdup(nft_ctx_get_output_buffer(ctx));
	nft_ctx_free(ctx);
	return text;
}

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Chains and sets are listed in the order they were made in: compare the lines as a set. */
static char *sorted_lines(char *text)
{
	char *lines[4096], *save;
	size_t n = 0;
	AUTO(buf) struct buf out = {0};

	for (save = text; *save && n < ARRAY_LEN(lines);) {
		char *end = strchr(save, '\n');

		lines[n++] = save;
		if (!end)
			break;
		*end = '\0';
		save = end + 1;
	}
	qsort(lines, n, sizeof(*lines), line_cmp);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%s\n", lines[i]);
	free(text);
	return buf_take(&out);
}

void test_ruleset__the_kernel_agrees(void **state)
{
	struct ruleset *r, *twin;
	AUTO(buf) struct buf text = {0};
	struct rng g;

	(void)state;
	if (!own_netns())
		skip();
	r = ruleset_new(&opts);
	twin = ruleset_new(&opts);
	rng_seed(&g, 7);
	ruleset_full(r, &text);
	kernel_takes(&text);
	ruleset_commit(r);
	for (int i = 0; i < 60; i++) {
		random_step(r, twin, &g);
		ruleset_diff(r, &text);
		kernel_takes(&text);
		ruleset_commit(r);
	}
	AUTO(free) char *stepped = sorted_lines(nft_list());
	ruleset_full(twin, &text);
	kernel_takes(&text);
	AUTO(free) char *anew = sorted_lines(nft_list());
	/* Elements of maps are wrapped at different places, so compare their number of bytes. */
	assert_int_equal(strlen(stepped), strlen(anew));
	ruleset_free(r);
	ruleset_free(twin);
}

static int listen_on(const char *ip, uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	uint32_t host;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(ip4_parse(str_c(ip), &host), 0);
	sa.sin_addr.s_addr = htonl(host);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

/* 0 and a connected socket, or the errno of connect. */
static int dial(const char *ip, uint16_t port, int *ret_fd)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval patience = {.tv_sec = 1};
	uint32_t host;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ip4_parse(str_c(ip), &host), 0);
	sa.sin_addr.s_addr = htonl(host);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*ret_fd = -1;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		int why = errno;

		close(fd);
		return why;
	}
	*ret_fd = fd;
	return 0;
}

static int accepted(int listener)
{
	int n = 0, fd;

	for (; (fd = accept(listener, NULL, NULL)) >= 0; n++)
		close(fd);
	return n;
}

static void apply(struct ruleset *r, const char *service, const char *slice_text)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};

	ruleset_put(r, STR("default/web"), read_service(&a, service, slice_text));
	ruleset_diff(r, &text);
	kernel_takes(&text);
	ruleset_commit(r);
}

/* A namespace whose loopback has the pods' addresses and a node's. */
static struct ruleset *little_node(void)
{
	struct ruleset *r = ruleset_new(&opts);
	AUTO(buf) struct buf text = {0};

	assert_int_equal(net_link_up("lo", NULL), 0);
	assert_int_equal(net_addr_add("lo", 0x0af40005, 32, NULL), 0);
	assert_int_equal(net_addr_add("lo", 0x0af40006, 32, NULL), 0);
	assert_int_equal(net_addr_add("lo", 0xac1e010a, 24, NULL), 0); /* 172.30.1.10 */
	assert_int_equal(net_route_add((struct cidr){0x0a600000, 16}, 0, "lo", NULL), 0);
	ruleset_full(r, &text);
	kernel_takes(&text);
	ruleset_commit(r);
	return r;
}

void test_ruleset__packets_go_where_they_should(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct ruleset *r;
	int one, two, fd, kept;
	char hello[2];

	(void)state;
	if (!own_netns())
		skip();
	r = little_node();
	one = listen_on("10.244.0.5", 8080);
	two = listen_on("10.244.0.6", 8080);
	apply(r, web(&a, ""), SLICE(&a, "10.244.0.5 n1", "10.244.0.6 n1"));
	for (int i = 0; i < 40; i++) {
		assert_int_equal(dial(i % 2 ? "10.96.0.7" : "172.30.1.10", i % 2 ? 80 : 30080, &fd),
				 0);
		close(fd);
	}
	int first = accepted(one), second = accepted(two);
	assert_int_equal(first + second, 40);
	assert_true(first > 3 && second > 3);
	/* A port the Service doesn't have, and an endpoint that goes. */
	assert_int_equal(dial("10.96.0.7", 81, &fd), ECONNREFUSED);
	apply(r, web(&a, ""), SLICE(&a, "10.244.0.5 n1"));
	assert_int_equal(dial("10.96.0.7", 80, &kept), 0);
	apply(r, web(&a, ""), SLICE(&a, "10.244.0.6 n1"));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(dial("10.96.0.7", 80, &fd), 0);
		close(fd);
	}
	assert_int_equal(accepted(two), 5);
	/* What was connected before goes on. */
	int peer = accept(one, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(send(peer, "x", 1, 0), 1);
	assert_int_equal(recv(kept, hello, 1, 0), 1);
	close(peer);
	close(kept);
	apply(r, web(&a, ""), NULL);
	assert_int_equal(dial("10.96.0.7", 80, &fd), ECONNREFUSED);
	assert_int_equal(dial("172.30.1.10", 30080, &fd), ECONNREFUSED);
	close(one);
	close(two);
	ruleset_free(r);
}

void test_ruleset__clients_stick(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct ruleset *r;
	int one, two, fd;

	(void)state;
	if (!own_netns())
		skip();
	r = little_node();
	one = listen_on("10.244.0.5", 8080);
	two = listen_on("10.244.0.6", 8080);
	apply(r, web(&a, ",\"sessionAffinity\":\"ClientIP\""),
	      SLICE(&a, "10.244.0.5 n1", "10.244.0.6 n1"));
	for (int i = 0; i < 12; i++) {
		assert_int_equal(dial("10.96.0.7", 80, &fd), 0);
		close(fd);
	}
	int first = accepted(one), second = accepted(two);
	assert_true((first == 12 && second == 0) || (first == 0 && second == 12));
	/* The one it stuck to goes away: the other takes over. */
	apply(r, web(&a, ",\"sessionAffinity\":\"ClientIP\""),
	      first ? SLICE(&a, "10.244.0.6 n1") : SLICE(&a, "10.244.0.5 n1"));
	assert_int_equal(dial("10.96.0.7", 80, &fd), 0);
	close(fd);
	assert_int_equal(accepted(first ? two : one), 1);
	close(one);
	close(two);
	ruleset_free(r);
}

static const char dns[] =
	"{\"metadata\":{\"namespace\":\"default\",\"name\":\"web\"},\"spec\":{\"clusterIP\":"
	"\"10.96.0.7\",\"ports\":[{\"port\":53,\"protocol\":\"UDP\"}]}}";

static const char *dns_slice(struct arena *a, const char *ip)
{
	return arena_printf(a,
			    "{\"addressType\":\"IPv4\",\"ports\":[{\"port\":5353,\"protocol\":"
			    "\"UDP\"}],\"endpoints\":[{\"addresses\":[\"%s\"]}]}",
			    ip);
}

static int udp_on(uint32_t ip, uint16_t port, bool listening)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
	struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (listening)
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

void test_ruleset__udp_flows_leave_an_endpoint_that_went(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct udp_fronts fronts = {0};
	struct ruleset *r;
	int one, two, client;
	char got[2];
	struct err err = {0};

	(void)state;
	if (!own_netns())
		skip();
	r = little_node();
	one = udp_on(0x0af40005, 5353, true);
	two = udp_on(0x0af40006, 5353, true);
	client = udp_on(0x0a600007, 53, false);
	apply(r, dns, dns_slice(&a, "10.244.0.5"));
	assert_int_equal(send(client, "a", 1, 0), 1);
	assert_int_equal(recv(one, got, 1, 0), 1);
	/* The same client, the same port: the flow must go over to the other endpoint. */
	apply(r, dns, dns_slice(&a, "10.244.0.6"));
	udp_add(&a, &fronts, read_service(&a, dns, dns_slice(&a, "10.244.0.6")));
	assert_int_equal(net_flows_forget(udp_gone, &fronts, &err), 1);
	assert_int_equal(send(client, "b", 1, 0), 1);
	assert_int_equal(recv(two, got, 1, 0), 1);
	/* A flow that is right is left alone. */
	assert_int_equal(net_flows_forget(udp_gone, &fronts, &err), 0);
	close(one);
	close(two);
	close(client);
	ruleset_free(r);
}

static bool is_tcp(void *arg, const struct net_flow *flow)
{
	(void)arg;
	return flow->proto == IPPROTO_TCP;
}

/* The kernel lets the next connection of the same ports begin anew by itself then. */
void test_ruleset__connections_that_are_over_are_left_alone(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(8080),
				 .sin_addr.s_addr = htonl(0x0af40005)};
	int listener, client, server, on = 1;
	AUTO(arena) struct arena a = {0};
	struct ruleset *r;
	struct err err = {0};
	char end;

	(void)state;
	if (!own_netns())
		skip();
	r = little_node();
	apply(r, dns, dns_slice(&a, "10.244.0.5"));
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
	server = accept(listener, NULL, NULL);
	assert_int_equal(net_flows_forget(is_tcp, NULL, &err), 1);
	assert_int_equal(send(client, "x", 1, 0), 1); /* known again, from its middle */
	assert_int_equal(recv(server, &end, 1, 0), 1);
	close(client);
	assert_int_equal(recv(server, &end, 1, 0), 0);
	close(server);
	usleep(50 * 1000);
	assert_int_equal(net_flows_forget(is_tcp, NULL, &err), 0);
	close(listener);
	ruleset_free(r);
}

#define ONE                                                                                        \
	"{\"metadata\":{\"namespace\":\"a\",\"name\":\"s\"},\"spec\":{\"clusterIP\":\"10.96.0."    \
	"7\","                                                                                     \
	"\"ports\":[{\"port\":53,\"protocol\":\"UDP\"}%s]}}"

void test_udp__an_address_that_is_gone_takes_its_flows_along(void **state)
{
	struct net_flow flow = {IPPROTO_UDP, 0x0a600007, 54, 0x0af40005, 8080}, other = flow;
	struct udp_before *before = udp_before_new();
	AUTO(arena) struct arena a = {0};
	struct udp_fronts f = {0};

	(void)state;
	other.to_port = 53;
	udp_left(before, &a, &f, STR("a/s"),
		 read_service(&a, arena_printf(&a, ONE, ",{\"port\":54,\"protocol\":\"UDP\"}"),
			      NULL));
	assert_int_equal(f.n, 0);
	udp_left(before, &a, &f, STR("a/s"), read_service(&a, arena_printf(&a, ONE, ""), NULL));
	assert_true(udp_gone(&f, &flow));
	assert_false(udp_gone(&f, &other));
	udp_left(before, &a, &f, STR("a/s"), NULL);
	assert_true(udp_gone(&f, &other));
	udp_before_free(before);
}

static const struct service *ending(struct arena *a, const char *endpoints)
{
	const char *slice = arena_printf(a,
					 "{\"addressType\":\"IPv4\",\"ports\":[{\"port\":8080,"
					 "\"protocol\":\"TCP\"}],\"endpoints\":[%s]}",
					 endpoints);

	return read_service(a,
			    "{\"metadata\":{\"namespace\":\"a\",\"name\":\"s\"},\"spec\":{"
			    "\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,"
			    "\"protocol\":\"TCP\"}]}}",
			    slice);
}

#define READY "{\"addresses\":[\"10.244.0.5\"],\"conditions\":{\"ready\":true}}"
#define ENDING                                                                                     \
	"{\"addresses\":[\"10.244.0.5\"],\"conditions\":{\"ready\":false,\"serving\":true,"        \
	"\"terminating\":true}}"

/* A connection to a pod that died without a word must not lead who comes from the same port after
 * it; one whose pod only leaves the Service goes on. */
void test_udp__connections_to_the_dead_are_forgotten(void **state)
{
	struct net_flow flow = {IPPROTO_TCP, 0x0a600007, 80, 0x0af40005, 8080}, other = flow;
	struct udp_before *before = udp_before_new();
	AUTO(arena) struct arena a = {0};
	struct udp_fronts f = {0};

	(void)state;
	udp_left(before, &a, &f, STR("a/s"), ending(&a, READY));
	udp_left(before, &a, &f, STR("a/s"), ending(&a, ""));
	assert_false(udp_gone(&f, &flow));
	udp_left(before, &a, &f, STR("a/s"), ending(&a, READY));
	udp_left(before, &a, &f, STR("a/s"), ending(&a, ENDING));
	assert_false(udp_gone(&f, &flow));
	udp_left(before, &a, &f, STR("a/s"), ending(&a, ""));
	assert_true(udp_gone(&f, &flow));
	other.served_port = 8081;
	assert_false(udp_gone(&f, &other));
	other = flow;
	other.to = other.served_by; /* asked for by its own address */
	assert_false(udp_gone(&f, &other));
	f = (struct udp_fronts){0};
	udp_left(before, &a, &f, STR("a/s"), ending(&a, ""));
	assert_false(udp_gone(&f, &flow));
	udp_before_free(before);
}

void test_udp__a_host_ports_flows_are_decided_anew(void **state)
{
	struct net_flow flow = {IPPROTO_UDP, 0xac1e000a, 5353, 0x0af40005, 53}, tcp = flow,
			own = flow;
	AUTO(arena) struct arena a = {0};
	struct udp_fronts f = {0};

	(void)state;
	udp_of_host_ports(&a,
			  parse(&a, "{\"spec\":{\"containers\":[{\"ports\":[{\"containerPort\":53,"
				    "\"hostPort\":5353,\"protocol\":\"UDP\"},{\"containerPort\":53,"
				    "\"hostPort\":5354}]}]}}"),
			  &f);
	assert_int_equal(f.n, 1);
	assert_true(udp_gone(&f, &flow));
	tcp.to_port = 5354;
	assert_false(udp_gone(&f, &tcp));
	own.served_by = own.to; /* the node's own server: not translated */
	assert_false(udp_gone(&f, &own));
}
