/*
 * StatefulSet: pods with a name, an order and claims of their own. Pure; the choices are in
 * statefulset_core.c, what a pod looks like in statefulset_pod.c.
 */
#include "controllers/statefulset_core.h"

#include "lib/base/pure.h"

static void read_wanted(struct sts *s)
{
	const struct json *spec = json_at(s->was, "spec"),
			  *strategy = json_at(spec, "updateStrategy");
	struct str current = json_str(json_at(s->was, "status", "currentRevision"));

	s->replicas = count_of(json_at(spec, "replicas"), 1);
	s->first = count_of(json_at(spec, "ordinals", "start"), 0);
	s->min_ready = count_of(json_at(spec, "minReadySeconds"), 0);
	s->ordered = !str_is(json_str(json_at(spec, "podManagementPolicy")), "Parallel");
	s->rolling = str_is(json_str(json_at(strategy, "type")), "RollingUpdate");
	s->partition = count_of(json_at(strategy, "rollingUpdate", "partition"), 0);
	s->current = current.n ? current : s->revisions.name;
}

struct counts {
	int64_t replicas, ready, available, current, updated;
};

static struct counts count(struct sts *s)
{
	struct counts c = {0};

	for (size_t i = 0; i < s->pods.n; i++) {
		const struct json *pod = s->pods.v[i];

		if (sts_ordinal(s, pod) < 0 || pod_finished(pod))
			continue;
		c.replicas++;
		c.ready += pod_ready(pod);
		c.available += sts_available(s, pod);
		if (meta_deleting(pod))
			continue;
		c.current += sts_pod_of(pod, s->current);
		c.updated += sts_pod_of(pod, s->revisions.name);
	}
	return c;
}

/* A rolling update is over when every pod is of the new revision and ready: it is then the one
 * that pods are of. */
static void conclude(struct sts *s, struct counts *c)
{
	if (!s->rolling || c->updated != c->replicas || c->ready != c->replicas ||
	    c->replicas != s->replicas)
		return;
	s->current = s->revisions.name;
	c->current = c->updated;
}

static void set_status(struct sts *s)
{
	struct json *new = json_copy(s->v->arena, s->was), *status;
	struct counts c = count(s);

	conclude(s, &c);
	status = json_set_object(s->v->arena, new, "status");
	const struct {
		const char *name;
		int64_t n;
		bool always;
	} numbers[] = {{"replicas", c.replicas, true},
		       {"readyReplicas", c.ready, false},
		       {"availableReplicas", c.available, true},
		       {"currentReplicas", c.current, false},
		       {"updatedReplicas", c.updated, false},
		       {"collisionCount", s->revisions.collisions, true}};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (numbers[i].n || numbers[i].always)
			json_set_int(s->v->arena, status, numbers[i].name, numbers[i].n);
		else
			json_del(status, str_c(numbers[i].name));
	}
	json_set_str(s->v->arena, status, "currentRevision", s->current);
	json_set_str(s->v->arena, status, "updateRevision", s->revisions.name);
	json_set_int(s->v->arena, status, "observedGeneration",
		     json_int(json_at(s->was, "metadata", "generation"), 0));
	if (json_equal(status, json_at(s->was, "status")))
		return;
	plan_update_status(s->plan, &res_statefulsets, new);
	s->plan->last->ignore_not_found = true;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *set = view_get(v, &res_statefulsets, namespace, name);
	struct sts s = {.v = v, .plan = p, .was = set};
	struct selector picks;

	if (!set)
		return 0;
	if (selector_from_json(v->arena, json_at(set, "spec", "selector"), &picks, err))
		return -1;
	if (!json_is(json_at(set, "spec", "template"), JSON_OBJECT))
		return err_set(err, ERR_INVALID, "spec.template is missing");
	claim_objects(v, set, &picks, &res_pods, p, &s.pods);
	if (meta_deleting(set))
		return 0;
	revisions_sync(v, &res_statefulsets, set, &picks, p, &s.revisions);
	read_wanted(&s);
	if (v->failed) /* what failed may fail again and end the plan: say so first */
		set_status(&s);
	sts_claim_owners(&s);
	sts_step(&s);
	revisions_prune(v, p, &s.revisions, &s.pods, s.current,
			count_of(json_at(set, "spec", "revisionHistoryLimit"), 10));
	if (!v->failed)
		set_status(&s);
	return 0;
}

static void map_owned(const struct view *v, const struct obj *o,
		      void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_statefulsets, o, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_statefulsets, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_owned},
	{&res_controllerrevisions, map_to_controller_owner, NULL, NULL},
	{&res_persistentvolumeclaims, map_to_controller_owner, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_pods, INDEX_ORPHAN, index_orphans},
	{&res_controllerrevisions, INDEX_OWNER, index_by_controller_uid},
	{&res_controllerrevisions, INDEX_ORPHAN, index_orphans},
	{0},
};

const struct controller controller_statefulset = {
	.name = "statefulset",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
