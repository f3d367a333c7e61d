/*
 * Requests to the API server's core on a memory store, one after another, as somebody who may do
 * everything could send them. A line is a request, its first letter the method (G P U D, and m s j
 * a for the four kinds of patch); bodies are the next line; "+" lets a minute go by. In a target,
 * "$" is the last page's token and "~" the last revision seen. Nothing may fault, every answer is
 * JSON, no answer says that the server is at fault, and what is stored is valid.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/core.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { REQUESTS_MAX = 40, WATCHES_MAX = 4 };

struct asked {
	struct core_req req; /* first */
	struct arena a;
	int status;
	bool streaming;
	struct buf body;
};

struct world {
	struct store *store;
	struct core *core;
	int64_t now_ns;
	struct asked *watches[WATCHES_MAX];
	size_t nwatches;
	struct buf token, revision;
};

static int64_t world_now(void *arg)
{
	return ((struct world *)arg)->now_ns;
}

static void on_answer(struct core_req *r, const struct core_answer *a)
{
	struct asked *q = (struct asked *)r;

	q->status = a->status;
	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&q->body, a->blocks[i]->data);
}

static void on_begin(struct core_req *r, const struct core_answer *head)
{
	(void)head;
	((struct asked *)r)->streaming = true;
}

static int on_write(struct core_req *r, struct block *const *blocks, size_t n)
{
	struct asked *q = (struct asked *)r;

	for (size_t i = 0; i < n; i++)
		buf_str(&q->body, blocks[i]->data);
	return q->body.n > 1 << 20 ? -1 : 0;
}

static void on_end(struct core_req *r)
{
	((struct asked *)r)->status = 200;
}

static const struct core_sink sink = {.answer = on_answer,
				      .stream_begin = on_begin,
				      .stream_write = on_write,
				      .stream_end = on_end};

static void asked_free(struct asked *q)
{
	arena_release(&q->a);
	buf_release(&q->body);
	free(q);
}

/* Keeps what the next target may name. */
static void remember(struct world *w, const struct json *v)
{
	struct str token = json_str(json_at(v, "metadata", "continue"));
	struct str revision = json_str(json_at(v, "metadata", "resourceVersion"));

	if (token.n) {
		buf_reset(&w->token);
		url_escape(token, &w->token);
	}
	if (revision.n) {
		buf_reset(&w->revision);
		url_escape(revision, &w->revision);
	}
}

static void judge(struct world *w, struct asked *q)
{
	const struct json *v = json_parse(&q->a, buf_view(&q->body), NULL, NULL);

	if (!v || q->status < 200 || q->status > 599 || q->status == 500)
		panic("%d: %.*s", q->status, STR_ARG(buf_view(&q->body)));
	remember(w, v);
}

/* Each line of a watch is an event. */
static void judge_watch(struct asked *q)
{
	struct str rest = buf_view(&q->body), line;

	while (q->body.n && str_next(&rest, '\n', &line))
		if (line.n && !json_at(json_parse(&q->a, line, NULL, NULL), "type"))
			abort();
}

static struct str expanded(struct world *w, struct arena *a, struct str target)
{
	AUTO(buf) struct buf out = {0};

	for (size_t i = 0; i < target.n; i++) {
		if (target.p[i] == '$')
			buf_str(&out, buf_view(&w->token));
		else if (target.p[i] == '~')
			buf_str(&out, buf_view(&w->revision));
		else
			buf_putc(&out, target.p[i]);
	}
	return arena_str(a, buf_view(&out));
}

static const char *method_of(char c, const char **ret_type)
{
	*ret_type = c == 'm'   ? "application/merge-patch+json"
		    : c == 's' ? "application/strategic-merge-patch+json"
		    : c == 'j' ? "application/json-patch+json"
		    : c == 'a' ? "application/apply-patch+yaml"
			       : "application/json";
	switch (c) {
	case 'G':
		return "GET";
	case 'P':
		return "POST";
	case 'U':
		return "PUT";
	case 'D':
		return "DELETE";
	case 'm':
	case 's':
	case 'j':
	case 'a':
		return "PATCH";
	default:
		return NULL;
	}
}

static void ask(struct world *w, const char *method, const char *type, struct str target,
		struct str body)
{
	struct asked *q = xalloc(sizeof(*q));
	struct str path, query;

	str_cut(expanded(w, &q->a, target), '?', &path, &query);
	q->req.arena = &q->a;
	if (!core_route(str_c(method), path, query, &q->req)) {
		asked_free(q);
		return;
	}
	q->req.content_type = str_c(type);
	q->req.body = arena_str(&q->a, body);
	q->req.form_version = STR("v1");
	q->req.user = (struct admission_user){.name = STR("fuzz")};
	q->req.user_agent = STR("fuzz");
	q->req.sink = &sink;
	core_submit(w->core, &q->req);
	core_turn(w->core);
	if (!q->status && q->streaming && w->nwatches < WATCHES_MAX) {
		w->watches[w->nwatches++] = q;
		return;
	}
	if (!q->status)
		core_cancel(w->core, &q->req);
	else if (!q->streaming)
		judge(w, q);
	asked_free(q);
}

static void run(struct world *w, struct str in)
{
	struct str line, body;
	const char *type;

	for (int i = 0; i < REQUESTS_MAX && in.n && str_next(&in, '\n', &line); i++) {
		const char *method = line.n ? method_of(line.p[0], &type) : NULL;

		if (line.n && line.p[0] == '+') {
			w->now_ns += 60 * NS_PER_S;
			core_turn(w->core);
		}
		if (!method)
			continue;
		body = STR_NONE;
		if (line.p[0] != 'G' && in.p && !str_next(&in, '\n', &body))
			body = STR_NONE;
		ask(w, method, type, str_sub(line, 1, line.n), body);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct world w = {.now_ns = INT64_C(1750000000) * NS_PER_S};
	struct core_opts o = {.seed = 7, .now = world_now, .now_arg = &w};
	struct err err = {0};

	if (n > 16384)
		return 0;
	o.store = w.store = store_memory_new();
	w.core = core_new(&o, &err);
	ask(&w, "POST", "application/json", STR("/api/v1/namespaces"),
	    STR("{\"metadata\":{\"name\":\"x\"}}"));
	run(&w, (struct str){(const char *)data, n});
	for (size_t i = 0; i < w.nwatches; i++) {
		if (!w.watches[i]->status)
			core_cancel(w.core, &w.watches[i]->req);
		judge_watch(w.watches[i]);
		asked_free(w.watches[i]);
	}
	core_free(w.core);
	store_free(w.store);
	buf_release(&w.token);
	buf_release(&w.revision);
	return 0;
}
