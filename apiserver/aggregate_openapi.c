/*
 * What extension API servers say of their schemas: where each one's part of /openapi/v3 is, which
 * is asked there, and its part of /openapi/v2, which is kept here and goes into the whole. Must
 * never let an extension speak for another group, nor take more memory than is set. The core's
 * thread.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/aggregate-internal.h"
#include "apiserver/openapi.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"

#define FETCH_EVERY (60 * NS_PER_S)
#define SWAGGER_MAX (8 << 20) /* of all */

static void set_swagger(struct extension *e, struct str text)
{
	struct aggregate *g = e->g;

	if (str_eq(buf_view(&e->swagger), text))
		return;
	g->swagger -= e->swagger.n;
	buf_release(&e->swagger);
	if (g->swagger + text.n <= SWAGGER_MAX)
		buf_str(&e->swagger, text);
	g->swagger += e->swagger.n;
	g->documents++;
}

static void set_url(struct extension *e, struct str url)
{
	if (e->url ? str_is(url, e->url) : !url.n)
		return;
	free(e->url);
	e->url = url.n ? xstrndup(url.p, url.n) : NULL;
	e->g->documents++;
}

static void on_v2(void *arg, const struct http_answer *a)
{
	struct extension *e = arg;
	AUTO(arena) struct arena tmp = {0};
	AUTO(buf) struct buf part = {0};

	if (e->dying || !a->status)
		return;
	if (a->status == 200)
		openapi_part_v2(json_parse(&tmp, a->body, NULL, NULL), str_c(e->group),
				str_c(e->version), &part);
	set_swagger(e, buf_view(&part));
}

static void ask(struct extension *e, const char *path,
		void (*done)(void *arg, const struct http_answer *a))
{
	static const struct http_header heads[] = {
		{{"Accept", 6}, {"application/json", 16}},
		{{"X-Remote-User", 13}, {"system:aggregator", 17}}};

	http_client_call(e->probe, &(struct http_call){.method = "GET",
						       .path = str_c(path),
						       .headers = heads,
						       .nheaders = ARRAY_LEN(heads),
						       .timeout_ns = PROBE_TIMEOUT,
						       .max_body = DOCUMENT_MAX,
						       .done = done,
						       .arg = e});
}

static void on_v3(void *arg, const struct http_answer *a)
{
	struct extension *e = arg;
	AUTO(arena) struct arena tmp = {0};
	struct str url = STR_NONE;

	if (e->dying || !a->status)
		return;
	if (a->status == 200)
		url = openapi_part_v3(&tmp, json_parse(&tmp, a->body, NULL, NULL), str_c(e->group),
				      str_c(e->version));
	set_url(e, url);
	ask(e, "/openapi/v2", on_v2);
}

void aggregate_fetch(struct extension *e)
{
	int64_t now = loop_now(e->g->f->o.loop);

	if (e->fetched_ns && now - e->fetched_ns < FETCH_EVERY)
		return;
	e->fetched_ns = now;
	ask(e, "/openapi/v3", on_v3);
}

void aggregate_forget(struct extension *e)
{
	set_swagger(e, STR_NONE);
	set_url(e, STR_NONE);
	buf_release(&e->swagger);
}

struct json *aggregate_openapi(const struct aggregate *g, struct arena *a)
{
	struct json *list = json_new(a, JSON_ARRAY);

	LIST_FOREACH (it, &g->extensions) {
		const struct extension *e = CONTAINER_OF(it, struct extension, all);
		struct json *v;

		if ((!e->url && !e->swagger.n) ||
		    aggregate_is_local(g->f->o.core, str_c(e->group), str_c(e->version)))
			continue;
		v = json_append_object(a, list);
		json_set_str(a, v, "path", arena_strf(a, "apis/%s/%s", e->group, e->version));
		if (e->url)
			json_set_str(a, v, "url", str_c(e->url));
		json_set(a, v, STR("swagger"), json_parse(a, buf_view(&e->swagger), NULL, NULL));
	}
	return list;
}

uint64_t aggregate_openapi_changes(const struct aggregate *g)
{
	return g->documents;
}
