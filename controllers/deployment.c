/*
 * Deployment: rolls its template out through ReplicaSets, one for each template it has had. This
 * file is the order of things and the writing; what to do next is in deployment_core.c, the
 * present ReplicaSet in deployment_current.c, the status in deployment_status.c. Pure.
 */
#include "controllers/deployment_core.h"

#include "lib/base/pure.h"

/* Pausing stops the clock of the progress deadline, and says so. */
static void paused_condition(struct dep *d)
{
	const struct json *c = condition_find(d->was, "Progressing");
	bool said = str_is(json_str(json_at(c, "reason")), "DeploymentPaused");

	if (!json_at(d->was, "spec", "progressDeadlineSeconds") ||
	    str_is(json_str(json_at(c, "reason")), "ProgressDeadlineExceeded"))
		return;
	if (d->paused && !said)
		dep_condition(d, "Progressing", "Unknown", "DeploymentPaused",
			      STR("Deployment is paused"));
	else if (!d->paused && said)
		dep_condition(d, "Progressing", "Unknown", "DeploymentResumed",
			      STR("Deployment is resumed"));
}

static void write_replicasets(struct dep *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct dep_rs *rs = d->all[i];

		if (!rs->was) {
			plan_create(d->plan, &res_replicasets, rs->new);
			d->plan->last->ignore_exists = true;
		} else if (rs->dirty) {
			plan_update(d->plan, &res_replicasets, rs->new);
		}
	}
}

static void write_status(struct dep *d)
{
	struct json *new;

	if (json_equal(json_at(d->was, "status"), d->status))
		return;
	new = json_copy(d->v->arena, d->was);
	json_set(d->v->arena, new, STR("status"), d->status);
	plan_update_status(d->plan, &res_deployments, new);
	d->plan->last->ignore_not_found = true;
}

/* Behind the status: a patch moves the resourceVersion that the status was written against. */
static void write_revision(struct dep *d)
{
	struct str have = meta_annotation(d->was, ANNOTATION_REVISION), want;

	if (!d->current || !d->current->revision)
		return;
	want = arena_strf(d->v->arena, "%lld", (long long)d->current->revision);
	if (str_eq(have, want))
		return;
	plan_patch(d->plan, &res_deployments, d->was, NULL,
		   json_build(d->v->arena, "{s:{s:{s:S}}}", "metadata", "annotations",
			      ANNOTATION_REVISION, want));
	d->plan->last->ignore_not_found = true;
}

/* Recreate makes its new ReplicaSet only once the old pods are gone. */
static void advance(struct dep *d)
{
	if (d->paused || dep_is_scaling(d)) {
		if (d->current && !d->paused)
			dep_sync_current(d);
		dep_scale_proportionally(d);
	} else if (d->recreate) {
		if (d->current)
			dep_sync_current(d);
		dep_recreate(d);
	} else {
		dep_sync_current(d);
		dep_roll(d);
	}
	dep_prune_history(d);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *deployment = view_get(v, &res_deployments, namespace, name);
	struct trees rss = {0};
	struct selector s;
	struct dep d;

	if (!deployment)
		return 0;
	if (selector_from_json(v->arena, json_at(deployment, "spec", "selector"), &s, err) != 0)
		return -1;
	if (!json_is(json_at(deployment, "spec", "template"), JSON_OBJECT))
		return err_set(err, ERR_INVALID, "spec.template is missing");
	if (!s.n || s.nothing) {
		plan_event(
			p, deployment, "Warning", "SelectingAll",
			"This deployment is selecting all pods. A non-empty selector is required.");
		return 0;
	}
	claim_objects(v, deployment, &s, &res_replicasets, p, &rss);
	dep_init(&d, v, deployment, p);
	dep_take_replicasets(&d, &rss);
	if (!meta_deleting(deployment)) {
		paused_condition(&d);
		advance(&d);
		write_replicasets(&d);
	}
	dep_status(&d);
	write_status(&d);
	if (!meta_deleting(deployment))
		write_revision(&d);
	return 0;
}

static void map_replicaset(const struct view *v, const struct obj *o,
			   void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_deployments, o, put, ctx);
}

/* Recreate waits for the last old pod to go. */
static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	const struct json *owner = obj_controller(o, v->arena), *rs;
	struct str name;

	if (!str_is(json_str(json_at(owner, "kind")), "ReplicaSet"))
		return;
	if (!pod_finished(obj_tree(o, v->arena)) && view_get(v, &res_pods, o->namespace, o->name))
		return;
	rs = view_get(v, &res_replicasets, o->namespace, json_str(json_at(owner, "name")));
	name = json_str(json_at(meta_controller(rs), "name"));
	if (name.n)
		put(ctx, obj_key(v->arena, o->namespace, name));
}

static const struct controller_watch watches[] = {
	{&res_deployments, NULL, NULL, NULL},
	{&res_replicasets, NULL, NULL, map_replicaset},
	{&res_pods, NULL, NULL, map_pod},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_replicasets, INDEX_OWNER, index_by_controller_uid},
	{&res_replicasets, INDEX_ORPHAN, index_orphans},
	{0},
};

const struct controller controller_deployment = {
	.name = "deployment",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
