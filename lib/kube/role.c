/*
 * What every role's process does alike. The health and metrics port is plain HTTP and meant for
 * loopback. One loop, which is the process's main one.
 */
#include "lib/kube/role.h"

#include <signal.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/http/server.h"

void role_defaults(struct role *r, const char *name)
{
	*r = (struct role){.name = name,
			   .data_dir = "/var/lib/plumb",
			   .log_level = "info",
			   .metrics_addr = ""};
}

static void reply_text(struct http_req *req, int status, const char *type, struct str body)
{
	struct http_reply h = {.status = status, .content_type = type};

	http_reply_bytes(req, &h, body);
}

static void on_request(void *arg, struct http_req *req)
{
	struct role *r = arg;
	AUTO(buf) struct buf text = {0};

	if (!str_is(req->method, "GET") && !str_is(req->method, "HEAD")) {
		reply_text(req, 405, "text/plain", STR("only GET\n"));
	} else if (str_is(req->path, "/healthz") || str_is(req->path, "/livez")) {
		reply_text(req, 200, "text/plain; charset=utf-8", STR("ok"));
	} else if (str_is(req->path, "/readyz")) {
		bool ready = !r->ready || r->ready(r->ready_arg);

		reply_text(req, ready ? 200 : 503, "text/plain; charset=utf-8",
			   ready ? STR("ok") : STR("not ready"));
	} else if (str_is(req->path, "/metrics")) {
		metrics_write(&text);
		reply_text(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&text));
	} else {
		reply_text(req, 404, "text/plain", STR("not found\n"));
	}
}

static int serve(struct role *r, struct err *err)
{
	struct http_server_opts o = {.handle = on_request, .arg = r, .max_conns = 64};

	if (!r->metrics_addr || !r->metrics_addr[0])
		return 0;
	r->server = http_server_new(r->loop, &o, err);
	if (!r->server || http_server_listen(r->server, r->metrics_addr, err) < 0)
		return err_wrap(err, "--metrics-addr %s", r->metrics_addr);
	return 0;
}

static void on_signal(void *arg, int signo)
{
	struct role *r = arg;

	log_info("stopping", "signal", strsignal(signo));
	if (r->stop)
		r->stop(r->stop_arg);
	else
		loop_stop(r->loop);
}

static int connect_api(struct role *r, struct err *err)
{
	if (!r->kubeconfig_path)
		return 0;
	if (kubeconfig_load(r->kubeconfig_path, &r->kubeconfig, err))
		return -1;
	r->client = client_http_new(r->loop, &r->kubeconfig, r->name, err);
	return r->client ? 0 : -1;
}

static int start(struct role *r, struct err *err)
{
	enum log_level level;

	if (log_level_parse(r->log_level, &level))
		return err_set(err, ERR_BAD_REQUEST,
			       "--log-level %s: must be error, warn, info or debug", r->log_level);
	log_init(r->name, level, r->log_format);
	r->loop = loop_new();
	if (loop_signal(r->loop, SIGTERM, on_signal, r, err) ||
	    loop_signal(r->loop, SIGINT, on_signal, r, err))
		return -1;
	return connect_api(r, err) || serve(r, err) ? -1 : 0;
}

int role_start(struct role *r, struct err *err)
{
	if (!start(r, err))
		return 0;
	log_error("cannot start", "error", err->msg);
	return -1;
}

int role_run(struct role *r)
{
	loop_run(r->loop);
	return 0;
}

void role_release(struct role *r)
{
	http_server_free(r->server);
	client_free(r->client);
	kubeconfig_release(&r->kubeconfig);
	if (r->loop)
		loop_free(r->loop);
	r->server = NULL;
	r->client = NULL;
	r->loop = NULL;
}
