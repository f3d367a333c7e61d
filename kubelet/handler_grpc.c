/*
 * A probe by gRPC: one call on a connection of its own. Must never wait for more than the answer.
 * On the kubelet's loop; everything is the handler's.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubelet/handler-internal.h"

static void fail(struct handler *h, const char *why)
{
	loop_fd_del(h->k->loop, &h->sock);
	buf_puts(&h->message, why);
	handler_finish(h, false);
}

/* False when the connection is lost; then the handler has failed. */
static bool send_rest(struct handler *h)
{
	while (h->out.n) {
		ssize_t n = send(h->sock.fd, h->out.p, h->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			fail(h, "the connection was closed");
			return false;
		}
		buf_consume(&h->out, (size_t)n);
	}
	if (loop_fd_set(h->k->loop, &h->sock, EPOLLIN | (h->out.n ? EPOLLOUT : 0), NULL)) {
		fail(h, "out of descriptors");
		return false;
	}
	return true;
}

static void on_traffic(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct handler *h = CONTAINER_OF(w, struct handler, sock);
	char chunk[4096];

	(void)l;
	if (!(ready & ~(uint32_t)EPOLLOUT)) {
		(void)send_rest(h);
		return;
	}
	ssize_t n = recv(w->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(h, "the connection was closed");
		return;
	}
	switch (grpc_feed(&h->grpc, (struct str){chunk, (size_t)n}, &h->out)) {
	case GRPC_MORE:
		(void)send_rest(h);
		return;
	case GRPC_SERVING:
		loop_fd_del(h->k->loop, &h->sock);
		handler_finish(h, true);
		return;
	case GRPC_UNHEALTHY:
		fail(h, "service unhealthy (it is not SERVING)");
		return;
	case GRPC_BROKEN:
	default:
		fail(h, "health rpc probe failed: the server has no such service or speaks no "
			"gRPC");
		return;
	}
}

static void on_connected(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct handler *h = CONTAINER_OF(w, struct handler, sock);

	(void)l, (void)ready;
	if (!handler_connected(h))
		return;
	w->fn = on_traffic;
	(void)send_rest(h);
}

int handler_grpc(struct handler *h, struct pod *p, const struct json *how, struct err *err)
{
	const char *host = p->spec.host_network ? p->k->node_ip : p->obs.ip;
	int64_t port = json_int(json_at(how, "port"), 0);

	if (port < 1 || port > 65535)
		return err_set(err, ERR_INVALID, "the probe's port is unknown");
	AUTO(free) char *authority = xasprintf("%s:%d", host, (int)port);
	grpc_request(str_c(authority), json_str(json_at(how, "service")), &h->out);
	return handler_connect(h, host, (int)port, on_connected, err);
}
