/*
 * The way to the kubelets: logs, exec, attach, port-forward and the node and pod proxies. The
 * core's thread finds out where to go; everything after that happens on the connection's own
 * thread, which calls the kubelet over TLS with the server's certificate and passes bytes on: an
 * answer as a stream, an upgrade as a tunnel, each side held back when the other is slow.
 *
 * Must never pass on the client's credentials, nor call an address that no Node or Pod names.
 */
#include <stdio.h>
#include <string.h>

#include "apiserver/front-internal.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/os/loop.h"

#define KUBELET_PORT 10250
#define HEAD_TIMEOUT (30 * NS_PER_S)
#define HEADERS_MAX 64

struct kubelet_call {
	struct front_req *r;
	/* where to, in the request's arena */
	const char *host;
	int port;
	bool tls;
	struct str path; /* escaped, with query */
	/* under way; the connection's thread */
	struct http_client *client;
	struct http_running *running;
	struct http_tunnel *tunnel;
	struct http_upgraded up;
	bool streaming, upgraded, paused;
};

/* ---- where to: the core's thread ---- */

static const struct obj *find(struct front_req *r, const char *plural, struct str namespace,
			      struct str name)
{
	const struct core *c = r->f->o.core;
	const struct kind *k = core_kind_find(c, STR(""), STR("v1"), str_c(plural));

	return k ? core_get(c, k, namespace, name) : NULL;
}

static int node_address(struct front_req *r, struct str node, struct kubelet_call *k,
			struct err *err)
{
	static const char *const types[] = {"InternalIP", "ExternalIP", "Hostname"};
	struct arena *a = &r->http->arena;
	const struct obj *o = find(r, "nodes", STR_NONE, node);

	if (!o)
		return err_set(err, ERR_NOT_FOUND, "nodes \"%.*s\" not found", STR_ARG(node));
	const struct json *status = json_at(obj_tree(o, a), "status");
	const struct json *addresses = json_at(status, "addresses");
	k->port = (int)json_int(json_at(status, "daemonEndpoints", "kubeletEndpoint", "Port"),
				KUBELET_PORT);
	k->tls = true;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (size_t i = 0; i < json_len(addresses); i++) {
			const struct json *at = json_item(addresses, i);
			if (!str_is(json_str(json_at(at, "type")), types[t]))
				continue;
			k->host = arena_cstr(a, json_str(json_at(at, "address")));
			return 0;
		}
	}
	return err_set(err, ERR_UNAVAILABLE, "node %.*s has no address yet", STR_ARG(node));
}

/* The container asked for, or the only one there is. */
static int pick_container(struct front_req *r, const struct json *pod, struct str *ret,
			  struct err *err)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	struct str want = http_query(&r->http->arena, r->core.query, "container");
	const struct json *spec = json_at(pod, "spec"), *first = json_at(spec, "containers");

	if (!want.n)
		want = meta_annotation(pod, "kubectl.kubernetes.io/default-container");
	if (!want.n && json_len(first) == 1)
		want = json_str(json_at(json_item(first, 0), "name"));
	if (!want.n)
		return err_set(err, ERR_BAD_REQUEST,
			       "a container name must be specified for pod %.*s",
			       STR_ARG(r->core.name));
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *v = json_get(spec, str_c(lists[l]));
		for (size_t i = 0; i < json_len(v); i++) {
			*ret = json_str(json_at(json_item(v, i), "name"));
			if (str_eq(*ret, want))
				return 0;
		}
	}
	return err_set(err, ERR_BAD_REQUEST, "container %.*s is not valid for pod %.*s",
		       STR_ARG(want), STR_ARG(r->core.name));
}

/* What stands behind ".../NAME/proxy", with its slash; still escaped. */
static struct str proxy_rest(struct front_req *r)
{
	struct str p = r->http->raw_path;
	/* /api/v1/namespaces/NS/pods/NAME/proxy, /api/v1/nodes/NAME/proxy */
	unsigned slashes = r->core.namespace.n ? 8 : 6;

	for (size_t i = 0; i < p.n; i++) {
		if (p.p[i] == '/' && --slashes == 0)
			return str_sub(p, i, p.n);
	}
	return STR("/");
}

static void with_query(struct buf *path, struct str query)
{
	if (!query.n)
		return;
	buf_putc(path, '?');
	buf_str(path, query);
}

