/*
 * Versions that a webhook converts: readers and writers of each see their own, the store holds the
 * stored one, and an event waits until its object is known in the watcher's version.
 */
#include "tests/unit/apiserver/core_alone.h"

#include "lib/json/json.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CRDS "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
#define V1 "/apis/x.io/v1/namespaces/default/things"
#define V2 "/apis/x.io/v2/namespaces/default/things"
#define SCHEMA(fields)                                                                             \
	"\"schema\":{\"openAPIV3Schema\":{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":" \
	"\"object\",\"properties\":{" fields "}}}}},\"subresources\":{\"scale\":"                  \
	"{\"specReplicasPath\":\".spec.n\",\"statusReplicasPath\":\".status.n\"}}"
#define STR_FIELD(name) "\"" name "\":{\"type\":\"string\"}"
#define CRD                                                                                        \
	"{\"metadata\":{\"name\":\"things.x.io\"},\"spec\":{\"group\":\"x.io\",\"scope\":"         \
	"\"Namespaced\",\"names\":{\"plural\":\"things\",\"kind\":\"Thing\"},\"conversion\":{"     \
	"\"strategy\":\"Webhook\",\"webhook\":{\"conversionReviewVersions\":[\"v1\"],"             \
	"\"clientConfig\":{\"url\":\"https://example.com/convert\"}}},\"versions\":["              \
	"{\"name\":\"v1\",\"served\":true,\"storage\":true," SCHEMA(                               \
		STR_FIELD("host")) "},{"                                                           \
				   "\"name\":"                                                     \
				   "\"v2\","                                                       \
				   "\"served"                                                      \
				   "\":true,"                                                      \
				   "\"storage"                                                     \
				   "\":"                                                           \
				   "false"                                                         \
				   "," SCHEMA(STR_FIELD("name") "," STR_FIELD("p"                  \
									      "o"                  \
									      "r"                  \
									      "t")) "}]}}"
#define THING1(name, host) "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"host\":\"" host "\"}}"

/* "a:1" of v1's host is "a" and "1" of v2's name and port. */
static void convert_spec(struct arena *a, struct json *o, struct str version)
{
	struct json *spec = json_set_object(a, o, "spec");
	struct str host = json_str(json_get(spec, STR("host"))), name, port;

	json_set_str(a, o, "apiVersion", version);
	if (str_is(version, "x.io/v2") && host.n) {
		str_cut(host, ':', &name, &port);
		json_del(spec, STR("host"));
		json_set_str(a, spec, "name", name);
		json_set_str(a, spec, "port", port);
	} else if (str_is(version, "x.io/v1") && json_get(spec, STR("name"))) {
		json_set_str(a, spec, "host",
			     arena_strf(a, "%.*s:%.*s",
					STR_ARG(json_str(json_get(spec, STR("name")))),
					STR_ARG(json_str(json_get(spec, STR("port"))))));
		json_del(spec, STR("name"));
		json_del(spec, STR("port"));
	}
}

/* The oldest call is answered as a converter would; what it is to do badly. */
static void convert(void (*spoil)(struct arena *a, struct json *response))
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct json *v = json_parse(&a, arena_str(&a, calls[0]->body), NULL, NULL);
	struct json *request = json_get(v, STR("request")), *response, *list;

	assert_true(has(calls[0]->body, "\"kind\":\"ConversionReview\""));
	assert_true(str_is(calls[0]->url, "https://example.com/convert"));
	list = json_copy(&a, json_get(request, STR("objects")));
	for (size_t i = 0; i < json_len(list); i++)
		convert_spec(&a, json_item(list, i),
			     json_str(json_get(request, STR("desiredAPIVersion"))));
	response = json_build(&a, "{s:o,s:{s:s},s:o}", "uid", json_get(request, STR("uid")),
			      "result", "status", "Success", "convertedObjects", list);
	if (spoil)
		spoil(&a, response);
	json_write(json_build(&a, "{s:s,s:s,s:o}", "kind", "ConversionReview", "apiVersion",
			      "apiextensions.k8s.io/v1", "response", response),
		   &text);
	answer_text(buf_cstr(&text), NULL);
}

static void define(void)
{
	alone_begin();
	assert_int_equal(status_of("POST", CRDS, NULL, CRD), 201);
	core_turn(core);
}

/* A request that wants `n` calls answered. */
static struct asked *converted(const char *method, const char *target, const char *type,
			       const char *body, size_t n)
{
	struct asked *q = ask_core(method, target, type, body);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(q->status, 0);
		convert(NULL);
	}
	assert_int_equal(ncalls, 0);
	return q;
}

