/*
 * Answers: heads, whole bodies, streams, upgrades. The public calls may come from any thread; they
 * make a message (head text ready to send, blocks referenced) and hand it to the connection's
 * shard, where op_apply queues it. op_apply must never call a handler's code: it runs inside
 * other callbacks. Must never let a header value break out of its line.
 */
#include "lib/base/timefmt.h"
#include "lib/http/server-internal.h"

#define HEAD_ROOM 512 /* most heads fit */

/* ---- heads ---- */

void http_date(int64_t wall_s, char out[30])
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	static _Thread_local int64_t cached_s = -1;
	static _Thread_local char cached[30];
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (wall_s != cached_s && gmtime_r(&t, &tm)) {
		snprintf(cached, sizeof(cached), "%s, %02u %s %04u %02u:%02u:%02u GMT",
			 days[tm.tm_wday], (unsigned)tm.tm_mday % 100U, months[tm.tm_mon],
			 (unsigned)(tm.tm_year + 1900) % 10000U, (unsigned)tm.tm_hour % 100U,
			 (unsigned)tm.tm_min % 100U, (unsigned)tm.tm_sec % 100U);
		cached_s = wall_s;
	}
	memcpy(out, cached, sizeof(cached));
}

/* The wall clock, not the loop's: this may run on any thread. */
static void put_date(struct buf *b)
{
	struct timespec ts;
	char date[30];

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	http_date(ts.tv_sec, date);
	http_put_header(b, STR("Date"), str_c(date));
}

static void put_head(struct buf *b, const struct request *r, const struct http_reply *h)
{
	buf_reserve(b, HEAD_ROOM);
	buf_puts(b, "HTTP/1.1 ");
	buf_i64(b, h->status);
	buf_putc(b, ' ');
	buf_puts(b, http_status_text(h->status));
	buf_puts(b, "\r\n");
	if (h->content_type)
		http_put_header(b, STR("Content-Type"), str_c(h->content_type));
	put_date(b);
	for (size_t i = 0; i < h->nheaders; i++)
		http_put_header(b, h->headers[i].name, h->headers[i].value);
	if (h->status == 101)
		return;
	if (r->last)
		buf_puts(b, "Connection: close\r\n");
	else if (r->head.minor == 0)
		buf_puts(b, "Connection: keep-alive\r\n");
}

static bool has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

static bool wants_body(const struct request *r, int status)
{
	return has_body(status) && !str_is(r->head.method, "HEAD");
}

/* ---- messages ---- */

static struct op *op_new(struct request *r, enum op_kind kind, struct block *const *blocks,
			 size_t n)
{
	struct op *op = xalloc(sizeof(*op) + n * sizeof(op->blocks[0]));

	op->kind = kind;
	op->r = r;
	op->fd = -1;
	request_ref(r);
	op->n = n;
	for (size_t i = 0; i < n; i++)
		op->blocks[i] = block_ref(blocks[i]);
	return op;
}

void op_free(struct op *op)
{
	for (size_t i = 0; i < op->n; i++)
		block_unref(op->blocks[i]);
	buf_release(&op->text);
	if (op->r)
		request_unref(op->r);
	free(op);
}

static void queue_text(struct conn *c, const struct op *op)
{
	if (op->text.n)
		outq_text(&c->out, op->text.p, op->text.n);
}

static size_t queue_blocks(struct conn *c, const struct op *op)
{
	size_t n = 0;

	for (size_t i = 0; i < op->n; i++) {
		outq_block(&c->out, op->blocks[i]);
		n += op->blocks[i]->data.n;
	}
	return n;
}

static void apply_write(struct conn *c, struct request *r, const struct op *op)
{
	char size[24];
	size_t n = 0;

	for (size_t i = 0; i < op->n; i++)
		n += op->blocks[i]->data.n;
	bool framed = r->head.minor > 0;
	if (framed)
		outq_text(&c->out, size, (size_t)snprintf(size, sizeof(size), "%zx\r\n", n));
	r->applied += queue_blocks(c, op);
	if (framed)
		outq_text(&c->out, "\r\n", 2);
}

static void apply_end(struct conn *c, struct request *r)
{
	if (r->head.minor > 0 && r->has_body)
		outq_text(&c->out, "0\r\n\r\n", 5);
	else if (r->head.minor == 0)
		c->last_request = true;
	r->answer = ANSWER_DONE;
	conn_answered(c);
}

static void apply_close(struct conn *c, struct request *r)
{
	c->up = NULL;
	r->answer = ANSWER_DONE;
	c->last_request = true;
	conn_answered(c);
}

