/*
 * The client's calls: from the caller's request to its one callback, through a pool of keep-alive
 * connections. Must never report a call twice, nor from within the function that made it. On the
 * loop's thread; a call's memory is freed when no callback of the client is on the stack.
 */
#include "lib/http/client.h"

#include "lib/base/timefmt.h"
#include "lib/http/client-internal.h"

#define DEFAULT_TIMEOUT (30 * NS_PER_S)
#define DEFAULT_MAX_BODY (64 << 20)

static void call_free(struct http_running *r)
{
	loop_timer_cancel(r->client->loop, &r->timer);
	buf_release(&r->text);
	buf_release(&r->body);
	arena_release(&r->arena);
	free(r);
}

static void bury(struct http_client *c)
{
	LIST_FOREACH (it, &c->graves) {
		list_remove(it);
		free(CONTAINER_OF(it, struct cconn, link));
	}
	LIST_FOREACH (it, &c->done) {
		list_remove(it);
		call_free(CONTAINER_OF(it, struct http_running, link));
	}
}

static void client_release(struct http_client *c)
{
	SSL_SESSION_free(c->session);
	tls_unref(&c->tls);
	free(c->host);
	free(c->connect_to);
	free(c->scratch);
	free(c);
}

void client_enter(struct http_client *c)
{
	c->depth++;
}

void client_leave(struct http_client *c)
{
	if (--c->depth)
		return;
	bury(c);
	if (c->dead)
		client_release(c);
}

struct http_client *http_client_new(struct loop *l, const struct http_client_opts *o,
				    struct err *err)
{
	if (!o->host || o->port < 1 || o->port > 65535) {
		err_set(err, ERR_BAD_REQUEST, "no host and port to connect to");
		return NULL;
	}
	struct http_client *c = xalloc(sizeof(*c));

	c->loop = l;
	c->host = xstrdup(o->host);
	c->connect_to = o->connect_to ? xstrdup(o->connect_to) : NULL;
	c->port = o->port;
	c->netns_fd = o->netns_fd;
	c->lookup_apart = o->lookup_apart;
	c->max_conns = o->max_conns > 0 ? (size_t)o->max_conns : 16;
	c->tls = o->tls ? tls_ref(o->tls) : NULL;
	c->scratch = xalloc(sizeof(*c->scratch));
	list_init(&c->idle);
	list_init(&c->active);
	for (int i = 0; i < HTTP_CALL_RANKS; i++)
		list_init(&c->queue[i]);
	list_init(&c->graves);
	list_init(&c->done);
	return c;
}

static struct http_running *next_waiting(struct http_client *c)
{
	static const enum http_call_rank order[] = {HTTP_CALL_URGENT, HTTP_CALL_IN_TURN,
						    HTTP_CALL_LAST};

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (!list_empty(&c->queue[order[i]]))
			return CONTAINER_OF(c->queue[order[i]].next, struct http_running, link);
	return NULL;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	client_enter(c);
	c->dead = true;
	for (struct http_running *r; (r = next_waiting(c));) {
		err_set(&r->err, ERR_CANCELED, "client closed");
		call_finish(r);
	}
	while (!list_empty(&c->active)) {
		struct cconn *conn = CONTAINER_OF(c->active.next, struct cconn, link);
		struct http_running *r = conn->r;
		cconn_close(conn);
		if (!r)
			continue;
		err_set(&r->err, ERR_CANCELED, "client closed");
		call_finish(r);
	}
	while (!list_empty(&c->idle))
		cconn_close(CONTAINER_OF(c->idle.next, struct cconn, link));
	client_leave(c);
}

/* ---- ends of calls ---- */

static void release_place(struct http_running *r)
{
	if (r->whole)
		r->client->nwhole--;
	r->whole = false;
}

/* Off every list but `done`; its connection, if any, is the caller's business. */
static void call_retire(struct http_running *r)
{
	r->finished = true;
	loop_timer_cancel(r->client->loop, &r->timer);
	list_remove(&r->link);
	list_append(&r->client->done, &r->link);
	if (r->conn)
		r->conn->r = NULL;
	r->conn = NULL;
	release_place(r);
}

void call_finish(struct http_running *r)
{
	if (r->finished)
		return;
	call_retire(r);
	r->answer.err = &r->err;
	if (r->err.code != ERR_NONE && !r->stream)
		r->answer = (struct http_answer){.err = &r->err};
	r->call.done(r->call.arg, &r->answer);
}

void http_call_cancel(struct http_running *r)
{
	struct http_client *c = r->client;
	struct cconn *conn = r->conn;

	if (r->finished)
		return;
	client_enter(c);
	call_retire(r);
	if (conn)
		cconn_close(conn);
	client_pump(c);
	client_leave(c);
}

void http_call_pause(struct http_running *r, bool paused)
{
	if (!r->conn || r->conn->paused == paused)
		return;
	client_enter(r->client);
	r->conn->paused = paused;
	cconn_flush(r->conn);
	if (!paused && r->conn)
		cconn_consume(r->conn);
	client_leave(r->client);
}

