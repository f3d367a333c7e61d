/*
 * The lower half of exec, attach and port-forward: who speaks what, and its bytes. Must never keep
 * more of a peer's bytes than one message. On the kubelet's loop; a connection that has been ended
 * belongs to itself until its peer is gone or has had its time.
 */
#include "kubelet/upgrade.h"

#include <openssl/evp.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/spdy.h"

#define LINGER_NS (10 * NS_PER_S)
#define NUDGE_NS (5 * NS_PER_S)
#define IDLE_NS (4 * 3600 * NS_PER_S) /* as kube's streamingConnectionIdleTimeout */
#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct upgrade {
	struct http_upgraded up;
	struct loop *loop;
	struct loop_timer timer; /* idle; or, once it was ended, lingering */
	struct loop_timer nudge; /* while paused */
	int64_t last;            /* when something came or went */
	enum upgrade_kind kind;
	const struct upgrade_ops *ops; /* NULL once it was ended */
	void *arg;
	struct buf received, message; /* message: the parts of one that comes in several */
};

/* ---- what is asked for ---- */

enum upgrade_kind upgrade_asked(const struct http_req *r)
{
	if (!http_header_has(&r->headers, "Connection", "upgrade"))
		return UPGRADE_KIND_MAX;
	if (http_header_has(&r->headers, "Upgrade", "websocket"))
		return UPGRADE_WEBSOCKET;
	return http_header_has(&r->headers, "Upgrade", "SPDY/3.1") ? UPGRADE_SPDY
								   : UPGRADE_KIND_MAX;
}

static struct str protocol_header(enum upgrade_kind kind)
{
	return kind == UPGRADE_WEBSOCKET ? STR("Sec-WebSocket-Protocol")
					 : STR("X-Stream-Protocol-Version");
}

int upgrade_choose(const struct http_req *r, enum upgrade_kind kind, const char *const *known)
{
	int rc = -1;

	for (size_t i = 0; i < r->headers.n; i++) {
		struct str rest = r->headers.v[i].value, one;
		if (!str_ieq(r->headers.v[i].name, protocol_header(kind)))
			continue;
		while (str_next(&rest, ',', &one)) {
			rc = -2;
			for (int k = 0; known[k]; k++) {
				if (str_is(str_trim(one), known[k]))
					return k;
			}
		}
	}
	return rc;
}

/* ---- its end ---- */

static void upgrade_free(struct upgrade *u)
{
	loop_timer_cancel(u->loop, &u->timer);
	loop_timer_cancel(u->loop, &u->nudge);
	buf_wipe(&u->received);
	buf_wipe(&u->message);
	free(u);
}

void upgrade_drop(struct upgrade *u)
{
	if (!u)
		return;
	http_upgraded_close(&u->up);
	upgrade_free(u);
}

static void on_linger_over(struct loop *l, struct loop_timer *t)
{
	(void)l;
	upgrade_drop(CONTAINER_OF(t, struct upgrade, timer));
}

void upgrade_end(struct upgrade *u)
{
	u->ops = NULL;
	if (u->kind == UPGRADE_WEBSOCKET)
		upgrade_message(u, WS_CLOSE, -1, STR("\x03\xe8"));
	upgrade_pause(u, false);
	loop_timer_set(u->loop, &u->timer, LINGER_NS, on_linger_over);
}

static void peer_gone(struct upgrade *u)
{
	const struct upgrade_ops *ops = u->ops;
	void *arg = u->arg;

	upgrade_free(u);
	if (ops)
		ops->gone(arg);
}

static void on_idle(struct loop *l, struct loop_timer *t)
{
	struct upgrade *u = CONTAINER_OF(t, struct upgrade, timer);
	int64_t left = u->last + IDLE_NS - loop_now(l);

	if (left > 0) {
		loop_timer_set(l, t, left, on_idle);
		return;
	}
	http_upgraded_close(&u->up);
	peer_gone(u);
}

/* ---- what comes in ---- */

/* One frame. -1 = that was it. */
static int on_frame(struct upgrade *u, const struct ws_frame *f)
{
	switch (f->opcode) {
	case WS_PING:
		upgrade_message(u, WS_PONG, -1, f->payload);
		return 0;
	case WS_PONG:
		return 0;
	case WS_CONTINUE:
	case WS_TEXT:
	case WS_BINARY:
		break;
	case WS_CLOSE:
	default:
		return -1;
	}
	if (!u->ops)
		return 0;
	if (f->last && !u->message.n)
		return u->ops->data(u->arg, f->payload);
	if (u->message.n + f->payload.n > WS_PAYLOAD_MAX)
		return -1;
	buf_str(&u->message, f->payload);
	if (!f->last)
		return 0;
	int rc = u->ops->data(u->arg, buf_view(&u->message));
	buf_reset(&u->message);
	return rc;
}

