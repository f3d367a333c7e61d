/*
 * The root: namespace, GitRepository and Kustomization that the role's options describe, applied at
 * start until it succeeds. Only what the options say is set, so that a person may add to them.
 * On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/engine.h"
#include "reconciler/forge_call.h"

struct bootstrap {
	struct reconciler *r;
	struct client_call *call;
	struct loop_timer retry;
	unsigned step, failures;
};

static void next(struct bootstrap *b);

static const struct backoff pauses = {.base_ns = 100 * NS_PER_MS, .max_ns = 5 * NS_PER_S};

static bool is_local(const char *url)
{
	return !strncmp(url, "file://", 7) || url[0] == '/';
}

static struct json *root_namespace(struct bootstrap *b, struct arena *a)
{
	(void)b;
	return json_build(a, "{s:s,s:s,s:{s:s}}", "apiVersion", "v1", "kind", "Namespace",
			  "metadata", "name", ROOT_NAMESPACE);
}

static struct json *root_source(struct bootstrap *b, struct arena *a)
{
	const struct reconciler_opts *o = &b->r->opts;
	const char *url = o->repo[0] == '/' ? arena_printf(a, "file://%s", o->repo) : o->repo;
	const char *interval = o->interval && *o->interval ? o->interval
			       : is_local(o->repo)         ? "1s"
							   : "1m";

	struct json *v = json_build(a, "{s:s,s:s,s:{s:s,s:s},s:{s:s,s:s,s:{s:s}}}", "apiVersion",
				    "source.toolkit.fluxcd.io/v1", "kind", "GitRepository",
				    "metadata", "name", "root", "namespace", ROOT_NAMESPACE, "spec",
				    "url", url, "interval", interval, "ref", "branch",
				    o->branch && *o->branch ? o->branch : "main");

	if (o->forge && *o->forge)
		json_set(a, json_get(v, STR("metadata")), STR("annotations"),
			 json_build(a, "{s:s}", FORGE, o->forge));
	return v;
}

static struct json *root_unit(struct bootstrap *b, struct arena *a)
{
	const struct reconciler_opts *o = &b->r->opts;

	return json_build(a, "{s:s,s:s,s:{s:s,s:s},s:{s:s,s:s,s:b,s:{s:s,s:s}}}", "apiVersion",
			  "kustomize.toolkit.fluxcd.io/v1", "kind", "Kustomization", "metadata",
			  "name", "root", "namespace", ROOT_NAMESPACE, "spec", "interval", "10m",
			  "path", o->path && *o->path ? o->path : "./", "prune", true, "sourceRef",
			  "kind", "GitRepository", "name", "root");
}

static const struct {
	const struct resource *resource;
	struct json *(*make)(struct bootstrap *b, struct arena *a);
} steps[] = {{&res_namespaces, root_namespace},
	     {&res_gitrepositories, root_source},
	     {&res_kustomizations, root_unit}};

static void on_retry(struct loop *l, struct loop_timer *t)
{
	(void)l;
	next(CONTAINER_OF(t, struct bootstrap, retry));
}

static void on_applied(void *arg, const struct api_answer *answer)
{
	struct bootstrap *b = arg;

	b->call = NULL;
	if (answer->err.code) {
		int64_t wait = backoff_after(&pauses, b->failures++);

		log_warn("cannot make the root objects, trying again", "error", answer->err.msg);
		loop_timer_set(b->r->loop, &b->retry, wait, on_retry);
		return;
	}
	b->step++;
	next(b);
}

static void next(struct bootstrap *b)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_APPLY, .force = true, .field_manager = "plumb-up"};
	const struct json *o;

	if (b->step == ARRAY_LEN(steps))
		return;
	o = steps[b->step].make(b, &a);
	json_write(o, &body);
	call.resource = steps[b->step].resource;
	call.namespace = meta_namespace(o);
	call.name = meta_name(o);
	call.body = buf_view(&body);
	b->call = client_call(b->r->client, &call, on_applied, b);
}

struct bootstrap *bootstrap_start(struct reconciler *r)
{
	struct bootstrap *b;

	if (!r->opts.repo || !*r->opts.repo)
		return NULL;
	b = xalloc(sizeof(*b));
	b->r = r;
	next(b);
	return b;
}

void bootstrap_free(struct bootstrap *b)
{
	if (!b)
		return;
	client_call_cancel(b->r->client, b->call);
	loop_timer_cancel(b->r->loop, &b->retry);
	free(b);
}
