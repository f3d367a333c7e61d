/*
 * The kubelet's own HTTPS port. Must never answer anybody beyond /healthz whom gate.c doesn't let
 * in. On the kubelet's loop.
 */
#include "lib/http/server.h"

#include <stdio.h>

#include "kubelet/attach.h"
#include "kubelet/exec.h"
#include "kubelet/gate.h"
#include "kubelet/kubelet.h"
#include "kubelet/logs.h"
#include "kubelet/nodelogs.h"
#include "kubelet/portforward.h"
#include "kubelet/stats.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"

#define PORT 10250

static void reply(struct http_req *r, int status, const char *type, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = type}, text);
}

static bool runs(const struct pod *p)
{
	for (size_t i = 0; i < p->obs.n; i++) {
		if (p->obs.c[i].state == CONT_RUNNING)
			return true;
	}
	return false;
}

static void serve_pods(struct kubelet *k, struct http_req *r, bool running)
{
	AUTO(buf) struct buf out = {0};
	struct map_iter it = {0};
	bool first = true;

	buf_puts(&out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;
		if (running && !runs(p))
			continue;
		if (!first)
			buf_putc(&out, ',');
		first = false;
		buf_str(&out, p->api->bytes);
	}
	buf_puts(&out, "]}");
	reply(r, 200, "application/json", buf_view(&out));
}

/* What holds here of what other kubelets are configured with. */
static void serve_config(struct kubelet *k, struct http_req *r)
{
	struct arena *a = &r->arena;
	AUTO(buf) struct buf out = {0};
	struct json *v = json_build(a, "{s:{s:s, s:s, s:i, s:i, s:s, s:[s], s:s, s:b, s:s}}",
				    "kubeletconfig", "kind", "KubeletConfiguration", "apiVersion",
				    "kubelet.config.k8s.io/v1beta1", "port", PORT, "maxPods",
				    NODE_PODS_MAX, "clusterDomain", k->cluster_domain, "clusterDNS",
				    k->cluster_dns, "cgroupDriver", "cgroupfs", "failSwapOn", false,
				    "containerLogMaxSize", "50Mi");

	json_write(v, &out);
	reply(r, 200, "application/json", buf_view(&out));
}

static void serve_stats(struct kubelet *k, struct http_req *r)
{
	AUTO(buf) struct buf out = {0};

	json_write(stats_summary(k, &r->arena), &out);
	reply(r, 200, "application/json", buf_view(&out));
}

static void serve_resource(struct kubelet *k, struct http_req *r)
{
	AUTO(buf) struct buf out = {0};

	stats_resource(k, &out);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&out));
}

static void serve_cadvisor(struct kubelet *k, struct http_req *r)
{
	AUTO(buf) struct buf out = {0};

	cadvisor_write(k, &out);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&out));
}

/* As other kubelets tell of themselves. */
static void put_counts(const struct kubelet *k, struct buf *out)
{
	size_t pods = 0, running = 0, exited = 0;
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;

		pods += runs(p);
		for (size_t i = 0; i < p->obs.n; i++) {
			running += p->obs.c[i].state == CONT_RUNNING;
			exited += p->obs.c[i].state == CONT_EXITED;
		}
	}
	buf_printf(out,
		   "# TYPE kubelet_node_name gauge\nkubelet_node_name{node=\"%s\"} 1\n"
		   "# TYPE kubelet_running_pods gauge\nkubelet_running_pods %zu\n"
		   "# TYPE kubelet_running_containers gauge\n"
		   "kubelet_running_containers{container_state=\"running\"} %zu\n"
		   "kubelet_running_containers{container_state=\"exited\"} %zu\n",
		   k->node_name, pods, running, exited);
}

static void serve_metrics(struct kubelet *k, struct http_req *r)
{
	AUTO(buf) struct buf out = {0};

	metrics_write(&out);
	put_counts(k, &out);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&out));
}

static void serve_probes(struct kubelet *k, struct http_req *r)
{
	AUTO(buf) struct buf out = {0};

	probes_write(k, &out);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&out));
}

static void serve_figures(struct kubelet *k, struct http_req *r)
{
	if (str_is(r->path, "/metrics"))
		serve_metrics(k, r);
	else if (str_is(r->path, "/metrics/resource"))
		serve_resource(k, r);
	else if (str_is(r->path, "/metrics/cadvisor"))
		serve_cadvisor(k, r);
	else if (str_is(r->path, "/metrics/probes"))
		serve_probes(k, r);
	else
		reply(r, 404, "text/plain", STR("not found\n"));
}

/* Whoever asks may have it. */
static void serve(struct kubelet *k, struct http_req *r)
{
	struct str logs = STR("/containerLogs/"), exec = STR("/exec/"), attach = STR("/attach/");
	struct str forward = STR("/portForward/");

	if (str_starts(r->path, exec))
		exec_serve(k, r, str_sub(r->path, exec.n, r->path.n));
	else if (str_starts(r->path, attach))
		attach_serve(k, r, str_sub(r->path, attach.n, r->path.n));
	else if (str_starts(r->path, forward))
		portforward_serve(k, r, str_sub(r->path, forward.n, r->path.n));
	else if (!str_is(r->method, "GET"))
		reply(r, 405, "text/plain", STR("only GET\n"));
	else if (str_starts(r->path, logs))
		logs_serve(k, r, str_sub(r->path, logs.n, r->path.n));
	else if (str_is(r->path, "/logs") || str_starts(r->path, STR("/logs/")))
		nodelogs_serve(r, "/var/log", str_sub(r->path, 5, r->path.n));
	else if (str_is(r->path, "/pods"))
		serve_pods(k, r, false);
	else if (str_is(r->path, "/runningpods") || str_is(r->path, "/runningpods/"))
		serve_pods(k, r, true);
	else if (str_is(r->path, "/configz"))
		serve_config(k, r);
	else if (str_is(r->path, "/stats/summary"))
		serve_stats(k, r);
	else
		serve_figures(k, r);
}

static void handle(void *arg, struct http_req *r)
{
	struct kubelet *k = arg;

	if (str_is(r->path, "/healthz"))
		reply(r, 200, "text/plain", STR("ok"));
	else
		gate_ask(k->gate, r, serve);
}

int server_start(struct kubelet *k, struct err *err)
{
	struct tls_files f = {.ca = k->client_ca, .cert = k->tls_cert, .key = k->tls_key};
	struct http_server_opts o = {.handle = handle, .arg = k, .max_conns = 1000};
	AUTO(free) char *addr = xasprintf("%s:%d", k->node_ip, PORT);
	int rc;

	if (!k->tls_cert || !*k->tls_cert) {
		log_warn("no --tls-cert: logs are not served");
		return 0;
	}
	o.tls = tls_server_new(&f, err);
	if (!o.tls)
		return -1;
	k->gate = gate_new(k);
	k->server = http_server_new(k->loop, &o, err);
	tls_unref(&o.tls);
	rc = k->server ? http_server_listen(k->server, k->listen && *k->listen ? k->listen : addr,
					    err)
		       : -1;
	return rc < 0 ? err_wrap(err, "serve on %s", addr) : 0;
}

void server_stop(struct kubelet *k)
{
	http_server_free(k->server);
	k->server = NULL;
	gate_free(k->gate);
	k->gate = NULL;
}
