/*
 * What a Deployment does next: rolling by maxSurge and maxUnavailable, all at once (Recreate), or
 * sharing a change of size among the ReplicaSets of a rollout under way. Works on struct dep in
 * the view's arena; pure.
 */
#include "controllers/deployment_core.h"

#include "lib/base/pure.h"

void dep_init(struct dep *d, const struct view *v, const struct json *deployment, struct plan *p)
{
	const struct json *spec = json_at(deployment, "spec");
	const struct json *rolling = json_at(spec, "strategy", "rollingUpdate");

	*d = (struct dep){.v = v, .plan = p, .was = deployment};
	d->replicas = count_of(json_at(spec, "replicas"), 1);
	d->paused = json_bool(json_at(spec, "paused"), false);
	d->recreate = str_is(json_str(json_at(spec, "strategy", "type")), "Recreate");
	d->collisions = count_of(json_at(deployment, "status", "collisionCount"), 0);
	d->status = json_at(deployment, "status")
			    ? json_copy(v->arena, json_at(deployment, "status"))
			    : json_new(v->arena, JSON_OBJECT);
	if (d->recreate)
		return;
	d->surge = int_or_percent(json_at(rolling, "maxSurge"), d->replicas, true,
				  (d->replicas + 3) / 4);
	d->unavailable = int_or_percent(json_at(rolling, "maxUnavailable"), d->replicas, false,
					d->replicas / 4);
	/* Both may round to nothing; then the rollout could never move. */
	if (d->surge == 0 && d->unavailable == 0)
		d->unavailable = 1;
	d->unavailable = MIN(d->unavailable, d->replicas);
}

static int64_t max_replicas(const struct dep *d)
{
	return d->replicas + d->surge;
}

static int64_t total_spec(const struct dep *d)
{
	int64_t sum = 0;

	for (size_t i = 0; i < d->n; i++)
		sum += d->all[i]->replicas;
	return sum;
}

static int64_t total_available(const struct dep *d)
{
	int64_t sum = 0;

	for (size_t i = 0; i < d->n; i++)
		sum += d->all[i]->available;
	return sum;
}

static void set_annotation(struct dep *d, struct dep_rs *rs, const char *key, int64_t value)
{
	struct str text = arena_strf(d->v->arena, "%lld", (long long)value);

	if (str_eq(meta_annotation(rs->new, key), text))
		return;
	json_set_str(d->v->arena, meta_set_object(d->v->arena, rs->new, "annotations"), key, text);
	rs->dirty = true;
}

void dep_scale_to(struct dep *d, struct dep_rs *rs, int64_t replicas)
{
	set_annotation(d, rs, ANNOTATION_DESIRED, d->replicas);
	set_annotation(d, rs, ANNOTATION_MAX, max_replicas(d));
	if (rs->replicas == replicas)
		return;
	plan_event(d->plan, d->was, "Normal", "ScalingReplicaSet",
		   "Scaled %s replica set %.*s from %lld to %lld",
		   replicas > rs->replicas ? "up" : "down", STR_ARG(rs->name),
		   (long long)rs->replicas, (long long)replicas);
	rs->replicas = replicas;
	rs->dirty = true;
	json_set_int(d->v->arena, json_set_object(d->v->arena, rs->new, "spec"), "replicas",
		     replicas);
}

/* ---- rolling ---- */

/*
 * Room for pods of the current ReplicaSet. The bound is on pods, not on what was asked for: another
 * one that was told to shrink counts in full until its pods are gone, and while it may still be
 * acting on an older size nothing is certain.
 */
static int64_t room_for_current(const struct dep *d)
{
	int64_t room = max_replicas(d);

	for (size_t i = 0; i < d->n; i++) {
		const struct dep_rs *rs = d->all[i];

		if (rs == d->current)
			continue;
		if (!rs->settled)
			return 0;
		room -= MAX(rs->replicas, rs->actual);
	}
	return room;
}

static bool roll_up(struct dep *d)
{
	struct dep_rs *rs = d->current;
	int64_t room = room_for_current(d), want = rs->replicas;

	if (rs->replicas > d->replicas)
		want = d->replicas;
	else if (room > rs->replicas)
		want = MIN(room, d->replicas);
	if (want == rs->replicas)
		return false;
	dep_scale_to(d, rs, want);
	return true;
}