void test_conversion__the_stored_version_asks_nobody(void **state)
{
	(void)state;
	define();
	assert_int_equal(status_of("POST", V1, NULL, THING1("t", "a:1")), 201);
	assert_int_equal(status_of("GET", V1 "/t", NULL, NULL), 200);
	assert_int_equal(made, 0);
	alone_end();
}

void test_conversion__reading_another_version(void **state)
{
	struct asked *q;

	(void)state;
	define();
	assert_int_equal(status_of("POST", V1, NULL, THING1("t", "a:1")), 201);
	assert_int_equal(status_of("POST", V1, NULL, THING1("u", "b:2")), 201);
	q = converted("GET", V2 "/t", NULL, NULL, 1);
	assert_int_equal(q->status, 200);
	assert_true(told(q, "\"apiVersion\":\"x.io/v2\""));
	assert_true(told(q, "\"name\":\"a\",\"port\":\"1\""));
	ask_free(q);
	q = converted("GET", V2, NULL, NULL, 1); /* all in one call */
	assert_true(told(q, "\"port\":\"1\"") && told(q, "\"port\":\"2\""));
	assert_true(told(q, "\"kind\":\"ThingList\",\"apiVersion\":\"x.io/v2\""));
	ask_free(q);
	q = converted("GET", V2 "?limit=1", NULL, NULL, 1);
	assert_true(told(q, "\"port\":\"1\"") && !told(q, "\"port\":\"2\""));
	assert_true(told(q, "\"continue\""));
	ask_free(q);
	assert_int_equal(status_of("GET", V2 "/absent", NULL, NULL), 404);
	alone_end();
}

void test_conversion__writing_another_version(void **state)
{
	struct asked *q;

	(void)state;
	define();
	q = converted("POST", V2, NULL,
		      "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"name\":\"a\",\"port\":\"1\"}}",
		      1);
	assert_int_equal(q->status, 201);
	assert_true(told(q, "\"apiVersion\":\"x.io/v2\"") && told(q, "\"port\":\"1\""));
	ask_free(q);
	assert_int_equal(status_of("GET", V1 "/t", NULL, NULL), 200);
	assert_true(has(buf_view(&last_body), "\"host\":\"a:1\""));
	q = converted("PATCH", V2 "/t", "application/merge-patch+json",
		      "{\"spec\":{\"port\":\"9\"}}", 2); /* seen, and put back */
	assert_int_equal(q->status, 200);
	assert_true(told(q, "\"port\":\"9\"") && told(q, "\"generation\":2"));
	ask_free(q);
	assert_int_equal(status_of("GET", V1 "/t", NULL, NULL), 200);
	assert_true(has(buf_view(&last_body), "\"host\":\"a:9\""));
	q = converted("PATCH", V2 "/t", "application/merge-patch+json",
		      "{\"spec\":{\"port\":\"9\"}}", 1); /* changes nothing */
	assert_true(told(q, "\"generation\":2"));
	ask_free(q);
	q = converted("PATCH", V2 "/t?fieldManager=m&force=true", "application/apply-patch+yaml",
		      "apiVersion: x.io/v2\nkind: Thing\nmetadata: {name: t}\nspec: {port: '7'}",
		      2);
	assert_int_equal(q->status, 200);
	assert_true(told(q, "\"port\":\"7\""));
	ask_free(q);
	q = converted("DELETE", V2 "/t", NULL, NULL, 1);
	assert_int_equal(q->status, 200);
	ask_free(q);
	alone_end();
}

static void rename_it(struct arena *a, struct json *response)
{
	json_set_str(a,
		     json_get(json_item(json_get(response, STR("convertedObjects")), 0),
			      STR("metadata")),
		     "name", STR("other"));
}

static void drop_it(struct arena *a, struct json *response)
{
	(void)a;
	json_remove(json_get(response, STR("convertedObjects")), 0);
}

static void wrong_version(struct arena *a, struct json *response)
{
	json_set_str(a, json_item(json_get(response, STR("convertedObjects")), 0), "apiVersion",
		     STR("x.io/v9"));
}

static void refuse(struct arena *a, struct json *response)
{
	json_set(a, response, STR("result"),
		 json_build(a, "{s:s,s:s}", "status", "Failed", "message", "cannot do that"));
}

