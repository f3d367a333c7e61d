/*
 * Watches over HTTP: the stream is cut into lines, each line into its type and the object's bytes.
 * The object's bytes are taken out of the line as they stand where the line has the form that API
 * servers write; anything else goes through the parser.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/client-http.h"

#define LINE_MAX (16 << 20)

struct client_watch {
	struct watch_call w;
	struct http_running *running;
	struct buf line; /* an unfinished one */
	bool in_callback, dead;
};

static void watch_free(struct client_watch *w)
{
	buf_release(&w->line);
	free(w);
}

/* The stream is over as far as the caller is concerned; the connection too. */
static void watch_end(struct client_watch *w, const struct err *err)
{
	if (w->dead)
		return;
	w->dead = true;
	if (w->running)
		http_call_cancel(w->running);
	w->running = NULL;
	w->w.ended(w->w.arg, err);
}

static bool event_type(struct str name, enum watch_event *ret)
{
	static const char *const names[] = {[WATCH_ADDED] = "ADDED",
					    [WATCH_MODIFIED] = "MODIFIED",
					    [WATCH_DELETED] = "DELETED",
					    [WATCH_BOOKMARK] = "BOOKMARK"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_is(name, names[i])) {
			*ret = (enum watch_event)i;
			return true;
		}
	return false;
}

/* {"type":"T","object":{…}} exactly so. */
static bool line_split(struct str line, struct str *ret_type, struct str *ret_object)
{
	static const struct str head = {"{\"type\":\"", 9}, middle = {"\",\"object\":", 11};
	struct str rest;
	ptrdiff_t at;

	if (!str_starts(line, head) || line.p[line.n - 1] != '}')
		return false;
	rest = str_sub(line, head.n, line.n);
	at = str_find(str_sub(rest, 0, 40), middle);
	if (at < 0)
		return false;
	*ret_type = str_sub(rest, 0, (size_t)at);
	rest = str_sub(rest, (size_t)at + middle.n, rest.n);
	*ret_object = str_sub(rest, 0, rest.n - 1);
	return true;
}

static struct obj *line_parse(struct str line, struct str *ret_type, struct arena *a,
			      struct err *err)
{
	const struct json *event;
	struct str object;

	if (line_split(line, ret_type, &object))
		return obj_from_bytes(object, err);
	event = json_parse(a, line, NULL, err);
	if (!event)
		return NULL;
	*ret_type = json_str(json_get(event, STR("type")));
	return obj_from_json(json_get(event, STR("object")), err);
}

/* ERROR events carry a Status, which has no identity of its own. */
static void error_event(struct client_watch *w, struct str line, struct arena *a)
{
	struct err ignored = {0}, err = {0};
	const struct json *status = json_get(json_parse(a, line, NULL, &ignored), STR("object"));

	client_status_error((int)json_int(json_get(status, STR("code")), 500), status, &err);
	watch_end(w, &err);
}

static void line_event(struct client_watch *w, struct str line)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	enum watch_event type;
	struct str name = STR_NONE;
	struct obj *o;

	if (str_starts(line, STR("{\"type\":\"ERROR\""))) {
		error_event(w, line, &a);
		return;
	}
	o = line_parse(line, &name, &a, &err);
	if (o && event_type(name, &type)) {
		w->w.event(w->w.arg, type, o);
	} else {
		err_set(&err, ERR_PARSE, "a watch event that is none: %.*s", (int)MIN(line.n, 60),
			line.p);
		watch_end(w, &err);
	}
	obj_unref(o);
}

static void on_head(void *arg, const struct http_answer *a)
{
	(void)arg;
	(void)a;
}

static void on_data(void *arg, struct str bytes)
{
	static const struct err too_long = {.code = ERR_LIMIT,
					    .msg = "a watch event is over 16 MiB"};
	struct client_watch *w = arg;
	struct str rest = bytes;

	w->in_callback = true;
	while (!w->dead && rest.n) {
		const char *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;
		struct str line = {rest.p, n};

		if (!end || w->line.n)
			buf_put(&w->line, rest.p, n);
		rest = str_sub(rest, n + (end != NULL), rest.n);
		if (w->line.n > LINE_MAX)
			watch_end(w, &too_long);
		if (!end)
			break;
		if (w->line.n)
			line = buf_view(&w->line);
		if (line.n)
			line_event(w, line);
		buf_reset(&w->line);
	}
	w->in_callback = false;
	if (w->dead)
		watch_free(w);
}

static void on_done(void *arg, const struct http_answer *answer)
{
	struct client_watch *w = arg;
	struct err err = *answer->err;

	w->running = NULL;
	if (answer->status && answer->status / 100 != 2)
		client_answer_error(answer->status, answer->body, &err);
	w->in_callback = true;
	watch_end(w, &err);
	watch_free(w);
}

struct client_watch *client_http_watch(struct client *c, const struct watch_call *call)
{
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);
	struct client_watch *w = xalloc(sizeof(*w));
	AUTO(buf) struct buf path = {0};
	struct http_header headers[4];
	struct http_call http = {.method = "GET",
				 .headers = headers,
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = w};

	w->w = *call;
	client_watch_path(call, &path);
	http.path = buf_view(&path);
	http.nheaders = client_http_headers(h, client_http_accept(call->metadata_only, false), NULL,
					    headers);
	w->running = http_client_call(h->http, &http);
	return w;
}

void client_http_watch_cancel(struct client *c, struct client_watch *w)
{
	(void)c;
	if (w->dead)
		return;
	w->dead = true;
	if (w->running)
		http_call_cancel(w->running);
	w->running = NULL;
	if (!w->in_callback)
		watch_free(w);
}
