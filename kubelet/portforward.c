/*
 * kubectl port-forward: for each pair of streams (data, errors) a connection to localhost inside
 * the pod's network namespace. Must never hold more of a client's bytes than BUFFERED_HIGH for all
 * its connections together: over that the client is held back, and with it, as SPDY's peers know no
 * windows, all of its streams. What the pod sends waits in the pod's own socket while the client is
 * slow. On the kubelet's loop, which enters the namespace for the instant of making a socket;
 * everything here is owned by the client's connection and ends with it.
 */
#include "kubelet/portforward.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubelet/upgrade.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/spdy.h"

#define PAIR_NS (30 * NS_PER_S) /* for the second stream of a pair to come */
#define PAIRS_MAX 256
#define PORTS_MAX 16 /* by WebSocket channels */
#define BUFFERED_HIGH (4 << 20)
#define BUFFERED_LOW (1 << 20)
#define CHUNK 32768
#define REQUEST_MAX 64

struct forward {
	struct kubelet *k;
	struct upgrade *up;
	struct spdy *spdy;       /* NULL = channels */
	char *pod, *uid, *netns; /* netns NULL = the node's own */
	struct list pairs;
	size_t npairs, buffered;
	bool base64, full, paused;
	struct loop_timer start; /* channels: connects in a turn of its own */
};

/* One connection. Streams are SPDY's numbers, or channels + 1; 0 = not there yet. */
struct pair {
	struct forward *f;
	struct list node;
	char request[REQUEST_MAX];
	uint32_t data, error;
	uint16_t port;
	struct loop_fd sock;
	struct loop_timer late;
	struct buf to_pod;
	bool connecting, v6, in_ends, in_ended;
};

/* ---- what goes out ---- */

static void flush(struct forward *f)
{
	struct buf *out = spdy_out(f->spdy);

	if (out->n)
		upgrade_write(f->up, buf_view(out));
	buf_reset(out);
}

static void send_to(struct forward *f, uint32_t stream, struct str data)
{
	AUTO(buf) struct buf text = {0};

	if (f->spdy) {
		spdy_send(f->spdy, stream, data);
		flush(f);
	} else if (f->base64) {
		base64_encode(data, &text);
		upgrade_message(f->up, WS_TEXT, '0' + (int)stream - 1, buf_view(&text));
	} else {
		upgrade_message(f->up, WS_BINARY, (int)stream - 1, data);
	}
}

/* ---- a pair's end ---- */

static void pair_free(struct pair *p)
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

static void forward_free(struct forward *f)
{
	LIST_FOREACH (it, &f->pairs) {
		f->paused = false; /* there is nobody left to wake */
		pair_free(CONTAINER_OF(it, struct pair, node));
	}
	loop_timer_cancel(f->k->loop, &f->start);
	spdy_free(f->spdy);
	free(f->pod);
	free(f->uid);
	free(f->netns);
	free(f);
}

/* The connection is over: both streams end. Without SPDY the client's connection ends with its last
 * port. */
static void pair_finish(struct pair *p)
{
	struct forward *f = p->f;

	if (f->spdy) {
		spdy_end(f->spdy, p->data);
		spdy_end(f->spdy, p->error);
		flush(f);
	}
	pair_free(p);
	if (f->spdy || f->npairs)
		return;
	upgrade_end(f->up);
	forward_free(f);
}

static void pair_fail(struct pair *p, const char *why)
{
	struct forward *f = p->f;
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "error forwarding port %u to pod %s, uid %s: %s", p->port, f->pod, f->uid,
		   why);
	send_to(f, p->error, buf_view(&text));
	pair_finish(p);
}

/* ---- the pod's side ---- */

static void watch(struct pair *p)
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
static void pair_connect(struct pair *p, int sys)
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
			watch(p);
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
	send_to(f, p->data, (struct str){chunk, (size_t)n});
	if (!upgrade_full(f->up))
		return true;
	f->full = true;
	LIST_FOREACH (it, &f->pairs)
		watch(CONTAINER_OF(it, struct pair, node));
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
	watch(p);
}

/* ---- the client's side ---- */

static void on_late(struct loop *l, struct loop_timer *t)
{
	struct pair *p = CONTAINER_OF(t, struct pair, late);

	(void)l;
	if (p->error)
		pair_fail(p, "timed out waiting for streams");
	else
		pair_finish(p);
}