/* Old pods that don't work first: taking them away costs nothing. Returns how many went. */
static int64_t drop_unhealthy(struct dep *d, int64_t most)
{
	int64_t dropped = 0;

	for (size_t i = 0; i < d->n && dropped < most; i++) {
		struct dep_rs *rs = d->all[i];
		int64_t n = MIN(most - dropped, rs->replicas - rs->available);

		if (rs == d->current || rs->replicas == 0 || n <= 0)
			continue;
		dep_scale_to(d, rs, rs->replicas - n);
		dropped += n;
	}
	return dropped;
}

static void roll_down(struct dep *d)
{
	int64_t min_available = d->replicas - d->unavailable, spare;
	int64_t new_unavailable = d->current->replicas - d->current->available;
	int64_t most = total_spec(d) - min_available - new_unavailable;

	if (most <= 0)
		return;
	most -= drop_unhealthy(d, most);
	spare = MIN(most, total_available(d) - min_available);
	for (size_t i = 0; i < d->n && spare > 0; i++) {
		struct dep_rs *rs = d->all[i];
		int64_t n = MIN(spare, rs->replicas);

		if (rs == d->current || n <= 0)
			continue;
		dep_scale_to(d, rs, rs->replicas - n);
		spare -= n;
	}
}

void dep_roll(struct dep *d)
{
	if (!roll_up(d))
		roll_down(d);
}

/* ---- all at once ---- */

static bool old_pods_remain(const struct dep *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct json_set_view pods;

		if (d->all[i] == d->current)
			continue;
		pods = view_by_index(d->v, &res_pods, INDEX_OWNER, meta_uid(d->all[i]->was));
		for (size_t j = 0; j < pods.n; j++)
			if (!pod_finished(pods.v[j]))
				return true;
	}
	return false;
}

void dep_recreate(struct dep *d)
{
	bool scaled = false;

	for (size_t i = 0; i < d->n; i++) {
		if (d->all[i] == d->current || d->all[i]->replicas == 0)
			continue;
		dep_scale_to(d, d->all[i], 0);
		scaled = true;
	}
	if (scaled || old_pods_remain(d))
		return;
	dep_sync_current(d);
	dep_scale_to(d, d->current, d->replicas);
}

/* ---- scaling ---- */

bool dep_is_scaling(const struct dep *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct str text = meta_annotation(d->all[i]->new, ANNOTATION_DESIRED);
		int64_t desired;

		if (d->all[i]->replicas > 0 && str_to_i64(text, &desired) == 0 &&
		    desired != d->replicas)
			return true;
	}
	return false;
}

/* How many this ReplicaSet gains or loses when the Deployment's bound moves with its size. */
static int64_t share_of(const struct dep *d, const struct dep_rs *rs)
{
	int64_t before, grown;

	if (d->replicas == 0)
		return -rs->replicas;
	if (str_to_i64(meta_annotation(rs->new, ANNOTATION_MAX), &before) != 0 || before <= 0 ||
	    before > INT32_MAX)
		before = count_of(json_at(d->was, "status", "replicas"), 0);
	if (before <= 0)
		before = max_replicas(d);
	/* Rounded to the nearest, halves away from zero. */
	grown = (2 * rs->replicas * max_replicas(d) + before) / (2 * before);
	return grown - rs->replicas;
}

static int by_size_newer(const void *pa, const void *pb)
{
	const struct dep_rs *a = *(struct dep_rs *const *)pa, *b = *(struct dep_rs *const *)pb;

	if (a->replicas != b->replicas)
		return a->replicas < b->replicas ? 1 : -1;
	return (a->created_ns < b->created_ns) - (a->created_ns > b->created_ns);
}

static int by_size_older(const void *pa, const void *pb)
{
	const struct dep_rs *a = *(struct dep_rs *const *)pa, *b = *(struct dep_rs *const *)pb;

	if (a->replicas != b->replicas)
		return a->replicas < b->replicas ? 1 : -1;
	return (a->created_ns > b->created_ns) - (a->created_ns < b->created_ns);
}

