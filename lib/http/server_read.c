/*
 * From bytes to requests: heads, bodies, who the peer is, and refusals of what isn't HTTP as it
 * should be. Must never hand a request to the handler before it is complete and unambiguous.
 * On the connection's shard; a request's memory is its arena and its body buffer.
 */
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/server-internal.h"
#include "lib/http/tls-internal.h"

/* With more than this unsent, further pipelined requests wait. */
#define PIPELINE_OUT_MAX (1 << 20)
/* Room for requests that are kept for reuse; bigger ones go back to the system. */
#define SPARE_ARENA_MAX (64 << 10)
#define SPARE_MAX 64

struct request *request_new(struct shard *s)
{
	struct request *r = s->spare;

	if (r) {
		struct arena kept = r->pub.arena;
		s->spare = r->pub.user;
		s->nspare--;
		memset(r, 0, sizeof(*r));
		r->pub.arena = kept;
	} else {
		r = xalloc(sizeof(*r));
	}
	atomic_init(&r->refs, 1);
	r->shard = s;
	r->home = pthread_self();
	r->pub.loop = s->loop;
	return r;
}

void request_ref(struct request *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
}

void request_unref(struct request *r)
{
	struct shard *s = r->shard;

	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	buf_release(&r->body);
	if (r->pub.arena.used <= SPARE_ARENA_MAX && pthread_equal(r->home, pthread_self()) &&
	    shard_is_ours(s) && s->nspare < SPARE_MAX) {
		arena_reset(&r->pub.arena);
		r->pub.user = s->spare;
		s->spare = r;
		s->nspare++;
		return;
	}
	arena_release(&r->pub.arena);
	free(r);
}

struct http_req *http_req_ref(struct http_req *r)
{
	request_ref((struct request *)r);
	return r;
}

void http_req_unref(struct http_req *r)
{
	request_unref((struct request *)r);
}

/* ---- who it is ---- */

static const char **split_orgs(struct str lines)
{
	struct str part;
	size_t n = 0;
	const char **v = xalloc((lines.n + 2) * sizeof(*v));

	if (lines.n == 0)
		return v;
	while (str_next(&lines, '\n', &part))
		v[n++] = xstrndup(part.p, part.n);
	return v;
}

static char *fingerprint(const X509 *x)
{
	AUTO(buf) struct buf hex = {0};
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (X509_digest(x, EVP_sha256(), sum, &n) != 1)
		return NULL;
	hex_encode((struct str){(const char *)sum, n}, &hex);
	return xstrndup(hex.p, hex.n);
}

/* A certificate that didn't verify names nobody. */
void conn_identify(struct conn *c)
{
	struct cert_info info = {0};
	X509 *x;

	c->identified = true;
	if (!c->wire.ssl || SSL_get_verify_result(c->wire.ssl) != X509_V_OK)
		return;
	x = SSL_get0_peer_certificate(c->wire.ssl);
	if (!x)
		return;
	struct tm tm = {0};
	if (tls_read_subject(X509_get_subject_name(x), &info, NULL) == 0 && info.common_name[0] &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1) {
		c->peer_cn = xstrdup(info.common_name);
		c->peer_orgs = split_orgs(buf_view(&info.organizations));
		c->peer_sha256 = fingerprint(x);
		c->peer_is_proxy = tls_is_proxy(c->wire.ssl, x);
		c->peer_until_ns = (int64_t)timegm(&tm) * NS_PER_S;
	}
	cert_info_release(&info);
}

/* ---- refusing ---- */

void conn_refuse(struct conn *c, int status)
{
	const char *text = http_status_text(status);
	const struct http_server_opts *o = &c->shard->s->o;
	AUTO(buf) struct buf b = {0};
	AUTO(buf) struct buf body = {0};
	struct request *r = c->r;
	char date[30];

	if (o->refusal)
		o->refusal(o->arg, status, &body);
	bool json = body.n > 0;
	if (!json)
		buf_printf(&body, "%d %s\n", status, text);
	http_date(loop_wall(c->shard->loop) / NS_PER_S, date);
	buf_printf(&b,
		   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nDate: %s\r\n"
		   "Content-Length: %zu\r\nConnection: close\r\n\r\n",
		   status, text, json ? "application/json" : "text/plain; charset=utf-8", date,
		   body.n);
	buf_str(&b, buf_view(&body));
	outq_text(&c->out, b.p, b.n);
	c->r = NULL;
	if (r) {
		r->conn = NULL;
		request_unref(r);
	}
	c->state = CONN_LAST;
	buf_release(&c->in);
	conn_wait(c, WAIT_SENT);
	conn_dirty(c);
}

/* ---- reading ---- */

static void drop_input(struct conn *c, size_t n)
{
	if (n == c->in.n)
		buf_release(&c->in);
	else
		buf_consume(&c->in, n);
}

/* Unescaped path; -1 when it is no valid text or holds a NUL. */
static int set_path(struct request *r, struct str raw)
{
	AUTO(buf) struct buf b = {0};

	r->pub.raw_path = raw;
	r->pub.path = raw;
	if (!memchr(raw.p, '%', raw.n))
		return 0;
	if (url_unescape(raw, false, &b) || b.n == 0 || memchr(b.p, 0, b.n))
		return -1;
	r->pub.path = arena_str(&r->pub.arena, buf_view(&b));
	return 0;
}

