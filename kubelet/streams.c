/*
 * Remote commands' streams over their two transports. Must never start a command before its client
 * has opened every stream that it asked for, nor wait for one for ever. On the kubelet's loop;
 * owned by the session that accepted it.
 */
#include "kubelet/streams.h"

#include "kubelet/upgrade.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/spdy.h"
#include "lib/json/json.h"

#define OPEN_NS (30 * NS_PER_S)
#define SIZE_TEXT_MAX 1024
#define CLOSE_CHANNEL 255 /* v5: the end of the channel named by the next byte */
#define MESSAGE_BYTES 32768

/* What a protocol's name stands for. */
struct dialect {
	bool base64;  /* text messages, their channel a digit */
	bool status;  /* the end is told as a Status; else in words, and only failure */
	bool closes;  /* knows CLOSE_CHANNEL */
	bool resizes; /* has the stream for the terminal's size */
};
static const char *const ws_names[] = {"v5.channel.k8s.io",        "v4.channel.k8s.io",
				       "v4.base64.channel.k8s.io", "channel.k8s.io",
				       "base64.channel.k8s.io",    NULL};
static const struct dialect ws_dialects[] = {{.status = true, .closes = true, .resizes = true},
					     {.status = true, .resizes = true},
					     {.status = true, .base64 = true, .resizes = true},
					     {.resizes = true},
					     {.base64 = true, .resizes = true}};
#define WS_UNNAMED 3
static const char *const spdy_names[] = {"v4.channel.k8s.io", "v3.channel.k8s.io",
					 "v2.channel.k8s.io", "channel.k8s.io", NULL};
static const struct dialect spdy_dialects[] = {
	{.status = true, .resizes = true}, {.resizes = true}, {0}, {0}};
#define SPDY_UNNAMED 3

struct streams {
	struct loop *loop;
	struct upgrade *up;
	struct spdy *spdy; /* NULL = WebSocket */
	const struct dialect *d;
	struct streams_want want;
	uint32_t ids[STREAM_MAX]; /* SPDY: 0 = not open */
	unsigned missing;         /* SPDY: how many are still to be opened */
	struct buf sizes;         /* what has come of the size's stream, up to a line's end */
	struct loop_timer timer;
	const struct streams_ops *ops;
	void *arg;
};

static void streams_free(struct streams *s)
{
	loop_timer_cancel(s->loop, &s->timer);
	spdy_free(s->spdy);
	buf_release(&s->sizes);
	free(s);
}

/* ---- what goes out ---- */

static void flush(struct streams *s)
{
	struct buf *out = spdy_out(s->spdy);

	if (out->n)
		upgrade_write(s->up, buf_view(out));
	buf_reset(out);
}

static void send_message(struct streams *s, enum stream_kind kind, struct str data)
{
	AUTO(buf) struct buf text = {0};

	if (!s->d->base64) {
		upgrade_message(s->up, WS_BINARY, (int)kind, data);
		return;
	}
	base64_encode(data, &text);
	upgrade_message(s->up, WS_TEXT, '0' + (int)kind, buf_view(&text));
}

void streams_send(struct streams *s, enum stream_kind kind, struct str data)
{
	if ((kind == STREAM_OUT && !s->want.out) || (kind == STREAM_ERR && !s->want.err))
		return;
	if (s->spdy) {
		spdy_send(s->spdy, s->ids[kind], data);
		flush(s);
		return;
	}
	for (struct str part; data.n; data = str_sub(data, part.n, data.n)) {
		part = str_sub(data, 0, MESSAGE_BYTES);
		send_message(s, kind, part);
	}
}

bool streams_full(const struct streams *s)
{
	return upgrade_full(s->up);
}

void streams_pause(struct streams *s, bool paused)
{
	upgrade_pause(s->up, paused);
}

/* ---- its end ---- */

static void finish(struct streams *s)
{
	if (s->spdy) {
		for (size_t i = 0; i < STREAM_MAX; i++)
			spdy_end(s->spdy, s->ids[i]);
		flush(s);
	}
	upgrade_end(s->up);
	streams_free(s);
}

static void tell_status(struct streams *s, const struct json *v)
{
	AUTO(buf) struct buf text = {0};

	if (s->d->status)
		json_write(v, &text);
	else
		buf_str(&text, json_str(json_at(v, "message")));
	streams_send(s, STREAM_STATUS, buf_view(&text));
}

