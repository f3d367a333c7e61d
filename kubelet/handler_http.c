/*
 * Probes and hooks by HTTP. Redirections are followed on the host that was asked only, as kube
 * does: a pod must not make the node ask others. On the kubelet's loop; everything is the
 * handler's.
 */
#include <stdio.h>

#include "kubelet/handler-internal.h"
#include "lib/base/timefmt.h"

#define BODY_MAX (160 << 10)
#define REDIRECTS_MAX 10

static int send_request(struct handler *h, struct err *err);

static void on_redirected(struct loop *l, struct loop_timer *t)
{
	struct handler *h = CONTAINER_OF(t, struct handler, next);
	struct err err = {0};

	(void)l;
	http_client_free(h->http);
	h->http = NULL;
	if (!send_request(h, &err))
		return;
	buf_puts(&h->message, err.msg);
	handler_finish(h, false);
}

/* True when the answer leads on, on the same host. */
static bool leads_on(struct handler *h, const struct http_answer *a)
{
	struct str where = http_header(&a->headers, "Location");
	struct probe_url url;

	if (a->status < 300 || a->status > 399 || a->status == 304 || !where.n)
		return false;
	if (probe_redirect(&h->arena, &h->url, where, &url) || !str_ieq(url.host, h->url.host)) {
		buf_printf(&h->message, "Probe terminated redirects, Response body: %.*s",
			   STR_ARG(str_sub(a->body, 0, 1024)));
		return false;
	}
	h->url = url;
	return true;
}

static void on_answer(void *arg, const struct http_answer *a)
{
	struct handler *h = arg;
	bool ok = a->status >= 200 && a->status < 400;

	h->running = NULL;
	if (!a->status)
		buf_printf(&h->message, "HTTP probe failed: %s", a->err->msg);
	else if (!ok)
		buf_printf(&h->message, "HTTP probe failed with statuscode: %d", a->status);
	if (!leads_on(h, a)) {
		handler_finish(h, ok);
	} else if (h->redirects++ >= REDIRECTS_MAX) {
		buf_printf(&h->message, "stopped after %d redirects", REDIRECTS_MAX);
		handler_finish(h, false);
	} else {
		loop_timer_set(h->k->loop, &h->next, 0, on_redirected);
	}
}

static int send_request(struct handler *h, struct err *err)
{
	struct http_client_opts o = {.host = arena_cstr(&h->arena, h->url.host),
				     .port = h->url.port};
	struct http_call call = {.method = "GET",
				 .path = h->url.path,
				 .headers = h->headers,
				 .nheaders = h->nheaders,
				 .max_body = BODY_MAX,
				 .timeout_ns = 3600 * NS_PER_S, /* the handler's is shorter */
				 .done = on_answer,
				 .arg = h};
	struct tls_ctx *tls = NULL;

	if (h->url.tls) {
		tls = tls_client_new(&(struct tls_files){.insecure = true}, err);
		if (!tls)
			return -1;
		o.tls = tls;
	}
	h->http = http_client_new(h->k->loop, &o, err);
	if (tls)
		tls_unref(&tls);
	if (!h->http)
		return -1;
	h->running = http_client_call(h->http, &call);
	return 0;
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

static void read_headers(struct handler *h, const struct json *how)
{
	const struct json *list = json_at(how, "httpHeaders");
	bool agent = false, accept = false;

	for (size_t i = 0; i < json_len(list) && h->nheaders < HANDLER_HEADERS_MAX - 3; i++) {
		struct str name = json_str(json_at(json_item(list, i), "name"));
		struct str value = json_str(json_at(json_item(list, i), "value"));
		if (!header_ok(name, value))
			continue;
		agent |= str_ieq(name, STR("user-agent"));
		accept |= str_ieq(name, STR("accept"));
		h->headers[h->nheaders++] =
			(struct http_header){arena_str(&h->arena, name),
					     value.n ? arena_str(&h->arena, value) : STR("")};
	}
	if (!agent)
		h->headers[h->nheaders++] = (struct http_header){
			STR("User-Agent"),
			h->is_hook ? STR("kube-lifecycle/1.32") : STR("kube-probe/1.32")};
	if (!accept)
		h->headers[h->nheaders++] = (struct http_header){STR("Accept"), STR("*/*")};
}

int handler_http(struct handler *h, struct pod *p, size_t i, const struct json *how,
		 struct err *err)
{
	struct str path = json_str_or(json_at(how, "path"), STR("/"));

	h->url = (struct probe_url){
		.host = arena_str(&h->arena, str_c(handler_host(&h->arena, p, how))),
		.port = handler_port(&p->spec.c[i], json_at(how, "port")),
		.tls = str_is(json_str(json_at(how, "scheme")), "HTTPS")};
	if (!h->url.port || !h->url.host.n)
		return err_set(err, ERR_INVALID, "the probe's port is unknown");
	for (size_t c = 0; c < path.n; c++) {
		if ((unsigned char)path.p[c] <= ' ')
			return err_set(err, ERR_INVALID, "the probe's path is unusable");
	}
	h->url.path = arena_strf(&h->arena, "%s%.*s", path.n && path.p[0] == '/' ? "" : "/",
				 STR_ARG(path));
	read_headers(h, how);
	return send_request(h, err);
}