/* pods/NAME/proxy, services aside: "NAME:PORT" or "https:NAME:PORT", straight to the pod's address.
 */
static int pod_proxy(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	struct arena *a = &r->http->arena;
	struct str name = r->core.name, port = STR_NONE, scheme, rest;
	int64_t n = 80;
	AUTO(buf) struct buf path = {0};

	if (str_cut(name, ':', &scheme, &rest) &&
	    (str_is(scheme, "https") || str_is(scheme, "http"))) {
		k->tls = str_is(scheme, "https");
		name = rest;
	}
	str_cut(name, ':', &name, &port);
	const struct obj *o = find(r, "pods", r->core.namespace, name);
	if (!o)
		return err_set(err, ERR_NOT_FOUND, "pods \"%.*s\" not found", STR_ARG(name));
	const struct json *pod = obj_tree(o, a), *ports = json_at(pod, "spec", "containers");
	ports = json_at(json_item(ports, 0), "ports");
	if (port.n ? str_to_i64(port, &n) != 0 : false)
		return err_set(err, ERR_BAD_REQUEST, "port \"%.*s\" is not a number",
			       STR_ARG(port));
	if (!port.n && json_len(ports))
		n = json_int(json_at(json_item(ports, 0), "containerPort"), 80);
	struct str ip = json_str(json_at(pod, "status", "podIP"));
	if (!ip.n || n < 1 || n > 65535)
		return err_set(err, ERR_UNAVAILABLE, "address not allowed");
	k->host = arena_cstr(a, ip);
	k->port = (int)n;
	buf_str(&path, proxy_rest(r));
	with_query(&path, r->core.query);
	k->path = arena_str(a, buf_view(&path));
	return 0;
}

static int node_proxy(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	AUTO(buf) struct buf path = {0};

	if (node_address(r, r->core.name, k, err))
		return -1;
	buf_str(&path, proxy_rest(r));
	with_query(&path, r->core.query);
	k->path = arena_str(&r->http->arena, buf_view(&path));
	return 0;
}

/* The kubelet's own paths: /containerLogs/NS/POD/C, /exec/NS/POD/C, /portForward/NS/POD. */
static int pod_call(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	static const char *const verbs[][2] = {{"log", "containerLogs"},
					       {"exec", "exec"},
					       {"attach", "attach"},
					       {"portforward", "portForward"}};
	struct arena *a = &r->http->arena;
	AUTO(buf) struct buf path = {0};
	struct str container;
	const struct obj *o = find(r, "pods", r->core.namespace, r->core.name);

	if (!o)
		return err_set(err, ERR_NOT_FOUND, "pods \"%.*s\" not found",
			       STR_ARG(r->core.name));
	const struct json *pod = obj_tree(o, a);
	struct str node = json_str(json_at(pod, "spec", "nodeName"));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (str_is(r->core.subresource, verbs[i][0]))
			buf_printf(&path, "/%s/%.*s/%.*s", verbs[i][1], STR_ARG(o->namespace),
				   STR_ARG(o->name));
	}
	if (!str_is(r->core.subresource, "portforward")) {
		if (pick_container(r, pod, &container, err))
			return -1;
		buf_putc(&path, '/');
		url_escape(container, &path);
	}
	if (!node.n)
		return err_set(err, ERR_BAD_REQUEST, "pod %.*s does not have a host assigned",
			       STR_ARG(o->name));
	with_query(&path, r->core.query);
	k->path = arena_str(a, buf_view(&path));
	return node_address(r, node, k, err);
}

/* ---- the connection's thread ---- */

static bool is_hop(struct str name)
{
	static const char *const hops[] = {
		"Connection",          "Keep-Alive",   "Transfer-Encoding",
		"Content-Length",      "Upgrade",      "Host",
		"Authorization",       "Te",           "Trailer",
		"Proxy-Connection",    "Content-Type", "Cookie",
		"Proxy-Authorization", "Expect",       "Date"};

	for (size_t i = 0; i < ARRAY_LEN(hops); i++) {
		if (str_ieq(name, str_c(hops[i])))
			return true;
	}
	return str_ieq(str_sub(name, 0, 12), STR("Impersonate-"));
}

static size_t pass_headers(const struct http_headers *from, struct http_header *to, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < from->n && n < max; i++) {
		if (!is_hop(from->v[i].name))
			to[n++] = from->v[i];
	}
	return n;
}

