/*
 * Feeds hostport_core.c out of an informer of this node's pods. Must never wake the dataplane for
 * pods that have no such port. On the client's loop; owns its informer and the names of pods with
 * rules.
 */
#include "proxy/hostports.h"

#include <stdlib.h>

#include "lib/kube/informer.h"
#include "lib/kube/resources.h"

struct hostports {
	struct hostports_opts o;
	struct informer *pods;
	char *selector;
	struct map with; /* keys of pods that have rules → non-NULL */
	bool told;
};

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	const struct obj *o = new ? new : old;
	AUTO(arena) struct arena a = {0};
	struct hostports *h = arg;
	struct rules rules = {0};
	struct str key =
		arena_strf(&a, "hostport/%.*s/%.*s", STR_ARG(o->namespace), STR_ARG(o->name));

	/* Mostly there is nothing to read: not even the tree. */
	if (new &&str_find(new->bytes, STR("\"hostPort\"")) >= 0)
		rules_of_host_ports(&a, obj_tree(new, &a), &rules);
	if (!rules.n && !map_has(&h->with, key))
		return;
	if (rules.n)
		map_set(&h->with, key, h);
	else
		map_del(&h->with, key);
	ruleset_put_rules(h->o.rules, key, &rules);
	h->o.changed(h->o.arg);
}

static void on_progress(void *arg)
{
	struct hostports *h = arg;

	if (h->told)
		return;
	h->told = true;
	h->o.changed(h->o.arg);
}

struct hostports *hostports_start(const struct hostports_opts *o)
{
	struct hostports *h = xalloc(sizeof(*h));
	struct informer_opts pods = {.resource = &res_pods};

	h->o = *o;
	h->selector = xasprintf("spec.nodeName=%s", o->node);
	pods.field_selector = h->selector;
	h->pods = informer_new(o->client, &pods);
	informer_on_change(h->pods, on_pod, h);
	informer_on_progress(h->pods, on_progress, h);
	informer_start(h->pods);
	return h;
}

void hostports_stop(struct hostports *h)
{
	if (!h)
		return;
	informer_free(h->pods);
	map_release(&h->with);
	free(h->selector);
	free(h);
}

bool hostports_synced(const struct hostports *h)
{
	return informer_synced(h->pods);
}

bool hostports_any(const struct hostports *h)
{
	return h->with.n > 0;
}