static struct pair *pair_new(struct forward *f, uint16_t port)
{
	struct pair *p = xalloc(sizeof(*p));

	*p = (struct pair){.f = f, .port = port, .sock = {.fd = -1, .fn = on_socket}};
	list_append(&f->pairs, &p->node);
	f->npairs++;
	return p;
}

static struct pair *pair_find(struct forward *f, uint32_t stream)
{
	LIST_FOREACH (it, &f->pairs) {
		struct pair *p = CONTAINER_OF(it, struct pair, node);
		if (stream && (p->data == stream || p->error == stream))
			return p;
	}
	return NULL;
}

static void pair_input(struct pair *p, struct str data)
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
		watch(p);
}

/* ---- SPDY ---- */

static int read_port(struct str s, uint16_t *ret)
{
	uint64_t n;

	if (str_to_u64(s, &n) || n < 1 || n > UINT16_MAX)
		return -1;
	*ret = (uint16_t)n;
	return 0;
}

/* Old clients give no number to their requests: the pair's streams follow each other then. */
static void request_of(const struct http_headers *h, uint32_t id, bool data, char out[REQUEST_MAX])
{
	struct str request = http_header(h, "requestid");

	if (request.n)
		snprintf(out, REQUEST_MAX, "%.*s", (int)MIN(request.n, REQUEST_MAX - 1U),
			 request.p);
	else
		snprintf(out, REQUEST_MAX, "stream %u", data ? id - 2 : id);
}

static void on_connect(struct loop *l, struct loop_timer *t)
{
	(void)l;
	pair_connect(CONTAINER_OF(t, struct pair, late), 0);
}

static bool on_opened(void *arg, uint32_t id, const struct http_headers *h)
{
	struct forward *f = arg;
	struct str type = http_header(h, "streamtype");
	bool data = str_is(type, "data");
	char request[REQUEST_MAX];
	struct pair *p = NULL;
	uint16_t port;

	if (read_port(http_header(h, "port"), &port) || (!data && !str_is(type, "error")))
		return false;
	request_of(h, id, data, request);
	LIST_FOREACH (it, &f->pairs) {
		struct pair *one = CONTAINER_OF(it, struct pair, node);
		if (!strcmp(one->request, request) && !(data ? one->data : one->error))
			p = one;
	}
	if (!p && f->npairs >= PAIRS_MAX)
		return false;
	if (!p) {
		p = pair_new(f, port);
		memcpy(p->request, request, sizeof(request));
		loop_timer_set(f->k->loop, &p->late, PAIR_NS, on_late);
	}
	*(data ? &p->data : &p->error) = id;
	if (data)
		p->port = port;
	/* In a turn of its own: the streams' replies go out first. */
	if (p->data && p->error)
		loop_timer_set(f->k->loop, &p->late, 0, on_connect);
	return true;
}

static void on_stream_data(void *arg, uint32_t id, struct str data)
{
	struct pair *p = pair_find(arg, id);

	if (p && p->data == id)
		pair_input(p, data);
}

static void on_stream_end(void *arg, uint32_t id)
{
	struct pair *p = pair_find(arg, id);

	if (!p || p->data != id)
		return;
	p->in_ends = true;
	if (!p->connecting)
		watch(p);
}

static void on_stream_reset(void *arg, uint32_t id)
{
	struct forward *f = arg;
	struct pair *p = pair_find(f, id);

	if (!p)
		return;
	/* The client has done with this connection; it still reads the errors to their end. */
	spdy_end(f->spdy, p->error);
	spdy_end(f->spdy, p->data);
	pair_free(p);
}

static const struct spdy_ops spdy_ops = {on_opened, on_stream_data, on_stream_end, on_stream_reset};

/* ---- channels ---- */

static int on_message(struct forward *f, struct str m)
{
	AUTO(buf) struct buf text = {0};
	struct str data = str_sub(m, 1, m.n);

	if (!m.n)
		return 0;
	unsigned channel = (unsigned char)m.p[0];
	if (f->base64) {
		if (base64_decode(data, &text))
			return -1;
		data = buf_view(&text);
		channel -= '0';
	}
	struct pair *p = pair_find(f, channel + 1);
	if (p && p->data == channel + 1)
		pair_input(p, data);
	return 0;
}

