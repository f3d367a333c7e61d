/*
 * A connection's life on its shard: readiness, sending, time limits, closing. Must never call a
 * handler's code except from conn_run and conn_close, and never free a connection while somebody
 * up the stack may hold it: closed ones are buried in a later turn.
 *
 *   HEAD ─▶ BODY ─▶ HANDLE ─┬─▶ HEAD …            keep-alive
 *    │        │             ├─▶ LAST ─▶ LINGER    the last answer
 *    └────────┴─▶ LAST      └─▶ UPGRADED          (refused: 4xx, then close)
 *   any ─▶ CLOSED
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/http/server-internal.h"

#define READ_AHEAD_MAX (64 << 10) /* input kept while a request is in the handler's hands */
#define SEND_PER_TURN (1 << 20)   /* so that one fast reader doesn't starve the others */

/* ---- time limits: constant per list, so each list is in order of its ends ---- */

static void on_wait_over(struct loop *l, struct loop_timer *t)
{
	struct waiters *w = CONTAINER_OF(t, struct waiters, timer);

	shard_enter(w->shard);
	while (!list_empty(&w->conns)) {
		struct conn *c = CONTAINER_OF(w->conns.next, struct conn, waiting);
		if (c->waits_until > loop_now(l)) {
			loop_timer_set(l, t, c->waits_until - loop_now(l), on_wait_over);
			break;
		}
		/* Half a request deserves to know why it ends; anything else just ends. */
		if (c->waits == WAIT_HEAD && (c->in.n || c->r) && c->wire.ready)
			conn_refuse(c, 408);
		else
			conn_close(c);
		if (c->state != CONN_CLOSED)
			conn_run(c);
	}
	shard_leave(w->shard);
}

void conn_wait(struct conn *c, enum wait_for what)
{
	list_remove(&c->waiting);
	c->waits = what;
	if (what == WAIT_MAX)
		return;
	struct waiters *w = &c->shard->wait[what];
	c->waits_until = loop_now(c->shard->loop) + w->after_ns;
	list_append(&w->conns, &c->waiting);
	if (!loop_timer_armed(&w->timer))
		loop_timer_set(c->shard->loop, &w->timer, w->after_ns, on_wait_over);
}

/* ---- turns ---- */

static void flush_dirty(struct shard *s)
{
	while (!list_empty(&s->dirty)) {
		struct conn *c = CONTAINER_OF(s->dirty.next, struct conn, dirty);
		list_remove(&c->dirty);
		conn_run(c);
	}
}

void shard_enter(struct shard *s)
{
	s->in_turn++;
}

void shard_leave(struct shard *s)
{
	if (s->in_turn == 1)
		flush_dirty(s);
	s->in_turn--;
}

static void on_flush(void *arg)
{
	struct shard *s = arg;

	s->flush_posted = false;
	shard_enter(s);
	shard_leave(s);
}

void conn_dirty(struct conn *c)
{
	struct shard *s = c->shard;

	if (list_empty(&c->dirty))
		list_append(&s->dirty, &c->dirty);
	if (s->in_turn || s->flush_posted)
		return;
	s->flush_posted = true;
	loop_post(s->loop, on_flush, s);
}

/* ---- sending ---- */

/* Tells writers how much went out; a stream that waits for room is woken. */
static void account(struct conn *c, struct request *r, uint64_t before)
{
	uint64_t unsent = MIN((uint64_t)(c->out.bytes + c->wire.pending.n), r->applied);

	atomic_store(&r->sent, r->applied - unsent);
	if (before < HTTP_BACKLOG_LOW ||
	    atomic_load(&r->queued) - (r->applied - unsent) >= HTTP_BACKLOG_LOW)
		return;
	if (c->up && c->up->on_drain)
		c->up->on_drain(c->up);
	else if (!c->up && r->answer == ANSWER_STREAM && r->pub.drained)
		r->pub.drained(&r->pub);
}

static void wait_for_sending(struct conn *c, bool moved)
{
	bool left = c->out.bytes || wire_stuck(&c->wire);
	/* A stream's reader may sleep as long as the backlog's limit lets it. */
	bool timed = c->state == CONN_LAST || c->state == CONN_HEAD;

	if (left && timed && (moved || c->waits != WAIT_SENT))
		conn_wait(c, WAIT_SENT);
	else if (!left && c->waits == WAIT_SENT)
		conn_wait(c, c->state == CONN_HEAD ? WAIT_IDLE : WAIT_MAX);
}

static int rearm(struct conn *c)
{
	bool full = c->state == CONN_HANDLE && c->in.n >= READ_AHEAD_MAX;
	bool paused = c->state == CONN_UPGRADED && c->paused;
	uint32_t want = full || paused ? 0 : EPOLLIN;

	/* Nothing is read, but a peer that is gone must not stay. */
	if (paused)
		want |= EPOLLRDHUP;
	if (c->out.bytes || wire_stuck(&c->wire))
		want |= EPOLLOUT;
	if (want == c->w.events)
		return 0;
	if (!want) {
		loop_fd_del(c->shard->loop, &c->w);
		return 0;
	}
	return loop_fd_set(c->shard->loop, &c->w, want, NULL);
}

