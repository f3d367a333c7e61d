/*
 * The reconciler as a whole: caches of sources and units, discovery, the root objects. Everything
 * else happens in answer to what these see. One loop.
 */
#include "reconciler/engine.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/alert.h"
#include "reconciler/argo.h"
#include "reconciler/forge_call.h"
#include "reconciler/goodbye.h"
#include "reconciler/leftover.h"
#include "reconciler/reseal.h"
#include "reconciler/unsupported.h"
#include "reconciler/webhook.h"

static void on_source(void *arg, const struct obj *old, const struct obj *new)
{
	source_changed(arg, old, new);
}

static void on_oci(void *arg, const struct obj *old, const struct obj *new)
{
	source_changed_oci(arg, old, new);
}

static void on_unit(void *arg, const struct obj *old, const struct obj *new)
{
	unit_changed(arg, old, new);
	/* It may be declared by another one. */
	drift_on_change(arg, old, new);
}

static void check_synced(void *arg)
{
	struct reconciler *r = arg;
	struct map_iter it = {0};

	if (r->synced || !restmap_ready(r->restmap) || !informer_synced(r->sources_informer) ||
	    !informer_synced(r->oci_informer) || !informer_synced(r->units_informer) ||
	    !argo_synced(r))
		return;
	r->synced = true;
	log_info("caches are filled", "sources", log_i64((int64_t)r->sources.n), "units",
		 log_i64((int64_t)r->units.n));
	if (r->opts.synced)
		r->opts.synced(r->opts.arg);
	while (map_next(&r->units, &it))
		unit_look(it.value);
	argo_projects_end(r);
}

static void on_discovery(void *arg, const struct err *err);

static void discover_again(struct loop *l, struct loop_timer *t)
{
	struct reconciler *r = CONTAINER_OF(t, struct reconciler, discovery);

	(void)l;
	restmap_refresh(r->restmap, on_discovery, r);
}

static void on_discovery(void *arg, const struct err *err)
{
	struct reconciler *r = arg;

	if (err->code) {
		log_warn("cannot read what kinds there are, trying again", "error", err->msg);
		loop_timer_set(r->loop, &r->discovery, NS_PER_S, discover_again);
		return;
	}
	check_synced(r);
}

static struct informer *watch(struct reconciler *r, const struct resource *res, informer_fn *fn)
{
	struct informer_opts o = {.resource = res};
	struct informer *i = informer_new(r->client, &o);

	informer_on_change(i, fn, r);
	informer_on_progress(i, check_synced, r);
	informer_start(i);
	return i;
}

/* Without them everything is seen by polling. */
static void listen_for_webhooks(struct reconciler *r)
{
	struct webhook_opts o = {.listen = r->opts.webhook_listen,
				 .cert = r->opts.webhook_cert,
				 .key = r->opts.webhook_key};
	struct err err = {0};

	if (!o.listen || !*o.listen)
		return;
	r->webhooks = webhooks_start(r, &o, &err);
	if (!r->webhooks)
		log_error("no webhooks, polling only", "error", err.msg);
}

struct reconciler *reconciler_start(struct client *c, const struct reconciler_opts *o)
{
	struct reconciler *r = xalloc(sizeof(*r));

	r->client = c;
	r->loop = c->loop;
	r->opts = *o;
	r->restmap = restmap_new(c);
	r->recorder = recorder_new(c, "reconciler", "");
	r->statuses = statusq_new(c);
	list_init(&r->queue);
	list_init(&r->goodbyes);
	restmap_refresh(r->restmap, on_discovery, r);
	r->sources_informer = watch(r, &res_gitrepositories, on_source);
	r->oci_informer = watch(r, &res_ocirepositories, on_oci);
	r->units_informer = watch(r, &res_kustomizations, on_unit);
	reseal_start(r);
	argo_start(r, check_synced);
	r->unsupported = unsupported_start(r);
	r->bootstrap = bootstrap_start(r);
	r->alerts = alerts_start(r);
	r->leftovers = leftovers_start(r);
	listen_for_webhooks(r);
	return r;
}

void reconciler_stop(struct reconciler *r)
{
	struct map_iter it = {0};

	if (!r)
		return;
	loop_timer_cancel(r->loop, &r->discovery);

	bootstrap_free(r->bootstrap);
	unsupported_stop(r->unsupported);
	webhooks_free(r->webhooks);
	alerts_free(r->alerts);
	leftovers_free(r->leftovers);
	reseal_stop(r);
	argo_stop(r);
	goodbyes_free(r);
	informer_free(r->units_informer);
	informer_free(r->sources_informer);
	informer_free(r->oci_informer);
	while (map_next(&r->units, &it))
		unit_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&r->sources, &it))
		source_free(it.value);
	loop_timer_cancel(r->loop, &r->dequeue);
	forge_gates_free(r);
	kindwatches_free(r);
	map_release(&r->units);
	map_release(&r->sources);
	map_release(&r->owned);
	recorder_free(r->recorder);
	statusq_free(r->statuses);
	restmap_free(r->restmap);
	free(r);
}
