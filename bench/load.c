/*
 * load KUBECONFIG WHAT CONNECTIONS REQUESTS: drives the API server as fast as it answers, keeping
 * one request under way on each connection, and prints requests/s, MB/s and latencies.
 * WHAT: create-configmaps, create-secrets, create-pods (namespace "bench", which must exist), get,
 * list-500, list. watch: as many connections watch, until each has seen the requests' ConfigMaps
 * created. idle: the same, with a word on standard output once all are answered and five seconds to
 * look at them before anything is created.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/kube/client.h"

#define IDLE_NS (5 * NS_PER_S)
#define AT_ONCE 32

struct load {
	struct loop *loop;
	struct http_client *http;
	const char *what;
	long started, total, done, failed;
	unsigned long long bytes;
	long watchers, asked, watching, events; /* watch only */
	double *ms;
	char error[800];
};

struct one {
	struct load *l;
	int64_t at;
};

static void next(struct one *o);

static void on_done(void *arg, const struct http_answer *a)
{
	struct one *o = arg;
	struct load *l = o->l;

	l->ms[l->done++] = (double)(loop_now(l->loop) - o->at) / 1e6;
	l->bytes += a->body.n;
	if (a->status / 100 != 2 && !l->failed++)
		snprintf(l->error, sizeof(l->error), "%d %s %.*s", a->status,
			 a->err ? a->err->msg : "", (int)MIN(a->body.n, 200),
			 a->body.p ? a->body.p : "");
	if (l->done < l->total)
		next(o);
	else if (!l->watchers)
		loop_stop(l->loop);
}

static void describe(const struct load *l, long i, struct buf *path, struct buf *body)
{
	bool secrets = !strcmp(l->what, "create-secrets");

	if (secrets || !strcmp(l->what, "create-configmaps")) {
		buf_printf(path, "/api/v1/namespaces/bench/%s", secrets ? "secrets" : "configmaps");
		buf_printf(body,
			   "{\"apiVersion\":\"v1\",\"kind\":\"%s\",\"metadata\":{\"name\":"
			   "\"cm-%d-%ld\"},"
			   "\"data\":{\"key\":\"%0200d\"}}",
			   secrets ? "Secret" : "ConfigMap", (int)getpid(), i, 7);
	} else if (!strcmp(l->what, "create-pods")) {
		buf_puts(path, "/api/v1/namespaces/bench/pods");
		buf_printf(body,
			   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p-%d-%"
			   "ld\",\"labels\":{\"app\":\"b\"}},"
			   "\"spec\":{\"schedulerName\":\"none\",\"containers\":[{\"name\":\"c\","
			   "\"image\":\"x:1\",\"resources\":{"
			   "\"requests\":{\"cpu\":\"10m\",\"memory\":\"16Mi\"}}}]}}",
			   (int)getpid(), i);
	} else if (!strcmp(l->what, "get")) {
		buf_puts(path, "/api/v1/namespaces/default");
	} else if (!strcmp(l->what, "list-500")) {
		buf_puts(path, "/api/v1/namespaces/bench/pods?limit=500&resourceVersion=0");
	} else {
		buf_puts(path, "/api/v1/namespaces/bench/pods");
	}
}

static void next(struct one *o)
{
	struct load *l = o->l;
	AUTO(buf) struct buf path = {0};
	AUTO(buf) struct buf body = {0};
	struct http_call c = {.done = on_done, .arg = o, .max_body = 1 << 30};

	if (l->started == l->total)
		return;
	describe(l, l->started++, &path, &body);
	c.method = body.n ? "POST" : "GET";
	c.path = buf_view(&path);
	c.body = buf_view(&body);
	c.content_type = body.n ? "application/json" : NULL;
	o->at = loop_now(l->loop);
	(void)http_client_call(l->http, &c);
}

/* ---- watching ---- */

static void watch_one(struct load *l);

/* A few at a time: else no handshake is done before all nearly are. */
static void on_watch_head(void *arg, const struct http_answer *a)
{
	struct load *l = arg;

	(void)a;
	watch_one(l);
	if (++l->watching == l->watchers)
		loop_stop(l->loop);
}

static void on_watch_data(void *arg, struct str bytes)
{
	struct load *l = arg;
	const char *p = bytes.p, *end = p + bytes.n;

	l->bytes += bytes.n;
	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		l->events++;
	if (l->events >= l->watchers * l->total)
		loop_stop(l->loop);
}

static void on_watch_done(void *arg, const struct http_answer *a)
{
	struct load *l = arg;

	l->failed++;
	snprintf(l->error, sizeof(l->error), "a watch ended: %d %s", a->status,
		 a->err ? a->err->msg : "");
	loop_stop(l->loop);
}

