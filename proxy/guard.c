/*
 * Feeds policy_core.c out of informers. Must never let a policy stand without the pods it speaks
 * of: until they are known the rule set isn't written, and what the kernel had stays. On the
 * client's loop; owns its informers.
 */
#include "proxy/guard.h"

#include <stdlib.h>

#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "proxy/policy.h"

static const struct resource res_networkpolicies = {
	.group = "networking.k8s.io",
	.version = "v1",
	.plural = "networkpolicies",
	.kind = "NetworkPolicy",
	.namespaced = true,
};

struct guard {
	struct guard_opts o;
	struct policies *policies;
	struct informer *known, *pods, *namespaces; /* the latter two once there is a policy */
	bool told;                                  /* that all is known */
};

static void tell(struct guard *g)
{
	if (!policies_due(g->policies) && g->told)
		return;
	g->told = guard_synced(g);
	g->o.changed(g->o.arg);
}

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	const struct obj *o = new ? new : old;
	struct guard *g = arg;

	policies_pod(g->policies, o->namespace, o->name, new);
	tell(g);
}

static void on_namespace(void *arg, const struct obj *old, const struct obj *new)
{
	struct guard *g = arg;

	policies_namespace(g->policies, (new ? new : old)->name, new);
	tell(g);
}

static void on_progress(void *arg)
{
	tell(arg);
}

static struct informer *follow(struct guard *g, const struct resource *resource, informer_fn *fn)
{
	struct informer_opts o = {.resource = resource};
	struct informer *i = informer_new(g->o.client, &o);

	informer_on_change(i, fn, g);
	informer_on_progress(i, on_progress, g);
	informer_start(i);
	return i;
}

static void on_policy(void *arg, const struct obj *old, const struct obj *new)
{
	const struct obj *o = new ? new : old;
	struct guard *g = arg;

	policies_policy(g->policies, o->namespace, o->name, new);
	if (!g->pods) {
		g->pods = follow(g, &res_pods, on_pod);
		g->namespaces = follow(g, &res_namespaces, on_namespace);
		g->told = false;
	}
	tell(g);
}

struct guard *guard_start(const struct guard_opts *o)
{
	struct guard *g = xalloc(sizeof(*g));

	g->o = *o;
	g->policies = policies_new(o->rules, str_c(o->node));
	g->known = follow(g, &res_networkpolicies, on_policy);
	return g;
}

void guard_stop(struct guard *g)
{
	if (!g)
		return;
	informer_free(g->known);
	if (g->pods) {
		informer_free(g->pods);
		informer_free(g->namespaces);
	}
	policies_free(g->policies);
	free(g);
}

bool guard_synced(const struct guard *g)
{
	return informer_synced(g->known) &&
	       (!g->pods || (informer_synced(g->pods) && informer_synced(g->namespaces)));
}

void guard_render(struct guard *g)
{
	policies_render(g->policies);
}