static int on_frames(struct upgrade *u, struct str data)
{
	struct ws_frame f;
	size_t at = 0, n;

	buf_str(&u->received, data);
	while ((n = ws_parse(u->received.p + at, u->received.n - at, &f)) != 0) {
		if (n == WS_BROKEN || on_frame(u, &f))
			return -1;
		at += n;
	}
	buf_consume(&u->received, at);
	return 0;
}

static void on_data(struct http_upgraded *up, struct str data)
{
	struct upgrade *u = up->user;
	int rc = 0;

	if (!data.n) {
		peer_gone(u);
		return;
	}
	u->last = loop_now(u->loop);
	if (u->kind == UPGRADE_WEBSOCKET)
		rc = on_frames(u, data);
	else if (u->ops)
		rc = u->ops->data(u->arg, data);
	if (rc) {
		http_upgraded_close(&u->up);
		peer_gone(u);
	}
}

static void on_drain(struct http_upgraded *up)
{
	struct upgrade *u = up->user;

	if (u->ops)
		u->ops->drained(u->arg);
}

/* ---- what goes out ---- */

void upgrade_message(struct upgrade *u, enum ws_opcode opcode, int channel, struct str data)
{
	AUTO(buf) struct buf frame = {0};

	u->last = loop_now(u->loop);
	ws_put(&frame, opcode, channel, data);
	/* A client that is gone, or too far behind, is told of by on_data. */
	(void)!http_upgraded_write(&u->up, buf_view(&frame));
}

void upgrade_write(struct upgrade *u, struct str data)
{
	u->last = loop_now(u->loop);
	if (u->kind == UPGRADE_WEBSOCKET)
		upgrade_message(u, WS_BINARY, -1, data);
	else
		(void)!http_upgraded_write(&u->up, data);
}

bool upgrade_full(const struct upgrade *u)
{
	return http_upgraded_backlog(&u->up) > HTTP_BACKLOG_HIGH;
}

/*
 * A client that dies while it is held back says so behind all that it has not got rid of, which is
 * never. Sending it something brings it out: its kernel has nobody to give it to. What is sent
 * wants no answer, which the client couldn't give.
 */
static void on_nudge(struct loop *l, struct loop_timer *t)
{
	struct upgrade *u = CONTAINER_OF(t, struct upgrade, nudge);

	loop_timer_set(l, t, NUDGE_NS, on_nudge);
	if (u->kind == UPGRADE_WEBSOCKET)
		upgrade_message(u, WS_PONG, -1, STR(""));
	else
		upgrade_write(u, spdy_nothing());
}

void upgrade_pause(struct upgrade *u, bool paused)
{
	if (!paused)
		loop_timer_cancel(u->loop, &u->nudge);
	else if (!loop_timer_armed(&u->nudge))
		loop_timer_set(u->loop, &u->nudge, NUDGE_NS, on_nudge);
	http_upgraded_pause(&u->up, paused);
}

/* ---- its start ---- */

static struct str accept_key(struct http_req *r)
{
	AUTO(buf) struct buf text = {0};
	struct str key = arena_strf(&r->arena, "%.*s" WEBSOCKET_GUID,
				    STR_ARG(http_header(&r->headers, "Sec-WebSocket-Key")));
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	(void)!EVP_Digest(key.p, key.n, hash, &n, EVP_sha1(), NULL);
	base64_encode((struct str){(const char *)hash, n}, &text);
	return arena_str(&r->arena, buf_view(&text));
}

struct upgrade *upgrade_accept(struct loop *l, struct http_req *r, const struct upgrade_opts *o)
{
	bool websocket = o->kind == UPGRADE_WEBSOCKET;
	struct http_header heads[4] = {
		{STR("Connection"), STR("Upgrade")},
		{STR("Upgrade"), websocket ? STR("websocket") : STR("SPDY/3.1")}};
	size_t n = 2;
	struct upgrade *u = xalloc(sizeof(*u));

	*u = (struct upgrade){.loop = l, .kind = o->kind, .ops = o->ops, .arg = o->arg};
	u->up = (struct http_upgraded){.user = u, .on_data = on_data, .on_drain = on_drain};
	if (websocket)
		heads[n++] = (struct http_header){STR("Sec-WebSocket-Accept"), accept_key(r)};
	if (o->protocol)
		heads[n++] = (struct http_header){protocol_header(o->kind), str_c(o->protocol)};
	http_upgrade(r, &(struct http_reply){.status = 101, .headers = heads, .nheaders = n},
		     &u->up);
	u->last = loop_now(l);
	loop_timer_set(l, &u->timer, IDLE_NS, on_idle);
	return u;
}
