/*
 * One listener a Service. Whoever comes sends a request's head, whatever it says, and gets the
 * answer: few connections, short patience, bounded buffers. Must never hold up the dataplane. On
 * the loop; owns its listeners and connections.
 */
#include "proxy/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/json/json.h"

enum { CONNS_MAX = 64, HEAD_MAX = 8192 };
#define PATIENCE_NS (5 * NS_PER_S)

struct health {
	struct loop *loop;
	struct map services; /* key → struct service_health */
	struct list conns;
	size_t nconns;
};

struct service_health {
	struct health *h;
	struct loop_fd fd;
	char *key;
	uint16_t port;
	size_t local;
};

struct conn {
	struct list all;
	struct health *h;
	struct service_health *s; /* NULL = it is gone */
	struct loop_fd fd;
	struct loop_timer patience;
	struct buf in;
	bool told; /* answered: what still comes is read until the other end closes */
};

static void conn_free(struct conn *c)
{
	list_remove(&c->all);
	c->h->nconns--;
	loop_timer_cancel(c->h->loop, &c->patience);
	loop_fd_del(c->h->loop, &c->fd);
	close(c->fd.fd);
	buf_release(&c->in);
	free(c);
}

static void on_patience(struct loop *l, struct loop_timer *t)
{
	(void)l;
	conn_free(CONTAINER_OF(t, struct conn, patience));
}

static void answer(struct conn *c)
{
	size_t local = c->s ? c->s->local : 0;
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0}, out = {0};
	struct str namespace, name;

	str_cut(str_c(c->s ? c->s->key : "/"), '/', &namespace, &name);
	json_write(json_build(&a, "{s:{s:S,s:S},s:I,s:b}", "service", "namespace", namespace,
			      "name", name, "localEndpoints", (int64_t)local, "serviceProxyHealthy",
			      1),
		   &body);
	buf_printf(&out,
		   "HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Content-Type-Options: "
		   "nosniff\r\nX-Load-Balancing-Endpoint-Weight: %zu\r\nConnection: close\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   local ? "200 OK" : "503 Service Unavailable", local, body.n);
	if (!str_starts(buf_view(&c->in), STR("HEAD ")))
		buf_str(&out, buf_view(&body));
	/* Less than any socket's buffer: all or nothing. */
	(void)!send(c->fd.fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(c->fd.fd, SHUT_WR);
	c->told = true;
}

static void on_conn(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct conn *c = CONTAINER_OF(w, struct conn, fd);
	char in[2048];
	ssize_t n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT);

	(void)l;
	(void)ready;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || c->in.n > HEAD_MAX) {
		conn_free(c);
		return;
	}
	buf_put(&c->in, in, (size_t)n);
	if (!c->told && str_find(buf_view(&c->in), STR("\r\n\r\n")) >= 0)
		answer(c);
}

static void on_listen(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct service_health *s = CONTAINER_OF(w, struct service_health, fd);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c;

	(void)ready;
	if (fd < 0)
		return;
	if (s->h->nconns >= CONNS_MAX) {
		close(fd);
		return;
	}
	c = xalloc(sizeof(*c));
	c->h = s->h;
	c->s = s;
	c->fd = (struct loop_fd){.fd = fd, .fn = on_conn};
	list_append(&s->h->conns, &c->all);
	s->h->nconns++;
	loop_timer_set(l, &c->patience, PATIENCE_NS, on_patience);
	if (loop_fd_set(l, &c->fd, EPOLLIN, NULL))
		conn_free(c);
}

static int start_listening(struct service_health *s, struct err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(s->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	s->fd = (struct loop_fd){.fd = fd, .fn = on_listen};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 16))
		return err_sys(err, "listen at a health check's port");
	return loop_fd_set(s->h->loop, &s->fd, EPOLLIN, err);
}

static void service_free(struct service_health *s)
{
	LIST_FOREACH (it, &s->h->conns) {
		struct conn *c = CONTAINER_OF(it, struct conn, all);

		if (c->s == s)
			c->s = NULL;
	}
	if (s->fd.fd >= 0) {
		loop_fd_del(s->h->loop, &s->fd);
		close(s->fd.fd);
	}
	free(s->key);
	free(s);
}

void health_set(struct health *h, struct str key, uint16_t port, size_t local)
{
	struct service_health *s = map_get(&h->services, key);
	struct err err = {0};

	if (s && s->port == port) {
		s->local = local;
		return;
	}
	if (s) {
		map_del(&h->services, key);
		service_free(s);
	}
	if (!port)
		return;
	s = xalloc(sizeof(*s));
	s->h = h;
	s->port = port;
	s->local = local;
	s->key = xstrndup(key.p, key.n);
	if (start_listening(s, &err)) {
		log_warn("no health checks for a Service", "service", s->key, "because", err.msg);
		service_free(s);
		return;
	}
	map_set(&h->services, key, s);
}

struct health *health_new(struct loop *l)
{
	struct health *h = xalloc(sizeof(*h));

	h->loop = l;
	list_init(&h->conns);
	return h;
}

void health_free(struct health *h)
{
	struct map_iter it = {0};

	if (!h)
		return;
	LIST_FOREACH (it2, &h->conns)
		conn_free(CONTAINER_OF(it2, struct conn, all));
	while (map_next(&h->services, &it))
		service_free(it.value);
	map_release(&h->services);
	free(h);
}