/* Ends the call on our side of the client; the request's memory goes with the reference. */
static void finish(struct kubelet_call *k)
{
	struct front_req *r = k->r;
	struct http_req *h = r->http;

	r->call = NULL;
	if (k->client)
		http_client_free(k->client);
	k->client = NULL;
	http_req_unref(h);
}

static void fail(struct kubelet_call *k, enum err_code code, const char *msg)
{
	struct err err = {0};

	err_set(&err, code, "%s", msg);
	front_status(k->r->http, &err, &k->r->core);
	finish(k);
}

static void on_head(void *arg, const struct http_answer *a)
{
	struct kubelet_call *k = arg;
	struct http_header heads[HEADERS_MAX];
	size_t n = pass_headers(&a->headers, heads, HEADERS_MAX);
	const char *type = arena_cstr(&k->r->http->arena,
				      str_sub(http_header(&a->headers, "Content-Type"), 0, 256));

	k->streaming = true;
	http_stream_begin(k->r->http, &(struct http_reply){.status = a->status,
							   .content_type = *type ? type : NULL,
							   .headers = heads,
							   .nheaders = n});
}

static void on_bytes(void *arg, struct str bytes)
{
	struct kubelet_call *k = arg;
	struct block *b = block_new(bytes);

	http_stream_write(k->r->http, &b, 1);
	block_unref(b);
	if (!k->paused && http_stream_backlog(k->r->http) > HTTP_BACKLOG_HIGH) {
		k->paused = true;
		http_call_pause(k->running, true);
	}
}

static void on_end(void *arg, const struct http_answer *a)
{
	struct kubelet_call *k = arg;
	struct front_req *r = k->r;

	k->running = NULL;
	if (k->streaming) {
		http_stream_end(r->http);
		finish(k);
		return;
	}
	if (!a->status) {
		log_warn("cannot reach a kubelet", "address", k->host, "error",
			 a->err ? a->err->msg : "no answer");
		fail(k, ERR_UNAVAILABLE,
		     log_fmt("error dialing backend: %s", a->err ? a->err->msg : "no answer"));
		return;
	}
	struct http_header heads[HEADERS_MAX];
	size_t n = pass_headers(&a->headers, heads, HEADERS_MAX);
	const char *type = arena_cstr(&r->http->arena,
				      str_sub(http_header(&a->headers, "Content-Type"), 0, 256));
	http_reply_bytes(r->http,
			 &(struct http_reply){.status = a->status,
					      .content_type = *type ? type : NULL,
					      .headers = heads,
					      .nheaders = n},
			 a->body);
	finish(k);
}

/* ---- tunnels ---- */

static void tunnel_close(struct kubelet_call *k)
{
	if (k->tunnel)
		http_tunnel_close(k->tunnel);
	k->tunnel = NULL;
	if (k->upgraded)
		http_upgraded_close(&k->up);
	k->upgraded = false;
	finish(k);
}

static void from_client(struct http_upgraded *u, struct str data)
{
	struct kubelet_call *k = u->user;

	if (!data.n) {
		k->upgraded = false;
		tunnel_close(k);
		return;
	}
	if (!k->tunnel || http_tunnel_write(k->tunnel, data)) {
		tunnel_close(k);
		return;
	}
	if (http_tunnel_backlog(k->tunnel) > HTTP_TUNNEL_HIGH)
		http_upgraded_pause(u, true);
}

static void client_has_room(struct http_upgraded *u)
{
	struct kubelet_call *k = u->user;

	if (k->tunnel)
		http_tunnel_pause(k->tunnel, false);
}

static void from_kubelet(void *arg, struct str data)
{
	struct kubelet_call *k = arg;

	if (!data.n)
		k->tunnel = NULL;
	if (!data.n || !k->upgraded || http_upgraded_write(&k->up, data)) {
		tunnel_close(k);
		return;
	}
	if (http_upgraded_backlog(&k->up) > HTTP_BACKLOG_HIGH)
		http_tunnel_pause(k->tunnel, true);
}

static void kubelet_has_room(void *arg)
{
	struct kubelet_call *k = arg;

	if (k->upgraded)
		http_upgraded_pause(&k->up, false);
}

