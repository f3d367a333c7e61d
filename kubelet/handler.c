/*
 * Carries out what probes and lifecycle hooks say: a process in the container, a request or a
 * connection to the pod, or a pause. Must never outlive its deadline nor its pod; everything it
 * needs of the pod's tree is copied at the start. On the kubelet's loop, whose network namespace
 * is the node's, as kube's prober.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kubelet/handler-internal.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define CONFIG_MAX (4 << 20)

static void handler_free(struct handler *h)
{
	loop_timer_cancel(h->k->loop, &h->timer);
	loop_timer_cancel(h->k->loop, &h->next);
	if (h->proc)
		proc_cancel(h->proc, true);
	if (h->file)
		unlink(h->file);
	if (h->running)
		http_call_cancel(h->running);
	http_client_free(h->http);
	if (h->sock.fd >= 0) {
		loop_fd_del(h->k->loop, &h->sock);
		fd_cleanup(&h->sock.fd);
	}
	free(h->file);
	grpc_release(&h->grpc);
	arena_release(&h->arena);
	buf_release(&h->out);
	buf_release(&h->message);
	free(h);
}

void handler_cancel(struct handler *h)
{
	if (h)
		handler_free(h);
}

static void finish(struct handler *h)
{
	handler_done *done = h->done;
	void *arg = h->arg;
	bool ok = h->ok;
	AUTO(buf) struct buf message = h->message;

	h->message = (struct buf){0};
	handler_free(h);
	done(arg, ok, buf_cstr(&message));
}

static void on_finish(struct loop *l, struct loop_timer *t)
{
	(void)l;
	finish(CONTAINER_OF(t, struct handler, timer));
}

void handler_finish(struct handler *h, bool ok)
{
	h->ok = ok;
	loop_timer_set(h->k->loop, &h->timer, 0, on_finish);
}

static void on_deadline(struct loop *l, struct loop_timer *t)
{
	struct handler *h = CONTAINER_OF(t, struct handler, timer);

	(void)l;
	h->ok = false;
	buf_puts(&h->message, "timed out");
	finish(h);
}

/* ---- exec ---- */

static void on_exec(void *arg, struct proc_result *r)
{
	struct handler *h = arg;
	struct str out = str_trim(buf_view(&r->out)), err = str_trim(buf_view(&r->err));

	h->proc = NULL;
	if (r->status) {
		buf_str(&h->message, str_sub(out, 0, 1024));
		if (out.n && err.n)
			buf_putc(&h->message, '\n');
		buf_str(&h->message, str_sub(err, 0, 1024));
		if (!h->message.n)
			buf_printf(&h->message, "command exited with %d", r->status);
	}
	handler_finish(h, r->status == 0);
}

/* config.json's process with another command: same user, environment, rights. */
static int write_process(struct handler *h, const struct attempt *at, const struct json *command,
			 struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0}, out = {0};
	AUTO(free) char *path = xasprintf("%s/config.json", at->dir);
	static unsigned count;

	if (fs_read(path, CONFIG_MAX, &text, err))
		return -1;
	struct json *config = json_parse(&a, buf_view(&text), NULL, err);
	struct json *process = json_get(config, STR("process"));
	if (!json_is(process, JSON_OBJECT))
		return err_set(err, ERR_CORRUPT, "the container's configuration is damaged");
	json_set(&a, process, STR("args"), command);
	json_set_bool(&a, process, "terminal", false);
	json_write(process, &out);
	h->file = xasprintf("%s/exec-%d-%u", h->k->rt.config, (int)getpid(), ++count);
	return write_quick(h->file, buf_view(&out), 0600, err);
}

static int start_exec(struct handler *h, struct pod *p, size_t i, const struct json *exec,
		      struct err *err)
{
	struct attempt *at = p->cont[i].now;

	if (!at || !json_len(json_at(exec, "command")))
		return err_set(err, ERR_INVALID, "there is nothing to run");
	if (write_process(h, at, json_at(exec, "command"), err))
		return -1;
	/* The handler's own deadline ends it. */
	h->proc = run_exec(&p->k->rt, at->id, h->file, 0, on_exec, h);
	return h->proc ? 0 : err_set(err, ERR_IO, "the runtime could not be started");
}

