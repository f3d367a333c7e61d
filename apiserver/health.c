/*
 * /healthz, /livez, /readyz with their single checks, /version and /metrics. Answered on the
 * core's thread, so an answer also says that the core's loop turns.
 */
#include <stdio.h>
#include <string.h>

#include "apiserver/front-internal.h"

/* Of the sources, for /version; built outside of a repository it is unknown. */
#ifndef PLUMB_COMMIT
#define PLUMB_COMMIT "0000000000000000000000000000000000000000"
#endif

struct check {
	const char *name;
	bool (*ok)(const struct front *f);
	bool only_ready; /* counts for /readyz alone */
};

static bool always(const struct front *f)
{
	(void)f;
	return true;
}

static bool is_ready(const struct front *f)
{
	return f->ready;
}

static bool is_staying(const struct front *f)
{
	return !f->stopping;
}

/*
 * What Kubernetes has a check of its own for, after its start, is done here before the server is
 * ready. Probes and monitoring ask for some of them by name.
 */
static const struct check checks[] = {
	{"ping", always, false},
	{"log", always, false},
	{"etcd", always, false},
	{"poststarthook/rbac/bootstrap-roles", is_ready, false},
	{"poststarthook/start-kube-apiserver-admission-initializer", is_ready, false},
	{"poststarthook/start-apiserver-admission-initializer", is_ready, false},
	{"poststarthook/generic-apiserver-start-informers", is_ready, false},
	{"poststarthook/priority-and-fairness-config-consumer", is_ready, false},
	{"poststarthook/priority-and-fairness-config-producer", is_ready, false},
	{"poststarthook/priority-and-fairness-filter", is_ready, false},
	{"poststarthook/storage-object-count-tracker-hook", is_ready, false},
	{"poststarthook/start-service-ip-repair-controllers", is_ready, false},
	{"poststarthook/start-apiextensions-informers", is_ready, false},
	{"poststarthook/start-apiextensions-controllers", is_ready, false},
	{"poststarthook/crd-informer-synced", is_ready, false},
	{"poststarthook/bootstrap-controller", is_ready, false},
	{"poststarthook/start-system-namespaces-controller", is_ready, false},
	{"poststarthook/scheduling/bootstrap-system-priority-classes", is_ready, false},
	{"poststarthook/start-cluster-authentication-info-controller", is_ready, false},
	{"poststarthook/start-kube-aggregator-informers", is_ready, false},
	{"poststarthook/apiservice-registration-controller", is_ready, false},
	{"poststarthook/apiservice-status-available-controller", is_ready, false},
	{"poststarthook/apiservice-status-local-available-controller", is_ready, false},
	{"poststarthook/apiservice-status-remote-available-controller", is_ready, false},
	{"poststarthook/apiservice-discovery-controller", is_ready, false},
	{"poststarthook/kube-apiserver-autoregistration", is_ready, false},
	{"poststarthook/apiservice-openapi-controller", is_ready, false},
	{"poststarthook/apiservice-openapiv3-controller", is_ready, false},
	{"autoregister-completion", is_ready, false},
	{"informer-sync", is_ready, true},
	{"shutdown", is_staying, true},
};

/* What /metrics/slis tells: how often each check was asked for, by endpoint, and how it went. */
static const char *const endpoints[] = {"healthz", "livez", "readyz"};
static unsigned long asked[ARRAY_LEN(endpoints)][ARRAY_LEN(checks)][2];

static size_t endpoint_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
		if (str_is(name, endpoints[i]))
			return i;
	return ARRAY_LEN(endpoints);
}

static bool run_check(const struct front *f, size_t endpoint, size_t check)
{
	bool ok = checks[check].ok(f);

	asked[endpoint][check][ok]++;
	return ok;
}

static bool is_of(size_t endpoint, const struct check *c)
{
	return !c->only_ready || !strcmp(endpoints[endpoint], "readyz");
}

