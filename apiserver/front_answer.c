/*
 * What goes back to clients: the core's answers and watch streams, errors as Status objects, and
 * documents of the front's own. Must never send a body that the client did not say it can read,
 * but for errors, which are JSON always. The core's thread, but for front_status.
 */
#include <stdio.h>

#include "apiserver/front-internal.h"
#include "lib/base/log.h"
#include "lib/json/yaml.h"
#include "lib/schema/proto.h"

#define HEADERS_MAX 40
#define WARNINGS_MAX 30
#define PROTO "application/vnd.kubernetes.protobuf"

struct heads {
	struct http_header v[HEADERS_MAX];
	size_t n;
};

static void head_add(struct heads *h, struct str name, struct str value)
{
	if (h->n < HEADERS_MAX)
		h->v[h->n++] = (struct http_header){name, value};
}

/* Warning: 299 - "text", with what a quoted string may not hold taken out. */
static void add_warnings(struct arena *a, struct heads *h, struct str lines)
{
	struct str line;
	size_t n = 0;

	while (lines.n && str_next(&lines, '\n', &line) && n < WARNINGS_MAX) {
		AUTO(buf) struct buf text = {0};
		line = str_sub(str_trim(line), 0, 1000);
		if (!line.n)
			continue;
		buf_puts(&text, "299 - \"");
		for (size_t i = 0; i < line.n; i++) {
			unsigned char c = (unsigned char)line.p[i];
			if (c == '"' || c == '\\')
				buf_putc(&text, '\\');
			buf_putc(&text, c < ' ' || c == 127 ? ' ' : (char)c);
		}
		buf_putc(&text, '"');
		head_add(h, STR("Warning"), arena_str(a, buf_view(&text)));
		n++;
	}
}

static void common_heads(struct front_req *r, const struct core_answer *a, struct heads *h)
{
	head_add(h, STR("Cache-Control"), STR("no-cache, private"));
	h->n += front_flow_heads(r, &h->v[h->n]);
	add_warnings(&r->http->arena, h, a->warnings);
	if (a->retry_after_s > 0)
		head_add(h, STR("Retry-After"),
			 arena_strf(&r->http->arena, "%d", a->retry_after_s));
}

/* ---- the core's sink ---- */

static bool reply_yaml(struct front_req *r, const struct core_answer *a, struct heads *h)
{
	AUTO(buf) struct buf json = {0};
	AUTO(buf) struct buf yaml = {0};
	AUTO(arena) struct arena tmp = {0};

	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&json, a->blocks[i]->data);
	struct json *v = json_parse(&tmp, buf_view(&json), NULL, NULL);
	if (!v)
		return false;
	yaml_write(v, &yaml);
	http_reply_bytes(r->http,
			 &(struct http_reply){.status = a->status,
					      .content_type = "application/yaml",
					      .headers = h->v,
					      .nheaders = h->n},
			 buf_view(&yaml));
	return true;
}

static bool reply_proto(struct front_req *r, const struct core_answer *a, struct heads *h)
{
	AUTO(buf) struct buf json = {0};
	AUTO(buf) struct buf out = {0};
	AUTO(arena) struct arena tmp = {0};

	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&json, a->blocks[i]->data);
	if (proto_encode(json_parse(&tmp, buf_view(&json), NULL, NULL), &out, NULL))
		return false;
	http_reply_bytes(r->http,
			 &(struct http_reply){.status = a->status,
					      .content_type = PROTO,
					      .headers = h->v,
					      .nheaders = h->n},
			 buf_view(&out));
	return true;
}

bool front_wants_lines(struct front_req *r)
{
	static const char *const agents[] = {"curl", "Wget", "Mozilla/5.0"};
	struct str asked = http_query(&r->http->arena, r->http->query, "pretty");

	if (asked.n)
		return http_flag(asked);
	for (size_t i = 0; i < ARRAY_LEN(agents); i++)
		if (str_starts(r->core.user_agent, str_c(agents[i])))
			return true;
	return false;
}

static bool reply_lines(struct front_req *r, const struct core_answer *a, struct heads *h)
{
	AUTO(buf) struct buf json = {0};
	AUTO(buf) struct buf lines = {0};

	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&json, a->blocks[i]->data);
	json_write_lines(buf_view(&json), 2, &lines);
	http_reply_bytes(r->http,
			 &(struct http_reply){.status = a->status,
					      .content_type = a->content_type,
					      .headers = h->v,
					      .nheaders = h->n},
			 buf_view(&lines));
	return true;
}

/* In another form than the core's, where that was asked for. */
static bool reply_otherwise(struct front_req *r, const struct core_answer *a, struct heads *h)
{
	if (r->accepts.proto)
		return reply_proto(r, a, h);
	if (r->accepts.yaml)
		return reply_yaml(r, a, h);
	return str_starts(str_c(a->content_type), STR("application/json")) &&
	       front_wants_lines(r) && reply_lines(r, a, h);
}

static void on_answer(struct core_req *cr, const struct core_answer *a)
{
	struct front_req *r = (struct front_req *)cr;
	struct heads h = {0};

	common_heads(r, a, &h);
	front_audit_answer(r, a);
	if (!reply_otherwise(r, a, &h))
		http_reply_blocks(r->http,
				  &(struct http_reply){.status = a->status,
						       .content_type = a->content_type,
						       .headers = h.v,
						       .nheaders = h.n},
				  a->blocks, a->nblocks);
	front_done(r, a->status);
}

