/*
 * The way to the kubelets: logs, exec, attach, port-forward and the node, pod and service proxies.
 * The core's thread finds out where to go (kubelettarget.c); everything after that happens on the
 * connection's own thread, which calls the kubelet over TLS with the server's certificate and
 * passes bytes on: an answer as a stream, an upgrade as a tunnel, each side held back when the
 * other is slow.
 *
 * Must never pass on the client's credentials, nor call an address that no Node or Pod names.
 */
#include <stdio.h>
#include <string.h>

#include "apiserver/kubeletproxy-internal.h"
#include "apiserver/proxy_rewrite.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

#define HEAD_TIMEOUT (30 * NS_PER_S)
#define HEADERS_MAX 64
#define PAGE_MAX (4 << 20) /* a longer one passes as it is */

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
	return str_ieq(str_sub(name, 0, 12), STR("Impersonate-")) ||
	       str_ieq(str_sub(name, 0, 9), STR("X-Remote-"));
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

/* "10.0.0.1:80", as pages may name themselves. */
static struct str proxied_host(const struct kubelet_call *k)
{
	return arena_strf(&k->r->http->arena, "%s:%d", k->host, k->port);
}

/* An answer's headers for the client: where a proxied server sends it is below the proxy. */
static size_t answer_headers(struct kubelet_call *k, const struct http_headers *from,
			     struct http_header *to)
{
	size_t n = pass_headers(from, to, HEADERS_MAX);

	for (size_t i = 0; k->prefix.n && i < n; i++)
		if (str_ieq(to[i].name, STR("Location")))
			to[i].value = proxy_url(&k->r->http->arena, to[i].value, k->prefix,
						proxied_host(k));
	return n;
}

static bool is_page(const struct kubelet_call *k, const struct http_answer *a)
{
	struct str type = http_header(&a->headers, "Content-Type"),
		   encoding = http_header(&a->headers, "Content-Encoding");

	return k->prefix.n && str_ieq(str_sub(type, 0, 9), STR("text/html")) &&
	       (!encoding.n || str_is(encoding, "identity"));
}

/* Ends the call on our side of the client; the request's memory goes with the reference. */
static void finish(struct kubelet_call *k)
{
	struct front_req *r = k->r;
	struct http_req *h = r->http;

	r->call = NULL;
	buf_release(&k->page);
	if (k->client)
		http_client_free(k->client);
	k->client = NULL;
	front_audit_end(r, 200);
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
	size_t n = answer_headers(k, &a->headers, heads);
	const char *type = arena_cstr(&k->r->http->arena,
				      str_sub(http_header(&a->headers, "Content-Type"), 0, 256));

	k->streaming = true;
	k->html = is_page(k, a);
	http_stream_begin(k->r->http, &(struct http_reply){.status = a->status,
							   .content_type = *type ? type : NULL,
							   .headers = heads,
							   .nheaders = n});
}

static void send_on(struct kubelet_call *k, struct str bytes)
{
	struct block *b = block_new(bytes);

	http_stream_write(k->r->http, &b, 1);
	block_unref(b);
}

static void send_page(struct kubelet_call *k)
{
	AUTO(buf) struct buf page = {0};

	proxy_html(buf_view(&k->page), k->prefix, proxied_host(k), &page);
	if (page.n)
		send_on(k, buf_view(&page));
}

