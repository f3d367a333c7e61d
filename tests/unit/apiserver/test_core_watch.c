/*
 * Watches as clients meet them: where they begin, what they show, bookmarks, ends. The clock is the
 * test's.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CMS "/api/v1/namespaces/default/configmaps"
#define W CMS "?watch=true"

static struct arena mem;

static uint64_t made_revision(void)
{
	struct json *v = json_parse(&mem, arena_str(&mem, buf_view(&last_body)), NULL, NULL);
	uint64_t r = 0;

	assert_int_equal(str_to_u64(json_str(json_at(v, "metadata", "resourceVersion")), &r), 0);
	return r;
}

static uint64_t make(const char *name, const char *labels)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
	assert_int_equal(status_of("POST", CMS, NULL, buf_cstr(&text)), 201);
	return made_revision();
}

static uint64_t patch(const char *name, const char *merge)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path, CMS "/%s", name);
	assert_int_equal(status_of("PATCH", buf_cstr(&path), "application/merge-patch+json", merge),
			 200);
	return made_revision();
}

static void drop(const char *name)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path, CMS "/%s", name);
	assert_int_equal(status_of("DELETE", buf_cstr(&path), NULL, NULL), 200);
}

static struct asked *watch(const char *fmt, ...) PRINTF_LIKE(1, 2);
static struct asked *watch(const char *fmt, ...)
{
	AUTO(buf) struct buf target = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&target, fmt, ap);
	va_end(ap);
	return ask_core("GET", buf_cstr(&target), NULL, NULL);
}

/* Everything that came since the last call: "ADDED a@5 BOOKMARK @7 ". */
static const char *news(struct asked *q)
{
	AUTO(buf) struct buf out = {0};
	struct str rest = arena_str(&mem, buf_view(&q->body)), line;

	buf_reset(&q->body);
	while (str_next(&rest, '\n', &line)) {
		const struct json *v = line.n ? json_parse(&mem, line, NULL, NULL) : NULL;
		const struct json *meta = json_at(v, "object", "metadata");

		if (v)
			buf_printf(&out, "%.*s %.*s@%.*s ", STR_ARG(json_str(json_at(v, "type"))),
				   STR_ARG(json_str(json_at(meta, "name"))),
				   STR_ARG(json_str(json_at(meta, "resourceVersion"))));
	}
	return arena_cstr(&mem, buf_view(&out));
}

/* Compares with "ADDED a@%llu …". */
static void told_news(struct asked *q, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void told_news(struct asked *q, const char *fmt, ...)
{
	AUTO(buf) struct buf want = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&want, fmt, ap);
	va_end(ap);
	assert_string_equal(news(q), buf_cstr(&want));
}

#define N(x) ((unsigned long long)(x))

static void leave(struct asked *q)
{
	if (!q->ended && !q->status)
		core_cancel(core, &q->req);
	ask_free(q);
}

static void pass(int64_t seconds)
{
	for (int64_t i = 0; i < seconds; i++) {
		now_ns += NS_PER_S;
		core_turn(core);
	}
}

static void end(void)
{
	alone_end();
	arena_release(&mem);
}

/* ---- where a watch begins ---- */

void test_core_watch__from_nothing_and_from_0_begin_with_what_is_there(void **state)
{
	static const char *const from[] = {"", "&resourceVersion=0"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		alone_begin();
		uint64_t a = make("a", ""), b = make("b", "");
		struct asked *q = watch(W "%s", from[i]);

		assert_true(q->streaming);
		told_news(q, "ADDED a@%llu ADDED b@%llu ", N(a), N(b));
		uint64_t c = make("c", "");
		told_news(q, "ADDED c@%llu ", N(c));
		leave(q);
		end();
	}
}

void test_core_watch__from_a_version_shows_what_came_later(void **state)
{
	(void)state;
	alone_begin();
	uint64_t a = make("a", ""), b = make("b", ""), a2 = patch("a", "{\"data\":{\"k\":\"1\"}}");
	struct asked *q = watch(W "&resourceVersion=%llu", N(a));

	told_news(q, "ADDED b@%llu MODIFIED a@%llu ", N(b), N(a2));
	drop("b");
	told_news(q, "DELETED b@%llu ", N(core_revision(core)));
	leave(q);
	q = watch(W "&resourceVersion=%llu", N(core_revision(core)));
	told_news(q, "%s", "");
	leave(q);
	end();
}

void test_core_watch__each_watcher_gets_each_change_once_and_in_order(void **state)
{
	struct asked *q[20];

	(void)state;
	alone_begin();
	make("a", "");
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		q[i] = watch(W "&resourceVersion=%llu", N(core_revision(core)));
		patch("a", "{\"data\":{\"k\":\"1\"}}");
		patch("a", "{\"data\":{\"k\":\"2\"}}");
	}
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		AUTO(buf) struct buf want = {0};

		for (uint64_t r = core_revision(core) - 2 * (ARRAY_LEN(q) - i) + 1;
		     r <= core_revision(core); r++)
			buf_printf(&want, "MODIFIED a@%llu ", N(r));
		assert_string_equal(news(q[i]), buf_cstr(&want));
		leave(q[i]);
	}
	end();
}