/* ---- where ---- */

int handler_port(const struct container_spec *c, const struct json *v)
{
	const struct json *ports = json_at(c->json, "ports");
	struct str name = json_str(v);
	int64_t n = json_int(v, 0);

	if (name.n && str_to_i64(name, &n)) {
		for (size_t i = 0; i < json_len(ports); i++) {
			if (str_eq(json_str(json_at(json_item(ports, i), "name")), name))
				n = json_int(json_at(json_item(ports, i), "containerPort"), 0);
		}
	}
	return n > 0 && n < 65536 ? (int)n : 0;
}

const char *handler_host(struct arena *a, const struct pod *p, const struct json *how)
{
	struct str host = json_str(json_at(how, "host"));

	if (host.n)
		return arena_cstr(a, host);
	return p->spec.host_network ? p->k->node_ip : p->obs.ip;
}

/* ---- tcp ---- */

bool handler_connected(struct handler *h)
{
	int e = 0;
	socklen_t n = sizeof(e);

	if (getsockopt(h->sock.fd, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	if (!e)
		return true;
	loop_fd_del(h->k->loop, &h->sock);
	buf_printf(&h->message, "dial tcp: %s", strerror(e));
	handler_finish(h, false);
	return false;
}

int handler_connect(struct handler *h, const char *host, int port,
		    void (*fn)(struct loop *l, struct loop_fd *w, uint32_t ready), struct err *err)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	uint32_t ip;

	if (!port || ip4_parse(str_c(host), &ip))
		return err_set(err, ERR_INVALID, "the probe's address is unknown");
	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(ip);
	h->sock = (struct loop_fd){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .fn = fn};
	if (h->sock.fd < 0)
		return err_sys(err, "socket");
	if (connect(h->sock.fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		return err_sys(err, "dial tcp");
	return loop_fd_set(h->k->loop, &h->sock, EPOLLOUT, err);
}

static void on_connected(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct handler *h = CONTAINER_OF(w, struct handler, sock);

	(void)ready;
	if (!handler_connected(h))
		return;
	loop_fd_del(l, w);
	handler_finish(h, true);
}

static int start_tcp(struct handler *h, struct pod *p, size_t i, const struct json *how,
		     struct err *err)
{
	AUTO(arena) struct arena a = {0};

	return handler_connect(h, handler_host(&a, p, how),
			       handler_port(&p->spec.c[i], json_at(how, "port")), on_connected,
			       err);
}

/* ---- any ---- */

static int start(struct handler *h, struct pod *p, size_t i, const struct json *how,
		 struct err *err)
{
	const struct json *v;

	if ((v = json_at(how, "exec")))
		return start_exec(h, p, i, v, err);
	if ((v = json_at(how, "httpGet")))
		return handler_http(h, p, i, v, err);
	if ((v = json_at(how, "tcpSocket")))
		return start_tcp(h, p, i, v, err);
	if ((v = json_at(how, "grpc")))
		return handler_grpc(h, p, v, err);
	return err_set(err, ERR_UNSUPPORTED, "this kind of handler is not supported");
}

struct handler *handler_run(struct pod *p, size_t i, const struct json *how, int64_t timeout_ns,
			    handler_done *done, void *arg)
{
	struct handler *h = xalloc(sizeof(*h));
	const struct json *pause = json_at(how, "sleep");
	struct err err = {0};

	*h = (struct handler){.k = p->k,
			      .done = done,
			      .arg = arg,
			      .sock.fd = -1,
			      .is_hook = !json_at(how, "periodSeconds")};
	if (pause) {
		h->ok = true;
		loop_timer_set(p->k->loop, &h->timer,
			       MIN(MAX(json_int(json_at(pause, "seconds"), 0), 0), 86400) *
				       NS_PER_S,
			       on_finish);
		return h;
	}
	loop_timer_set(p->k->loop, &h->timer, timeout_ns, on_deadline);
	if (start(h, p, i, how, &err)) {
		buf_puts(&h->message, err.msg);
		handler_finish(h, false);
	}
	return h;
}
