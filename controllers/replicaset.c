/*
 * ReplicaSet: keeps `spec.replicas` pods of its template, and says in its status how they do.
 * Owns pods by controller reference; adopts matching orphans, lets go what no longer matches.
 * Pure; names of children are deterministic, so a decision made twice is refused the second time.
 */
#include "controllers/common.h"
#include "controllers/replicaset_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

enum { BURST = 500 }; /* creations or deletions in one plan */

static const struct json *pod_labels(const struct json *pod)
{
	return json_at(pod, "metadata", "labels");
}

static void plan_pod(const struct view *v, const struct json *rs, uint32_t number, struct plan *p)
{
	const struct json *template = json_at(rs, "spec", "template");
	struct json *pod = object_new(v->arena, &res_pods, meta_namespace(rs),
				      replicaset_pod_name(v->arena, rs, number));
	struct json *meta = json_set_object(v->arena, pod, "metadata");
	static const char *const copied[] = {"labels", "annotations", "finalizers"};

	json_set_str(v->arena, meta, "generateName",
		     arena_strf(v->arena, "%.*s-", STR_ARG(meta_name(rs))));
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		const struct json *value = json_at(template, "metadata", copied[i]);

		if (json_len(value))
			json_set(v->arena, meta, str_c(copied[i]), value);
	}
	json_append(v->arena, json_set_array(v->arena, meta, "ownerReferences"),
		    meta_owner_ref(v->arena, rs, true));
	json_set(v->arena, pod, STR("spec"), json_at(template, "spec"));
	plan_create(p, &res_pods, pod);
	p->last->ignore_exists = true;
	plan_event(p, rs, "Normal", "SuccessfulCreate", "Created pod: %.*s",
		   STR_ARG(meta_name(pod)));
}

static void create_pods(const struct view *v, const struct json *rs, size_t owned, int64_t n,
			struct plan *p)
{
	uint32_t next = (uint32_t)owned + v->gone;

	for (n = MIN(n, BURST); n > 0; next++) {
		struct str name = replicaset_pod_name(v->arena, rs, next);

		if (view_get(v, &res_pods, meta_namespace(rs), name))
			continue;
		plan_pod(v, rs, next, p);
		n--;
	}
}

/* All pods of the application: those of every ReplicaSet with the same controller. */
static void related_pods(const struct view *v, const struct json *rs, const struct trees *own,
			 struct trees *ret)
{
	struct str owner = json_str(json_at(meta_controller(rs), "uid"));
	struct json_set_view siblings;

	if (!owner.n) {
		*ret = *own;
		return;
	}
	siblings = view_by_index(v, &res_replicasets, INDEX_OWNER, owner);
	for (size_t i = 0; i < siblings.n; i++) {
		struct json_set_view pods =
			view_by_index(v, &res_pods, INDEX_OWNER, meta_uid(siblings.v[i]));

		for (size_t j = 0; j < pods.n; j++)
			trees_add(v->arena, ret, pods.v[j]);
	}
}

static void delete_pods(const struct view *v, const struct json *rs, struct trees *active,
			int64_t n, struct plan *p)
{
	struct trees related = {0};

	related_pods(v, rs, active, &related);
	replicaset_rank(v, active, &related);
	for (int64_t i = 0; i < MIN(n, BURST) && i < (int64_t)active->n; i++) {
		plan_delete(p, &res_pods, active->v[i])->ignore_not_found = true;
		plan_event(p, rs, "Normal", "SuccessfulDelete", "Deleted pod: %.*s",
			   STR_ARG(meta_name(active->v[i])));
	}
}

static bool labels_contain(const struct json *labels, const struct json *wanted)
{
	const struct json_member *m = json_members(wanted);

	for (size_t i = 0; i < json_len(wanted); i++)
		if (!str_eq(json_str(json_get(labels, m[i].key)), json_str(&m[i].value)))
			return false;
	return true;
}

static void condition_drop(struct json *o, const char *type)
{
	struct json *all = json_at(o, "status", "conditions");

	for (size_t i = json_len(all); i-- > 0;)
		if (str_is(json_str(json_at(json_item(all, i), "type")), type))
			json_remove(all, i);
	if (all && !json_len(all))
		json_del(json_at(o, "status"), STR("conditions"));
}