static void conn_flush(struct conn *c)
{
	size_t before = c->out.bytes + c->wire.pending.n;
	struct request *r = c->r;

	list_remove(&c->dirty);
	if (c->doomed) {
		conn_close(c);
		return;
	}
	uint64_t backlog = r ? atomic_load(&r->queued) - atomic_load(&r->sent) : 0;
	if (before && wire_write(&c->wire, &c->out, SEND_PER_TURN) == WIRE_BROKEN) {
		conn_close(c);
		return;
	}
	size_t after = c->out.bytes + c->wire.pending.n;
	if (!after && c->state == CONN_LAST) {
		wire_finish(&c->wire);
		c->state = CONN_LINGER;
		conn_wait(c, WAIT_LINGER);
	}
	wait_for_sending(c, after < before);
	if (rearm(c)) {
		conn_close(c);
		return;
	}
	if (r && r->applied && r == c->r)
		account(c, r, backlog);
}

void conn_run(struct conn *c)
{
	while (c->state != CONN_CLOSED) {
		bool more = conn_progress(c);
		if (c->state == CONN_CLOSED)
			return;
		conn_flush(c);
		if (!more || c->out.bytes)
			return;
	}
}

void conn_answered(struct conn *c)
{
	struct request *r = c->r;

	c->r = NULL;
	r->conn = NULL;
	atomic_store(&r->over, true);
	bool last = r->last || c->last_request || c->shard->draining;
	request_unref(r);
	c->state = last ? CONN_LAST : CONN_HEAD;
	if (last)
		buf_release(&c->in);
	conn_wait(c, last ? WAIT_SENT : WAIT_IDLE);
	conn_dirty(c);
}

/* ---- opening, reading, closing ---- */

static void on_ready(struct loop *l UNUSED, struct loop_fd *w, uint32_t ready)
{
	struct conn *c = CONTAINER_OF(w, struct conn, w);
	struct shard *s = c->shard;
	enum wire_result r = WIRE_OK;

	if (c->state == CONN_CLOSED)
		return;
	shard_enter(s);
	if (c->paused && ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		r = WIRE_EOF;
	else if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = wire_read(&c->wire, &c->in);
	if (c->wire.ready && !c->identified)
		conn_identify(c);
	if (r == WIRE_EOF || r == WIRE_BROKEN)
		conn_close(c);
	conn_run(c);
	shard_leave(s);
}

static void remote_text(int fd, char out[64])
{
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof(ss);
	char ip[INET6_ADDRSTRLEN] = "";

	if (getpeername(fd, (struct sockaddr *)&ss, &n))
		return;
	if (ss.ss_family == AF_INET6) {
		struct sockaddr_in6 *a = (struct sockaddr_in6 *)&ss;
		inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof(ip));
		snprintf(out, 64, "[%s]:%u", ip, ntohs(a->sin6_port));
	} else if (ss.ss_family == AF_INET) {
		struct sockaddr_in *a = (struct sockaddr_in *)&ss;
		inet_ntop(AF_INET, &a->sin_addr, ip, sizeof(ip));
		snprintf(out, 64, "%s:%u", ip, ntohs(a->sin_port));
	}
}

void conn_open(struct shard *s, int fd)
{
	struct conn *c = xalloc(sizeof(*c));

	wire_keep_alive(fd, s->s->o.dead_ns);
	c->shard = s;
	c->w = (struct loop_fd){.fd = fd, .fn = on_ready};
	list_init(&c->dirty);
	list_init(&c->waiting);
	list_append(&s->conns, &c->all);
	remote_text(fd, c->remote);
	struct tls_ctx *tls = server_tls(s->s);
	wire_init(&c->wire, fd, s->scratch, tls);
	tls_unref(&tls);
	conn_wait(c, WAIT_HEAD);
	if (s->draining || loop_fd_set(s->loop, &c->w, EPOLLIN, NULL))
		conn_close(c);
}

static void on_bury(void *arg)
{
	struct shard *s = arg;

	s->bury_posted = false;
	shard_bury(s);
}

void shard_bury(struct shard *s)
{
	LIST_FOREACH (it, &s->graves) {
		struct conn *c = CONTAINER_OF(it, struct conn, all);
		list_remove(it);
		free(c->peer_cn);
		free(c->peer_sha256);
		for (size_t i = 0; c->peer_orgs && c->peer_orgs[i]; i++)
			free((char *)(uintptr_t)c->peer_orgs[i]);
		free(c->peer_orgs);
		free(c);
	}
}

static void tell_gone(struct conn *c)
{
	struct request *r = c->r;
	struct http_upgraded *up = c->up;
	bool handled = r && r->handled;

	c->r = NULL;
	c->up = NULL;
	if (!r)
		return;
	r->conn = NULL;
	atomic_store(&r->over, true);
	if (up)
		up->on_data(up, STR_NONE);
	else if (handled && r->pub.gone)
		r->pub.gone(&r->pub);
	request_unref(r);
}

void conn_close(struct conn *c)
{
	struct shard *s = c->shard;

	if (c->state == CONN_CLOSED)
		return;
	c->state = CONN_CLOSED;
	loop_fd_del(s->loop, &c->w);
	conn_wait(c, WAIT_MAX);
	list_remove(&c->dirty);
	list_remove(&c->all);
	list_append(&s->graves, &c->all);
	if (!s->bury_posted) {
		s->bury_posted = true;
		loop_post(s->loop, on_bury, s);
	}
	wire_close(&c->wire);
	outq_release(&c->out);
	buf_release(&c->in);
	tell_gone(c);
	size_t left = atomic_fetch_sub(&s->s->nconns, 1) - 1;
	if (s->draining && left == 0)
		sem_post(&s->s->idle);
}