void op_apply(struct op *op)
{
	struct request *r = op->r;
	struct conn *c = r->conn;

	if (!c)
		return;
	bool stream = r->answer == ANSWER_STREAM;
	switch (op->kind) {
	case OP_REPLY:
		if (r->answer != ANSWER_NONE)
			return;
		queue_text(c, op);
		queue_blocks(c, op);
		r->answer = ANSWER_DONE;
		conn_answered(c);
		return;
	case OP_BEGIN:
	case OP_UPGRADE:
		if (r->answer != ANSWER_NONE)
			return;
		queue_text(c, op);
		r->answer = ANSWER_STREAM;
		if (op->kind == OP_UPGRADE) {
			c->up = op->up;
			c->state = CONN_UPGRADED;
			c->out.apart = true;
		}
		break;
	case OP_WRITE:
		if (stream && op->n)
			apply_write(c, r, op);
		break;
	case OP_RAW:
		if (stream)
			queue_text(c, op);
		r->applied += op->text.n;
		break;
	case OP_END:
		if (stream)
			apply_end(c, r);
		return;
	case OP_CLOSE:
		apply_close(c, r);
		return;
	case OP_CUT:
		c->doomed = true;
		break;
	case OP_ACCEPT:
	default:
		return;
	}
	conn_dirty(c);
}

/* ---- whole answers ---- */

static struct op *reply_op(struct request *r, const struct http_reply *h, size_t n,
			   struct block *const *blocks, size_t nblocks)
{
	bool body = wants_body(r, h->status);
	struct op *op = op_new(r, OP_REPLY, blocks, body ? nblocks : 0);

	put_head(&op->text, r, h);
	if (has_body(h->status)) {
		buf_puts(&op->text, "Content-Length: ");
		buf_i64(&op->text, (int64_t)n);
		buf_puts(&op->text, "\r\n");
	}
	buf_puts(&op->text, "\r\n");
	return op;
}

void http_reply_bytes(struct http_req *req, const struct http_reply *h, struct str body)
{
	struct request *r = (struct request *)req;
	struct op *op = reply_op(r, h, body.n, NULL, 0);

	if (wants_body(r, h->status) && body.n)
		buf_put(&op->text, body.p, body.n);
	server_op(op);
}

void http_reply_blocks(struct http_req *req, const struct http_reply *h,
		       struct block *const *blocks, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += blocks[i]->data.n;
	server_op(reply_op((struct request *)req, h, bytes, blocks, n));
}

/* ---- streams ---- */

void http_stream_begin(struct http_req *req, const struct http_reply *h)
{
	struct request *r = (struct request *)req;
	struct op *op = op_new(r, OP_BEGIN, NULL, 0);

	r->has_body = wants_body(r, h->status);
	put_head(&op->text, r, h);
	if (r->head.minor > 0 && has_body(h->status))
		buf_puts(&op->text, "Transfer-Encoding: chunked\r\n");
	buf_puts(&op->text, "\r\n");
	server_op(op);
}

/* Counts n more bytes for the reader; -1 when there is none, or it is too far behind and is cut. */
static int book(struct request *r, size_t n)
{
	if (atomic_load(&r->over))
		return -1;
	uint64_t queued = atomic_fetch_add(&r->queued, n) + n;
	if (queued - atomic_load(&r->sent) <= r->shard->s->o.max_backlog)
		return 0;
	if (!atomic_exchange(&r->over, true))
		server_op(op_new(r, OP_CUT, NULL, 0));
	return -1;
}

int http_stream_write(struct http_req *req, struct block *const *blocks, size_t n)
{
	struct request *r = (struct request *)req;
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += blocks[i]->data.n;
	if (bytes == 0 || !r->has_body)
		return atomic_load(&r->over) ? -1 : 0;
	if (book(r, bytes))
		return -1;
	server_op(op_new(r, OP_WRITE, blocks, n));
	return 0;
}

void http_stream_end(struct http_req *req)
{
	server_op(op_new((struct request *)req, OP_END, NULL, 0));
}

size_t http_stream_backlog(const struct http_req *req)
{
	struct request *r = (struct request *)(uintptr_t)req;
	uint64_t sent = atomic_load(&r->sent), queued = atomic_load(&r->queued);

	return queued > sent ? (size_t)(queued - sent) : 0;
}

/* ---- upgrades ---- */

void http_upgrade(struct http_req *req, const struct http_reply *h, struct http_upgraded *u)
{
	struct request *r = (struct request *)req;
	struct op *op = op_new(r, OP_UPGRADE, NULL, 0);

	u->req = req;
	op->up = u;
	put_head(&op->text, r, h);
	buf_puts(&op->text, "\r\n");
	server_op(op);
}

int http_upgraded_write(struct http_upgraded *u, struct str data)
{
	struct request *r = (struct request *)u->req;

	if (!data.n)
		return atomic_load(&r->over) ? -1 : 0;
	if (book(r, data.n))
		return -1;
	struct op *op = op_new(r, OP_RAW, NULL, 0);
	buf_put(&op->text, data.p, data.n);
	server_op(op);
	return 0;
}

size_t http_upgraded_backlog(const struct http_upgraded *u)
{
	return http_stream_backlog(u->req);
}

void http_upgraded_pause(struct http_upgraded *u, bool paused)
{
	struct conn *c = ((struct request *)u->req)->conn;

	if (!c || c->paused == paused)
		return;
	c->paused = paused;
	conn_dirty(c);
}

void http_upgraded_close(struct http_upgraded *u)
{
	server_op(op_new((struct request *)u->req, OP_CLOSE, NULL, 0));
}