static void watch_one(struct load *l)
{
	if (l->asked == l->watchers)
		return;
	l->asked++;
	(void)http_client_call(
		l->http,
		&(struct http_call){.method = "GET",
				    .path = STR("/api/v1/namespaces/bench/configmaps?watch=true"),
				    .done = on_watch_done,
				    .head = on_watch_head,
				    .data = on_watch_data,
				    .arg = l});
}

/* Watches of what is created from now on; returns once all are answered. */
static void begin_watching(struct load *l)
{
	for (long i = 0; i < MIN(l->watchers, AT_ONCE); i++)
		watch_one(l);
	loop_run(l->loop);
	loop_turn(l->loop, 1000); /* what stands already comes first */
	l->events = 0;
	l->bytes = 0;
}

static void on_enough(struct loop *l, struct loop_timer *t)
{
	(void)t;
	loop_stop(l);
}

/* What 10,000 watches that have nothing to tell cost can be looked at now. */
static void idle(struct load *l, int64_t since)
{
	struct loop_timer enough = {0};

	printf("%ld watches after %.1f s\n", l->watching,
	       (double)(loop_now(l->loop) - since) / 1e9);
	fflush(stdout);
	loop_timer_set(l->loop, &enough, IDLE_NS, on_enough);
	loop_run(l->loop);
	if (l->failed) {
		fprintf(stderr, "%s\n", l->error);
		exit(1);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(struct load *l, int64_t ns, int connections)
{
	double s = (double)ns / 1e9;

	qsort(l->ms, (size_t)l->done, sizeof(*l->ms), by_size);
	printf("%s over %d connections: %.0f/s, %.1f MB/s, p50 %.2f ms, p99 %.2f ms, %ld "
	       "failed%s%s\n",
	       l->what, connections, (double)l->done / s, (double)l->bytes / 1e6 / s,
	       l->ms[l->done / 2], l->ms[l->done * 99 / 100], l->failed, l->failed ? ": " : "",
	       l->error);
}

static struct http_client *dial(struct loop *l, const char *path, int connections, struct err *err)
{
	struct http_client_opts o = {.max_conns = connections};
	struct tls_files files = {0};
	struct str host, port;
	struct kubeconfig k;
	int64_t n;

	if (kubeconfig_load(path, &k, err))
		return NULL;
	files.ca_pem = str_c(k.ca_pem);
	files.cert_pem = str_c(k.cert_pem);
	files.key_pem = str_c(k.key_pem);
	str_rcut(str_c(k.server), ':', &host, &port);
	if (str_to_i64(port, &n) || !(o.tls = tls_client_new(&files, err)))
		return NULL;
	o.port = (int)n;
	o.host = xstrndup(host.p + strlen("https://"), host.n - strlen("https://"));
	return http_client_new(l, &o, err);
}

int main(int argc, char **argv)
{
	struct load l = {.loop = loop_new()};
	struct err err = {0};
	int connections = argc == 5 ? (int)strtol(argv[3], NULL, 10) : 0;
	struct rlimit files;
	struct one *ones;
	int64_t begin;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (connections < 1 || !(l.http = dial(l.loop, argv[1], connections, &err))) {
		fprintf(stderr, "load KUBECONFIG WHAT CONNECTIONS REQUESTS: %s\n", err.msg);
		return 2;
	}
	l.what = argv[2];
	l.total = strtol(argv[4], NULL, 10);
	l.ms = xreallocarray(NULL, (size_t)l.total + 1, sizeof(*l.ms));
	ones = xreallocarray(NULL, (size_t)connections, sizeof(*ones));
	if (!strcmp(l.what, "watch") || !strcmp(l.what, "idle")) {
		bool idles = !strcmp(l.what, "idle");
		l.watchers = connections;
		connections = (int)MIN(8, l.total);
		l.what = "create-configmaps";
		begin = loop_now(l.loop);
		begin_watching(&l);
		if (idles)
			idle(&l, begin);
	}
	loop_turn(l.loop, 0);
	begin = loop_now(l.loop);
	for (int i = 0; i < connections; i++) {
		ones[i] = (struct one){.l = &l};
		next(&ones[i]);
	}
	loop_run(l.loop);
	loop_turn(l.loop, 0); /* reads the clock */
	if (l.watchers)
		printf("watch: %.0f events/s to %ld watchers, ",
		       (double)l.events * 1e9 / (double)(loop_now(l.loop) - begin), l.watchers);
	report(&l, loop_now(l.loop) - begin, connections);
	return l.failed != 0;
}
