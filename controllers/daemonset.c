/*
 * DaemonSet: one pod of its template on every node that suits it, replaced node by node when the
 * template changes. Pure; see daemonset_core.c for the choices.
 */
#include "controllers/daemonset_core.h"

#include "lib/kube/nodematch.h"

#include "lib/base/pure.h"

/* What every daemon bears, so that it runs where nothing else is sent and stays where others are
 * evicted. */
static struct json *tolerations(const struct view *v, const struct json *spec)
{
	static const char *const own[][2] = {
		{"node.kubernetes.io/not-ready", "NoExecute"},
		{"node.kubernetes.io/unreachable", "NoExecute"},
		{"node.kubernetes.io/disk-pressure", "NoSchedule"},
		{"node.kubernetes.io/memory-pressure", "NoSchedule"},
		{"node.kubernetes.io/pid-pressure", "NoSchedule"},
		{"node.kubernetes.io/unschedulable", "NoSchedule"},
		{"node.kubernetes.io/network-unavailable", "NoSchedule"},
	};
	const struct json *said = json_at(spec, "tolerations");
	struct json *all = said ? json_copy(v->arena, said) : json_new(v->arena, JSON_ARRAY);
	size_t n = ARRAY_LEN(own) - !json_bool(json_at(spec, "hostNetwork"), false);

	for (size_t i = 0; i < n; i++) {
		const struct taint_facts t = {str_c(own[i][0]), STR(""), str_c(own[i][1])};

		if (!tolerations_cover(said, &t))
			json_append(v->arena, all,
				    json_build(v->arena, "{s:s, s:s, s:s}", "key", own[i][0],
					       "operator", "Exists", "effect", own[i][1]));
	}
	return all;
}

static void read_bounds(struct ds *d)
{
	const struct json *spec = json_at(d->was, "spec"),
			  *rolling = json_at(spec, "updateStrategy", "rollingUpdate");

	d->min_ready = count_of(json_at(spec, "minReadySeconds"), 0);
	d->surge = int_or_percent(json_at(rolling, "maxSurge"), d->desired, true, 0);
	d->unavailable = int_or_percent(json_at(rolling, "maxUnavailable"), d->desired, true, 1);
	if (!d->surge && !d->unavailable)
		d->unavailable = 1;
}

/* A node is served when one of its pods is. */
static bool any_pod(const struct ds *d, const struct ds_node *n, bool available)
{
	for (size_t i = 0; i < n->pods.n; i++)
		if (available ? ds_available(d, n->pods.v[i]) : pod_ready(n->pods.v[i]))
			return true;
	return false;
}

static void set_status(struct ds *d, const struct trees *pods)
{
	struct json *new = json_copy(d->v->arena, d->was), *status;
	int64_t current = 0, misplaced = 0, ready = 0, available = 0, updated = 0;

	(void)pods;
	for (size_t i = 0; i < d->n; i++) {
		const struct ds_node *n = &d->nodes[i];
		const struct json *pod = n->pods.n ? n->pods.v[0] : NULL;

		if (!n->should_run) {
			misplaced += pod != NULL;
			continue;
		}
		current += pod != NULL;
		if (!pod)
			continue;
		ready += any_pod(d, n, false);
		available += any_pod(d, n, true);
		updated += ds_pod_new(d, pod); /* of two side by side the older one counts */
	}
	status = json_set_object(d->v->arena, new, "status");
	const struct {
		const char *name;
		int64_t n;
		bool always;
	} counts[] = {{"currentNumberScheduled", current, true},
		      {"numberMisscheduled", misplaced, true},
		      {"desiredNumberScheduled", d->desired, true},
		      {"numberReady", ready, true},
		      {"updatedNumberScheduled", updated, false},
		      {"numberAvailable", available, false},
		      {"numberUnavailable", d->desired - available, false},
		      {"collisionCount", d->revisions.collisions, false}};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		if (counts[i].n || counts[i].always)
			json_set_int(d->v->arena, status, counts[i].name, counts[i].n);
		else
			json_del(status, str_c(counts[i].name));
	}
	json_set_int(d->v->arena, status, "observedGeneration",
		     json_int(json_at(d->was, "metadata", "generation"), 0));
	if (json_equal(status, json_at(d->was, "status")))
		return;
	plan_update_status(d->plan, &res_daemonsets, new);
	d->plan->last->ignore_not_found = true;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *set = view_get(v, &res_daemonsets, namespace, name);
	const struct json *template = json_at(set, "spec", "template");
	struct ds d = {.v = v, .plan = p, .was = set};
	struct trees pods = {0};
	struct selector s;

	if (!set || meta_deleting(set))
		return 0;
	if (selector_from_json(v->arena, json_at(set, "spec", "selector"), &s, err))
		return -1;
	if (!json_is(template, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "spec.template is missing");
	claim_objects(v, set, &s, &res_pods, p, &pods);
	revisions_sync(v, &res_daemonsets, set, &s, p, &d.revisions);
	d.tolerations = tolerations(v, json_at(template, "spec"));
	ds_look(&d, &pods);
	read_bounds(&d);
	if (v->failed) /* what failed may fail again and end the plan: say so first */
		set_status(&d, &pods);
	ds_manage(&d);
	if (str_is(json_str(json_at(set, "spec", "updateStrategy", "type")), "RollingUpdate"))
		ds_roll(&d);
	revisions_prune(v, p, &d.revisions, &pods, STR_NONE,
			count_of(json_at(set, "spec", "revisionHistoryLimit"), 10));
	if (!v->failed)
		set_status(&d, &pods);
	return 0;
}

/* A node that comes, goes or changes concerns every DaemonSet. Heartbeats are in Leases, and a
 * node's status changes seldom. */
static void map_node(const struct view *v, const struct obj *o,
		     void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_daemonsets, STR_NONE);

	(void)o;
	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

static void map_owned(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_daemonsets, o, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_daemonsets, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_owned},
	{&res_controllerrevisions, map_to_controller_owner, NULL, NULL},
	{&res_nodes, NULL, NULL, map_node},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_pods, INDEX_ORPHAN, index_orphans},
	{&res_controllerrevisions, INDEX_OWNER, index_by_controller_uid},
	{&res_controllerrevisions, INDEX_ORPHAN, index_orphans},
	{0},
};

const struct controller controller_daemonset = {
	.name = "daemonset",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