static int read_head(struct conn *c, struct request *r, struct str bytes)
{
	struct str raw, query;
	struct http_req *p = &r->pub;

	bytes = arena_str(&p->arena, bytes);
	if (http_parse_request(&p->arena, bytes, &r->head))
		return r->head.status ? r->head.status : 400;
	if (http_split_target(r->head.target, &raw, &query) || set_path(r, raw))
		return 400;
	if (r->head.length == HTTP_LENGTH_KNOWN && r->head.content_length > c->shard->s->o.max_body)
		return 413;
	p->method = r->head.method;
	p->query = query;
	p->headers = r->head.headers;
	p->received_ns = loop_now(c->shard->loop);
	memcpy(p->remote, c->remote, sizeof(p->remote));
	return 0;
}

/* Takes a request's head off the input. 1 = got one, 0 = needs more bytes, -1 = refused. */
static int take_head(struct conn *c)
{
	int status = 0;

	/* RFC 9112 2.2: an empty line before a request is skipped. */
	if (c->scan.at == 0 && c->in.n >= 2 && c->in.p[0] == '\r' && c->in.p[1] == '\n')
		drop_input(c, 2);
	if (c->in.n == 0)
		return 0;
	ptrdiff_t n = http_scan_head(&c->scan, buf_view(&c->in), &status);
	if (n == 0) {
		if (c->waits != WAIT_HEAD)
			conn_wait(c, WAIT_HEAD);
		return 0;
	}
	c->scan = (struct http_scan){0};
	if (n < 0) {
		conn_refuse(c, status);
		return -1;
	}
	c->r = request_new(c->shard);
	c->r->conn = c;
	status = read_head(c, c->r, (struct str){c->in.p, (size_t)n});
	if (status) {
		conn_refuse(c, status);
		return -1;
	}
	drop_input(c, (size_t)n);
	c->state = CONN_BODY;
	if (c->r->head.expect_continue && c->in.n == 0 && c->r->head.length != HTTP_LENGTH_NONE)
		outq_text(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	if (c->waits != WAIT_HEAD)
		conn_wait(c, WAIT_HEAD);
	return 1;
}

static int take_chunked(struct conn *c, struct request *r)
{
	struct str in = buf_view(&c->in), data;
	enum http_chunk k;

	while ((k = http_chunks_next(&r->chunks, &in, &data)) == HTTP_CHUNK_DATA) {
		if (r->body.n + data.n > c->shard->s->o.max_body) {
			conn_refuse(c, 413);
			return -1;
		}
		buf_put(&r->body, data.p, data.n);
	}
	if (k == HTTP_CHUNK_BAD) {
		conn_refuse(c, 400);
		return -1;
	}
	drop_input(c, c->in.n - in.n);
	return k == HTTP_CHUNK_END;
}

/* Same answers as take_head. */
static int take_body(struct conn *c)
{
	struct request *r = c->r;

	if (r->head.length == HTTP_LENGTH_CHUNKED)
		return take_chunked(c, r);
	if (r->head.length != HTTP_LENGTH_KNOWN)
		return 1;
	size_t want = (size_t)r->head.content_length - r->body.n;
	size_t n = MIN(want, c->in.n);
	if (n) {
		buf_put(&r->body, c->in.p, n);
		drop_input(c, n);
	}
	return n == want;
}

static void dispatch(struct conn *c)
{
	struct request *r = c->r;
	struct http_server *s = c->shard->s;

	r->pub.body = buf_view(&r->body);
	if (c->peer_cn && loop_wall(c->shard->loop) < c->peer_until_ns) {
		r->pub.peer_cn = c->peer_cn;
		r->pub.peer_orgs = c->peer_orgs;
		r->pub.peer_sha256 = c->peer_sha256;
		r->pub.peer_is_proxy = c->peer_is_proxy;
	}
	r->last = !r->head.keep_alive || c->shard->draining;
	r->handled = true;
	c->state = CONN_HANDLE;
	conn_wait(c, WAIT_MAX);
	/* The handler may answer at once, which ends the connection's own hold. */
	request_ref(r);
	s->o.handle(s->o.arg, &r->pub);
	request_unref(r);
}

static void deliver_upgraded(struct conn *c)
{
	struct buf in = c->in;

	if (c->paused || !in.n)
		return;
	c->in = (struct buf){0};
	c->up->on_data(c->up, buf_view(&in));
	buf_release(&in);
}

bool conn_progress(struct conn *c)
{
	for (;;) {
		switch (c->state) {
		case CONN_HEAD:
			if (c->out.bytes > PIPELINE_OUT_MAX)
				return c->in.n > 0;
			if (take_head(c) <= 0)
				return false;
			break;
		case CONN_BODY:
			if (take_body(c) <= 0)
				return false;
			dispatch(c);
			break;
		case CONN_UPGRADED:
			if (c->up)
				deliver_upgraded(c);
			return false;
		case CONN_LAST:
		case CONN_LINGER:
			buf_release(&c->in);
			return false;
		case CONN_HANDLE:
		case CONN_CLOSED:
		default:
			return false;
		}
	}
}
