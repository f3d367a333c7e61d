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

#include "kubelet/kubelet.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/os/fs.h"

#define HEADERS_MAX 32
#define BODY_MAX 10240
#define CONFIG_MAX (4 << 20)

struct handler {
	struct kubelet *k;
	handler_done *done;
	void *arg;
	struct loop_timer timer; /* deadline, pause, or a failure to tell */
	struct proc *proc;
	char *file; /* process.json */
	struct http_client *http;
	struct http_running *running;
	struct loop_fd sock;
	struct buf message;
	bool ok;
};

static void handler_free(struct handler *h)
{
	loop_timer_cancel(h->k->loop, &h->timer);
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

/* In a later turn: callbacks of what is being freed may still be on the stack. */
static void finish_later(struct handler *h, bool ok)
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
	finish_later(h, r->status == 0);
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

/* ---- http ---- */

static int port_of(const struct container_spec *c, const struct json *v)
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

static const char *pod_host(struct arena *a, const struct pod *p, const struct json *how)
{
	struct str host = json_str(json_at(how, "host"));

	if (host.n)
		return arena_cstr(a, host);
	return p->spec.host_network ? p->k->node_ip : p->obs.ip;
}

static void on_http(void *arg, const struct http_answer *a)
{
	struct handler *h = arg;
	bool ok = a->status >= 200 && a->status < 400;

	h->running = NULL;
	if (!a->status)
		buf_printf(&h->message, "HTTP probe failed: %s", a->err->msg);
	else if (!ok)
		buf_printf(&h->message, "HTTP probe failed with statuscode: %d", a->status);
	finish_later(h, ok);
}

static bool header_ok(struct str name, struct str value)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= ' ' || name.p[i] == ':' || name.p[i] >= 0x7f)
			return false;
	}
	for (size_t i = 0; i < value.n; i++) {
		if ((unsigned char)value.p[i] < ' ')
			return false;
	}
	return name.n > 0;
}

static size_t http_headers(const struct json *how, struct http_header out[HEADERS_MAX])
{
	const struct json *list = json_at(how, "httpHeaders");
	bool agent = false;
	size_t n = 0;

	for (size_t i = 0; i < json_len(list) && n < HEADERS_MAX - 2; i++) {
		struct str name = json_str(json_at(json_item(list, i), "name"));
		struct str value = json_str(json_at(json_item(list, i), "value"));
		if (!header_ok(name, value))
			continue;
		agent |= str_ieq(name, STR("user-agent"));
		out[n++] = (struct http_header){name, value};
	}
	if (!agent)
		out[n++] = (struct http_header){STR("User-Agent"), STR("kube-probe/1.32")};
	return n;
}

static int start_http(struct handler *h, struct pod *p, size_t i, const struct json *how,
		      struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct http_header headers[HEADERS_MAX];
	struct str path = json_str_or(json_at(how, "path"), STR("/"));
	struct http_client_opts o = {.host = pod_host(&a, p, how),
				     .port = port_of(&p->spec.c[i], json_at(how, "port"))};
	struct http_call call = {.method = "GET",
				 .headers = headers,
				 .max_body = BODY_MAX << 4,
				 .timeout_ns = 3600 * NS_PER_S,
				 .done = on_http,
				 .arg = h};
	struct tls_ctx *tls = NULL;

	if (!o.port || !*o.host)
		return err_set(err, ERR_INVALID, "the probe's port is unknown");
	for (size_t c = 0; c < path.n; c++) {
		if ((unsigned char)path.p[c] <= ' ')
			return err_set(err, ERR_INVALID, "the probe's path is unusable");
	}
	if (str_is(json_str(json_at(how, "scheme")), "HTTPS")) {
		tls = tls_client_new(&(struct tls_files){.insecure = true}, err);
		if (!tls)
			return -1;
		o.tls = tls;
	}
	call.path = path.n && path.p[0] == '/' ? path : arena_strf(&a, "/%.*s", STR_ARG(path));
	call.nheaders = http_headers(how, headers);
	h->http = http_client_new(p->k->loop, &o, err);
	if (tls)
		tls_unref(&tls);
	if (!h->http)
		return -1;
	h->running = http_client_call(h->http, &call);
	return 0;
}

/* ---- tcp ---- */

static void on_connected(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct handler *h = CONTAINER_OF(w, struct handler, sock);
	int e = 0;
	socklen_t n = sizeof(e);

	(void)ready;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &n))
		e = errno;
	loop_fd_del(l, w);
	if (e)
		buf_printf(&h->message, "dial tcp: %s", strerror(e));
	finish_later(h, e == 0);
}

static int start_tcp(struct handler *h, struct pod *p, size_t i, const struct json *how,
		     struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int port = port_of(&p->spec.c[i], json_at(how, "port"));
	uint32_t ip;

	if (!port || ip4_parse(str_c(pod_host(&a, p, how)), &ip))
		return err_set(err, ERR_INVALID, "the probe's address is unknown");
	to.sin_port = htons((uint16_t)port);
	to.sin_addr.s_addr = htonl(ip);
	h->sock = (struct loop_fd){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		.fn = on_connected};
	if (h->sock.fd < 0)
		return err_sys(err, "socket");
	if (connect(h->sock.fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		return err_sys(err, "dial tcp");
	return loop_fd_set(p->k->loop, &h->sock, EPOLLOUT, err);
}

/* ---- any ---- */

static int start(struct handler *h, struct pod *p, size_t i, const struct json *how,
		 struct err *err)
{
	const struct json *v;

	if ((v = json_at(how, "exec")))
		return start_exec(h, p, i, v, err);
	if ((v = json_at(how, "httpGet")))
		return start_http(h, p, i, v, err);
	if ((v = json_at(how, "tcpSocket")))
		return start_tcp(h, p, i, v, err);
	return err_set(err, ERR_UNSUPPORTED, "this kind of handler is not supported");
}

struct handler *handler_run(struct pod *p, size_t i, const struct json *how, int64_t timeout_ns,
			    handler_done *done, void *arg)
{
	struct handler *h = xalloc(sizeof(*h));
	const struct json *pause = json_at(how, "sleep");
	struct err err = {0};

	*h = (struct handler){.k = p->k, .done = done, .arg = arg, .sock.fd = -1};
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
		finish_later(h, false);
	}
	return h;
}
