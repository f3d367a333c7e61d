/*
 * What a Deployment's status says: counts over its ReplicaSets, and the conditions Available,
 * Progressing and ReplicaFailure with Kubernetes' reasons, which `kubectl rollout status` and
 * health checks read. Pure.
 */
#include "controllers/deployment_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

static struct json *find(const struct dep *d, const char *type)
{
	struct json *all = json_at(d->status, "conditions");

	for (size_t i = 0; i < json_len(all); i++)
		if (str_is(json_str(json_at(json_item(all, i), "type")), type))
			return json_item(all, i);
	return NULL;
}

static bool reason_is(const struct json *condition, const char *reason)
{
	return str_is(json_str(json_at(condition, "reason")), reason);
}

/* lastUpdateTime moves with every call that reports progress: the deadline counts from there. */
static void write_condition(struct dep *d, struct json *c, const char *status, const char *reason,
			    struct str message)
{
	char text[TIME_TEXT_MAX];
	struct str now = time_format(d->v->now_ns, text);
	bool moved = !str_is(json_str(json_at(c, "status")), status);

	json_set_str(d->v->arena, c, "status", str_c(status));
	json_set_str(d->v->arena, c, "lastUpdateTime", now);
	if (moved)
		json_set_str(d->v->arena, c, "lastTransitionTime", now);
	json_set_str(d->v->arena, c, "reason", str_c(reason));
	json_set_str(d->v->arena, c, "message", message);
}

static void set_always(struct dep *d, const char *type, const char *status, const char *reason,
		       struct str message)
{
	struct json *c = find(d, type);

	if (!c) {
		c = json_append_object(d->v->arena,
				       json_set_array(d->v->arena, d->status, "conditions"));
		json_set_str(d->v->arena, c, "type", str_c(type));
	}
	write_condition(d, c, status, reason, message);
}

void dep_condition(struct dep *d, const char *type, const char *status, const char *reason,
		   struct str message)
{
	const struct json *c = find(d, type);

	if (c && str_is(json_str(json_at(c, "status")), status) && reason_is(c, reason))
		return;
	set_always(d, type, status, reason, message);
}

void dep_condition_drop(struct dep *d, const char *type)
{
	struct json *all = json_at(d->status, "conditions");

	for (size_t i = json_len(all); i-- > 0;)
		if (str_is(json_str(json_at(json_item(all, i), "type")), type))
			json_remove(all, i);
}

static int64_t count(const struct json *status, const char *field)
{
	return count_of(json_at(status, field), 0);
}

bool dep_complete(const struct dep *d, const struct json *status)
{
	return count(status, "updatedReplicas") == d->replicas &&
	       count(status, "replicas") == d->replicas &&
	       count(status, "availableReplicas") == d->replicas &&
	       count(status, "observedGeneration") >=
		       json_int(json_at(d->was, "metadata", "generation"), 0);
}

static bool progressed(const struct dep *d)
{
	const struct json *old = json_at(d->was, "status");
	int64_t old_old = count(old, "replicas") - count(old, "updatedReplicas");
	int64_t new_old = count(d->status, "replicas") - count(d->status, "updatedReplicas");

	return count(d->status, "updatedReplicas") > count(old, "updatedReplicas") ||
	       new_old < old_old ||
	       count(d->status, "readyReplicas") > count(old, "readyReplicas") ||
	       count(d->status, "availableReplicas") > count(old, "availableReplicas");
}

static void set_count(struct dep *d, const char *field, int64_t n)
{
	if (n)
		json_set_int(d->v->arena, d->status, field, n);
	else
		json_del(d->status, str_c(field));
}

static void set_counts(struct dep *d)
{
	int64_t actual = 0, ready = 0, available = 0, wanted = 0;

	for (size_t i = 0; i < d->n; i++) {
		wanted += d->all[i]->replicas;
		actual += d->all[i]->actual;
		ready += d->all[i]->ready;
		available += d->all[i]->available;
	}
	set_count(d, "observedGeneration", json_int(json_at(d->was, "metadata", "generation"), 0));
	set_count(d, "replicas", actual);
	set_count(d, "updatedReplicas", d->current ? d->current->actual : 0);
	set_count(d, "readyReplicas", ready);
	set_count(d, "availableReplicas", available);
	set_count(d, "unavailableReplicas", MAX(wanted - available, 0));
	set_count(d, "collisionCount", d->collisions);
}