static void on_channels(struct loop *l, struct loop_timer *t)
{
	struct forward *f = CONTAINER_OF(t, struct forward, start);

	(void)l;
	/* Each channel begins with its port, little endian. */
	LIST_FOREACH (it, &f->pairs) {
		struct pair *p = CONTAINER_OF(it, struct pair, node);
		const char port[2] = {(char)(p->port & 0xff), (char)(p->port >> 8)};
		send_to(f, p->data, (struct str){port, 2});
		send_to(f, p->error, (struct str){port, 2});
		loop_timer_set(f->k->loop, &p->late, 0, on_connect);
	}
}

/* ---- the connection ---- */

static int on_data(void *arg, struct str data)
{
	struct forward *f = arg;
	int rc;

	if (!f->spdy)
		return on_message(f, data);
	rc = spdy_feed(f->spdy, data, &(struct err){0});
	flush(f);
	return rc;
}

static void on_drained(void *arg)
{
	struct forward *f = arg;

	f->full = false;
	LIST_FOREACH (it, &f->pairs)
		watch(CONTAINER_OF(it, struct pair, node));
}

static void on_gone(void *arg)
{
	forward_free(arg);
}

static const struct upgrade_ops upgrade_ops = {on_data, on_drained, on_gone};

static void reply(struct http_req *r, int status, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 text);
}

/* The ports that channels are for: ?ports=80&ports=81, or ?port=80,81. */
static int read_ports(struct forward *f, struct http_req *r)
{
	static const char *const names[] = {"ports", "port"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str value, one;
		size_t pos = 0;
		while ((value = http_query_next(&r->arena, r->query, names[i], &pos)).p) {
			while (str_next(&value, ',', &one)) {
				uint16_t port;
				if (f->npairs >= PORTS_MAX || read_port(one, &port))
					return -1;
				struct pair *p = pair_new(f, port);
				p->data = (uint32_t)(2 * f->npairs - 1);
				p->error = p->data + 1;
			}
		}
	}
	return f->npairs ? 0 : -1;
}

static struct pod *find_running(struct kubelet *k, struct str rest)
{
	struct str ns = STR_NONE, name = STR_NONE;
	struct map_iter it = {0};

	(void)(str_next(&rest, '/', &ns) && str_next(&rest, '/', &name));
	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (str_eq(p->spec.namespace, ns) && str_eq(p->spec.name, name) &&
		    p->obs.sandbox.state == PART_READY && !p->obs.torn_down)
			return p;
	}
	return NULL;
}

/* By name: the first is SPDY's own, the second the same in WebSocket messages. */
static const char *const ws_names[] = {"SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io",
				       "v4.base64.channel.k8s.io", NULL};
static const char *const spdy_names[] = {"portforward.k8s.io", NULL};

static void start(struct forward *f, struct http_req *r, enum upgrade_kind kind, int which)
{
	const char *const *names = kind == UPGRADE_WEBSOCKET ? ws_names : spdy_names;
	bool channels = kind == UPGRADE_WEBSOCKET && which != 0;

	f->base64 = channels && which == 2;
	if (channels && read_ports(f, r)) {
		reply(r, 400, STR("query parameter \"ports\" must name up to 16 ports"));
		forward_free(f);
		return;
	}
	f->up = upgrade_accept(f->k->loop, r,
			       &(struct upgrade_opts){.kind = kind,
						      .protocol = which < 0 ? NULL : names[which],
						      .ops = &upgrade_ops,
						      .arg = f});
	if (channels)
		loop_timer_set(f->k->loop, &f->start, 0, on_channels);
	else
		f->spdy = spdy_new(&spdy_ops, f);
}

void portforward_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	enum upgrade_kind kind = upgrade_asked(r);
	int which = upgrade_choose(r, kind, kind == UPGRADE_WEBSOCKET ? ws_names : spdy_names);
	const struct pod *pod = find_running(k, rest);
	struct forward *f;

	if (kind == UPGRADE_KIND_MAX || which == -2) {
		reply(r, which == -2 ? 403 : 400,
		      which == -2 ? STR("unable to upgrade: unable to negotiate protocol")
				  : STR("Upgrade request required"));
		return;
	}
	if (!pod) {
		reply(r, 404, STR("pod not found or not running"));
		return;
	}
	f = xalloc(sizeof(*f));
	*f = (struct forward){.k = k, .pod = xstrndup(pod->spec.name.p, pod->spec.name.n)};
	f->uid = xstrdup(pod->uid);
	if (!pod->spec.host_network)
		f->netns = xasprintf("%s/netns", pod->dir);
	list_init(&f->pairs);
	start(f, r, kind, which);
}
