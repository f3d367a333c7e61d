/*
 * What must hold after every commit, and what must hold in the end. A rollout's bounds are those
 * of Kubernetes: controllers act on caches that lag, so what a Deployment asked for within the last
 * WINDOW counts too, and pods that were taken away from outside excuse fewer for as long.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/quantity.h"
#include "tests/sim/world.h"

#define WINDOW (60 * NS_PER_S)

static int deployment_of(const struct obj *pod)
{
	struct str app = obj_label(pod, STR("app"));

	return app.n == 2 && app.p[0] == 'd' && app.p[1] < '0' + DEPLOYMENTS_MAX ? app.p[1] - '0'
										 : -1;
}

static bool is_ready(const struct json *pod)
{
	return str_is(json_str(json_get(condition_find(pod, "Ready"), STR("status"))), "True");
}

static bool is_over(const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

/* ---- counting ---- */

struct counting {
	struct arena a;
	struct str node;
	int deployment;
	int64_t on_node, cpu_milli; /* of the node */
	int64_t living, available;  /* of the deployment */
};

static void count_pod(void *arg, const struct obj *o)
{
	struct counting *c = arg;
	const struct json *tree = obj_tree(o, &c->a);

	if (is_over(tree))
		return;
	if (c->node.n && str_eq(json_str(json_at(tree, "spec", "nodeName")), c->node)) {
		struct str cpu = json_str(json_at(json_item(json_at(tree, "spec", "containers"), 0),
						  "resources", "requests", "cpu"));
		struct quantity q;

		c->on_node++;
		if (!quantity_parse(cpu, &q))
			c->cpu_milli += quantity_milli(q);
	}
	if (deployment_of(o) == c->deployment && !o->deleted_ns) {
		c->living++;
		c->available += is_ready(tree);
	}
}

static struct counting count(struct world *w, struct str node, int deployment)
{
	struct counting c = {.node = node, .deployment = deployment};

	core_each(w->core, core_kind_find(w->core, STR(""), STR("v1"), STR("pods")), count_pod, &c);
	arena_release(&c.a);
	return c;
}

/* ---- after every commit ---- */

static void check_binding(struct world *w, const struct obj *new, struct str was, struct str node)
{
	struct counting c;

	if (was.n && !str_eq(was, node))
		world_wrong(w, "pod %.*s moved from %.*s to %.*s", STR_ARG(new->name), STR_ARG(was),
			    STR_ARG(node));
	if (was.n || !node.n)
		return;
	c = count(w, node, -1);
	if (c.on_node > 8 || c.cpu_milli > 4000)
		world_wrong(w, "node %.*s holds %lld pods with %lldm of CPU, past its capacity",
			    STR_ARG(node), (long long)c.on_node, (long long)c.cpu_milli);
}

static void check_most(struct world *w, int d)
{
	const struct deployment_trace *t = &w->traces[d];
	int64_t most =
		MAX(t->replicas + t->surge, world_now(w) < t->most_until ? t->most_allowed : 0);
	struct counting c = count(w, STR_NONE, d);

	if (c.living > most)
		world_wrong(w, "deployment d%d has %lld pods where at most %lld are allowed", d,
			    (long long)c.living, (long long)most);
}

static void check_fewest(struct world *w, int d)
{
	const struct deployment_trace *t = &w->traces[d];
	int64_t fewest = t->replicas - t->unavailable;
	struct counting c;

	if (world_now(w) < t->excused_until)
		return;
	if (world_now(w) < t->fewest_until)
		fewest = MIN(fewest, t->fewest_wanted);
	c = count(w, STR_NONE, d);
	if (c.available < fewest)
		world_wrong(
			w,
			"deployment d%d has %lld pods available where at least %lld are promised",
			d, (long long)c.available, (long long)fewest);
}

static void pod_changed(struct world *w, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct json *was = old ? obj_tree(old, &a) : NULL, *is = obj_tree(new, &a);
	int d = deployment_of(new);

	check_binding(w, new, json_str(json_at(was, "spec", "nodeName")),
		      json_str(json_at(is, "spec", "nodeName")));
	if (d < 0)
		return;
	if (!old)
		check_most(w, d);
	else if (new->deleted_ns && !old->deleted_ns && is_ready(was))
		check_fewest(w, d);
}

static void remember(struct world *w, uint64_t revision)
{
	if (w->npod_revisions == w->pod_revisions_cap) {
		w->pod_revisions_cap = w->pod_revisions_cap ? 2 * w->pod_revisions_cap : 256;
		w->pod_revisions =
			xreallocarray(w->pod_revisions, w->pod_revisions_cap, sizeof(uint64_t));
	}
	w->pod_revisions[w->npod_revisions++] = revision;
}

