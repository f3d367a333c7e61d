/*
 * Sixty-four clients and one object, over TLS: of those that replace the same version exactly one
 * wins, the others are told so, and a counter that all of them raise misses nobody.
 */
#include "tests/unit/apiserver/live.h"

#include "lib/json/json.h"
#include "lib/kube/obj.h"

#define CLIENTS 64
#define RAISES 3 /* of each client */

struct client_of {
	struct http_client *http;
	struct str revision;
	char text[32];
	long raises;
	int64_t value;
};

static struct client_of clients[CLIENTS];
static int answered, won, lost, other;
static int finished;

static void meet(void)
{
	struct err err = {0};

	for (size_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client_of){0};
		clients[i].http = http_client_new(loop,
						  &(struct http_client_opts){.host = "127.0.0.1",
									     .port = port,
									     .tls = admin.tls,
									     .max_conns = 1},
						  &err);
		assert_non_null(clients[i].http);
	}
}

static void part(void)
{
	for (size_t i = 0; i < CLIENTS; i++)
		http_client_free(clients[i].http);
}

static void put_counter(struct client_of *c, struct str revision, int64_t value,
			void (*done)(void *arg, const struct http_answer *a))
{
	AUTO(buf) struct buf body = {0};

	buf_printf(&body,
		   "{\"metadata\":{\"name\":\"n\",\"resourceVersion\":\"%.*s\"},\"data\":{\"n\":"
		   "\"%lld\"}}",
		   STR_ARG(revision), (long long)value);
	http_client_call(c->http, &(struct http_call){.method = "PUT",
						      .path = STR(CM "/n"),
						      .content_type = "application/json",
						      .body = buf_view(&body),
						      .done = done,
						      .arg = c});
}

static void on_put(void *arg, const struct http_answer *a)
{
	(void)arg;
	answered++;
	won += a->status == 200;
	lost += a->status == 409;
	other += a->status != 200 && a->status != 409;
}

static struct str now_revision(struct arena *mem)
{
	assert_int_equal(ASK(&admin, "GET", CM "/n", NULL), 200);
	return arena_str(mem, json_str(json_at(json_parse(mem, buf_view(&last.body), NULL, NULL),
					       "metadata", "resourceVersion")));
}

void test_contention__one_winner_of_each_version(void **state)
{
	AUTO(arena) struct arena mem = {0};

	(void)state;
	setup();
	meet();
	assert_int_equal(
		ASK(&admin, "POST", CM, "{\"metadata\":{\"name\":\"n\"},\"data\":{\"n\":\"0\"}}"),
		201);
	for (int round = 0; round < 20; round++) {
		struct str revision = now_revision(&mem);

		answered = won = lost = other = 0;
		for (size_t i = 0; i < CLIENTS; i++)
			put_counter(&clients[i], revision, 1000 * (round + 1) + (int64_t)i, on_put);
		turn_until(&answered, CLIENTS);
		assert_int_equal(won, 1);
		assert_int_equal(lost, CLIENTS - 1);
		assert_int_equal(other, 0);
	}
	part();
	teardown();
}

static void on_created(void *arg, const struct http_answer *a)
{
	(void)arg;
	answered++;
	won += a->status == 201;
	lost += a->status == 409;
}

void test_contention__one_creator_of_each_name(void **state)
{
	(void)state;
	setup();
	meet();
	for (int round = 0; round < 10; round++) {
		char body[64];

		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"r%d\"}}", round);
		answered = won = lost = 0;
		for (size_t i = 0; i < CLIENTS; i++)
			http_client_call(clients[i].http,
					 &(struct http_call){.method = "POST",
							     .path = STR(CM),
							     .content_type = "application/json",
							     .body = str_c(body),
							     .done = on_created});
		turn_until(&answered, CLIENTS);
		assert_int_equal(won, 1);
		assert_int_equal(lost, CLIENTS - 1);
	}
	part();
	teardown();
}

/* ---- read, raise, write, until it holds ---- */

static void on_read(void *arg, const struct http_answer *a);

static void read_counter(struct client_of *c)
{
	http_client_call(c->http,
			 &(struct http_call){
				 .method = "GET", .path = STR(CM "/n"), .done = on_read, .arg = c});
}

static void on_raised(void *arg, const struct http_answer *a)
{
	struct client_of *c = arg;

	assert_true(a->status == 200 || a->status == 409);
	if (a->status == 200 && ++c->raises == RAISES)
		finished++;
	else
		read_counter(c);
}

static void on_read(void *arg, const struct http_answer *a)
{
	AUTO(arena) struct arena mem = {0};
	struct client_of *c = arg;
	const struct json *v;
	int64_t n;

	assert_int_equal(a->status, 200);
	v = json_parse(&mem, a->body, NULL, NULL);
	assert_int_equal(str_to_i64(json_str(json_at(v, "data", "n")), &n), 0);
	assert_true(n >= c->value); /* never older than what this client knew */
	c->value = n;
	put_counter(c, json_str(json_at(v, "metadata", "resourceVersion")), n + 1, on_raised);
}

void test_contention__a_counter_misses_nobody(void **state)
{
	AUTO(arena) struct arena mem = {0};
	const struct json *v;

	(void)state;
	setup();
	meet();
	finished = 0;
	assert_int_equal(
		ASK(&admin, "POST", CM, "{\"metadata\":{\"name\":\"n\"},\"data\":{\"n\":\"0\"}}"),
		201);
	for (size_t i = 0; i < CLIENTS; i++)
		read_counter(&clients[i]);
	for (int i = 0; i < 60000 && finished < CLIENTS; i++)
		loop_turn(loop, 10);
	assert_int_equal(finished, CLIENTS);
	assert_int_equal(ASK(&admin, "GET", CM "/n", NULL), 200);
	v = json_parse(&mem, buf_view(&last.body), NULL, NULL);
	assert_true(str_is(json_str(json_at(v, "data", "n")), "192")); /* CLIENTS × RAISES */
	part();
	teardown();
}