/* Told in the stream, not by the answer's status: client-go looks into no body of a refused watch.
 */
static void told_late(struct asked *q)
{
	assert_true(q->streaming);
	assert_true(told(q, "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\""));
	assert_true(told(q, "\"reason\":\"Expired\""));
	assert_true(told(q, "\"code\":410"));
	assert_true(q->ended);
	leave(q);
}

void test_core_watch__too_old_is_gone(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	uint64_t a = make("a", "");
	make("b", "");
	pass(3600);
	told_late(watch(W "&resourceVersion=%llu", N(a)));
	q = watch(W "&resourceVersion=%llu&labelSelector=%%3D%%3D", N(a));
	assert_int_equal(q->status, 400);
	leave(q);
	end();
}

/* From a version that is still to come (a server that was restored): nothing before it is told. */
void test_core_watch__from_the_future_shows_nothing_before_it(void **state)
{
	(void)state;
	alone_begin();
	uint64_t a = make("a", "");
	struct asked *q = watch(W "&resourceVersion=%llu", N(a + 2));

	if (q->streaming) {
		make("b", "");
		make("c", "");
		told_news(q, "%s", "");
		uint64_t d = make("d", "");
		told_news(q, "ADDED d@%llu ", N(d));
	} else {
		assert_int_equal(q->status, 504);
	}
	leave(q);
	q = watch(W "&resourceVersion=never");
	assert_int_equal(q->status, 400);
	leave(q);
	end();
}

/* ---- what it shows ---- */

void test_core_watch__objects_enter_and_leave_a_selection(void **state)
{
	(void)state;
	alone_begin();
	uint64_t a = make("a", "\"app\":\"web\"");
	struct asked *q = watch(W "&labelSelector=app%%3Dweb");

	told_news(q, "ADDED a@%llu ", N(a));
	make("b", "\"app\":\"db\"");
	told_news(q, "%s", "");
	uint64_t r = patch("b", "{\"metadata\":{\"labels\":{\"app\":\"web\"}}}");
	told_news(q, "ADDED b@%llu ", N(r));
	r = patch("a", "{\"metadata\":{\"labels\":{\"app\":\"db\"}},\"data\":{\"k\":\"new\"}}");
	assert_true(told(q, "\"app\":\"web\"")); /* as it was last seen */
	assert_false(told(q, "\"new\""));
	told_news(q, "DELETED a@%llu ", N(r));
	patch("a", "{\"data\":{\"k\":\"newer\"}}");
	drop("a");
	told_news(q, "%s", "");
	leave(q);
	end();
}

void test_core_watch__one_object_and_one_namespace(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", "/api/v1/namespaces", NULL,
				   "{\"metadata\":{\"name\":\"other\"}}"),
			 201);
	struct asked *one = watch(W "&fieldSelector=metadata.name%%3Da"),
		     *all = watch("/api/v1/configmaps?watch=true");
	uint64_t a = make("a", "");

	make("b", "");
	assert_int_equal(status_of("POST", "/api/v1/namespaces/other/configmaps", NULL,
				   "{\"metadata\":{\"name\":\"a\"}}"),
			 201);
	uint64_t o = made_revision();
	told_news(one, "ADDED a@%llu ", N(a));
	told_news(all, "ADDED a@%llu ADDED b@%llu ADDED a@%llu ", N(a), N(a + 1), N(o));
	leave(one);
	leave(all);
	end();
}

/* ---- bookmarks ---- */

void test_core_watch__bookmarks_tell_of_the_time_that_passes(void **state)
{
	struct asked *with, *without;

	(void)state;
	alone_begin();
	uint64_t a = make("a", "");
	with = watch(W "&resourceVersion=%llu&allowWatchBookmarks=true", N(a));
	without = watch(W "&resourceVersion=%llu", N(a));
	assert_int_equal(status_of("POST", "/api/v1/namespaces", NULL,
				   "{\"metadata\":{\"name\":\"other\"}}"),
			 201);
	uint64_t now = core_revision(core);
	pass(70);
	assert_true(told(with, "\"kind\":\"ConfigMap\""));
	told_news(with, "BOOKMARK @%llu BOOKMARK @%llu ", N(now), N(now));
	told_news(without, "%s", "");
	/* Who goes on from a bookmark has missed nothing. */
	leave(with);
	with = watch(W "&resourceVersion=%llu", N(now));
	told_news(with, "%s", "");
	uint64_t b = make("b", "");
	told_news(with, "ADDED b@%llu ", N(b));
	leave(with);
	leave(without);
	end();
}

void test_core_watch__initial_events_end_with_a_bookmark(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	uint64_t a = make("a", "");
	q = watch(W "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
		    "&allowWatchBookmarks=true");
	assert_true(told(q, "\"k8s.io/initial-events-end\":\"true\""));
	told_news(q, "ADDED a@%llu BOOKMARK @%llu ", N(a), N(core_revision(core)));
	leave(q);
	q = watch(W "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0");
	told_news(q, "%s", "");
	leave(q);
	q = watch(W "&sendInitialEvents=true");
	assert_int_equal(q->status, 422);
	leave(q);
	end();
}

