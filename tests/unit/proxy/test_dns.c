/* The cluster's names: messages, and what they are answered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/dns.h"
#include "proxy/dns_zone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char *const services[] = {
	"{'metadata':{'name':'web','namespace':'shop'},'spec':{'clusterIP':'10.96.0.7','ports':[{"
	"'name':'http','port':80},{'name':'dns','port':53,'protocol':'UDP'}]}}",
	"{'metadata':{'name':'db','namespace':'shop'},'spec':{'clusterIP':'None','ports':[{'name':"
	"'pg','port':5432}]}}",
	"{'metadata':{'name':'ext','namespace':'shop'},'spec':{'type':'ExternalName',"
	"'externalName':'example.org'}}"};
static const char slice[] =
	"{'metadata':{'name':'db-x','namespace':'shop','labels':{'kubernetes.io/"
	"service-name':'db'}}"
	",'addressType':'IPv4','ports':[{'name':'pg','port':5432,'protocol':'TCP'}],'endpoints':[{"
	"'addresses':['10.244.0.5'],'hostname':'db-0','conditions':{'ready':true}},{'addresses':["
	"'10.244.0.6'],'conditions':{'ready':true}},{'addresses':['10.244.0.9'],'conditions':{"
	"'ready':false}}]}";

static struct json *parse(struct arena *a, const char *text)
{
	char *json = arena_cstr(a, str_c(text));
	struct err err = {0};
	struct json *v;

	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	v = json_parse(a, str_c(json), NULL, &err);
	if (!v)
		fail_msg("%s", err.msg);
	return v;
}

static const struct json *find(void *ctx, struct arena *a, struct str ns, struct str name)
{
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct json *s = parse(a, services[i]);

		if (str_eq(json_str(json_at(s, "metadata", "name")), name) && str_is(ns, "shop"))
			return s;
	}
	return NULL;
}

static struct dns_list slices(void *ctx, struct arena *a, struct str ns, struct str name)
{
	const struct json **v = arena_array(a, 1, sizeof(*v));

	(void)ctx;
	v[0] = parse(a, slice);
	return (struct dns_list){v, str_is(name, "db") && str_is(ns, "shop")};
}

static bool known(void *ctx, struct str ns)
{
	(void)ctx;
	return str_is(ns, "shop");
}

static const struct json *service_at(void *ctx, struct arena *a, uint32_t ip)
{
	(void)ctx;
	return ip == 0x0a600007 ? parse(a, services[0]) : NULL;
}

static struct dns_list slices_at(void *ctx, struct arena *a, uint32_t ip)
{
	struct dns_list l = slices(ctx, a, STR("shop"), STR("db"));

	l.n = ip == 0x0af40005;
	return l;
}

static const struct dns_facts facts = {
	find, slices, known, service_at, slices_at, NULL, {"cluster.local", 13}};

/* What dns_resolve makes of a question, as text: "code: record record …". */
static struct str answer(struct arena *a, const char *name, enum dns_type type)
{
	AUTO(buf) struct buf query = {0};
	AUTO(buf) struct buf text = {0};
	struct dns_question q;
	struct dns_answer w;
	struct str target = STR_NONE, m;
	enum dns_verdict verdict;

	dns_ask(&query, 7, str_c(name), (uint16_t)type);
	assert_int_equal(dns_parse(a, arena_str(a, buf_view(&query)), &q), DNS_OK);
	dns_begin(&w, &q, 512);
	verdict = dns_resolve(&facts, a, &q, &w, &target);
	if (verdict == DNS_ELSEWHERE)
		buf_puts(&text, "elsewhere");
	else if (verdict == DNS_ALIAS)
		buf_printf(&text, "alias %.*s", STR_ARG(target));
	if (verdict == DNS_ANSWERED) {
		m = dns_end(&w, &q);
		assert_true(dns_answers(a, m, 7, q.raw));
		buf_printf(&text, "%u: %u %u %u", w.code, w.answers, w.authorities, w.additionals);
		if (type == DNS_A && w.answers) { /* the last one's address ends the message */
			const unsigned char *p = (const unsigned char *)m.p + m.n - 4;

			buf_printf(&text, " %u.%u.%u.%u", p[0], p[1], p[2], p[3]);
		}
		if (type == DNS_TXT && w.answers) /* and so does a text of five bytes */
			buf_printf(&text, " %.5s", m.p + m.n - 5);
	}
	buf_release(&w.out);
	return arena_str(a, buf_view(&text));
}

static void expect(const char *name, enum dns_type type, const char *wanted)
{
	AUTO(arena) struct arena a = {0};
	struct str got = answer(&a, name, type);

	if (!str_is(got, wanted))
		fail_msg("%s: got \"%.*s\", wanted \"%s\"", name, STR_ARG(got), wanted);
}

