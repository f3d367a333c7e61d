/*
 * One forwarded connection: to localhost inside the pod's network namespace, its bytes both ways.
 * Must never hold more of a client's bytes than BUFFERED_HIGH for all its connections together:
 * over that the client is held back, and with it, as SPDY's peers know no windows, all of its
 * streams. What the pod sends waits in the pod's own socket while the client is slow. On the
 * kubelet's loop, which enters the namespace for the instant of making a socket.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubelet/portforward-internal.h"

#define BUFFERED_HIGH (4 << 20)
#define BUFFERED_LOW (1 << 20)
#define CHUNK 32768

/* ---- a pair's end ---- */

void pair_free(struct pair *p)
{
	struct forward *f = p->f;

	loop_timer_cancel(f->k->loop, &p->late);
	if (p->sock.fd >= 0) {
		loop_fd_del(f->k->loop, &p->sock);
		close(p->sock.fd);
	}
	list_remove(&p->node);
	f->npairs--;
	f->buffered -= p->to_pod.n;
	buf_release(&p->to_pod);
	free(p);
	if (f->paused && f->buffered < BUFFERED_LOW) {
		f->paused = false;
		upgrade_pause(f->up, false);
	}
}

/* The connection is over: both streams end. Without SPDY the client's connection ends with its last
 * port. */
void pair_finish(struct pair *p)
{
	struct forward *f = p->f;

	if (f->spdy) {
		spdy_end(f->spdy, p->data);
		spdy_end(f->spdy, p->error);
		forward_flush(f);
	}
	pair_free(p);
	if (f->spdy || f->npairs)
		return;
	upgrade_end(f->up);
	forward_free(f);
}

void pair_fail(struct pair *p, const char *why)
{
	struct forward *f = p->f;
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "error forwarding port %u to pod %s, uid %s: %s", p->port, f->pod, f->uid,
		   why);
	forward_send(f, p->error, buf_view(&text));
	pair_finish(p);
}

/* ---- the pod's side ---- */

void pair_watch(struct pair *p)
{
	bool to_write = p->connecting || p->to_pod.n || (p->in_ends && !p->in_ended);
	bool to_read = !p->connecting && !p->f->full;
	uint32_t events = (to_read ? (uint32_t)EPOLLIN : 0u) | (to_write ? (uint32_t)EPOLLOUT : 0u);

	if (p->sock.fd < 0)
		return;
	if (events)
		(void)!loop_fd_set(p->f->k->loop, &p->sock, events, NULL);
	else
		loop_fd_del(p->f->k->loop, &p->sock);
}

/* Inside the pod's namespace: a socket stays in the one it was made in. */
static int make_socket(void *arg, struct err *err)
{
	struct pair *p = arg;
	int one = 1;

	p->sock.fd =
		socket(p->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->sock.fd < 0)
		return err_sys(err, "socket");
	(void)!setsockopt(p->sock.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

/* 0: under way or done; else errno, or -1 and *err says why. */
static int dial(struct pair *p, struct err *err)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET,
				 .sin_port = htons(p->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(p->port),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr *a = p->v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4;
	AUTO(fd) int ns = -1;
	int rc;

	if (!p->f->netns) {
		rc = make_socket(p, err);
	} else {
		ns = netns_open(p->f->netns, err);
		rc = ns < 0 ? -1 : netns_do(ns, make_socket, p, err);
	}
	if (rc)
		return -1;
	if (!connect(p->sock.fd, a, p->v6 ? sizeof(a6) : sizeof(a4)) || errno == EINPROGRESS)
		return 0;
	return errno;
}

static void hang_up(struct pair *p)
{
	loop_fd_del(p->f->k->loop, &p->sock);
	close(p->sock.fd);
	p->sock.fd = -1;
}

/* 127.0.0.1 first, ::1 where nobody listens there. `sys`: what came of the last try, 0 = none yet.
 * The pair may be gone afterwards. */
void pair_connect(struct pair *p, int sys)
{
	struct err err = {0};
	char why[200];

	while (!sys || !p->v6) {
		int failed = sys;
		if (p->sock.fd >= 0)
			hang_up(p);
		p->v6 = failed != 0;
		sys = dial(p, &err);
		if (!sys) {
			p->connecting = true;
			pair_watch(p);
			return;
		}
		if (sys < 0) {
			pair_fail(p, err.msg);
			return;
		}
		/* Where there is no IPv6, the first answer tells more. */
		if (p->v6 && (sys == EADDRNOTAVAIL || sys == EAFNOSUPPORT))
			sys = failed;
	}
	snprintf(why, sizeof(why), "failed to connect to localhost:%u inside the pod: %s", p->port,
		 strerrordesc_np(sys));
	pair_fail(p, why);
}

/* False when the pair is gone. */
static bool on_connected(struct pair *p)
{
	int sys = 0;
	socklen_t n = sizeof(sys);

	if (getsockopt(p->sock.fd, SOL_SOCKET, SO_ERROR, &sys, &n))
		sys = errno;
	if (sys) {
		pair_connect(p, sys);
		return false;
	}
	p->connecting = false;
	return true;
}

static void write_some(struct pair *p)
{
	struct forward *f = p->f;
	ssize_t n = 0;

	if (p->to_pod.n)
		n = send(p->sock.fd, p->to_pod.p, p->to_pod.n, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Who doesn't read any more may still have sent something: the end comes by reading. */
	size_t used = n < 0 ? p->to_pod.n : (size_t)n;
	buf_consume(&p->to_pod, used);
	f->buffered -= used;
	if (f->paused && f->buffered < BUFFERED_LOW) {
		f->paused = false;
		upgrade_pause(f->up, false);
	}
	if (p->to_pod.n || !p->in_ends || p->in_ended)
		return;
	p->in_ended = true;
	(void)!shutdown(p->sock.fd, SHUT_WR);
}

/* False when the pair is gone. */
static bool read_some(struct pair *p)
{
	struct forward *f = p->f;
	char chunk[CHUNK];
	ssize_t n = recv(p->sock.fd, chunk, sizeof(chunk), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		pair_fail(p, strerrordesc_np(errno));
		return false;
	}
	if (n == 0) {
		pair_finish(p);
		return false;
	}
	forward_send(f, p->data, (struct str){chunk, (size_t)n});
	if (!upgrade_full(f->up))
		return true;
	f->full = true;
	LIST_FOREACH (it, &f->pairs)
		pair_watch(CONTAINER_OF(it, struct pair, node));
	return true;
}

static void on_socket(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct pair *p = CONTAINER_OF(w, struct pair, sock);

	(void)l;
	if (p->connecting && !on_connected(p))
		return;
	if (ready & (EPOLLOUT | EPOLLERR))
		write_some(p);
	if ((ready & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !p->f->full && !read_some(p))
		return;
	pair_watch(p);
}

/* ---- the client's side ---- */

struct pair *pair_new(struct forward *f, uint16_t port)
{
	struct pair *p = xalloc(sizeof(*p));

	*p = (struct pair){.f = f, .port = port, .sock = {.fd = -1, .fn = on_socket}};
	list_append(&f->pairs, &p->node);
	f->npairs++;
	return p;
}

void pair_input(struct pair *p, struct str data)
{
	struct forward *f = p->f;

	if (p->in_ended)
		return;
	buf_str(&p->to_pod, data);
	f->buffered += data.n;
	if (!f->paused && f->buffered > BUFFERED_HIGH) {
		f->paused = true;
		upgrade_pause(f->up, true);
	}
	if (!p->connecting)
		pair_watch(p);
}