static void serve_slis(struct front_req *r)
{
	static const char *const words[] = {"error", "success"};
	AUTO(buf) struct buf text = {0};

	buf_puts(&text, "# HELP kubernetes_healthcheck [STABLE] This metric records the result of "
			"a single healthcheck.\n# TYPE kubernetes_healthcheck gauge\n");
	for (size_t e = 0; e < ARRAY_LEN(endpoints); e++)
		for (size_t i = 0; i < ARRAY_LEN(checks); i++)
			if (is_of(e, &checks[i]))
				buf_printf(&text,
					   "kubernetes_healthcheck{name=\"%s\",type=\"%s\"} %d\n",
					   checks[i].name, endpoints[e], checks[i].ok(r->f));
	buf_puts(&text, "# HELP kubernetes_healthchecks_total [STABLE] This metric records the "
			"results of all healthchecks.\n"
			"# TYPE kubernetes_healthchecks_total counter\n");
	for (size_t e = 0; e < ARRAY_LEN(endpoints); e++)
		for (size_t i = 0; i < ARRAY_LEN(checks); i++)
			for (size_t k = 0; k < ARRAY_LEN(words); k++)
				if (asked[e][i][k])
					buf_printf(&text,
						   "kubernetes_healthchecks_total{name=\"%s\","
						   "status=\"%s\",type=\"%s\"} %lu\n",
						   checks[i].name, words[k], endpoints[e],
						   asked[e][i][k]);
	front_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&text));
}

static bool excluded(struct front_req *r, const char *name)
{
	size_t pos = 0;
	struct str s;

	while ((s = http_query_next(&r->http->arena, r->http->query, "exclude", &pos)).p) {
		if (str_is(s, name))
			return true;
	}
	return false;
}

static void serve_all(struct front_req *r, size_t endpoint)
{
	AUTO(buf) struct buf text = {0};
	bool ok = true;
	bool verbose = http_query(&r->http->arena, r->http->query, "verbose").p != NULL;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		const struct check *c = &checks[i];
		if (!is_of(endpoint, c))
			continue;
		if (excluded(r, c->name)) {
			buf_printf(&text, "[+]%s excluded: ok\n", c->name);
			continue;
		}
		bool fine = run_check(r->f, endpoint, i);
		ok = ok && fine;
		buf_printf(&text, fine ? "[+]%s ok\n" : "[-]%s failed: reason withheld\n", c->name);
	}
	buf_printf(&text, "%s check %s\n", endpoints[endpoint], ok ? "passed" : "failed");
	if (ok && !verbose)
		front_text(r, 200, "text/plain; charset=utf-8", STR("ok"));
	else
		front_text(r, ok ? 200 : 500, "text/plain; charset=utf-8", buf_view(&text));
}

static bool serve_one(struct front_req *r, size_t endpoint, struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (!str_is(name, checks[i].name))
			continue;
		bool ok = run_check(r->f, endpoint, i);
		front_text(r, ok ? 200 : 500, "text/plain; charset=utf-8",
			   ok ? STR("ok") : STR("internal server error: not ready\n"));
		return true;
	}
	return false;
}

static void serve_version(struct front_req *r)
{
	struct json *v = json_build(&r->http->arena, "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}",
				    "major", "1", "minor", "32", "gitVersion",
				    "v1.32.0+plumb-" PLUMB_VERSION, "gitCommit", PLUMB_COMMIT,
				    "gitTreeState", "clean", "buildDate", "1970-01-01T00:00:00Z",
				    "goVersion", "none", "compiler", "gcc", "platform",
#if defined(__aarch64__)
				    "linux/arm64"
#else
				    "linux/amd64"
#endif
	);

	front_json(r, 200, v);
}

bool health_serve(struct front_req *r)
{
	AUTO(buf) struct buf text = {0};
	struct str path = r->http->path, head, rest;

	if (!str_cut(str_sub(path, 1, path.n), '/', &head, &rest)) {
		head = str_sub(path, 1, path.n);
		rest = STR_NONE;
	}
	if (endpoint_of(head) < ARRAY_LEN(endpoints)) {
		if (rest.n)
			return serve_one(r, endpoint_of(head), rest);
		serve_all(r, endpoint_of(head));
		return true;
	}
	if (str_is(path, "/version") || str_is(path, "/version/")) {
		serve_version(r);
		return true;
	}
	if (str_is(path, "/metrics/slis")) {
		serve_slis(r);
		return true;
	}
	if (!str_is(path, "/metrics"))
		return false;
	front_flow_measure(r->f);
	metrics_write(&text);
	front_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_view(&text));
	return true;
}