/* Each active ReplicaSet gets its share; what rounding leaves goes to the biggest. */
static void share_out(struct dep *d, struct dep_rs **active, size_t n)
{
	int64_t *size = arena_array(d->v->arena, n + 1, sizeof(*size));
	int64_t to_add = (d->replicas > 0 ? max_replicas(d) : 0) - total_spec(d), added = 0;

	qsort(active, n, sizeof(*active), to_add > 0 ? by_size_newer : by_size_older);
	for (size_t i = 0; i < n; i++) {
		int64_t share = to_add ? share_of(d, active[i]) : 0, left = to_add - added;

		if (to_add > 0)
			share = MIN(share, left);
		else if (to_add < 0)
			share = MAX(share, left);
		size[i] = active[i]->replicas + share;
		added += share;
	}
	for (size_t i = 0; i < n; i++) {
		if (i == 0 && to_add)
			size[i] += to_add - added;
		dep_scale_to(d, active[i], MAX(size[i], 0));
	}
}

static bool current_saturated(const struct dep *d)
{
	int64_t desired;

	return d->current && d->current->had == d->replicas &&
	       d->current->available == d->replicas &&
	       str_to_i64(meta_annotation(d->current->new, ANNOTATION_DESIRED), &desired) == 0 &&
	       desired == d->replicas;
}

/* Sizes are what they say: nobody acts on an older one, and what was to go is gone. */
static bool all_settled(const struct dep *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->all[i]->settled || d->all[i]->actual > d->all[i]->had)
			return false;
	return true;
}

/* Growing waits until all is settled: the next status of a ReplicaSet brings us back here. */
void dep_scale_proportionally(struct dep *d)
{
	struct dep_rs **active = arena_array(d->v->arena, d->n + 1, sizeof(struct dep_rs *));
	struct dep_rs *only;
	size_t n = 0;

	if (max_replicas(d) > total_spec(d) && !all_settled(d))
		return;
	for (size_t i = 0; i < d->n; i++)
		if (d->all[i]->replicas > 0)
			active[n++] = d->all[i];
	if (n <= 1) {
		only = n ? active[0] : d->current;
		if (!only && d->n)
			only = d->all[d->n - 1];
		if (only)
			dep_scale_to(d, only, d->replicas);
		return;
	}
	if (current_saturated(d)) {
		for (size_t i = 0; i < n; i++)
			if (active[i] != d->current)
				dep_scale_to(d, active[i], 0);
		return;
	}
	if (!d->recreate)
		share_out(d, active, n);
}

/* ---- history ---- */

static int by_revision(const void *pa, const void *pb)
{
	const struct dep_rs *a = *(struct dep_rs *const *)pa, *b = *(struct dep_rs *const *)pb;

	if (a->revision != b->revision)
		return a->revision < b->revision ? -1 : 1;
	return (a->created_ns > b->created_ns) - (a->created_ns < b->created_ns);
}

void dep_prune_history(struct dep *d)
{
	int64_t limit = count_of(json_at(d->was, "spec", "revisionHistoryLimit"), INT32_MAX);
	struct dep_rs **old = arena_array(d->v->arena, d->n + 1, sizeof(struct dep_rs *));
	size_t n = 0;

	if (limit == INT32_MAX || !dep_complete(d, json_at(d->was, "status")))
		return;
	for (size_t i = 0; i < d->n; i++)
		if (d->all[i] != d->current && !meta_deleting(d->all[i]->was))
			old[n++] = d->all[i];
	qsort(old, n, sizeof(*old), by_revision);
	for (size_t i = 0; (int64_t)(n - i) > limit; i++) {
		const struct json *rs = old[i]->was;

		if (old[i]->actual || old[i]->replicas ||
		    json_int(json_at(rs, "metadata", "generation"), 0) >
			    json_int(json_at(rs, "status", "observedGeneration"), 0))
			continue;
		plan_delete(d->plan, &res_replicasets, rs)->ignore_not_found = true;
		old[i]->dirty = false;
	}
}
