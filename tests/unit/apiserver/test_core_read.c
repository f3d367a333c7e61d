/*
 * GET and LIST as clients meet them: selectors, pages that are one moment's truth, tokens that are
 * too old, and what resourceVersion and resourceVersionMatch mean together.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CMS "/api/v1/namespaces/default/configmaps"
#define PODS "/api/v1/namespaces/default/pods"

static struct arena mem;
static struct json *answer; /* of the last get() */

static void make_cm(const char *name, const char *labels)
{
	AUTO(buf) struct buf text = {0};
	int status;

	buf_printf(&text, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}},\"data\":{\"k\":\"1\"}}",
		   name, labels);
	status = status_of("POST", CMS, NULL, buf_cstr(&text));
	if (status != 201)
		fail_msg("%s: %d %s", name, status, buf_cstr(&last_body));
}

static void change_cm(const char *name)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path, CMS "/%s", name);
	assert_int_equal(status_of("PATCH", buf_cstr(&path), "application/merge-patch+json",
				   "{\"data\":{\"k\":\"2\"}}"),
			 200);
}

static void delete_cm(const char *name)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path, CMS "/%s", name);
	assert_int_equal(status_of("DELETE", buf_cstr(&path), NULL, NULL), 200);
}

static int get(const char *fmt, ...) PRINTF_LIKE(1, 2);
static int get(const char *fmt, ...)
{
	AUTO(buf) struct buf target = {0};
	struct err err = {0};
	va_list ap;
	int status;

	va_start(ap, fmt);
	buf_vprintf(&target, fmt, ap);
	va_end(ap);
	status = status_of("GET", buf_cstr(&target), NULL, NULL);
	answer = json_parse(&mem, arena_str(&mem, buf_view(&last_body)), NULL, &err);
	if (!answer)
		fail_msg("%s: %s", buf_cstr(&target), err.msg);
	return status;
}

/* The names in the last list: "a b c". */
static const char *names(void)
{
	AUTO(buf) struct buf out = {0};
	const struct json *items = json_at(answer, "items");

	for (size_t i = 0; i < json_len(items); i++)
		buf_printf(&out, "%s%.*s", i ? " " : "", STR_ARG(meta_name(json_item(items, i))));
	return arena_cstr(&mem, buf_view(&out));
}

static const char *token(void)
{
	AUTO(buf) struct buf escaped = {0};

	url_escape(json_str(json_at(answer, "metadata", "continue")), &escaped);
	return arena_cstr(&mem, buf_view(&escaped));
}

static uint64_t list_revision(void)
{
	uint64_t r;

	assert_int_equal(str_to_u64(json_str(json_at(answer, "metadata", "resourceVersion")), &r),
			 0);
	return r;
}

static bool reason(const char *want)
{
	return str_is(json_str(json_at(answer, "reason")), want);
}

static void begin(void)
{
	alone_begin();
	make_cm("a", "\"app\":\"web\",\"tier\":\"front\"");
	make_cm("b", "\"app\":\"web\",\"tier\":\"back\"");
	make_cm("c", "\"app\":\"db\"");
	make_cm("d", "");
}

static void end(void)
{
	alone_end();
	arena_release(&mem);
}

/* ---- selectors ---- */

void test_core_read__label_selectors(void **state)
{
	static const char *const rows[][2] = {
		{"app%3Dweb", "a b"},
		{"app%3D%3Dweb,tier%3Dback", "b"},
		{"app!%3Dweb", "c d"},
		{"app", "a b c"},
		{"!app", "d"},
		{"app%20in%20(web,db),tier", "a b"},
		{"app%20notin%20(web)", "c d"},
		{"app%3D", ""},
		{"", "a b c d"},
	};

	(void)state;
	begin();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(get(CMS "?labelSelector=%s", rows[i][0]), 200);
		if (strcmp(names(), rows[i][1]) != 0)
			fail_msg("%s: '%s', not '%s'", rows[i][0], names(), rows[i][1]);
	}
	assert_int_equal(get(CMS "?labelSelector=app%%20in%%20web"), 400);
	assert_true(reason("BadRequest"));
	assert_int_equal(get(CMS "?labelSelector=-x%%3Dy"), 400);
	end();
}

