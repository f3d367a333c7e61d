/*
 * The client's connections: connecting (in another network namespace where asked), the TLS
 * handshake, sending, readiness, closing; and tunnels, which are connections after a 101. Must
 * never touch a closed connection: closed ones are freed when no callback is on the stack.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/client-internal.h"
#include "lib/os/net.h"

/* An origin that acknowledges nothing, or a stream's that is silent and doesn't answer probes. */
#define DEAD_NS (60 * NS_PER_S)

#define TUNNEL_BACKLOG_MAX (8 << 20)

/* ---- connecting ---- */

struct open_args {
	int family, fd;
};

static int open_socket(void *arg, struct err *err)
{
	struct open_args *a = arg;

	a->fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return a->fd < 0 ? err_sys(err, "socket") : 0;
}

static struct addrinfo *resolve(const struct http_client *c, struct err *err)
{
	struct addrinfo *ai, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	const char *host = c->connect_to ? c->connect_to : c->host;
	char port[8];

	snprintf(port, sizeof(port), "%d", c->port);
	int e = getaddrinfo(host, port, &hints, &ai);
	if (!e)
		return ai;
	err_set(err, ERR_UNAVAILABLE, "%s: %s", host, gai_strerror(e));
	return NULL;
}

static int connect_first(const struct http_client *c, const struct addrinfo *ai, struct err *err)
{
	struct open_args a = {.family = ai->ai_family, .fd = -1};

	if (c->netns_fd > 0 ? netns_do(c->netns_fd, open_socket, &a, err) : open_socket(&a, err))
		return -1;
	wire_keep_alive(a.fd, DEAD_NS);
	if (connect(a.fd, ai->ai_addr, ai->ai_addrlen) == 0 || errno == EINPROGRESS)
		return a.fd;
	err_sys(err, "connect to %s port %d", c->connect_to ? c->connect_to : c->host, c->port);
	if (err)
		err->code = ERR_UNAVAILABLE;
	fd_cleanup(&a.fd);
	return -1;
}

static void on_ready(struct loop *l, struct loop_fd *w, uint32_t ready);

static int begin(struct cconn *c, const struct addrinfo *ai, struct err *err)
{
	struct http_client *client = c->client;
	int fd = connect_first(client, ai, err);

	if (fd < 0)
		return -1;
	c->w = (struct loop_fd){.fd = fd, .fn = on_ready};
	c->state = CCONN_CONNECT;
	wire_init(&c->wire, fd, client->scratch, client->tls);
	c->wire.session = &client->session;
	if (client->tls && wire_expect(&c->wire, client->tls, client->host, err))
		return -1;
	return loop_fd_set(client->loop, &c->w, EPOLLOUT, err);
}

static void on_lookup(void *arg, struct addrinfo *ai, const struct err *why)
{
	struct cconn *c = arg;
	struct http_client *client = c->client;
	struct http_running *r = c->r;
	struct err err = *why;

	c->lookup = NULL;
	client_enter(client);
	if (!ai || begin(c, ai, &err)) {
		r->err = err;
		cconn_close(c);
		call_failed(r, false);
		if (!client->dead)
			client_pump(client);
	}
	if (ai)
		freeaddrinfo(ai);
	client_leave(client);
}

/* Names are looked up blocking, unless told otherwise: most roles talk to addresses. */
static int find_and_begin(struct cconn *c, struct err *err)
{
	struct http_client *client = c->client;
	const char *host = client->connect_to ? client->connect_to : client->host;
	struct addrinfo *ai;

	if (client->lookup_apart && lookup_is_name(host)) {
		c->state = CCONN_LOOKUP;
		c->lookup = lookup_new(client->loop, host, client->port, on_lookup, c);
		return c->lookup ? 0
				 : err_set(err, ERR_UNAVAILABLE,
					   "too many names are being looked up");
	}
	ai = resolve(client, err);
	if (!ai)
		return -1;
	int rc = begin(c, ai, err);
	freeaddrinfo(ai);
	return rc;
}

int cconn_open(struct http_running *r, struct err *err)
{
	struct http_client *client = r->client;
	struct cconn *c = xalloc(sizeof(*c));

	c->client = client;
	c->w.fd = c->wire.fd = -1;
	list_append(&client->active, &c->link);
	if (find_and_begin(c, err)) {
		cconn_close(c);
		return -1;
	}
	c->r = r;
	r->conn = c;
	return 0;
}

/* ---- sending ---- */

static void rearm(struct cconn *c)
{
	uint32_t want = c->paused ? 0 : EPOLLIN;

	if (c->out.bytes || wire_stuck(&c->wire))
		want |= EPOLLOUT;
	if (want == c->w.events || c->state == CCONN_LOOKUP)
		return;
	if (!want)
		loop_fd_del(c->client->loop, &c->w);
	else if (loop_fd_set(c->client->loop, &c->w, want, NULL))
		cconn_eof(c);
}