static void add_metadata(struct arena *a, struct json *response)
{
	struct json *m = json_get(json_item(json_get(response, STR("convertedObjects")), 0),
				  STR("metadata"));

	json_set_str(a, m, "resourceVersion", STR("1"));
	json_append_str(a, json_set_array(a, m, "finalizers"), STR("x.io/held"));
	json_set_str(a, json_set_object(a, m, "labels"), "seen", STR("yes"));
}

void test_conversion__answers_that_may_not_be(void **state)
{
	static void (*const bad[])(struct arena *, struct json *) = {rename_it, drop_it,
								     wrong_version, refuse};
	struct asked *q;

	(void)state;
	define();
	assert_int_equal(status_of("POST", V1, NULL, THING1("t", "a:1")), 201);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		q = ask_core("GET", V2 "/t", NULL, NULL);
		convert(bad[i]);
		assert_int_equal(q->status, 500);
		assert_true(told(q, "conversion webhook for x.io/v2, Kind=Thing failed"));
		ask_free(q);
	}
	q = ask_core("GET", V2 "/t", NULL, NULL);
	answer_text("", "connection refused");
	assert_int_equal(q->status, 500);
	assert_true(told(q, "connection refused"));
	ask_free(q);
	/* Of metadata, only labels and annotations are the converter's. */
	q = ask_core("GET", V2 "/t", NULL, NULL);
	convert(add_metadata);
	assert_int_equal(q->status, 200);
	assert_true(told(q, "\"seen\":\"yes\"") && !told(q, "x.io/held"));
	assert_false(told(q, "\"resourceVersion\":\"1\""));
	ask_free(q);
	alone_end();
}

void test_conversion__watches_wait_and_go_on(void **state)
{
	struct asked *w, *v;

	(void)state;
	define();
	assert_int_equal(status_of("POST", V1, NULL, THING1("t", "a:1")), 201);
	w = ask_core("GET", V2 "?watch=true", NULL, NULL);
	assert_false(w->streaming);
	convert(NULL);
	assert_true(w->streaming);
	assert_true(told(w, "\"ADDED\"") && told(w, "\"port\":\"1\""));
	v = ask_core("GET", V1 "?watch=true", NULL, NULL);
	assert_int_equal(status_of("POST", V1, NULL, THING1("u", "b:2")), 201);
	assert_int_equal(status_of("POST", V1, NULL, THING1("x", "c:3")), 201);
	assert_true(told(v, "\"host\":\"c:3\"")); /* the stored version waits for nobody */
	assert_false(told(w, "\"port\":\"2\""));
	assert_int_equal(ncalls, 1);
	convert(NULL); /* the first of them */
	assert_true(told(w, "\"port\":\"2\"") && !told(w, "\"port\":\"3\""));
	convert(NULL);
	assert_true(told(w, "\"port\":\"3\""));
	assert_int_equal(status_of("DELETE", V1 "/u", NULL, NULL), 200);
	convert(NULL);
	assert_true(told(w, "\"DELETED\""));
	assert_int_equal(ncalls, 0);
	/* One that can't be converted ends the watch with an error. */
	assert_int_equal(status_of("POST", V1, NULL, THING1("y", "d:4")), 201);
	convert(refuse);
	assert_true(told(w, "\"ERROR\"") && told(w, "cannot do that"));
	assert_true(w->ended);
	ask_free(w);
	core_cancel(core, &v->req);
	ask_free(v);
	alone_end();
}

void test_conversion__scale_and_storage_migration(void **state)
{
	struct asked *q;

	(void)state;
	define();
	assert_int_equal(status_of("POST", V1, NULL, THING1("t", "a:1")), 201);
	/* v2 becomes the stored version; v1's objects move with their next write. */
	assert_int_equal(status_of("PATCH", CRDS "/things.x.io", "application/json-patch+json",
				   "[{\"op\":\"replace\",\"path\":\"/spec/versions/0/storage\","
				   "\"value\":false},{\"op\":\"replace\",\"path\":"
				   "\"/spec/versions/1/storage\",\"value\":true}]"),
			 200);
	assert_true(has(buf_view(&last_body), "\"storedVersions\":[\"v1\",\"v2\"]"));
	q = converted("PATCH", V2 "/t", "application/merge-patch+json", "{}", 1);
	assert_int_equal(q->status, 200);
	ask_free(q);
	made = 0;
	assert_int_equal(status_of("GET", V2 "/t", NULL, NULL), 200);
	assert_int_equal(made, 0); /* it stands in v2 now */
	alone_end();
}
