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
	struct arena left_in;
	struct udp_fronts left; /* to be told of at the next transaction */
	bool told;
};

/* Mostly there is nothing to read: not even the tree. */
static const struct json *read_pod(const struct obj *o, struct arena *a, struct rules *ret)
{
	const struct json *tree;

	if (!o || str_find(o->bytes, STR("\"hostPort\"")) < 0)
		return NULL;
	tree = obj_tree(o, a);
	rules_of_host_ports(a, tree, ret);
	return tree;
}

static bool same(const struct rules *a, const struct rules *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!str_eq(a->v[i].object, b->v[i].object) || !str_eq(a->v[i].key, b->v[i].key) ||
		    !str_eq(a->v[i].text, b->v[i].text))
			return false;
	return true;
}

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	const struct obj *o = new ? new : old;
	AUTO(arena) struct arena a = {0};
	struct hostports *h = arg;
	struct rules had = {0}, rules = {0};
	const struct json *was = read_pod(old, &a, &had), *is = read_pod(new, &a, &rules);
	struct str key =
		arena_strf(&a, "hostport/%.*s/%.*s", STR_ARG(o->namespace), STR_ARG(o->name));

	if (same(&had, &rules))
		return;
	if (rules.n)
		map_set(&h->with, key, h);
	else
		map_del(&h->with, key);
	ruleset_put_rules(h->o.rules, key, &rules);
	if (was)
		udp_of_host_ports(&h->left_in, was, &h->left);
	if (is)
		udp_of_host_ports(&h->left_in, is, &h->left);
	h->o.changed(h->o.arg);
}

void hostports_left(struct hostports *h, struct arena *a, struct udp_fronts *f)
{
	for (size_t i = 0; i < h->left.n; i++)
		udp_add_gone(a, f, h->left.v[i].ip, h->left.v[i].port);
	h->left = (struct udp_fronts){0};
	arena_reset(&h->left_in);
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
	arena_release(&h->left_in);
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
