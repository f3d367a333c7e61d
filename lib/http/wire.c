/*
 * Bytes to and from a socket. TLS runs over memory: one recv fills the thread's scratch buffer and
 * every record in it is opened, and the records made from queued output leave in one send. Must
 * never block, and never leave decrypted bytes in scratch memory that another connection reads
 * (they are appended to the connection's own buffer at once). One thread.
 */
#include "lib/http/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/tls-internal.h"

#define IOV_MAX_OURS 32

/* Failures don't matter: the connection then lives as long as TCP lets it. */
void wire_keep_alive(int fd, int64_t dead_ns)
{
	unsigned int ms = (unsigned int)MIN(dead_ns / NS_PER_MS, (int64_t)INT32_MAX);
	int one = 1, probes = 3, seconds = (int)(ms / 4000);

	seconds = MAX(seconds, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

/* ---- OpenSSL's view of the socket ---- */

static int bio_read(BIO *bio, char *out, int n)
{
	struct wire *w = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (w->feed_n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	size_t k = MIN(w->feed_n, (size_t)n);
	memcpy(out, w->feed, k);
	w->feed += k;
	w->feed_n -= k;
	return (int)k;
}

/* Sends what is gathered; what the socket doesn't take becomes the connection's own memory. */
static int push_out(struct wire *w)
{
	struct wire_scratch *s = w->s;
	size_t sent = 0;

	while (w->pending.n == 0 && sent < s->out_n && !w->sys) {
		ssize_t k = send(w->fd, s->out + sent, s->out_n - sent, MSG_NOSIGNAL);
		if (k > 0)
			sent += (size_t)k;
		else if (k < 0 && errno == EAGAIN)
			break;
		else if (k < 0 && errno != EINTR)
			w->sys = errno;
	}
	if (sent < s->out_n && !w->sys)
		buf_put(&w->pending, s->out + sent, s->out_n - sent);
	s->out_n = 0;
	return w->sys ? -1 : 0;
}

static int bio_write(BIO *bio, const char *p, int n)
{
	struct wire *w = BIO_get_data(bio);
	size_t left = (size_t)n;

	BIO_clear_retry_flags(bio);
	while (left) {
		size_t k = MIN(left, sizeof(w->s->out) - w->s->out_n);
		memcpy(w->s->out + w->s->out_n, p, k);
		w->s->out_n += k;
		p += k;
		left -= k;
		if (w->s->out_n == sizeof(w->s->out) && push_out(w))
			return -1;
	}
	return n;
}

static long bio_ctrl(BIO *bio UNUSED, int cmd, long num UNUSED, void *ptr UNUSED)
{
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void make_bio_method(void)
{
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
	if (!bio_method)
		panic("BIO_meth_new failed");
	BIO_meth_set_read(bio_method, bio_read);
	BIO_meth_set_write(bio_method, bio_write);
	BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* Keeps the newest ticket; returning 1 takes over the reference. */
int wire_keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct wire *w = SSL_get_app_data(ssl);

	if (!w || !w->session)
		return 0;
	SSL_SESSION_free(*w->session);
	*w->session = session;
	return 1;
}

void wire_init(struct wire *w, int fd, struct wire_scratch *s, struct tls_ctx *ctx)
{
	*w = (struct wire){.fd = fd, .s = s, .ready = !ctx};
	if (!ctx)
		return;
	pthread_once(&bio_once, make_bio_method);
	w->ssl = SSL_new(ctx->ssl);
	BIO *bio = BIO_new(bio_method);
	if (!w->ssl || !bio)
		panic("out of memory for a TLS connection");
	BIO_set_data(bio, w);
	BIO_set_init(bio, 1);
	SSL_set_bio(w->ssl, bio, bio);
	SSL_set_app_data(w->ssl, w);
	if (ctx->server)
		SSL_set_accept_state(w->ssl);
	else
		SSL_set_connect_state(w->ssl);
}

int wire_expect(struct wire *w, struct tls_ctx *ctx, const char *host, struct err *err)
{
	unsigned char addr[16];
	bool is_addr = inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1;

	if (!is_addr && SSL_set_tlsext_host_name(w->ssl, host) != 1)
		return tls_err(err, ERR_BAD_REQUEST, "server name");
	if (w->session && *w->session)
		SSL_set_session(w->ssl, *w->session);
	if (ctx->insecure)
		return 0;
	X509_VERIFY_PARAM *p = SSL_get0_param(w->ssl);
	int ok = is_addr ? X509_VERIFY_PARAM_set1_ip_asc(p, host) : SSL_set1_host(w->ssl, host);
	return ok == 1 ? 0 : tls_err(err, ERR_BAD_REQUEST, "server name");
}

bool wire_stuck(const struct wire *w)
{
	return w->pending.n > 0;
}

/* Older ciphertext first, then what was just made. */
static enum wire_result drain(struct wire *w)
{
	size_t sent = 0;

	while (sent < w->pending.n && !w->sys) {
		ssize_t k = send(w->fd, w->pending.p + sent, w->pending.n - sent, MSG_NOSIGNAL);
		if (k > 0)
			sent += (size_t)k;
		else if (k < 0 && errno == EAGAIN)
			break;
		else if (k < 0 && errno != EINTR)
			w->sys = errno;
	}
	if (sent)
		buf_consume(&w->pending, sent);
	if (w->pending.n == 0)
		buf_release(&w->pending);
	if (w->s->out_n)
		push_out(w);
	if (w->sys)
		return WIRE_BROKEN;
	return w->pending.n ? WIRE_AGAIN : WIRE_OK;
}

enum wire_result wire_handshake(struct wire *w)
{
	ERR_clear_error();
	int r = SSL_do_handshake(w->ssl);
	int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(w->ssl, r);

	/* Also when it failed: the alert says why to the peer. */
	if (drain(w) == WIRE_BROKEN)
		return WIRE_BROKEN;
	if (r == 1) {
		w->ready = true;
		return WIRE_OK;
	}
	return e == SSL_ERROR_WANT_READ ? WIRE_AGAIN : WIRE_BROKEN;
}

static enum wire_result open_records(struct wire *w, struct buf *in)
{
	for (;;) {
		ERR_clear_error();
		int n = SSL_read(w->ssl, w->s->plain, sizeof(w->s->plain));
		if (n > 0) {
			buf_put(in, w->s->plain, (size_t)n);
			continue;
		}
		int e = SSL_get_error(w->ssl, n);
		if (drain(w) == WIRE_BROKEN)
			return WIRE_BROKEN;
		if (e == SSL_ERROR_WANT_READ)
			return WIRE_OK;
		if (e == SSL_ERROR_ZERO_RETURN) {
			w->eof = w->clean = true;
			return WIRE_EOF;
		}
		return WIRE_BROKEN;
	}
}

enum wire_result wire_read(struct wire *w, struct buf *in)
{
	ssize_t n = recv(w->fd, w->s->in, sizeof(w->s->in), 0);

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return WIRE_AGAIN;
		w->sys = errno;
		return WIRE_BROKEN;
	}
	if (n == 0) {
		w->eof = true;
		w->clean |= !w->ssl;
		return WIRE_EOF;
	}
	if (!w->ssl) {
		buf_put(in, w->s->in, (size_t)n);
		return WIRE_OK;
	}
	w->feed = w->s->in;
	w->feed_n = (size_t)n;
	enum wire_result r = w->ready ? WIRE_OK : wire_handshake(w);
	if (w->ready && r == WIRE_OK)
		r = open_records(w, in);
	w->feed_n = 0;
	return r == WIRE_AGAIN ? WIRE_OK : r;
}

/* The next bytes of q as one piece of at most a record; gathered when they lie apart. */
static const char *next_piece(struct outq *q, char *scratch, size_t *ret_n)
{
	const struct outseg *s = &q->v[q->head];
	const char *p = s->block ? s->block->data.p + s->at : q->text.p + q->text_at;
	size_t n = 0, text_at = q->text_at;

	if (s->n >= WIRE_RECORD || s->n == q->bytes || q->apart) {
		*ret_n = MIN(s->n, (size_t)WIRE_RECORD);
		return p;
	}
	for (size_t i = q->head; i < q->n && n < WIRE_RECORD; i++) {
		s = &q->v[i];
		p = s->block ? s->block->data.p + s->at : q->text.p + text_at;
		size_t k = MIN(s->n, WIRE_RECORD - n);
		memcpy(scratch + n, p, k);
		n += k;
		if (!s->block)
			text_at += k;
	}
	*ret_n = n;
	return scratch;
}

static enum wire_result write_tls(struct wire *w, struct outq *q, size_t max)
{
	size_t sent = 0, n;

	if (!w->ready)
		return WIRE_AGAIN;
	if (wire_stuck(w)) {
		enum wire_result r = drain(w);
		if (r != WIRE_OK)
			return r;
	}
	while (q->bytes && w->pending.n == 0 && sent < max) {
		const char *p = next_piece(q, w->s->plain, &n);
		ERR_clear_error();
		if (SSL_write(w->ssl, p, (int)n) != (int)n)
			return WIRE_BROKEN;
		outq_consume(q, n);
		sent += n;
	}
	enum wire_result r = drain(w);
	return r == WIRE_OK && q->bytes ? WIRE_AGAIN : r;
}

static size_t gather(const struct outq *q, struct iovec iov[IOV_MAX_OURS])
{
	size_t n = 0, text_at = q->text_at;

	for (size_t i = q->head; i < q->n && n < IOV_MAX_OURS; i++) {
		const struct outseg *s = &q->v[i];
		const char *p = s->block ? s->block->data.p + s->at : q->text.p + text_at;
		iov[n++] = (struct iovec){(void *)(uintptr_t)p, s->n};
		if (!s->block)
			text_at += s->n;
	}
	return n;
}

static enum wire_result write_plain(struct wire *w, struct outq *q, size_t max)
{
	struct iovec iov[IOV_MAX_OURS];
	size_t sent = 0;

	while (q->bytes && sent < max) {
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = gather(q, iov)};
		ssize_t k = sendmsg(w->fd, &m, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN)
			return WIRE_AGAIN;
		if (k < 0) {
			w->sys = errno;
			return WIRE_BROKEN;
		}
		outq_consume(q, (size_t)k);
		sent += (size_t)k;
	}
	return q->bytes ? WIRE_AGAIN : WIRE_OK;
}

enum wire_result wire_write(struct wire *w, struct outq *q, size_t max)
{
	return w->ssl ? write_tls(w, q, max) : write_plain(w, q, max);
}

void wire_finish(struct wire *w)
{
	if (w->fd < 0)
		return;
	if (w->ssl && w->ready && !w->sys && w->pending.n == 0) {
		ERR_clear_error();
		SSL_shutdown(w->ssl);
		drain(w);
	}
	shutdown(w->fd, SHUT_WR);
}

void wire_close(struct wire *w)
{
	if (w->fd < 0)
		return;
	if (w->ssl && w->ready && !w->sys && w->pending.n == 0) {
		ERR_clear_error();
		SSL_shutdown(w->ssl);
		drain(w);
	}
	SSL_free(w->ssl);
	w->ssl = NULL;
	ERR_clear_error();
	close(w->fd);
	w->fd = -1;
	buf_release(&w->pending);
}

int wire_err(const struct wire *w, struct err *err, const char *what)
{
	long verify = w->ssl ? SSL_get_verify_result(w->ssl) : X509_V_OK;

	if (w->sys) {
		errno = w->sys;
		err_sys(err, "%s", what);
		if (err)
			err->code = ERR_UNAVAILABLE;
		return -1;
	}
	if (verify != X509_V_OK && !w->ready)
		return err_set(err, ERR_UNAVAILABLE, "%s: certificate: %s", what,
			       X509_verify_cert_error_string(verify));
	if (w->eof)
		return err_set(err, ERR_UNAVAILABLE, "%s: connection closed", what);
	return tls_err(err, ERR_UNAVAILABLE, what);
}
