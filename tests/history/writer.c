/*
 * A client that does one thing after the other to a few ConfigMaps and writes down what it asked
 * for and what it was told. Each write's value is its own, so that whoever sees it knows whose it
 * is; it stands in two fields, so that half a write shows. On the loop's thread.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "tests/history/run.h"

#define RETRY_NS (5 * NS_PER_MS)
#define PAGE 5

static void next(struct writer *w);

static void on_again(struct loop *l, struct loop_timer *t)
{
	(void)l;
	next(CONTAINER_OF(t, struct writer, again));
}

static void later(struct writer *w, int64_t after_ns)
{
	w->busy = false;
	if (!w->run->ending)
		loop_timer_set(w->run->loop, &w->again, after_ns, on_again);
}

static enum history_verb pick_verb(struct run *r)
{
	static const enum history_verb verbs[] = {H_CREATE, H_CREATE, H_CREATE, H_UPDATE, H_UPDATE,
						  H_UPDATE, H_UPDATE, H_UPDATE, H_UPDATE, H_PATCH,
						  H_PATCH,  H_PATCH,  H_APPLY,  H_APPLY,  H_APPLY,
						  H_DELETE, H_DELETE, H_GET,    H_GET,    H_LIST};

	return verbs[rng_below(&r->rng, ARRAY_LEN(verbs))];
}

/* ---- answers ---- */

static void end_op(struct writer *w, enum history_end end)
{
	struct run *r = w->run;
	struct history_op *op = &r->h.ops[w->op];

	op->end = end;
	op->to_ns = loop_now(r->loop);
	if (end == H_OK && op->verb <= H_DELETE)
		r->acknowledged++;
	if (end == H_OK && op->got.revision > r->seen[op->key])
		r->seen[op->key] = op->got.revision;
	later(w, end == H_UNKNOWN ? RETRY_NS : 0);
}

static void ask_page(struct writer *w, struct str token);

static void on_page(struct writer *w, const struct json *v)
{
	struct history_op *op = &w->run->h.ops[w->op];
	const struct json *items = json_at(v, "items");
	struct str token = json_str(json_at(v, "metadata", "continue"));

	for (size_t i = 0; i < json_len(items) && w->nitems < KEYS; i++)
		w->nitems += run_item(w->run, json_item(items, i), &w->items[w->nitems]);
	if (str_to_u64(json_str(json_at(v, "metadata", "resourceVersion")), &w->list_revision))
		w->list_revision = 0;
	if (token.n) {
		ask_page(w, token);
		return;
	}
	op->revision = w->list_revision;
	op->nitems = w->nitems;
	op->items = xalloc((w->nitems + 1) * sizeof(*op->items));
	memcpy(op->items, w->items, w->nitems * sizeof(*op->items));
	end_op(w, H_OK);
}

static void on_answer(void *arg, const struct http_answer *a)
{
	struct writer *w = arg;
	struct history_op *op = &w->run->h.ops[w->op];
	enum history_end end = run_end_of(a->status);
	AUTO(arena) struct arena mem = {0};
	const struct json *v = end == H_OK ? json_parse(&mem, a->body, NULL, NULL) : NULL;

	if (op->verb == H_GET && a->status == 404) {
		end_op(w, H_OK); /* absent: an answer */
	} else if (end != H_OK) {
		end_op(w, end);
	} else if (op->verb == H_LIST) {
		on_page(w, v);
	} else {
		if (op->verb != H_DELETE && !run_item(w->run, v, &op->got))
			op->got.value = -1;
		end_op(w, H_OK);
	}
}

/* ---- questions ---- */

static void send(struct writer *w, const char *method, struct str path, const char *type,
		 struct str body)
{
	http_client_call(w->http, &(struct http_call){.method = method,
						      .path = path,
						      .content_type = type,
						      .body = body,
						      .timeout_ns = 10 * NS_PER_S,
						      .done = on_answer,
						      .arg = w});
}

static void ask_page(struct writer *w, struct str token)
{
	AUTO(buf) struct buf path = {0};

	buf_puts(&path, PATH);
	if (token.n || rng_below(&w->run->rng, 2))
		buf_printf(&path, "?limit=%d", PAGE);
	if (token.n) {
		buf_puts(&path, "&continue=");
		url_escape(token, &path);
	}
	send(w, "GET", buf_view(&path), NULL, STR_NONE);
}

static void put_body(const struct history_op *op, struct buf *out)
{
	buf_printf(out,
		   "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"k%02d\"",
		   op->key);
	if (op->verb == H_UPDATE)
		buf_printf(out, ",\"resourceVersion\":\"%llu\"", (unsigned long long)op->expected);
	buf_printf(out, "},\"data\":{\"a\":\"%lld\",\"b\":\"%lld\"}}", (long long)op->value,
		   (long long)op->value);
}

static void ask(struct writer *w)
{
	static const struct {
		const char *method, *type, *query;
	} how[] = {
		[H_CREATE] = {"POST", "application/json", ""},
		[H_UPDATE] = {"PUT", "application/json", ""},
		[H_PATCH] = {"PATCH", "application/merge-patch+json", ""},
		[H_APPLY] = {"PATCH", "application/apply-patch+yaml", "?fieldManager=h&force=true"},
		[H_DELETE] = {"DELETE", NULL, ""},
		[H_GET] = {"GET", NULL, ""},
	};
	const struct history_op *op = &w->run->h.ops[w->op];
	AUTO(buf) struct buf path = {0}, body = {0};

	if (op->verb == H_LIST) {
		w->nitems = 0;
		ask_page(w, STR_NONE);
		return;
	}
	buf_puts(&path, PATH);
	if (op->verb != H_CREATE)
		buf_printf(&path, "/k%02d%s", op->key, how[op->verb].query);
	if (op->verb < H_DELETE)
		put_body(op, &body);
	send(w, how[op->verb].method, buf_view(&path), how[op->verb].type, buf_view(&body));
}

static void begin(struct writer *w, enum history_verb verb, int key)
{
	struct run *r = w->run;
	struct history_op *op;

	if (verb == H_UPDATE && !r->seen[key])
		verb = H_CREATE;
	op = run_op(r, w->number, verb, key);
	w->op = r->h.nops - 1;
	w->busy = true;
	op->expected = verb == H_UPDATE ? r->seen[key] : 0;
	op->value = verb < H_DELETE ? ++r->next_value : 0;
	ask(w);
}

static void next(struct writer *w)
{
	struct run *r = w->run;

	if (r->ending || !r->up) {
		later(w, RETRY_NS);
		return;
	}
	/* Few keys for all: what one does is in another's way. */
	begin(w, pick_verb(r), (int)rng_below(&r->rng, KEYS));
}

void writer_start(struct writer *w)
{
	later(w, 0);
}

void writer_finish(struct writer *w)
{
	begin(w, H_APPLY, 0);
}

void writer_release(struct writer *w)
{
	loop_timer_cancel(w->run->loop, &w->again);
	http_client_free(w->http);
}