void test_core_read__field_selectors(void **state)
{
	(void)state;
	begin();
	assert_int_equal(get(CMS "?fieldSelector=metadata.name%%3Db"), 200);
	assert_string_equal(names(), "b");
	assert_int_equal(get(CMS "?fieldSelector=metadata.name!%%3Db"), 200);
	assert_string_equal(names(), "a c d");
	assert_int_equal(
		get("/api/v1/"
		    "configmaps?fieldSelector=metadata.namespace%%3Ddefault,metadata.name%%3Dc"),
		200);
	assert_string_equal(names(), "c");
	assert_int_equal(get(CMS "?fieldSelector=metadata.name%%3Da&labelSelector=app%%3Ddb"), 200);
	assert_string_equal(names(), "");
	assert_int_equal(get(CMS "?fieldSelector=data.k%%3D1"), 400);
	assert_int_equal(get(PODS "?fieldSelector=spec.nodeName%%3Dn,status.phase%%3DRunning"),
			 200);
	end();
}

/* ---- pages ---- */

void test_core_read__pages_show_the_moment_of_the_first(void **state)
{
	uint64_t revision;
	const char *next;

	(void)state;
	begin();
	assert_int_equal(get(CMS "?limit=2"), 200);
	assert_string_equal(names(), "a b");
	assert_int_equal(json_int(json_at(answer, "metadata", "remainingItemCount"), -1), 2);
	revision = list_revision();
	next = token();
	make_cm("aa", "");
	delete_cm("c");
	change_cm("d");
	assert_int_equal(get(CMS "?limit=1&continue=%s", next), 200);
	assert_string_equal(names(), "c");
	assert_int_equal(list_revision(), revision);
	assert_int_equal(get(CMS "?limit=1&continue=%s", token()), 200);
	assert_string_equal(names(), "d");
	assert_int_equal(list_revision(), revision);
	assert_true(str_is(json_str(json_at(json_item(json_at(answer, "items"), 0), "data", "k")),
			   "1"));
	assert_true(!json_at(answer, "metadata", "continue") || !*token());
	assert_null(json_at(answer, "metadata", "remainingItemCount"));
	assert_int_equal(get(CMS), 200);
	assert_string_equal(names(), "a aa b d");
	end();
}

/* The same token may be used twice: a client that lost an answer asks again. */
void test_core_read__a_page_can_be_asked_for_again(void **state)
{
	const char *next;

	(void)state;
	begin();
	assert_int_equal(get(CMS "?limit=3"), 200);
	next = token();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(get(CMS "?limit=3&continue=%s", next), 200);
		assert_string_equal(names(), "d");
	}
	end();
}

void test_core_read__pages_of_a_selection(void **state)
{
	(void)state;
	begin();
	assert_int_equal(get(CMS "?labelSelector=app&limit=2"), 200);
	assert_string_equal(names(), "a b");
	assert_int_equal(get(CMS "?labelSelector=app&limit=2&continue=%s", token()), 200);
	assert_string_equal(names(), "c");
	end();
}

void test_core_read__old_tokens_are_expired_and_bad_ones_bad(void **state)
{
	const char *next;

	(void)state;
	begin();
	assert_int_equal(get(CMS "?limit=2"), 200);
	next = token();
	now_ns += 3600 * NS_PER_S;
	assert_int_equal(get(CMS "?limit=2&continue=%s", next), 410);
	assert_true(reason("Expired"));
	assert_int_equal(json_int(json_at(answer, "code"), 0), 410);
	assert_int_equal(get(CMS "?limit=2&continue=nonsense"), 400);
	assert_int_equal(get(CMS "?limit=-1"), 200);
	assert_int_equal(get(CMS "?limit=many"), 400);
	end();
}

/* A token is for the list it came from: not for another kind's, not for another namespace's. */
void test_core_read__a_token_does_not_lead_elsewhere(void **state)
{
	const char *next;
	int status;

	(void)state;
	begin();
	assert_int_equal(get(CMS "?limit=2"), 200);
	next = token();
	status = get("/api/v1/secrets?limit=2&continue=%s", next);
	assert_true(status == 400 || status == 410);
	status = get("/api/v1/namespaces/other/configmaps?limit=2&continue=%s", next);
	assert_true(status == 400 || status == 410);
	end();
}

void test_core_read__many_lists_at_once_do_not_grow_for_ever(void **state)
{
	const char *first;
	int status;

	(void)state;
	begin();
	assert_int_equal(get(CMS "?limit=1"), 200);
	first = token();
	for (int i = 0; i < 2000; i++)
		assert_int_equal(get(CMS "?limit=1"), 200);
	assert_int_equal(get(CMS "?limit=1&continue=%s", token()), 200);
	assert_string_equal(names(), "b");
	status = get(CMS "?limit=1&continue=%s", first);
	assert_true(status == 200 || status == 410);
	end();
}

/* ---- resourceVersion and resourceVersionMatch ---- */

