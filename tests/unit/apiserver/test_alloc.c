/* Addresses and node ports of Services: given once, given back, never out of their ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/core-internal.h"

static struct arena mem;
static struct alloc *books;
static struct rng rng;

static void begin(const char *cidr)
{
	struct err err = {0};

	rng_seed(&rng, 5);
	books = alloc_new(cidr, &err);
	if (!books)
		fail_msg("%s", err.msg);
}

static void end(void)
{
	alloc_free(books);
	arena_release(&mem);
}

static struct json *service(const char *spec)
{
	struct err err = {0};
	struct json *v = json_parse(
		&mem,
		str_c(arena_printf(&mem, "{\"metadata\":{\"name\":\"s\"},\"spec\":%s}", spec)),
		NULL, &err);

	if (!v)
		fail_msg("%s", err.msg);
	return v;
}

/* As the core does: allocate, and when there is no problem keep the books. NULL = refused. */
static struct json *take(const char *spec, const struct json *live)
{
	struct schema_problems problems = {.a = &mem};
	struct json *v = service(spec);

	assert_int_equal(alloc_service(books, &mem, &rng, v, live, &problems), 0);
	if (problems.n)
		return NULL;
	alloc_change(books, live, v);
	return v;
}

static struct str ip_of(const struct json *s)
{
	return json_str(json_at(s, "spec", "clusterIP"));
}

static int64_t port_of(const struct json *s, size_t i)
{
	return json_int(json_get(json_item(json_at(s, "spec", "ports"), i), STR("nodePort")), 0);
}

#define ONE "{\"ports\":[{\"port\":80}]}"
#define NODE "{\"type\":\"NodePort\",\"ports\":[{\"port\":80}]}"
#define TWO "{\"type\":\"NodePort\",\"ports\":[{\"port\":80},{\"port\":81}]}"

void test_alloc__every_address_is_given_once(void **state)
{
	struct map seen = {0};
	struct json *last = NULL;
	int n = 0;

	(void)state;
	begin("10.0.0.0/26");
	for (struct json *s; (s = take(ONE, NULL)); n++, last = s) {
		assert_false(map_has(&seen, ip_of(s)));
		assert_true(str_starts(ip_of(s), STR("10.0.0.")));
		assert_false(str_is(ip_of(s), "10.0.0.0"));
		assert_false(str_is(ip_of(s), "10.0.0.63"));
		assert_true(
			str_eq(json_str(json_item(json_at(s, "spec", "clusterIPs"), 0)), ip_of(s)));
		map_set(&seen, ip_of(s), s);
	}
	assert_int_equal(n, 62);
	alloc_change(books, last, NULL); /* one goes, and one can come */
	struct json *s = take(ONE, NULL);
	assert_non_null(s);
	assert_true(str_eq(ip_of(s), ip_of(last)));
	map_release(&seen);
	end();
}

void test_alloc__what_is_asked_for(void **state)
{
	(void)state;
	begin("10.96.0.0/16");
	assert_non_null(take("{\"clusterIP\":\"10.96.0.10\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"10.96.0.10\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"10.97.0.1\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"10.96.0.0\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"10.96.255.255\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"ten\",\"ports\":[]}", NULL));
	assert_null(take("{\"clusterIP\":\"::1\",\"ports\":[]}", NULL));
	struct json *none = take("{\"clusterIP\":\"None\",\"ports\":[]}", NULL);
	assert_true(str_is(ip_of(none), "None"));
	assert_non_null(take("{\"clusterIP\":\"None\",\"ports\":[]}", NULL));
	struct json *external = take("{\"type\":\"ExternalName\",\"externalName\":\"x\"}", NULL);
	assert_false(ip_of(external).n);
	end();
}

void test_alloc__an_update_keeps_what_it_had(void **state)
{
	(void)state;
	begin("10.96.0.0/16");
	struct json *s = take(NODE, NULL), *next = take(NODE, s);

	assert_true(str_eq(ip_of(s), ip_of(next)));
	assert_int_equal(port_of(s, 0), port_of(next, 0));
	/* No longer a NodePort: its port is another's to take. */
	struct json *plain = take(ONE, next);
	assert_int_equal(port_of(plain, 0), 0);
	assert_non_null(take(arena_printf(&mem,
					  "{\"type\":\"NodePort\",\"ports\":[{\"port\":1,"
					  "\"nodePort\":%d}]}",
					  (int)port_of(s, 0)),
			     NULL));
	end();
}

void test_alloc__node_ports_that_are_asked_for(void **state)
{
	(void)state;
	begin("10.96.0.0/16");
#define PORT(n) "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":" n "}]}"
	assert_non_null(take(PORT("30080"), NULL));
	assert_null(take(PORT("30080"), NULL));
	assert_null(take(PORT("29999"), NULL));
	assert_null(take(PORT("32768"), NULL));
	assert_null(take(PORT("-1"), NULL));
	assert_null(take(PORT("4294997376"), NULL)); /* 2^32 + 30080 */
	/* TCP and UDP of one Service may share theirs. */
	struct json *s = take("{\"type\":\"NodePort\",\"ports\":[{\"port\":53,\"protocol\":\"TCP\","
			      "\"nodePort\":30053},{\"port\":53,\"protocol\":\"UDP\",\"nodePort\":"
			      "30053}]}",
			      NULL);
	assert_non_null(s);
	assert_null(take(PORT("30053"), NULL));
	alloc_change(books, s, NULL);
	assert_non_null(take(PORT("30053"), NULL));
	end();
}

/* Down to the last one; a Service that needs two finds one, and is told so. */
void test_alloc__node_ports_run_out(void **state)
{
	struct json *last = NULL;
	int n = 0;

	(void)state;
	begin("10.96.0.0/16");
	for (struct json *s; n < 2767 && (s = take(NODE, NULL)); n++)
		last = s;
	assert_int_equal(n, 2767);
	assert_null(take(TWO, NULL));
	struct json *s = take(NODE, NULL);
	assert_non_null(s);
	assert_null(take(NODE, NULL));
	alloc_change(books, s, NULL);
	alloc_change(books, last, NULL);
	s = take(TWO, NULL);
	assert_non_null(s);
	assert_int_not_equal(port_of(s, 0), port_of(s, 1));
	end();
}

void test_alloc__ranges_that_make_no_sense(void **state)
{
	static const char *const bad[] = {"",           "10.96.0.0",      "10.96.0.0/31",
					  "10.0.0.0/8", "10.96.0.256/16", "::/64",
					  "10.96.0.0/x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		assert_null(alloc_new(bad[i], &err));
		assert_true(err.msg[0] != 0);
	}
}