void cconn_flush(struct cconn *c)
{
	struct http_tunnel *t = &c->tunnel;

	if (c->state == CCONN_CLOSED || c->state <= CCONN_CONNECT)
		return;
	/* What broke sending shows when reading; the answer may have come before (a 413). */
	if (wire_write(&c->wire, &c->out, SIZE_MAX) == WIRE_BROKEN)
		outq_release(&c->out);
	rearm(c);
	if (c->state != CCONN_TUNNEL || !t->high || http_tunnel_backlog(t) > HTTP_TUNNEL_HIGH / 4)
		return;
	t->high = false;
	if (t->o.on_drain)
		t->o.on_drain(t->o.arg);
}

void cconn_send(struct cconn *c, struct http_running *r)
{
	c->r = r;
	r->conn = c;
	c->state = CCONN_HEAD;
	c->got_bytes = false;
	c->scan = (struct http_scan){0};
	outq_text(&c->out, r->text.p, r->text.n);
	cconn_flush(c);
}

/* ---- readiness ---- */

static void on_connected(struct cconn *c)
{
	int e = 0;
	socklen_t n = sizeof(e);

	getsockopt(c->wire.fd, SOL_SOCKET, SO_ERROR, &e, &n);
	if (e) {
		c->wire.sys = e;
		cconn_eof(c);
		return;
	}
	if (c->wire.ssl) {
		c->state = CCONN_HANDSHAKE;
		if (wire_handshake(&c->wire) == WIRE_BROKEN)
			cconn_eof(c);
		else
			rearm(c);
		return;
	}
	cconn_send(c, c->r);
}

static void on_readable(struct cconn *c)
{
	enum wire_result r = wire_read(&c->wire, &c->in);

	if (r == WIRE_BROKEN) {
		cconn_eof(c);
		return;
	}
	if (c->state == CCONN_HANDSHAKE && c->wire.ready)
		cconn_send(c, c->r);
	if (c->in.n)
		cconn_consume(c);
	if (r == WIRE_EOF && c->state != CCONN_CLOSED)
		cconn_eof(c);
}

static void on_ready(struct loop *l UNUSED, struct loop_fd *w, uint32_t ready)
{
	struct cconn *c = CONTAINER_OF(w, struct cconn, w);
	struct http_client *client = c->client;

	if (c->state == CCONN_CLOSED)
		return;
	client_enter(client);
	if (c->state == CCONN_CONNECT) {
		on_connected(c);
	} else {
		if (ready & EPOLLOUT)
			cconn_flush(c);
		if (c->state != CCONN_CLOSED && !c->paused &&
		    ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
			on_readable(c);
		else if (c->paused && ready & (EPOLLHUP | EPOLLERR))
			cconn_eof(c);
	}
	client_leave(client);
}

void cconn_close(struct cconn *c)
{
	struct http_client *client = c->client;

	if (c->state == CCONN_CLOSED)
		return;
	if (c->state == CCONN_IDLE)
		client->nidle--;
	c->state = CCONN_CLOSED;
	if (c->r)
		c->r->conn = NULL;
	c->r = NULL;
	lookup_cancel(&c->lookup);
	loop_fd_del(client->loop, &c->w);
	wire_close(&c->wire);
	outq_release(&c->out);
	buf_release(&c->in);
	list_remove(&c->link);
	list_append(&client->graves, &c->link);
}

/* ---- tunnels ---- */

int http_tunnel_write(struct http_tunnel *t, struct str data)
{
	struct cconn *c = t->conn;

	if (c->state != CCONN_TUNNEL || c->out.bytes + data.n > TUNNEL_BACKLOG_MAX)
		return -1;
	client_enter(c->client);
	outq_text(&c->out, data.p, data.n);
	cconn_flush(c);
	/* As its writer sees it: who stops now must be told to go on. */
	if (http_tunnel_backlog(t) > HTTP_TUNNEL_HIGH)
		t->high = true;
	client_leave(c->client);
	return 0;
}

size_t http_tunnel_backlog(const struct http_tunnel *t)
{
	return t->conn->out.bytes + t->conn->wire.pending.n;
}

void http_tunnel_pause(struct http_tunnel *t, bool paused)
{
	struct cconn *c = t->conn;

	if (c->state != CCONN_TUNNEL || c->paused == paused)
		return;
	client_enter(c->client);
	c->paused = paused;
	rearm(c);
	if (!paused && c->in.n)
		cconn_consume(c);
	client_leave(c->client);
}

void http_tunnel_close(struct http_tunnel *t)
{
	struct http_client *client = t->conn->client;

	client_enter(client);
	cconn_close(t->conn);
	client_leave(client);
}