static void on_timer(struct loop *l UNUSED, struct loop_timer *t)
{
	struct http_running *r = CONTAINER_OF(t, struct http_running, timer);
	struct http_client *c = r->client;
	struct cconn *conn = r->conn;

	client_enter(c);
	/* An error that was there from the start only waited for this turn. */
	if (r->err.code == ERR_NONE)
		err_set(&r->err, ERR_TIMEOUT, "%s: no answer in time", c->host);
	call_finish(r);
	if (conn)
		cconn_close(conn);
	if (!c->dead)
		client_pump(c);
	client_leave(c);
}

/* ---- starting ---- */

static void start(struct http_running *r)
{
	struct http_client *c = r->client;
	struct err err = {0};

	list_remove(&r->link);
	r->whole = !r->call.data && !r->upgrade;
	if (r->whole)
		c->nwhole++;
	/* The most recently used one: the others may close. A retry wants a fresh one. */
	if (!list_empty(&c->idle) && !r->retried) {
		struct cconn *conn = CONTAINER_OF(c->idle.prev, struct cconn, link);
		c->nidle--;
		list_remove(&conn->link);
		list_append(&c->active, &conn->link);
		conn->reused = true;
		cconn_send(conn, r);
		return;
	}
	if (cconn_open(r, &err)) {
		r->err = err;
		loop_timer_set(c->loop, &r->timer, 0, on_timer);
	}
}

void client_pump(struct http_client *c)
{
	for (struct http_running *r; c->nwhole < c->max_conns && (r = next_waiting(c));)
		start(r);
}

void call_failed(struct http_running *r, bool may_retry)
{
	if (!may_retry || r->retried || !r->idempotent || r->client->dead) {
		call_finish(r);
		return;
	}
	r->retried = true;
	r->err = (struct err){0};
	if (r->conn)
		r->conn->r = NULL;
	r->conn = NULL;
	release_place(r);
	start(r);
}

/* ---- the request's text ---- */

static bool is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return s.n > 0;
}

static void put_host(struct buf *b, const struct http_client *c)
{
	bool ip6 = strchr(c->host, ':') != NULL;
	AUTO(buf) struct buf v = {0};

	buf_printf(&v, ip6 ? "[%s]" : "%s", c->host);
	if (c->port != (c->tls ? 443 : 80))
		buf_printf(&v, ":%d", c->port);
	http_put_header(b, STR("Host"), buf_view(&v));
}

static int put_request(struct http_running *r, const struct http_call *call)
{
	struct str method = str_c(call->method);
	struct buf *b = &r->text;
	bool has_host = false;

	if (!is_clean(method) || method.n >= sizeof(r->method) || !is_clean(call->path) ||
	    call->path.p[0] != '/')
		return err_set(&r->err, ERR_BAD_REQUEST, "not a request: method or path");
	memcpy(r->method, method.p, method.n);
	buf_printf(b, "%s %.*s HTTP/1.1\r\n", r->method, STR_ARG(call->path));
	for (size_t i = 0; i < call->nheaders; i++)
		has_host |= str_ieq(call->headers[i].name, STR("host"));
	if (!has_host)
		put_host(b, r->client);
	for (size_t i = 0; i < call->nheaders; i++)
		http_put_header(b, call->headers[i].name, call->headers[i].value);
	if (call->content_type)
		http_put_header(b, STR("Content-Type"), str_c(call->content_type));
	if (call->body.n || str_is(method, "POST") || str_is(method, "PUT") ||
	    str_is(method, "PATCH"))
		buf_printf(b, "Content-Length: %zu\r\n", call->body.n);
	buf_puts(b, "\r\n");
	buf_str(b, call->body);
	return 0;
}

static struct http_running *call_new(struct http_client *c, const struct http_call *call)
{
	struct http_running *r = xalloc(sizeof(*r));
	struct str m = str_c(call->method);

	r->client = c;
	r->call = *call;
	list_init(&r->link);
	if (!r->call.max_body)
		r->call.max_body = DEFAULT_MAX_BODY;
	/* A PUT with a precondition or a DELETE that is done twice tells of a conflict or of an
	 * absence that its own first time made: only the caller knows what to do then. */
	r->idempotent = str_is(m, "GET") || str_is(m, "HEAD") || call->repeatable;
	loop_timer_set(c->loop, &r->timer, call->timeout_ns ? call->timeout_ns : DEFAULT_TIMEOUT,
		       on_timer);
	if (put_request(r, call))
		loop_timer_set(c->loop, &r->timer, 0, on_timer);
	return r;
}

static void submit(struct http_running *r)
{
	struct http_client *c = r->client;

	client_enter(c);
	bool whole = !r->call.data && !r->upgrade;
	list_append(&c->queue[r->call.rank], &r->link);
	if (r->err.code == ERR_NONE && !whole)
		start(r);
	else if (r->err.code == ERR_NONE)
		client_pump(c);
	else
		list_remove(&r->link);
	client_leave(c);
}

struct http_running *http_client_call(struct http_client *c, const struct http_call *call)
{
	struct http_running *r = call_new(c, call);

	submit(r);
	return r;
}

struct http_running *http_client_upgrade(struct http_client *c, const struct http_call *call,
					 const struct http_tunnel_opts *o)
{
	struct http_running *r = call_new(c, call);

	r->upgrade = true;
	r->idempotent = true; /* nothing happened before the 101 */
	r->tunnel = *o;
	submit(r);
	return r;
}