void test_dns__services_by_name(void **state)
{
	(void)state;
	expect("web.shop.svc.cluster.local", DNS_A, "0: 1 0 0 10.96.0.7");
	expect("WEB.Shop.svc.cluster.LOCAL", DNS_A, "0: 1 0 0 10.96.0.7");
	expect("web.shop.svc.cluster.local", DNS_AAAA, "0: 0 1 0");
	expect("nope.shop.svc.cluster.local", DNS_A, "3: 0 1 0");
	expect("dns-version.cluster.local", DNS_TXT, "0: 1 0 0 1.1.0");
	expect("dns-version.cluster.local", DNS_A, "0: 0 1 0");
	expect("a.dns-version.cluster.local", DNS_TXT, "3: 0 1 0");
	expect("web.other.svc.cluster.local", DNS_A, "3: 0 1 0");
	expect("shop.svc.cluster.local", DNS_A, "0: 0 1 0");
	expect("other.svc.cluster.local", DNS_A, "3: 0 1 0");
	expect("ext.shop.svc.cluster.local", DNS_A, "alias example.org");
	expect("example.org", DNS_A, "elsewhere");
	expect("notcluster.local", DNS_A, "elsewhere");
}

void test_dns__headless_services_name_their_ready_endpoints(void **state)
{
	(void)state;
	expect("db.shop.svc.cluster.local", DNS_A, "0: 2 0 0 10.244.0.6");
	expect("db-0.db.shop.svc.cluster.local", DNS_A, "0: 1 0 0 10.244.0.5");
	expect("10-244-0-6.db.shop.svc.cluster.local", DNS_A, "0: 1 0 0 10.244.0.6");
	expect("10-244-0-9.db.shop.svc.cluster.local", DNS_A, "3: 0 1 0");
}

void test_dns__ports(void **state)
{
	(void)state;
	expect("_http._tcp.web.shop.svc.cluster.local", DNS_SRV, "0: 1 0 1");
	expect("_dns._udp.web.shop.svc.cluster.local", DNS_SRV, "0: 1 0 1");
	expect("_http._udp.web.shop.svc.cluster.local", DNS_SRV, "3: 0 1 0");
	expect("_pg._tcp.db.shop.svc.cluster.local", DNS_SRV, "0: 2 0 2");
}

void test_dns__pods_and_the_way_back(void **state)
{
	(void)state;
	expect("10-244-3-4.shop.pod.cluster.local", DNS_A, "0: 1 0 0 10.244.3.4");
	expect("10-244-3-400.shop.pod.cluster.local", DNS_A, "3: 0 1 0");
	expect("7.0.96.10.in-addr.arpa", DNS_PTR, "0: 1 0 0");
	expect("5.0.244.10.in-addr.arpa", DNS_PTR, "0: 1 0 0");
	expect("9.9.9.9.in-addr.arpa", DNS_PTR, "elsewhere");
}

/* Any beginning of a message, and any byte of it changed, is refused or answered, never read past.
 */
void test_dns__damaged_questions(void **state)
{
	AUTO(buf) struct buf query = {0};

	(void)state;
	dns_ask(&query, 1, STR("a.shop.svc.cluster.local"), DNS_A);
	for (size_t n = 0; n < query.n; n++) {
		AUTO(arena) struct arena a = {0};
		struct dns_question q;
		char *exact = arena_dup(&a, query.p, n);

		assert_int_not_equal(dns_parse(&a, (struct str){exact, n}, &q), DNS_OK);
	}
	for (size_t i = 0; i < query.n; i++) {
		for (int v = 0; v < 256; v++) {
			AUTO(arena) struct arena a = {0};
			struct dns_question q;
			char *m = arena_dup(&a, query.p, query.n);

			m[i] = (char)v;
			(void)dns_parse(&a, (struct str){m, query.n}, &q);
		}
	}
}

void test_dns__too_much_for_a_datagram_is_cut_and_says_so(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf query = {0};
	struct dns_question q;
	struct dns_answer w;
	struct str m;

	(void)state;
	dns_ask(&query, 1, STR("x.cluster.local"), DNS_A);
	assert_int_equal(dns_parse(&a, buf_view(&query), &q), DNS_OK);
	dns_begin(&w, &q, q.room);
	for (uint32_t i = 0; i < 200; i++)
		dns_put_a(&w, STR_NONE, 5, i);
	m = dns_end(&w, &q);
	assert_true(m.n <= 512 && m.n > 400);
	assert_true(m.p[2] & 2);
	assert_int_equal((unsigned char)m.p[7], w.answers);
	buf_release(&w.out);
}

void test_dns__upstreams_of_a_resolv_conf(void **state)
{
	uint32_t ips[DNS_UPSTREAMS_MAX];
	const char *text = "# x\nsearch a b\nnameserver 10.96.0.10\nnameserver  192.0.2.53\n"
			   "nameserver ::1\nnameserver 192.0.2.54\n";

	(void)state;
	assert_int_equal(dns_upstreams(str_c(text), 0x0a60000a, ips), 2);
	assert_int_equal(ips[0], 0xc0000235);
	assert_int_equal(ips[1], 0xc0000236);
}