/* ---- ends ---- */

void test_core_watch__ends_when_it_was_asked_to(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	q = watch(W "&timeoutSeconds=20");
	pass(15);
	assert_false(q->ended);
	pass(15);
	assert_true(q->ended);
	leave(q);
	end();
}

/* Those of a few seconds to the second. */
void test_core_watch__short_ones_end_on_time(void **state)
{
	struct asked *q, *r;

	(void)state;
	alone_begin();
	core_turn(core);
	q = watch(W "&timeoutSeconds=1");
	r = watch(W "&timeoutSeconds=3");
	for (int i = 0; i < 2; i++) {
		assert_true(core_due(core) <= now_ns + (i ? 2 : 1) * NS_PER_S);
		now_ns = core_due(core);
		core_turn(core);
		assert_true(q->ended);
	}
	assert_true(r->ended);
	leave(q);
	leave(r);
	end();
}

/* A bookmark before the end lets its client go on from there. */
void test_core_watch__the_last_bookmark_comes_before_the_end(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	q = watch(W "&timeoutSeconds=10&allowWatchBookmarks=true");
	make("a", "");
	(void)news(q);
	assert_int_equal(status_of("POST", "/api/v1/namespaces", NULL,
				   "{\"metadata\":{\"name\":\"other\"}}"),
			 201);
	pass(20);
	assert_true(q->ended);
	told_news(q, "BOOKMARK @%llu ", N(core_revision(core)));
	leave(q);
	end();
}

/* A write of the same turn is not committed when the bookmark is written. */
void test_core_watch__a_bookmark_does_not_speak_of_what_is_not_committed(void **state)
{
	struct asked *q, *w, *create = xalloc(sizeof(*create));
	struct str path = STR(CMS), body = STR("{\"metadata\":{\"name\":\"b\"}}");

	(void)state;
	alone_begin();
	uint64_t a = make("a", "");
	q = watch(W "&timeoutSeconds=10&allowWatchBookmarks=true&resourceVersion=%llu", N(a));
	w = watch(W "&allowWatchBookmarks=true&resourceVersion=%llu", N(a));
	create->req.arena = &create->a;
	assert_true(core_route(STR("POST"), path, STR_NONE, &create->req));
	create->req.content_type = STR("application/json");
	create->req.body = body;
	create->req.user = (struct admission_user){.name = STR("bob")};
	create->req.sink = &test_sink;
	core_submit(core, &create->req);
	now_ns += 100 * NS_PER_S;
	core_turn(core);
	assert_int_equal(create->status, 201);
	assert_true(q->ended);
	told_news(q, "BOOKMARK @%llu ", N(a));
	told_news(w, "BOOKMARK @%llu ADDED b@%llu ", N(a), N(a + 1));
	leave(q);
	leave(w);
	ask_free(create);
	end();
}

/* ---- after a restart ---- */

static void restart(void)
{
	struct err err = {0};

	core_free(core);
	core = core_new(&(struct core_opts){.store = store, .seed = 8, .now = test_now}, &err);
	if (!core)
		fail_msg("%s", err.msg);
}

/* The past is gone, but who had seen all of it goes on; who had not is told to list. */
void test_core_watch__goes_on_after_a_restart_when_nothing_was_missed(void **state)
{
	struct asked *q;

	(void)state;
	alone_begin();
	uint64_t a = make("a", ""), b = make("b", "");
	assert_int_equal(status_of("POST", "/api/v1/namespaces", NULL,
				   "{\"metadata\":{\"name\":\"other\"}}"),
			 201);
	uint64_t now = core_revision(core);
	restart();
	assert_int_equal(core_revision(core), now);
	q = watch(W "&resourceVersion=%llu", N(b)); /* another table has changed since */
	told_news(q, "%s", "");
	uint64_t c = make("c", "");
	told_news(q, "ADDED c@%llu ", N(c));
	leave(q);
	told_late(watch(W "&resourceVersion=%llu", N(a)));
	drop("c");
	uint64_t gone = core_revision(core);
	restart();
	told_late(watch(W "&resourceVersion=%llu", N(c))); /* the deletion would be missed */
	q = watch(W "&resourceVersion=%llu", N(gone));
	assert_true(q->streaming);
	leave(q);
	end();
}

void test_core_watch__a_refused_one_is_over_with_its_answer(void **state)
{
	static const char *const refused[] = {
		"/api/v1/namespaces/n/configmaps?watch=1&resourceVersion=x",
		"/api/v1/namespaces/n/configmaps?watch=1&sendInitialEvents=true",
		"/api/v1/namespaces/n/configmaps?watch=1&fieldSelector=no.such%3D1",
		"/api/v1/namespaces/n/configmaps?watch=1&labelSelector=%3D%3D",
	};

	(void)state;
	alone_begin();
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct asked *q = ask_core("GET", refused[i], NULL, NULL);

		assert_true(q->status >= 400);
		assert_true(told(q, "\"status\":\"Failure\""));
		ask_free(q);
	}
	alone_end();
}
