/*
 * Two small plain servers. The one for load balancers is open to the network and says nothing but
 * whether the dataplane works, and since when that is known; the other is for this node. Must never
 * keep the proxy from its work: it starts without either. On the loop; owns its servers.
 */
#include "proxy/status.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/http/server.h"

enum { CONNS_MAX = 64, BODY_MAX = 1024 };

struct proxy_status {
	struct loop *loop;
	struct proxy_status_opts o;
	struct http_server *healthz, *metrics;
	int64_t last_ns; /* when the dataplane was last known to be true; 0 = never yet */
};

static void reply(struct http_req *req, int status, const char *type, struct str body)
{
	const struct http_header no_sniffing = {STR("X-Content-Type-Options"), STR("nosniff")};
	struct http_reply h = {
		.status = status, .content_type = type, .headers = &no_sniffing, .nheaders = 1};

	http_reply_bytes(req, &h, body);
}

static bool may_read(struct http_req *req)
{
	if (str_is(req->method, "GET") || str_is(req->method, "HEAD"))
		return true;
	reply(req, 405, "text/plain; charset=utf-8", STR("only GET\n"));
	return false;
}

static void reply_health(struct proxy_status *s, struct http_req *req)
{
	int64_t now = loop_wall(s->loop);
	char then_text[TIME_TEXT_MAX] = "", now_text[TIME_TEXT_MAX];
	bool healthy = s->o.healthy(s->o.arg);
	AUTO(buf) struct buf body = {0};

	if (healthy)
		s->last_ns = now;
	if (s->last_ns)
		time_format_micro(s->last_ns, then_text);
	time_format_micro(now, now_text);
	buf_printf(&body, "{\"lastUpdated\": \"%s\",\"currentTime\": \"%s\"}", then_text, now_text);
	reply(req, healthy ? 200 : 503, "application/json", buf_view(&body));
}

static void on_healthz(void *arg, struct http_req *req)
{
	if (!may_read(req))
		return;
	if (str_is(req->path, "/healthz") || str_is(req->path, "/livez"))
		reply_health(arg, req);
	else
		reply(req, 404, "text/plain; charset=utf-8", STR("not found\n"));
}

static void on_metrics(void *arg, struct http_req *req)
{
	AUTO(buf) struct buf text = {0};

	if (!may_read(req))
		return;
	if (str_is(req->path, "/healthz") || str_is(req->path, "/livez")) {
		reply_health(arg, req);
	} else if (str_is(req->path, "/proxyMode")) {
		reply(req, 200, "text/plain; charset=utf-8", STR("nftables"));
	} else if (str_is(req->path, "/metrics")) {
		metrics_write(&text);
		reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&text));
	} else {
		reply(req, 404, "text/plain; charset=utf-8", STR("not found\n"));
	}
}

static struct http_server *serve(struct proxy_status *s, const char *at,
				 void (*handle)(void *arg, struct http_req *req))
{
	struct http_server_opts o = {
		.handle = handle, .arg = s, .max_conns = CONNS_MAX, .max_body = BODY_MAX};
	struct http_server *server;
	struct err err = {0};

	if (!at || !*at)
		return NULL;
	server = http_server_new(s->loop, &o, &err);
	if (server && http_server_listen(server, at, &err) >= 0)
		return server;
	log_warn("not told of at its port", "address", at, "because", err.msg);
	http_server_free(server);
	return NULL;
}

struct proxy_status *proxy_status_start(struct loop *l, const struct proxy_status_opts *o)
{
	struct proxy_status *s = xalloc(sizeof(*s));

	s->loop = l;
	s->o = *o;
	s->healthz = serve(s, o->healthz, on_healthz);
	s->metrics = serve(s, o->metrics, on_metrics);
	return s;
}

void proxy_status_stop(struct proxy_status *s)
{
	if (!s)
		return;
	http_server_free(s->healthz);
	http_server_free(s->metrics);
	free(s);
}
