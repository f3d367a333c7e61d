/*
 * Questions over TCP: each behind its length, several one after another. Few connections, short
 * patience, bounded buffers. On the loop.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "proxy/dns-internal.h"

enum { CONNS_MAX = 128, OUT_MAX = 4 * DNS_MESSAGE_MAX };
#define PATIENCE_NS (10 * NS_PER_S)

struct dns_conn {
	struct list all;
	struct dns *d;
	struct loop_fd fd;
	struct loop_timer idle;
	struct buf in, out;
};

static void conn_free(struct dns_conn *c)
{
	dns_forward_forget(c->d, c);
	list_remove(&c->all);
	c->d->nconns--;
	loop_timer_cancel(c->d->loop, &c->idle);
	loop_fd_del(c->d->loop, &c->fd);
	close(c->fd.fd);
	buf_release(&c->in);
	buf_release(&c->out);
	free(c);
}

static void on_idle(struct loop *l, struct loop_timer *t)
{
	(void)l;
	conn_free(CONTAINER_OF(t, struct dns_conn, idle));
}

/* -1 = the connection is broken. */
static int flush(struct dns_conn *c)
{
	struct err err = {0};

	while (c->out.n) {
		ssize_t n = send(c->fd.fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -1;
		buf_consume(&c->out, (size_t)n);
	}
	return loop_fd_set(c->d->loop, &c->fd, EPOLLIN | (c->out.n ? EPOLLOUT : 0u), &err);
}

void dns_tcp_reply(struct dns_conn *c, struct str message)
{
	if (c->out.n + message.n + 2 > OUT_MAX)
		return; /* it asks and doesn't listen */
	buf_putc(&c->out, (char)(message.n >> 8));
	buf_putc(&c->out, (char)(message.n & 0xff));
	buf_str(&c->out, message);
	/* Sent by on_conn: here the asker's connection must not end. */
	(void)!loop_fd_set(c->d->loop, &c->fd, EPOLLIN | EPOLLOUT, NULL);
}

static void questions(struct dns_conn *c)
{
	const struct dns_client who = {.conn = c};

	while (c->in.n >= 2) {
		size_t n = (size_t)(unsigned char)c->in.p[0] << 8 | (unsigned char)c->in.p[1];

		if (c->in.n < n + 2)
			return;
		dns_question(c->d, &who, (struct str){c->in.p + 2, n});
		buf_consume(&c->in, n + 2);
	}
}

static void on_conn(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct dns_conn *c = CONTAINER_OF(w, struct dns_conn, fd);
	char in[4096];
	ssize_t n = 1;

	if (ready & EPOLLIN) {
		n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT);
		if (n > 0) {
			buf_put(&c->in, in, (size_t)n);
			loop_timer_set(l, &c->idle, PATIENCE_NS, on_idle);
			questions(c);
		}
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) || (ready & (EPOLLERR | EPOLLHUP)) || flush(c))
		conn_free(c);
}

static void on_listen(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct dns *d = CONTAINER_OF(w, struct dns, tcp);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct dns_conn *c;
	struct err err = {0};

	(void)ready;
	if (fd < 0)
		return;
	if (d->nconns >= CONNS_MAX) {
		close(fd);
		return;
	}
	c = xalloc(sizeof(*c));
	c->d = d;
	c->fd = (struct loop_fd){.fd = fd, .fn = on_conn};
	list_append(&d->conns, &c->all);
	d->nconns++;
	loop_timer_set(l, &c->idle, PATIENCE_NS, on_idle);
	if (loop_fd_set(l, &c->fd, EPOLLIN, &err))
		conn_free(c);
}

int dns_tcp_start(struct dns *d, struct err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(d->o.port),
				 .sin_addr.s_addr = htonl(d->o.address)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	d->tcp = (struct loop_fd){.fd = fd, .fn = on_listen};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64))
		return err_sys(err, "listen for DNS over TCP");
	return loop_fd_set(d->loop, &d->tcp, EPOLLIN, err);
}

void dns_tcp_stop(struct dns *d)
{
	LIST_FOREACH (it, &d->conns)
		conn_free(CONTAINER_OF(it, struct dns_conn, all));
	if (d->tcp.fd < 0)
		return;
	loop_fd_del(d->loop, &d->tcp);
	close(d->tcp.fd);
}