void test_core_read__which_revision(void **state)
{
	uint64_t now, before;

	(void)state;
	begin();
	assert_int_equal(get(CMS), 200);
	before = list_revision();
	change_cm("a");
	assert_int_equal(get(CMS), 200);
	now = list_revision();
	assert_true(now > before);
	const struct {
		uint64_t version;
		const char *match;
		int status;
	} rows[] = {
		{0, "", 200},         {0, "NotOlderThan", 200},
		{before, "", 200},    {before, "NotOlderThan", 200},
		{now, "", 200},       {now, "NotOlderThan", 200},
		{now, "Exact", 200},  {now + 100, "NotOlderThan", 504},
		{now + 100, "", 504},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status =
			get(CMS "?resourceVersion=%llu%s%s", (unsigned long long)rows[i].version,
			    rows[i].match[0] ? "&resourceVersionMatch=" : "", rows[i].match);

		if (status != rows[i].status)
			fail_msg("row %zu: %d, not %d", i, status, rows[i].status);
		if (status == 200)
			assert_true(list_revision() >= rows[i].version);
	}
	end();
}

void test_core_read__a_list_as_it_was(void **state)
{
	uint64_t before;

	(void)state;
	begin();
	assert_int_equal(get(CMS), 200);
	before = list_revision();
	change_cm("a");
	change_cm("a");
	delete_cm("b");
	make_cm("b", "\"app\":\"other\""); /* another of that name */
	delete_cm("c");
	make_cm("aa", "");
	assert_int_equal(get(CMS "?resourceVersion=%llu&resourceVersionMatch=Exact",
			     (unsigned long long)before),
			 200);
	assert_string_equal(names(), "a b c d");
	assert_true(list_revision() == before);
	assert_true(str_is(json_str(json_at(json_item(json_at(answer, "items"), 0), "data", "k")),
			   "1"));
	assert_int_equal(get(CMS "?labelSelector=app%%3Dweb&resourceVersion=%llu"
				 "&resourceVersionMatch=Exact",
			     (unsigned long long)before),
			 200);
	assert_string_equal(names(), "a b");
	/* A limit beside a version means exactly that one, and so do the pages behind it. */
	assert_int_equal(get(CMS "?limit=2&resourceVersion=%llu", (unsigned long long)before), 200);
	assert_string_equal(names(), "a b");
	assert_int_equal(get(CMS "?limit=2&continue=%s", token()), 200);
	assert_string_equal(names(), "c d");
	assert_true(list_revision() == before);
	assert_int_equal(get("/api/v1/configmaps?resourceVersion=%llu&resourceVersionMatch=Exact",
			     (unsigned long long)before),
			 200);
	assert_string_equal(names(), "a b c d");
	end();
}

void test_core_read__revisions_that_cannot_be_had(void **state)
{
	uint64_t before;

	(void)state;
	begin();
	assert_int_equal(get(CMS), 200);
	before = list_revision();
	change_cm("a");
	assert_int_equal(get(CMS "?resourceVersion=%llu&resourceVersionMatch=Exact",
			     (unsigned long long)before),
			 200);
	/* Half an hour and a change later the log no longer reaches back. */
	now_ns += 1800 * NS_PER_S;
	change_cm("a");
	assert_int_equal(get(CMS "?resourceVersion=%llu&resourceVersionMatch=Exact",
			     (unsigned long long)before),
			 410);
	assert_true(reason("Expired"));
	assert_int_equal(get(CMS "?resourceVersionMatch=Exact"), 422);
	assert_int_equal(get(CMS "?resourceVersion=0&resourceVersionMatch=Exact"), 422);
	assert_int_equal(get(CMS "?resourceVersion=1&resourceVersionMatch=Sometimes"), 422);
	assert_int_equal(get(CMS "?resourceVersion=yesterday"), 400);
	end();
}

void test_core_read__single_objects(void **state)
{
	(void)state;
	begin();
	assert_int_equal(get(CMS "/a"), 200);
	assert_true(str_is(json_str(json_at(answer, "kind")), "ConfigMap"));
	assert_int_equal(get(CMS "/a?resourceVersion=0"), 200);
	assert_int_equal(get(CMS "/nobody"), 404);
	assert_true(reason("NotFound"));
	assert_true(str_is(json_str(json_at(answer, "details", "name")), "nobody"));
	assert_true(str_is(json_str(json_at(answer, "details", "kind")), "configmaps"));
	end();
}

void test_core_read__a_too_large_version_says_so_as_clients_look_for_it(void **state)
{
	(void)state;
	begin();
	assert_int_equal(get(CMS "?resourceVersion=999999"), 504);
	assert_true(reason("Timeout"));
	assert_true(str_is(
		json_str(json_at(json_item(json_at(answer, "details", "causes"), 0), "reason")),
		"ResourceVersionTooLarge"));
	end();
}