static void set_failure(const struct view *v, const struct json *rs, struct json *new, int64_t diff,
			struct plan *p)
{
	const char *reason = diff < 0 ? "FailedCreate" : "FailedDelete";

	if (!v->failed || diff == 0 || v->failed->code == ERR_CONFLICT) {
		condition_drop(new, "ReplicaFailure");
		return;
	}
	if (condition_set(v->arena, new, "ReplicaFailure", "True", reason, str_c(v->failed->msg),
			  v->now_ns))
		plan_event(p, rs, "Warning", reason, "Error %s: %s",
			   diff < 0 ? "creating" : "deleting", v->failed->msg);
}

static void set_count(const struct view *v, struct json *status, const char *field, int64_t n)
{
	if (n || str_is(str_c(field), "replicas"))
		json_set_int(v->arena, status, field, n);
	else
		json_del(status, str_c(field));
}

/* What keeps pods: a ReplicaSet or a ReplicationController. */
struct owner {
	const struct json *tree;
	const struct resource *resource;
};

/* Writes the status when it changed. diff: active pods less those wanted. */
static void plan_status(const struct view *v, const struct owner *o, const struct trees *active,
			int64_t diff, struct plan *p)
{
	const struct json *rs = o->tree;
	int64_t min_ready = count_of(json_at(rs, "spec", "minReadySeconds"), 0);
	const struct json *wanted = json_at(rs, "spec", "template", "metadata", "labels");
	struct json *new = json_copy(v->arena, rs);
	struct json *status = json_set_object(v->arena, new, "status");
	int64_t labelled = 0, ready = 0, available = 0;

	for (size_t i = 0; i < active->n; i++) {
		int64_t wait = 0;

		labelled += labels_contain(pod_labels(active->v[i]), wanted);
		ready += pod_ready(active->v[i]);
		available += pod_available(active->v[i], min_ready, v->now_ns, &wait);
		if (wait)
			plan_requeue(p, wait);
	}
	set_count(v, status, "replicas", (int64_t)active->n);
	set_count(v, status, "fullyLabeledReplicas", labelled);
	set_count(v, status, "readyReplicas", ready);
	set_count(v, status, "availableReplicas", available);
	json_set_int(v->arena, status, "observedGeneration",
		     json_int(json_at(rs, "metadata", "generation"), 0));
	set_failure(v, rs, new, diff, p);
	if (!json_equal(json_at(rs, "status"), status)) {
		plan_update_status(p, o->resource, new);
		p->last->ignore_not_found = true;
	}
}

int replicaset_keep(const struct view *v, const struct resource *r, const struct json *rs,
		    struct plan *p, struct err *err)
{
	const struct owner self = {rs, r};
	int64_t wanted = count_of(json_at(rs, "spec", "replicas"), 1), diff;
	struct trees owned = {0}, active = {0};
	struct selector s;

	if (owner_selector(v, r, rs, &s, err) != 0)
		return -1;
	if (!json_is(json_at(rs, "spec", "template"), JSON_OBJECT))
		return err_set(err, ERR_INVALID, "spec.template is missing");
	claim_objects(v, rs, &s, &res_pods, p, &owned);
	for (size_t i = 0; i < owned.n; i++)
		if (pod_active(owned.v[i]))
			trees_add(v->arena, &active, owned.v[i]);
	diff = (int64_t)active.n - wanted;
	/* What failed last time may fail again and end the plan: say so first. */
	if (v->failed)
		plan_status(v, &self, &active, diff, p);
	if (!meta_deleting(rs)) {
		if (diff < 0)
			create_pods(v, rs, owned.n, -diff, p);
		else if (diff > 0)
			delete_pods(v, rs, &active, diff, p);
	}
	if (!v->failed)
		plan_status(v, &self, &active, diff, p);
	return 0;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *rs = view_get(v, &res_replicasets, namespace, name);

	return rs ? replicaset_keep(v, &res_replicasets, rs, p, err) : 0;
}

static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_replicasets, o, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_replicasets, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_pods, INDEX_ORPHAN, index_orphans},
	{&res_replicasets, INDEX_OWNER, index_by_controller_uid},
	{0},
};

const struct controller controller_replicaset = {
	.name = "replicaset",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
	.counts_gone = true,
};
