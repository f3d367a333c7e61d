/*
 * PodDisruptionBudgets: how many pods a budget speaks of, how many must stay healthy, and how many
 * may therefore go now. What an eviction has spent (status.disruptedPods) counts until the pod is
 * gone, or the eviction is known to have come to nothing. Pure.
 */
#include "controllers/common.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

/* A pod that was told to go and is not going by then was not told. */
#define DELETION_TIMEOUT (2 * 60 * NS_PER_S)

struct budget {
	const struct view *v;
	struct plan *plan;
	const struct json *was, *spec;
	struct json *new, *status;
	struct json_set_view pods;
	int64_t healthy, desired, expected;
	struct str problem; /* why expected is not known, STR_NONE = it is */
};

/* ---- who makes these pods, and how many ---- */

static const struct resource *const scales[] = {&res_replicasets, &res_replicationcontrollers,
						&res_statefulsets};

/* The object that says how many there shall be: a ReplicaSet's Deployment rather than itself. */
static const struct json *scale_of(const struct budget *b, const struct json *pod)
{
	const struct json *ref = meta_controller(pod), *o, *up;

	for (size_t i = 0; ref && i < ARRAY_LEN(scales); i++) {
		if (!str_is(json_str(json_at(ref, "kind")), scales[i]->kind))
			continue;
		o = view_get(b->v, scales[i], meta_namespace(pod), json_str(json_at(ref, "name")));
		if (!o || !str_eq(meta_uid(o), json_str(json_at(ref, "uid"))))
			return NULL;
		up = meta_controller(o);
		if (scales[i] != &res_replicasets || !up ||
		    !str_is(json_str(json_at(up, "kind")), "Deployment"))
			return o;
		return view_get(b->v, &res_deployments, meta_namespace(pod),
				json_str(json_at(up, "name")));
	}
	return NULL;
}

/* The sum over the pods' controllers, each counted once. */
static void expect_by_scale(struct budget *b)
{
	struct trees seen = {0};

	b->expected = 0;
	for (size_t i = 0; i < b->pods.n; i++) {
		const struct json *o;
		bool known = false;

		if (!meta_controller(b->pods.v[i]))
			continue;
		o = scale_of(b, b->pods.v[i]);
		if (!o) {
			b->problem = arena_strf(b->v->arena,
						"found no controller with a scale for pod \"%.*s\"",
						STR_ARG(meta_name(b->pods.v[i])));
			return;
		}
		for (size_t k = 0; k < seen.n; k++)
			known |= str_eq(meta_uid(seen.v[k]), meta_uid(o));
		if (known)
			continue;
		trees_add(b->v->arena, &seen, o);
		b->expected += count_of(json_at(o, "spec", "replicas"), 1);
	}
}

static void find_expected(struct budget *b)
{
	const struct json *max = json_at(b->spec, "maxUnavailable"),
			  *min = json_at(b->spec, "minAvailable");

	if (max) {
		expect_by_scale(b);
		b->desired = MAX(b->expected - int_or_percent(max, b->expected, true, 0), 0);
	} else if (json_is(min, JSON_INT)) {
		b->expected = (int64_t)b->pods.n;
		b->desired = count_of(min, 0);
	} else {
		expect_by_scale(b);
		b->desired = int_or_percent(min, b->expected, true, 0);
	}
}

/* ---- who is healthy ---- */

static bool is_disrupted(const struct json *disrupted, const struct json *pod)
{
	return json_get(disrupted, meta_name(pod)) != NULL;
}

/* Spent leave that no longer counts: the pod is gone or going, or the time is up. */
static struct json *still_disrupted(struct budget *b)
{
	const struct json *had = json_at(b->was, "status", "disruptedPods");
	const struct json_member *m = json_members(had);
	struct json *left = json_new(b->v->arena, JSON_OBJECT);

	for (size_t i = 0; i < json_len(had); i++) {
		const struct json *pod =
			view_get(b->v, &res_pods, meta_namespace(b->was), m[i].key);
		int64_t due = meta_time_ns(&m[i].value) + DELETION_TIMEOUT;

		if (!pod || meta_deleting(pod) || due <= b->v->now_ns)
			continue;
		json_set(b->v->arena, left, m[i].key, &m[i].value);
		plan_requeue(b->plan, due - b->v->now_ns);
	}
	return left;
}