static struct str subject(const struct dep *d, const char *verb)
{
	if (d->current)
		return arena_strf(d->v->arena, "ReplicaSet \"%.*s\" %s", STR_ARG(d->current->name),
				  verb);
	return arena_strf(d->v->arena, "Deployment \"%.*s\" %s", STR_ARG(meta_name(d->was)), verb);
}

/* Whether the deadline has passed since progress was last seen; asks to be woken when it will. */
static bool timed_out(struct dep *d, int64_t deadline_s)
{
	const struct json *c = find(d, "Progressing");
	int64_t left;

	if (!c || d->paused || reason_is(c, "NewReplicaSetAvailable"))
		return false;
	if (reason_is(c, "ProgressDeadlineExceeded"))
		return true;
	left = meta_time_ns(json_at(c, "lastUpdateTime")) + deadline_s * NS_PER_S - d->v->now_ns;
	if (left < 0)
		return true;
	plan_requeue(d->plan, left + NS_PER_S);
	return false;
}

static void set_progress(struct dep *d)
{
	int64_t deadline_s =
		count_of(json_at(d->was, "spec", "progressDeadlineSeconds"), INT32_MAX);
	const struct json *c;

	if (deadline_s == INT32_MAX) {
		dep_condition_drop(d, "Progressing");
		return;
	}
	if (d->created)
		set_always(d, "Progressing", "True", "NewReplicaSetCreated",
			   arena_strf(d->v->arena, "Created new replica set \"%.*s\"",
				      STR_ARG(d->current->name)));
	else if (d->current && !find(d, "Progressing"))
		set_always(d, "Progressing", "True", "FoundNewReplicaSet",
			   arena_strf(d->v->arena, "Found new replica set \"%.*s\"",
				      STR_ARG(d->current->name)));
	c = find(d, "Progressing");
	if (count(d->status, "replicas") == count(d->status, "updatedReplicas") &&
	    reason_is(c, "NewReplicaSetAvailable") && !d->created)
		return;
	if (dep_complete(d, d->status))
		set_always(d, "Progressing", "True", "NewReplicaSetAvailable",
			   subject(d, "has successfully progressed."));
	else if (progressed(d))
		set_always(d, "Progressing", "True", "ReplicaSetUpdated",
			   subject(d, "is progressing."));
	else if (timed_out(d, deadline_s))
		dep_condition(d, "Progressing", "False", "ProgressDeadlineExceeded",
			      subject(d, "has timed out progressing."));
	/* After the branch above that reset the clock, it must ring again. */
	(void)timed_out(d, deadline_s);
}

static void set_failure(struct dep *d)
{
	const struct json *c =
		d->current ? condition_find(d->current->new, "ReplicaFailure") : NULL;

	for (size_t i = 0; !c && i < d->n; i++)
		c = condition_find(d->all[i]->new, "ReplicaFailure");
	if (!c) {
		dep_condition_drop(d, "ReplicaFailure");
		return;
	}
	dep_condition(
		d, "ReplicaFailure", "True",
		arena_cstr(d->v->arena, json_str_or(json_at(c, "reason"), STR("FailedCreate"))),
		json_str(json_at(c, "message")));
}

void dep_status(struct dep *d)
{
	set_counts(d);
	if (count(d->status, "availableReplicas") >= d->replicas - d->unavailable)
		dep_condition(d, "Available", "True", "MinimumReplicasAvailable",
			      STR("Deployment has minimum availability."));
	else
		dep_condition(d, "Available", "False", "MinimumReplicasUnavailable",
			      STR("Deployment does not have minimum availability."));
	if (!d->paused)
		set_progress(d);
	set_failure(d);
}