static void on_bytes(void *arg, struct str bytes)
{
	struct kubelet_call *k = arg;

	if (k->html) {
		buf_str(&k->page, bytes);
		if (k->page.n <= PAGE_MAX)
			return;
		k->html = false;
		bytes = buf_view(&k->page);
	}
	send_on(k, bytes);
	buf_release(&k->page);
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
		if (k->html)
			send_page(k);
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
	if (a->status >= 400 && !k->as_it_is && !str_is(r->core.subresource, "proxy")) {
		struct str why = str_sub(str_trim(a->body), 0, 400);
		fail(k, err_from_http(a->status, NULL),
		     arena_printf(&r->http->arena, "%.*s", STR_ARG(why)));
		return;
	}
	struct http_header heads[HEADERS_MAX];
	size_t n = answer_headers(k, &a->headers, heads);
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

/* Message by message where there are messages: see lib/http/wsframes.h. */
static int to_client(struct kubelet_call *k, struct str data)
{
	size_t n;

	for (; data.n; data = str_sub(data, n, data.n)) {
		n = k->websocket ? wsframes_cut(&k->frames, data) : data.n;
		if (http_upgraded_write(&k->up, str_sub(data, 0, n)))
			return -1;
	}
	return 0;
}

static void from_kubelet(void *arg, struct str data)
{
	struct kubelet_call *k = arg;

	if (!data.n)
		k->tunnel = NULL;
	if (!data.n || !k->upgraded || to_client(k, data)) {
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
	k->websocket = http_header_has(&a->headers, "Upgrade", "websocket");
	k->up.user = k;
	k->up.on_data = from_client;
	k->up.on_drain = client_has_room;
	http_upgrade(k->r->http,
		     &(struct http_reply){.status = 101, .headers = heads, .nheaders = n}, &k->up);
}

/* What a page behind the proxy must know to write links, and who asks: said by us alone. The
 * browser's cookies are the page's own, nothing here reads them. */
static size_t add_forwarded(const struct kubelet_call *k, struct http_header *heads, size_t n)
{
	struct http_req *h = k->r->http;
	struct str cookie = http_header(&h->headers, "Cookie"), ip, port;

	for (size_t i = 0; i < n; i++)
		if (str_ieq(str_sub(heads[i].name, 0, 12), STR("X-Forwarded-")))
			heads[i--] = heads[--n];
	str_rcut(str_c(h->remote), ':', &ip, &port);
	heads[n++] = (struct http_header){STR("X-Forwarded-For"), ip};
	heads[n++] =
		(struct http_header){STR("X-Forwarded-Host"), http_header(&h->headers, "Host")};
	heads[n++] = (struct http_header){STR("X-Forwarded-Proto"), STR("https")};
	heads[n++] = (struct http_header){STR("X-Forwarded-Uri"), h->raw_path};
	if (cookie.n)
		heads[n++] = (struct http_header){STR("Cookie"), cookie};
	return n;
}

static void call(struct kubelet_call *k, bool upgrade)
{
	struct http_req *h = k->r->http;
	struct http_header *heads = arena_array(&h->arena, HEADERS_MAX + k->nheads, sizeof(*heads));
	size_t n = pass_headers(&h->headers, heads, HEADERS_MAX - 7);
	const char *type = arena_cstr(&h->arena, http_header(&h->headers, "Content-Type"));

	for (size_t i = 0; k->prefix.n && i < n; i++) /* pages must be readable here */
		if (str_ieq(heads[i].name, STR("Accept-Encoding")))
			heads[i--] = heads[--n];
	if (k->prefix.n)
		n = add_forwarded(k, heads, n);
	for (size_t i = 0; i < k->nheads; i++)
		heads[n++] = k->heads[i];
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
		tls_unref(&k->owned);
		front_audit_end(r, 200);
		http_req_unref(h);
		return;
	}
	k->client = http_client_new(h->loop,
				    &(struct http_client_opts){.host = k->host,
							       .connect_to = k->connect_to,
							       .lookup_apart = true,
							       .port = k->port,
							       .tls = k->tls},
				    &err);
	tls_unref(&k->owned);
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

static bool is_ours(const struct core_req *c)
{
	static const char *const what[][2] = {{"pods", "log"},      {"pods", "exec"},
					      {"pods", "attach"},   {"pods", "portforward"},
					      {"pods", "proxy"},    {"nodes", "proxy"},
					      {"services", "proxy"}};

	for (size_t i = 0; !c->group.n && i < ARRAY_LEN(what); i++) {
		if (str_is(c->resource, what[i][0]) && str_is(c->subresource, what[i][1]))
			return true;
	}
	return false;
}

void kubelet_go(struct front_req *r, struct kubelet_call *k)
{
	front_uncount(r);
	front_flow_forget(r);
	front_measure(r, 200);
	front_audit_started(r, 200);
	r->state = FRONT_ELSEWHERE;
	/* The reference goes along. */
	loop_post(r->http->loop, start, k);
}

/* ".../proxy" is a folder: a page's relative links need the slash. */
static bool send_to_folder(struct front_req *r)
{
	struct http_req *h = r->http;
	struct http_header where = {STR("Location"), STR_NONE};

	if (!str_is(r->core.subresource, "proxy") || !str_ends(h->raw_path, STR("/proxy")) ||
	    kubelet_proxy_prefix(r).n < h->raw_path.n || http_header(&h->headers, "Upgrade").n ||
	    (!str_is(h->method, "GET") && !str_is(h->method, "HEAD")))
		return false;
	where.value = arena_strf(&h->arena, "%.*s/%s%.*s", STR_ARG(h->raw_path),
				 h->query.n ? "?" : "", STR_ARG(h->query));
	http_reply_bytes(h, &(struct http_reply){.status = 301, .headers = &where, .nheaders = 1},
			 STR(""));
	front_done(r, 301);
	return true;
}

static void find_and_go(struct front_req *r)
{
	struct kubelet_call *k;
	struct err err = {0};

	if (send_to_folder(r) || kubesealcert_serve(r))
		return;
	k = arena_alloc(&r->http->arena, sizeof(*k));
	k->r = r;
	if (!r->f->o.kubelet_tls)
		err_set(&err, ERR_UNAVAILABLE, "this server has no certificate for kubelets");
	if (err.code || kubelet_target(r, k, &err)) {
		front_fail(r, &err);
		return;
	}
	if (!k->owned && k->tls) /* it may be another one by the time it is used */
		k->owned = tls_ref(k->tls);
	if (str_is(r->core.subresource, "proxy"))
		k->prefix = kubelet_proxy_prefix(r);
	kubelet_go(r, k);
}

bool kubelet_serve(struct front_req *r)
{
	if (!is_ours(&r->core))
		return false;
	if (str_is(r->core.subresource, "log"))
		find_and_go(r);
	else
		front_ask(r, ADMIT_CONNECT, find_and_go);
	return true;
}