static void on_up(void *arg, struct http_tunnel *t, const struct http_answer *a)
{
	struct kubelet_call *k = arg;
	struct http_header heads[HEADERS_MAX] = {
		{STR("Connection"), STR("Upgrade")},
		{STR("Upgrade"), http_header(&a->headers, "Upgrade")}};
	size_t n = 2 + pass_headers(&a->headers, heads + 2, HEADERS_MAX - 2);

	k->running = NULL;
	k->tunnel = t;
	k->upgraded = true;
	k->up.user = k;
	k->up.on_data = from_client;
	k->up.on_drain = client_has_room;
	http_upgrade(k->r->http,
		     &(struct http_reply){.status = 101, .headers = heads, .nheaders = n}, &k->up);
}

static void call(struct kubelet_call *k, bool upgrade)
{
	struct http_req *h = k->r->http;
	struct http_header heads[HEADERS_MAX];
	size_t n = pass_headers(&h->headers, heads, HEADERS_MAX - 2);
	const char *type = arena_cstr(&h->arena, http_header(&h->headers, "Content-Type"));

	if (upgrade) {
		heads[n++] = (struct http_header){STR("Connection"), STR("Upgrade")};
		heads[n++] =
			(struct http_header){STR("Upgrade"), http_header(&h->headers, "Upgrade")};
	}
	struct http_call c = {.method = arena_cstr(&h->arena, h->method),
			      .path = k->path,
			      .headers = heads,
			      .nheaders = n,
			      .content_type = *type && h->body.n ? type : NULL,
			      .body = h->body,
			      .timeout_ns = HEAD_TIMEOUT,
			      .done = on_end,
			      .head = upgrade ? NULL : on_head,
			      .data = upgrade ? NULL : on_bytes,
			      .arg = k};
	struct http_tunnel_opts t = {
		.up = on_up, .on_data = from_kubelet, .on_drain = kubelet_has_room, .arg = k};
	k->running =
		upgrade ? http_client_upgrade(k->client, &c, &t) : http_client_call(k->client, &c);
}

static void start(void *arg)
{
	struct kubelet_call *k = arg;
	struct front_req *r = k->r;
	struct http_req *h = r->http;
	struct err err = {0};

	if (r->client_left) {
		http_req_unref(h);
		return;
	}
	k->client = http_client_new(
		h->loop,
		&(struct http_client_opts){.host = k->host,
					   .port = k->port,
					   .tls = k->tls ? r->f->o.kubelet_tls : NULL},
		&err);
	r->call = k;
	if (!k->client) {
		fail(k, ERR_UNAVAILABLE, err.msg);
		return;
	}
	call(k, http_header_has(&h->headers, "Connection", "upgrade") &&
			http_header(&h->headers, "Upgrade").n);
}

void kubelet_client_left(struct front_req *r)
{
	struct kubelet_call *k = r->call;

	if (k->running)
		http_call_cancel(k->running);
	k->running = NULL;
	if (k->tunnel)
		http_tunnel_close(k->tunnel);
	k->tunnel = NULL;
	finish(k);
}

void kubelet_drained(struct front_req *r)
{
	struct kubelet_call *k = r->call;

	if (!k->paused)
		return;
	k->paused = false;
	if (k->running)
		http_call_pause(k->running, false);
}

/* ---- the core's thread again ---- */

bool kubelet_serve(struct front_req *r)
{
	struct core_req *c = &r->core;
	struct kubelet_call *k;
	struct err err = {0};
	bool pod = str_is(c->resource, "pods"), node = str_is(c->resource, "nodes");
	bool proxy = str_is(c->subresource, "proxy");

	if (c->group.n || !(pod || node) || !c->subresource.n ||
	    !(proxy ||
	      (pod && (str_is(c->subresource, "log") || str_is(c->subresource, "exec") ||
		       str_is(c->subresource, "attach") || str_is(c->subresource, "portforward")))))
		return false;
	k = arena_alloc(&r->http->arena, sizeof(*k));
	k->r = r;
	if (!r->f->o.kubelet_tls)
		err_set(&err, ERR_UNAVAILABLE, "this server has no certificate for kubelets");
	if (err.code || (!proxy ? pod_call(r, k, &err)
			 : node ? node_proxy(r, k, &err)
				: pod_proxy(r, k, &err))) {
		front_fail(r, &err);
		return true;
	}
	front_uncount(r);
	front_measure(r, 200);
	r->state = FRONT_ELSEWHERE;
	/* The reference goes along. */
	loop_post(r->http->loop, start, k);
	return true;
}
