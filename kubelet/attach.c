/*
 * kubectl attach: a running container's own streams, which conmon holds. It listens on a socket
 * `attach` in the container's folder; what it sends are packets with the stream's number first,
 * what it gets is the container's input, and the end of that closes the input if it is to be given
 * once. Otherwise it is the session that ends with the client's input, as with other runtimes: the
 * container reads on, for the next who attaches. The terminal's size goes to its fifo `ctl`. What
 * was said before is not told again (that is what logs are for).
 *
 * conmon waits for whoever listens, and the container for conmon: so must never be left unread for
 * long; a client that doesn't read for STALL_NS is let go. On the kubelet's loop; a session ends
 * with its container or its client.
 */
#include "kubelet/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kubelet/exec.h"
#include "kubelet/streams.h"
#include "lib/base/timefmt.h"

#define STALL_NS (30 * NS_PER_S)
#define STDIN_HIGH (1 << 20)
#define SIZE_NS (50 * NS_PER_MS)
#define SIZE_MAX_CONMON 1000u /* it takes no more */
#define PACKET_OUT 8192       /* conmon cuts what is longer than its buffer */
#define PACKET_IN 65536
#define PIPE_STDOUT 2 /* conmon's numbers */
#define PIPE_STDERR 3

struct session {
	struct kubelet *k;
	struct streams *st;
	struct loop_fd sock;
	struct loop_timer stalled, size_timer;
	unsigned cols, rows;
	struct buf to_stdin;
	char *ctl;
	bool tty, in_ends, in_ended, full, size_waits;
	bool lasts; /* longer than the client's input */
};

static void session_free(struct session *s)
{
	loop_timer_cancel(s->k->loop, &s->stalled);
	loop_timer_cancel(s->k->loop, &s->size_timer);
	loop_fd_del(s->k->loop, &s->sock);
	fd_cleanup(&s->sock.fd);
	buf_wipe(&s->to_stdin);
	free(s->ctl);
	free(s);
}

/* Watches for what can be done now. */
static void watch(struct session *s)
{
	bool to_write = s->to_stdin.n || (s->in_ends && !s->in_ended);
	uint32_t events = (s->full ? 0u : (uint32_t)EPOLLIN) | (to_write ? (uint32_t)EPOLLOUT : 0u);

	if (events)
		(void)!loop_fd_set(s->k->loop, &s->sock, events, NULL);
	else
		loop_fd_del(s->k->loop, &s->sock);
}

/* ---- from the container ---- */

static void on_stalled(struct loop *l, struct loop_timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, stalled);

	(void)l;
	streams_drop(s->st);
	session_free(s);
}

/* False at the container's end. */
static bool pass_some(struct session *s)
{
	char packet[PACKET_IN];
	ssize_t n = recv(s->sock.fd, packet, sizeof(packet), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	struct str data = {packet + 1, (size_t)n - 1};
	if (packet[0] == PIPE_STDOUT)
		streams_send(s->st, STREAM_OUT, data);
	else if (packet[0] == PIPE_STDERR)
		streams_send(s->st, STREAM_ERR, data);
	if (streams_full(s->st)) {
		s->full = true;
		loop_timer_set(s->k->loop, &s->stalled, STALL_NS, on_stalled);
	}
	return true;
}

static void on_drained(void *arg)
{
	struct session *s = arg;

	s->full = false;
	loop_timer_cancel(s->k->loop, &s->stalled);
	watch(s);
}

/* ---- to the container ---- */

static void write_some(struct session *s)
{
	struct str part = str_sub(buf_view(&s->to_stdin), 0, PACKET_OUT);

	if (part.n) {
		ssize_t n = send(s->sock.fd, part.p, part.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* Nobody takes it any more: the end comes by reading. */
		buf_consume(&s->to_stdin, n < 0 ? s->to_stdin.n : (size_t)n);
	}
	if (s->to_stdin.n)
		return;
	streams_pause(s->st, false);
	if (s->in_ends && !s->in_ended) {
		s->in_ended = true;
		if (s->lasts)
			(void)!shutdown(s->sock.fd, SHUT_WR);
	}
}

static void on_socket(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct session *s = CONTAINER_OF(w, struct session, sock);

	(void)l;
	if (ready & EPOLLOUT)
		write_some(s);
	if (((ready & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !s->full && !pass_some(s)) ||
	    (s->in_ended && !s->lasts)) {
		streams_exit(s->st, 0);
		session_free(s);
		return;
	}
	watch(s);
}

static void on_input(void *arg, struct str data)
{
	struct session *s = arg;

	if (s->in_ended)
		return;
	buf_str(&s->to_stdin, data);
	if (s->to_stdin.n > STDIN_HIGH)
		streams_pause(s->st, true);
	if (s->sock.events || s->full)
		watch(s);
}

static void on_input_ended(void *arg)
{
	struct session *s = arg;

	s->in_ends = true;
	if (s->sock.events || s->full)
		watch(s);
}

static void on_size_time(struct loop *l, struct loop_timer *t);

/* conmon loses a line that it reads together with another: one at a time, the last one counts. */
static void tell_size(struct session *s)
{
	AUTO(fd) int fd = open(s->ctl, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	char line[64];
	int n = snprintf(line, sizeof(line), "1 %u %u\n", s->rows, s->cols);

	s->size_waits = false;
	if (fd >= 0)
		(void)!write(fd, line, (size_t)n);
	loop_timer_set(s->k->loop, &s->size_timer, SIZE_NS, on_size_time);
}

static void on_size_time(struct loop *l, struct loop_timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, size_timer);

	(void)l;
	if (s->size_waits)
		tell_size(s);
}

static void on_resized(void *arg, unsigned short cols, unsigned short rows)
{
	struct session *s = arg;

	s->cols = MIN(cols, SIZE_MAX_CONMON);
	s->rows = MIN(rows, SIZE_MAX_CONMON);
	s->size_waits = s->tty;
	if (s->tty && !loop_timer_armed(&s->size_timer))
		tell_size(s);
}

/* ---- its start and end ---- */

static void on_ready(void *arg)
{
	watch(arg);
}

static void on_gone(void *arg)
{
	session_free(arg);
}

static const struct streams_ops streams_ops = {on_ready,   on_input,   on_input_ended,
					       on_resized, on_drained, on_gone};

/* The folder's path may be longer than a socket's name: it is named by descriptor. */
static int connect_to(const char *dir, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO(fd) int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/attach", at);
	if (fd >= 0 && at >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	err_sys(err, "attach to the container");
	fd_cleanup(&fd);
	return -1;
}

void attach_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	struct streams_want want = streams_wanted(r);
	struct attempt *at = exec_find(k, r, rest);
	struct err err = {0};

	if (!at)
		return;
	const struct json *c = at->p->spec.c[at->i].json;
	struct session *s = xalloc(sizeof(*s));
	*s = (struct session){.k = k, .sock = {.fn = on_socket}};
	s->tty = json_bool(json_at(c, "tty"), false);
	/* A terminal's input has no end. */
	s->lasts = !json_bool(json_at(c, "stdin"), false) ||
		   (json_bool(json_at(c, "stdinOnce"), false) && !s->tty);
	s->ctl = xasprintf("%s/ctl", at->dir);
	/* Before the answer: what the container says behind it is not missed. */
	s->sock.fd = connect_to(at->dir, &err);
	if (s->sock.fd < 0)
		http_reply_bytes(r,
				 &(struct http_reply){.status = 500, .content_type = "text/plain"},
				 str_c(err.msg));
	else
		s->st = streams_accept(k->loop, r, want, &streams_ops, s);
	if (!s->st)
		session_free(s);
}
