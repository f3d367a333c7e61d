/*
 * A client that lists and then watches, as informers do: it goes on from where it was after each
 * end, and lists again when it is told that this is too long ago. Writes down all that it is told.
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "tests/history/run.h"

#define RETRY_NS (10 * NS_PER_MS)
#define LINE_MAX (1 << 20)

static void go_on(struct watcher *w);

static void on_again(struct loop *l, struct loop_timer *t)
{
	(void)l;
	go_on(CONTAINER_OF(t, struct watcher, again));
}

static void later(struct watcher *w)
{
	loop_timer_set(w->run->loop, &w->again, RETRY_NS, on_again);
}

/* ---- events ---- */

static struct history_event *add_event(struct watcher *w)
{
	struct history_watch *v = &w->run->h.watches[w->watch];

	if (!(v->n & (v->n - 1))) /* a power of two: full */
		v->events = xreallocarray(v->events, v->n ? 2 * v->n : 1, sizeof(*v->events));
	w->run->events++;
	return &v->events[v->n++];
}

static void on_event(struct watcher *w, const struct json *v)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
	struct str type = json_str(json_at(v, "type"));
	const struct json *o = json_at(v, "object");
	struct history_event e = {
		.type = H_BOOKMARK, .at_ns = loop_now(w->run->loop), .item = {.key = -1}};
	uint64_t revision;

	if (str_is(type, "ERROR")) {
		w->last = 0; /* too old: list again */
		return;
	}
	if (str_to_u64(json_str(json_at(o, "metadata", "resourceVersion")), &revision))
		return;
	w->last = revision;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_is(type, types[i]))
			e.type = (enum history_event_type)i;
	e.item.revision = revision;
	if (e.type == H_BOOKMARK || run_item(w->run, o, &e.item))
		*add_event(w) = e;
}

static void on_data(void *arg, struct str bytes)
{
	struct watcher *w = arg;
	char *end;

	buf_str(&w->line, bytes);
	while (w->line.n && (end = memchr(w->line.p, '\n', w->line.n))) {
		AUTO(arena) struct arena mem = {0};
		size_t n = (size_t)(end - w->line.p) + 1;
		const struct json *v = json_parse(&mem, (struct str){w->line.p, n - 1}, NULL, NULL);

		if (v)
			on_event(w, v);
		buf_consume(&w->line, n);
	}
	if (w->line.n > LINE_MAX)
		buf_reset(&w->line);
}

static void on_head(void *arg, const struct http_answer *a)
{
	(void)arg;
	(void)a;
}

static void on_end(void *arg, const struct http_answer *a)
{
	struct watcher *w = arg;

	w->stream = NULL;
	buf_reset(&w->line);
	if (a->status == 410) {
		w->last = 0;
		w->run->gone++;
	}
	later(w);
}

static void watch(struct watcher *w)
{
	AUTO(buf) struct buf path = {0};

	buf_printf(&path,
		   PATH "?watch=true&allowWatchBookmarks=true&timeoutSeconds=%d"
			"&resourceVersion=%llu",
		   1 + (int)rng_below(&w->run->rng, 20), (unsigned long long)w->last);
	w->stream = http_client_call(w->http, &(struct http_call){.method = "GET",
								  .path = buf_view(&path),
								  .done = on_end,
								  .head = on_head,
								  .data = on_data,
								  .arg = w});
}

/* ---- the list before ---- */

static struct history_watch *add_watch(struct run *r)
{
	struct history *h = &r->h;

	if (h->nwatches == r->cap_watches) {
		r->cap_watches = r->cap_watches ? 2 * r->cap_watches : 64;
		h->watches = xreallocarray(h->watches, r->cap_watches, sizeof(*h->watches));
	}
	return &h->watches[h->nwatches++];
}

static void on_list(void *arg, const struct http_answer *a)
{
	struct watcher *w = arg;
	struct run *r = w->run;
	struct history_op *op = &r->h.ops[w->list];
	AUTO(arena) struct arena mem = {0};
	const struct json *v = a->status == 200 ? json_parse(&mem, a->body, NULL, NULL) : NULL,
			  *items = json_at(v, "items");

	w->stream = NULL;
	op->to_ns = loop_now(r->loop);
	if (!v || str_to_u64(json_str(json_at(v, "metadata", "resourceVersion")), &op->revision)) {
		later(w);
		return;
	}
	op->items = xalloc((json_len(items) + 1) * sizeof(*op->items));
	for (size_t i = 0; i < json_len(items); i++)
		op->nitems += run_item(r, json_item(items, i), &op->items[op->nitems]);
	op->end = H_OK;
	w->last = op->revision;
	*add_watch(r) = (struct history_watch){.list = w->list};
	w->watch = r->h.nwatches - 1;
	watch(w);
}

static void go_on(struct watcher *w)
{
	if (!w->run->up) {
		later(w);
		return;
	}
	if (w->last) {
		watch(w);
		return;
	}
	run_op(w->run, WRITERS + w->number, H_LIST, 0);
	w->list = w->run->h.nops - 1;
	w->stream = http_client_call(w->http, &(struct http_call){.method = "GET",
								  .path = STR(PATH),
								  .timeout_ns = 10 * NS_PER_S,
								  .done = on_list,
								  .arg = w});
}

void watcher_start(struct watcher *w)
{
	later(w);
}

void watcher_release(struct watcher *w)
{
	loop_timer_cancel(w->run->loop, &w->again);
	http_client_free(w->http);
	buf_release(&w->line);
}