void streams_exit(struct streams *s, int code)
{
	AUTO(arena) struct arena a = {0};
	struct json *v =
		json_build(&a, "{s:{}, s:s}", "metadata", "status", code ? "Failure" : "Success");

	if (code) {
		json_set_str(
			&a, v, "message",
			arena_strf(&a, "command terminated with non-zero exit code: exit status %d",
				   code));
		json_set_str(&a, v, "reason", STR("NonZeroExitCode"));
		json_set(&a, v, STR("details"),
			 json_build(&a, "{s:[{s:s, s:s}]}", "causes", "reason", "ExitCode",
				    "message", arena_printf(&a, "%d", code)));
	}
	tell_status(s, v);
	finish(s);
}

void streams_fail(struct streams *s, const char *message)
{
	AUTO(arena) struct arena a = {0};
	const char *text = arena_printf(&a, "Internal error occurred: %s", message);

	tell_status(s, json_build(&a, "{s:{}, s:s, s:s, s:s, s:{s:[{s:s}]}, s:i}", "metadata",
				  "status", "Failure", "message", text, "reason", "InternalError",
				  "details", "causes", "message", message, "code", 500));
	finish(s);
}

void streams_drop(struct streams *s)
{
	if (!s)
		return;
	upgrade_drop(s->up);
	streams_free(s);
}

/* ---- what comes in, by either way ---- */

static void on_size(struct streams *s, struct str text)
{
	AUTO(arena) struct arena a = {0};
	const struct json *v = json_parse(&a, text, NULL, &(struct err){0});
	int64_t cols = json_int(json_at(v, "Width"), 0), rows = json_int(json_at(v, "Height"), 0);

	if (cols > 0 && cols <= UINT16_MAX && rows > 0 && rows <= UINT16_MAX)
		s->ops->resized(s->arg, (unsigned short)cols, (unsigned short)rows);
}

static void on_sizes(struct streams *s, struct str data)
{
	struct str line, rest;

	if (s->sizes.n + data.n > SIZE_TEXT_MAX)
		buf_reset(&s->sizes);
	buf_str(&s->sizes, str_sub(data, 0, SIZE_TEXT_MAX));
	while (str_cut(buf_view(&s->sizes), '\n', &line, &rest)) {
		on_size(s, line);
		buf_consume(&s->sizes, line.n + 1);
	}
}

static void on_stream(struct streams *s, enum stream_kind kind, struct str data)
{
	if (kind == STREAM_IN && s->want.in && data.n)
		s->ops->input(s->arg, data);
	else if (kind == STREAM_SIZE && s->want.tty)
		on_sizes(s, data);
}

static void on_start(struct loop *l, struct loop_timer *t)
{
	struct streams *s = CONTAINER_OF(t, struct streams, timer);

	(void)l;
	s->ops->ready(s->arg);
}

static void on_late(struct loop *l, struct loop_timer *t)
{
	struct streams *s = CONTAINER_OF(t, struct streams, timer);
	const struct streams_ops *ops = s->ops;
	void *arg = s->arg;

	(void)l;
	streams_drop(s);
	ops->gone(arg);
}

/* ---- WebSocket ---- */

static int on_message(struct streams *s, struct str m)
{
	AUTO(buf) struct buf text = {0};

	if (!m.n)
		return 0;
	unsigned char channel = (unsigned char)m.p[0];
	struct str data = str_sub(m, 1, m.n);
	if (s->d->base64) {
		if (base64_decode(data, &text))
			return -1;
		data = buf_view(&text);
		channel = (unsigned char)(channel - '0');
	}
	if (channel == CLOSE_CHANNEL && s->d->closes) {
		if (data.n == 1 && data.p[0] == STREAM_IN && s->want.in)
			s->ops->input_ended(s->arg);
		return 0;
	}
	if (channel == STREAM_SIZE && data.n && data.p[data.n - 1] != '\n') {
		on_stream(s, STREAM_SIZE, data);
		data = STR("\n");
	}
	if (channel < STREAM_MAX)
		on_stream(s, (enum stream_kind)channel, data);
	return 0;
}

/* ---- SPDY ---- */

static bool is_wanted(const struct streams *s, enum stream_kind kind)
{
	const bool wanted[STREAM_MAX] = {[STREAM_IN] = s->want.in,
					 [STREAM_OUT] = s->want.out,
					 [STREAM_ERR] = s->want.err,
					 [STREAM_STATUS] = true,
					 [STREAM_SIZE] = s->want.tty && s->d->resizes};

	return wanted[kind];
}

