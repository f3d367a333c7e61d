/*
 * One step of a StatefulSet at a time: pods come in the order of their ordinals and go in the
 * opposite one, each waiting for its neighbour; Parallel sets don't wait. Pure.
 */
#include "controllers/statefulset_core.h"

#include "lib/base/pure.h"

int64_t sts_ordinal(const struct sts *s, const struct json *pod)
{
	struct str own = meta_name(s->was), name = meta_name(pod);
	int64_t n;

	if (name.n < own.n + 2 || !str_starts(name, own) || name.p[own.n] != '-' ||
	    str_to_i64(str_sub(name, own.n + 1, name.n), &n) || n < 0)
		return -1;
	return n;
}

const struct json *sts_pod(const struct sts *s, int64_t ordinal)
{
	for (size_t i = 0; i < s->pods.n; i++)
		if (sts_ordinal(s, s->pods.v[i]) == ordinal)
			return s->pods.v[i];
	return NULL;
}

bool sts_pod_of(const struct json *pod, struct str revision)
{
	return str_eq(meta_label(pod, LABEL_REVISION), revision);
}

bool sts_available(const struct sts *s, const struct json *pod)
{
	int64_t wait = 0;
	bool yes = pod_available(pod, s->min_ready, s->v->now_ns, &wait);

	if (wait)
		plan_requeue(s->plan, wait);
	return yes;
}

static bool healthy(const struct json *pod)
{
	return pod_ready(pod) && !meta_deleting(pod);
}

static bool wanted(const struct sts *s, int64_t ordinal)
{
	return ordinal >= s->first && ordinal < s->first + s->replicas;
}

/* ---- up ---- */

/* Where a pod is refused at once, again and again, a new one comes every second and not as fast as
 * can be. */
#define ENDED_AGE INT64_C(1000000000)

static void recreate_ended(struct sts *s, const struct json *pod)
{
	int64_t left = meta_created_ns(pod) + ENDED_AGE - s->v->now_ns;

	if (meta_deleting(pod))
		return; /* it has ended because it goes */
	if (left > 0) {
		plan_requeue(s->plan, left);
		return;
	}
	plan_event(s->plan, s->was, "Warning", "RecreatingFailedPod",
		   "StatefulSet %.*s/%.*s is recreating %s Pod %.*s", STR_ARG(meta_namespace(pod)),
		   STR_ARG(meta_name(s->was)),
		   str_is(json_str(json_at(pod, "status", "phase")), "Failed") ? "failed"
									       : "succeeded",
		   STR_ARG(meta_name(pod)));
	sts_delete(s, pod);
}

/* The wanted pods in order; false when an ordered set has to wait before it goes on. */
static bool bring_up(struct sts *s)
{
	for (int64_t i = s->first; i < s->first + s->replicas; i++) {
		const struct json *pod = sts_pod(s, i);

		if (!pod) {
			sts_create(s, i);
			if (s->ordered)
				return false;
			continue;
		}
		if (pod_finished(pod)) {
			recreate_ended(s, pod);
			if (s->ordered)
				return false;
			continue;
		}
		sts_restore_claims(s, pod);
		if (s->ordered && (!healthy(pod) || !sts_available(s, pod)))
			return false;
	}
	return true;
}

/* ---- down ---- */

static int by_ordinal_down(const void *pa, const void *pb)
{
	const int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;

	return (b > a) - (b < a);
}

/* The first pod from below that is missing or unwell: what an ordered set looks after first. */
static const struct json *first_unwell(const struct sts *s)
{
	const struct json *found = NULL;

	for (size_t i = 0; i < s->pods.n; i++) {
		const struct json *pod = s->pods.v[i];

		if (sts_ordinal(s, pod) < 0 || healthy(pod))
			continue;
		if (!found || sts_ordinal(s, pod) < sts_ordinal(s, found))
			found = pod;
	}
	return found;
}

/* Pods beyond the wanted ordinals, the highest first. */
static bool bring_down(struct sts *s)
{
	int64_t *surplus = arena_array(s->v->arena, s->pods.n + 1, sizeof(*surplus));
	size_t n = 0;

	for (size_t i = 0; i < s->pods.n; i++) {
		int64_t ordinal = sts_ordinal(s, s->pods.v[i]);

		if (ordinal >= 0 && !wanted(s, ordinal))
			surplus[n++] = ordinal;
	}
	qsort(surplus, n, sizeof(*surplus), by_ordinal_down);
	for (size_t i = 0; i < n; i++) {
		const struct json *pod = sts_pod(s, surplus[i]);

		if (meta_deleting(pod)) {
			if (s->ordered)
				return false;
			continue;
		}
		if (s->ordered && !healthy(pod) && pod != first_unwell(s))
			return false;
		sts_delete(s, pod);
		if (s->ordered)
			return false;
	}
	return true;
}

/* ---- rolling ---- */

/* From the highest ordinal down to the partition, one after another. */
static void roll(struct sts *s)
{
	for (int64_t i = s->first + s->replicas; i-- > s->first + s->partition;) {
		const struct json *pod = sts_pod(s, i);

		if (!pod)
			return;
		if (!sts_pod_of(pod, s->revisions.name) && !meta_deleting(pod)) {
			sts_delete(s, pod);
			return;
		}
		if (!healthy(pod) || !sts_available(s, pod))
			return;
	}
}

/* Runs, and was ready since its containers started: it may well become so again by itself. */
static bool was_well(const struct json *pod)
{
	const struct json *all = json_at(pod, "status", "containerStatuses");
	const struct json *ready = condition_find(pod, "Ready");
	int64_t since = meta_time_ns(json_at(ready, "lastTransitionTime"));

	for (size_t i = 0; i < json_len(all); i++) {
		int64_t started =
			meta_time_ns(json_at(json_item(all, i), "state", "running", "startedAt"));

		if (!started || started >= since)
			return false;
	}
	return json_len(all) > 0;
}

/* A pod of an older revision that never became ready would hold an ordered set for ever: what it
 * waits for is replaced at once, without waiting for it. One that was well holds a rollout up
 * until it is well again, as in Kubernetes. */
static bool replace_broken(struct sts *s)
{
	const struct json *pod = first_unwell(s);
	int64_t ordinal = pod ? sts_ordinal(s, pod) : -1;

	if (!pod || !s->rolling || !wanted(s, ordinal) || ordinal < s->first + s->partition ||
	    sts_pod_of(pod, s->revisions.name) || meta_deleting(pod) || was_well(pod))
		return false;
	sts_delete(s, pod);
	return true;
}

void sts_step(struct sts *s)
{
	if (replace_broken(s) || !bring_up(s) || !bring_down(s) || !s->rolling)
		return;
	roll(s);
}