static void count_healthy(struct budget *b, const struct json *disrupted)
{
	for (size_t i = 0; i < b->pods.n; i++)
		b->healthy += !meta_deleting(b->pods.v[i]) && pod_ready(b->pods.v[i]) &&
			      !is_disrupted(disrupted, b->pods.v[i]);
}

/* ---- saying so ---- */

static void set_status(struct budget *b, const struct json *disrupted)
{
	struct arena *a = b->v->arena;
	int64_t allowed = b->problem.n || !b->expected ? 0 : MAX(b->healthy - b->desired, 0);

	json_set_int(a, b->status, "currentHealthy", b->healthy);
	json_set_int(a, b->status, "desiredHealthy", b->desired);
	json_set_int(a, b->status, "expectedPods", b->expected);
	json_set_int(a, b->status, "disruptionsAllowed", allowed);
	json_set_int(a, b->status, "observedGeneration",
		     json_int(json_at(b->was, "metadata", "generation"), 0));
	if (json_len(disrupted))
		json_set(a, b->status, STR("disruptedPods"), disrupted);
	else
		json_del(b->status, STR("disruptedPods"));
	condition_set(a, b->new, "DisruptionAllowed", allowed ? "True" : "False",
		      b->problem.n ? "SyncFailed"
		      : allowed    ? "SufficientPods"
				   : "InsufficientPods",
		      b->problem.n ? b->problem : STR(""), b->v->now_ns);
	if (json_equal(b->status, json_at(b->was, "status")))
		return;
	plan_update_status(b->plan, &res_poddisruptionbudgets, b->new);
	b->plan->last->ignore_not_found = true;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *was = view_get(v, &res_poddisruptionbudgets, namespace, name), *left;
	struct budget b = {.v = v, .plan = p, .was = was, .spec = json_at(was, "spec")};
	struct selector s;

	if (!was || meta_deleting(was))
		return 0;
	if (selector_from_json(v->arena, json_at(b.spec, "selector"), &s, err))
		return -1;
	b.new = json_copy(v->arena, was);
	b.status = json_set_object(v->arena, b.new, "status");
	b.pods = select_objects(v, &res_pods, namespace, &s);
	find_expected(&b);
	left = still_disrupted(&b);
	count_healthy(&b, left);
	set_status(&b, left);
	if (b.problem.n)
		plan_event(p, was, "Warning", "CalculateExpectedPodCountFailed",
			   "Failed to calculate the number of expected pods: %.*s",
			   STR_ARG(b.problem));
	return 0;
}

/* ---- watching ---- */

static void put_if_selected(const struct view *v, const struct json *budget, const struct obj *pod,
			    void (*put)(void *ctx, struct str key), void *ctx)
{
	struct selector s;

	if (!selector_from_json(v->arena, json_at(budget, "spec", "selector"), &s, NULL) &&
	    selector_match_obj(&s, pod))
		put(ctx, obj_key(v->arena, pod->namespace, meta_name(budget)));
}

static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_poddisruptionbudgets, o->namespace);

	for (size_t i = 0; i < all.n; i++)
		put_if_selected(v, all.v[i], o, put, ctx);
}

/* A size that changes: budgets of the namespace whose pods it may be about. */
static void map_scale(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_poddisruptionbudgets, o->namespace);

	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, o->namespace, meta_name(all.v[i])));
}

static const struct controller_watch watches[] = {
	{&res_poddisruptionbudgets, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod},
	{&res_deployments, NULL, NULL, map_scale},
	{&res_replicasets, NULL, NULL, map_scale},
	{&res_replicationcontrollers, NULL, NULL, map_scale},
	{&res_statefulsets, NULL, NULL, map_scale},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_LABEL, index_by_label},
	{0},
};

const struct controller controller_disruption = {
	.name = "disruption",
	.component = "controllermanager",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
