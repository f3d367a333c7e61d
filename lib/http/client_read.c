/*
 * Reading answers: head, body or stream, the switch to a tunnel, and what to make of a connection
 * that ends. A callback may cancel the call or free the client, so the connection's state is
 * looked at again after each. On the loop's thread.
 */
#include "lib/http/client-internal.h"

static void fail(struct cconn *c, enum err_code code, const char *why)
{
	struct http_running *r = c->r;

	cconn_close(c);
	if (!r)
		return;
	err_set(&r->err, code, "%s: %s", c->client->host, why);
	call_finish(r);
	if (!c->client->dead)
		client_pump(c->client);
}

/* The answer is complete: the connection goes back to the pool where it may. */
static void complete(struct cconn *c)
{
	struct http_client *client = c->client;
	struct http_running *r = c->r;
	bool keep = c->head.keep_alive && !c->in.n && !c->out.bytes && !client->dead &&
		    client->nidle < client->max_conns && !c->paused;

	c->r = NULL;
	r->conn = NULL;
	if (keep) {
		c->state = CCONN_IDLE;
		list_remove(&c->link);
		list_append(&client->idle, &c->link);
		client->nidle++;
	} else {
		cconn_close(c);
	}
	r->answer.body = buf_view(&r->body);
	call_finish(r);
	if (!client->dead)
		client_pump(client);
}

static void become_tunnel(struct cconn *c)
{
	struct http_running *r = c->r;

	c->state = CCONN_TUNNEL;
	c->tunnel = (struct http_tunnel){.conn = c, .o = r->tunnel};
	c->r = NULL;
	r->conn = NULL;
	/* Retired without `done`: from here on the caller has the tunnel. */
	r->finished = true;
	loop_timer_cancel(c->client->loop, &r->timer);
	list_remove(&r->link);
	list_append(&c->client->done, &r->link);
	r->answer.err = &r->err;
	c->tunnel.o.up(c->tunnel.o.arg, &c->tunnel, &r->answer);
}

static void begin_body(struct cconn *c)
{
	struct http_running *r = c->r;

	c->state = CCONN_BODY;
	c->left = c->head.content_length;
	c->chunks = (struct http_chunks){0};
	r->answer.err = &r->err;
	r->stream = r->call.data && c->head.status >= 200 && c->head.status < 300;
	if (!r->stream)
		return;
	loop_timer_cancel(c->client->loop, &r->timer);
	if (r->call.head)
		r->call.head(r->call.arg, &r->answer);
}

/* False when there is nothing more to do for now. */
static bool read_head(struct cconn *c)
{
	struct http_running *r = c->r;
	int status;
	ptrdiff_t n = http_scan_head(&c->scan, buf_view(&c->in), &status);

	if (n == 0)
		return false;
	if (n < 0) {
		fail(c, ERR_PARSE, "answer is not HTTP");
		return false;
	}
	struct str head = arena_str(&r->arena, (struct str){c->in.p, (size_t)n});
	buf_consume(&c->in, (size_t)n);
	c->scan = (struct http_scan){0};
	if (http_parse_answer(&r->arena, head, str_c(r->method), &c->head)) {
		fail(c, ERR_PARSE, "answer's head is malformed");
		return false;
	}
	r->answer.status = c->head.status;
	r->answer.headers = c->head.headers;
	if (c->head.status == 101 && r->upgrade) {
		become_tunnel(c);
		return c->state == CCONN_TUNNEL;
	}
	if (c->head.status == 101) {
		fail(c, ERR_PARSE, "answer switches protocols unasked");
		return false;
	}
	if (c->head.status >= 200)
		begin_body(c);
	return true;
}

/* False when the call ended. */
static bool deliver(struct cconn *c, struct str data)
{
	struct http_running *r = c->r;

	if (!data.n)
		return true;
	if (r->stream) {
		r->call.data(r->call.arg, data);
		return c->r == r && c->state == CCONN_BODY;
	}
	if (r->body.n + data.n > r->call.max_body) {
		fail(c, ERR_LIMIT, "answer is larger than allowed");
		return false;
	}
	buf_put(&r->body, data.p, data.n);
	return true;
}

static void read_chunked(struct cconn *c, struct str in)
{
	struct str data;
	enum http_chunk k;

	while ((k = http_chunks_next(&c->chunks, &in, &data)) == HTTP_CHUNK_DATA) {
		if (!deliver(c, data))
			return;
	}
	if (k == HTTP_CHUNK_BAD)
		fail(c, ERR_PARSE, "answer's chunks are malformed");
	else if (k == HTTP_CHUNK_END) {
		/* More than the answer: not a connection to use again. */
		c->head.keep_alive &= in.n == 0;
		complete(c);
	}
}

/* The input moves to the caller's hands first: a callback may close the connection. */
static void read_body(struct cconn *c)
{
	struct buf in = c->in;
	struct str data = buf_view(&in);

	c->in = (struct buf){0};
	if (c->head.length == HTTP_LENGTH_NONE) {
		c->head.keep_alive &= data.n == 0;
		complete(c);
	} else if (c->head.length == HTTP_LENGTH_CHUNKED) {
		read_chunked(c, data);
	} else if (c->head.length == HTTP_LENGTH_EOF) {
		(void)deliver(c, data);
	} else {
		size_t n = (size_t)MIN((uint64_t)data.n, c->left);
		c->left -= n;
		if (deliver(c, str_sub(data, 0, n)) && c->left == 0) {
			c->head.keep_alive &= n == data.n;
			complete(c);
		}
	}
	buf_release(&in);
}

static void tunnel_data(struct cconn *c)
{
	struct buf in = c->in;

	if (!in.n)
		return;
	c->in = (struct buf){0};
	c->tunnel.o.on_data(c->tunnel.o.arg, buf_view(&in));
	buf_release(&in);
}

void cconn_consume(struct cconn *c)
{
	if (c->in.n)
		c->got_bytes = true;
	while (c->state == CCONN_HEAD && !c->paused) {
		if (!read_head(c))
			break;
	}
	if (c->state == CCONN_BODY && !c->paused)
		read_body(c);
	else if (c->state == CCONN_TUNNEL && !c->paused)
		tunnel_data(c);
	else if (c->state == CCONN_IDLE && c->in.n)
		cconn_close(c); /* said something unasked */
}

void cconn_eof(struct cconn *c)
{
	struct http_running *r = c->r;
	struct http_client *client = c->client;

	if (c->state == CCONN_TUNNEL) {
		struct http_tunnel_opts o = c->tunnel.o;
		cconn_close(c);
		o.on_data(o.arg, STR_NONE);
		return;
	}
	if (!r) {
		cconn_close(c);
		return;
	}
	if (c->state == CCONN_BODY && c->head.length == HTTP_LENGTH_EOF && c->wire.eof &&
	    c->wire.clean) {
		c->head.keep_alive = false;
		complete(c);
		return;
	}
	bool may_retry = c->reused && !c->got_bytes;
	(void)wire_err(&c->wire, &r->err, client->host);
	cconn_close(c);
	call_failed(r, may_retry);
	if (!client->dead)
		client_pump(client);
}