void invariants_change(struct world *w, const struct kind *k, const struct obj *old,
		       const struct obj *new)
{
	if (new &&new->revision <= w->last_revision)
		world_wrong(w, "revision %llu after %llu", (unsigned long long)new->revision,
			    (unsigned long long)w->last_revision);
	if (new)
		w->last_revision = new->revision;
	if (strcmp(k->kind, "Pod"))
		return;
	if (new) {
		remember(w, new->revision);
		pod_changed(w, old, new);
	} else if (deployment_of(old) >= 0 && !old->deleted_ns) {
		AUTO(arena) struct arena a = {0};

		if (is_ready(obj_tree(old, &a)))
			check_fewest(w, deployment_of(old));
	}
}

/* ---- what was asked for ---- */

void invariants_asked(struct world *w, int d, int64_t replicas, int64_t surge, int64_t unavailable)
{
	struct deployment_trace *t = &w->traces[d];
	int64_t now = world_now(w), most = t->replicas + t->surge,
		fewest = t->replicas - t->unavailable;

	t->most_allowed = now < t->most_until ? MAX(t->most_allowed, most) : most;
	t->fewest_wanted = now < t->fewest_until ? MIN(t->fewest_wanted, fewest) : fewest;
	t->most_until = MAX(t->most_until, now + WINDOW);
	t->fewest_until = now + WINDOW;
	if (replicas > t->replicas) /* the new ones have to come first */
		t->excused_until = MAX(t->excused_until, now + WINDOW);
	t->replicas = replicas;
	t->surge = surge;
	t->unavailable = unavailable;
}

void invariants_excuse(struct world *w)
{
	for (int d = 0; d < DEPLOYMENTS_MAX; d++)
		w->traces[d].excused_until = world_now(w) + 2 * WINDOW;
}

void invariants_leftovers(struct world *w, int d)
{
	struct deployment_trace *t = &w->traces[d];

	t->most_allowed = INT32_MAX;
	t->most_until = world_now(w) + 2 * WINDOW;
}

/* ---- in the end ---- */

struct finding {
	struct world *w;
	struct arena a;
	int64_t pods[DEPLOYMENTS_MAX];
};

static void final_pod(void *arg, const struct obj *o)
{
	struct finding *f = arg;
	struct world *w = f->w;
	const struct json *tree = obj_tree(o, &f->a);
	struct str node = json_str(json_at(tree, "spec", "nodeName"));
	const struct kind *nodes = core_kind_find(w->core, STR(""), STR("v1"), STR("nodes"));
	int d = deployment_of(o);

	if (o->deleted_ns)
		world_wrong(w, "pod %.*s is still being deleted", STR_ARG(o->name));
	if (node.n && !core_get(w->core, nodes, STR_NONE, node))
		world_wrong(w, "pod %.*s is on %.*s, which is gone", STR_ARG(o->name),
			    STR_ARG(node));
	if (d >= 0 && is_ready(tree))
		f->pods[d]++;
	else
		world_wrong(w, "pod %.*s never got ready", STR_ARG(o->name));
}

static void final_deployment(void *arg, const struct obj *o)
{
	struct finding *f = arg;
	const struct json *tree = obj_tree(o, &f->a), *st = json_get(tree, STR("status"));
	int64_t replicas = json_int(json_at(tree, "spec", "replicas"), -1);
	int d = o->name.p[1] - '0';

	if (json_int(json_get(st, STR("observedGeneration")), 0) != o->generation)
		world_wrong(f->w, "deployment %.*s: its last generation was never looked at",
			    STR_ARG(o->name));
	if (json_bool(json_at(tree, "spec", "paused"), false))
		return;
	if (json_int(json_get(st, STR("updatedReplicas")), 0) != replicas ||
	    json_int(json_get(st, STR("availableReplicas")), 0) != replicas ||
	    f->pods[d] != replicas)
		world_wrong(f->w,
			    "deployment %.*s wants %lld pods, has %lld, says %lld updated, %lld "
			    "available",
			    STR_ARG(o->name), (long long)replicas, (long long)f->pods[d],
			    (long long)json_int(json_get(st, STR("updatedReplicas")), 0),
			    (long long)json_int(json_get(st, STR("availableReplicas")), 0));
}

void invariants_converged(struct world *w)
{
	struct finding f = {.w = w};

	core_each(w->core, core_kind_find(w->core, STR(""), STR("v1"), STR("pods")), final_pod, &f);
	core_each(w->core, core_kind_find(w->core, STR("apps"), STR("v1"), STR("deployments")),
		  final_deployment, &f);
	arena_release(&f.a);
	for (int i = 0; i < OBSERVERS; i++)
		observer_check(w->observers[i]);
}