static void on_stream_begin(struct core_req *cr, const struct core_answer *a)
{
	struct front_req *r = (struct front_req *)cr;
	struct heads h = {0};
	const char *type = r->accepts.proto ? PROTO ";stream=watch" : a->content_type;

	common_heads(r, a, &h);
	front_uncount(r);
	front_audit_started(r, a->status ? a->status : 200);
	r->streaming = true;
	list_remove(&r->link);
	list_append(&r->f->streams, &r->link);
	http_stream_begin(r->http, &(struct http_reply){.status = a->status ? a->status : 200,
							.content_type = type,
							.headers = h.v,
							.nheaders = h.n});
}

/* Events are lines; each becomes a frame. */
static int write_frames(struct front_req *r, struct block *const *blocks, size_t n)
{
	AUTO(buf) struct buf lines = {0};
	struct buf out = {0};
	struct str rest, line;
	struct block *b;

	for (size_t i = 0; i < n; i++)
		buf_str(&lines, blocks[i]->data);
	rest = buf_view(&lines);
	while (rest.n && str_next(&rest, '\n', &line)) {
		AUTO(arena) struct arena a = {0};
		struct err err = {0};

		if (line.n && proto_encode_event(json_parse(&a, line, NULL, NULL), &out, &err))
			log_warn("a watch event has no protobuf form", "error", err.msg);
	}
	b = block_take(&out);
	int rc = b->data.n ? http_stream_write(r->http, &b, 1) : 0;
	block_unref(b);
	return rc;
}

static int on_stream_write(struct core_req *cr, struct block *const *blocks, size_t n)
{
	struct front_req *r = (struct front_req *)cr;

	if ((r->accepts.proto ? write_frames(r, blocks, n)
			      : http_stream_write(r->http, blocks, n)) == 0)
		return 0;
	/* Gone or too slow: the core forgets the watch when told so. */
	front_done(r, 200);
	return -1;
}

static void on_stream_end(struct core_req *cr)
{
	struct front_req *r = (struct front_req *)cr;

	http_stream_end(r->http);
	front_done(r, 200);
}

const struct core_sink front_sink = {
	.answer = on_answer,
	.stream_begin = on_stream_begin,
	.stream_write = on_stream_write,
	.stream_end = on_stream_end,
};

/* ---- the front's own answers ---- */

void front_status(struct http_req *h, const struct err *err, const struct core_req *about)
{
	AUTO(buf) struct buf text = {0};
	char seconds[16];
	struct http_header heads[4] = {{STR("Cache-Control"), STR("no-cache, private")}};
	struct http_reply reply = {.status = err_http(err->code),
				   .content_type = "application/json",
				   .headers = heads,
				   .nheaders = 1};

	if (err->retry_after_s > 0) {
		int n = snprintf(seconds, sizeof(seconds), "%d", err->retry_after_s);
		heads[reply.nheaders++] =
			(struct http_header){STR("Retry-After"), {seconds, (size_t)n}};
	}
	reply.nheaders += front_flow_heads(h->user, &heads[reply.nheaders]);
	if (about)
		core_status_write(err, about->group, about->resource, about->name, &text);
	else
		core_status_write(err, STR_NONE, STR_NONE, STR_NONE, &text);
	http_reply_bytes(h, &reply, buf_view(&text));
}

void front_refusal(void *front, int status, struct buf *out)
{
	struct err err = {0};

	(void)front;
	if (status == 413)
		err_set(&err, ERR_TOO_LARGE, "Request entity too large: limit is %d",
			FRONT_BODY_MAX);
	else
		err_set(&err, err_from_http(status, NULL), "%s", http_status_text(status));
	if (err_http(err.code) == status)
		core_status_write(&err, STR_NONE, STR_NONE, STR_NONE, out);
}

void front_fail(struct front_req *r, const struct err *err)
{
	front_audit_error(r, err);
	front_status(r->http, err, r->resource ? &r->core : NULL);
	front_done(r, err_http(err->code));
}

void front_text(struct front_req *r, int status, const char *type, struct str body)
{
	struct http_header heads[4] = {{STR("Cache-Control"), STR("no-cache, private")},
				       {STR("X-Content-Type-Options"), STR("nosniff")}};
	size_t n = 2 + front_flow_heads(r, &heads[2]);
	AUTO(buf) struct buf lines = {0};

	if (str_starts(str_c(type), STR("application/json")) && front_wants_lines(r)) {
		json_write_lines(body, 2, &lines);
		body = buf_view(&lines);
	}
	http_reply_bytes(
		r->http,
		&(struct http_reply){
			.status = status, .content_type = type, .headers = heads, .nheaders = n},
		body);
	front_done(r, status);
}

void front_json(struct front_req *r, int status, const struct json *v)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf proto = {0};

	json_write(v, &text);
	front_audit_body(r, buf_view(&text));
	if (r->accepts.proto && !proto_encode(v, &proto, NULL)) {
		front_text(r, status, PROTO, buf_view(&proto));
		return;
	}
	front_text(r, status, "application/json", buf_view(&text));
}