static bool on_opened(void *arg, uint32_t id, const struct http_headers *h)
{
	static const char *const types[STREAM_MAX] = {"stdin", "stdout", "stderr", "error",
						      "resize"};
	struct streams *s = arg;
	struct str type = http_header(h, "streamtype");

	for (size_t i = 0; i < STREAM_MAX; i++) {
		if (!str_is(type, types[i]))
			continue;
		if (s->ids[i] || !is_wanted(s, (enum stream_kind)i))
			return false;
		s->ids[i] = id;
		if (--s->missing == 0)
			loop_timer_set(s->loop, &s->timer, 0, on_start);
		return true;
	}
	return false;
}

static enum stream_kind kind_of(const struct streams *s, uint32_t id)
{
	size_t i = 0;

	while (i < STREAM_MAX && s->ids[i] != id)
		i++;
	return (enum stream_kind)i;
}

static void on_stream_data(void *arg, uint32_t id, struct str data)
{
	struct streams *s = arg;
	enum stream_kind kind = kind_of(s, id);

	if (kind < STREAM_MAX)
		on_stream(s, kind, data);
}

static void on_stream_end(void *arg, uint32_t id)
{
	struct streams *s = arg;

	if (kind_of(s, id) == STREAM_IN)
		s->ops->input_ended(s->arg);
}

static const struct spdy_ops spdy_ops = {on_opened, on_stream_data, on_stream_end, on_stream_end};

/* ---- the connection ---- */

static int on_data(void *arg, struct str data)
{
	struct streams *s = arg;
	int rc;

	if (!s->spdy)
		return on_message(s, data);
	rc = spdy_feed(s->spdy, data, &(struct err){0});
	flush(s);
	return rc;
}

static void on_drained(void *arg)
{
	struct streams *s = arg;

	s->ops->drained(s->arg);
}

static void on_gone(void *arg)
{
	struct streams *s = arg;
	const struct streams_ops *ops = s->ops;
	void *user = s->arg;

	streams_free(s);
	ops->gone(user);
}

static const struct upgrade_ops upgrade_ops = {on_data, on_drained, on_gone};

static void refuse(struct http_req *r, int status, const char *text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 str_c(text));
}

/* As the API's clients call a stream, or as those do who come to a node itself. */
static bool flag(struct http_req *r, const char *name, const char *here)
{
	return http_query_flag(&r->arena, r->query, name) ||
	       http_query_flag(&r->arena, r->query, here);
}

struct streams_want streams_wanted(struct http_req *r)
{
	struct streams_want w = {.in = flag(r, "stdin", "input"),
				 .out = flag(r, "stdout", "output"),
				 .err = flag(r, "stderr", "error"),
				 .tty = flag(r, "tty", "tty")};

	/* A terminal has one output. */
	if (w.tty)
		w.err = false;
	return w;
}

/* A WebSocket's streams are there at once, and its client wants to hear that they are. */
static void open_channels(struct streams *s)
{
	enum stream_kind first = s->want.out   ? STREAM_OUT
				 : s->want.err ? STREAM_ERR
					       : STREAM_STATUS;

	send_message(s, first, STR(""));
	loop_timer_set(s->loop, &s->timer, 0, on_start);
}

struct streams *streams_accept(struct loop *l, struct http_req *r, struct streams_want want,
			       const struct streams_ops *ops, void *arg)
{
	enum upgrade_kind kind = upgrade_asked(r);
	bool ws = kind == UPGRADE_WEBSOCKET;
	const char *const *names = ws ? ws_names : spdy_names;
	int which = upgrade_choose(r, kind, names);
	struct streams *s;

	if (kind == UPGRADE_KIND_MAX || (!want.in && !want.out && !want.err) || which == -2) {
		refuse(r, which == -2 ? 403 : 400,
		       kind == UPGRADE_KIND_MAX ? "Upgrade request required\n"
		       : which == -2 ? "unable to upgrade: unable to negotiate protocol\n"
				     : "you must specify at least 1 of stdin, stdout, stderr\n");
		return NULL;
	}
	s = xalloc(sizeof(*s));
	*s = (struct streams){.loop = l, .want = want, .ops = ops, .arg = arg};
	s->d = ws ? &ws_dialects[which < 0 ? WS_UNNAMED : which]
		  : &spdy_dialects[which < 0 ? SPDY_UNNAMED : which];
	for (size_t i = 0; i < STREAM_MAX; i++)
		s->missing += is_wanted(s, (enum stream_kind)i);
	s->up = upgrade_accept(l, r,
			       &(struct upgrade_opts){.kind = kind,
						      .protocol = which < 0 ? NULL : names[which],
						      .ops = &upgrade_ops,
						      .arg = s});
	if (ws) {
		open_channels(s);
	} else {
		s->spdy = spdy_new(&spdy_ops, s);
		loop_timer_set(l, &s->timer, OPEN_NS, on_late);
	}
	return s;
}
