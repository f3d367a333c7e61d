/*
 * pods/eviction: a deletion, as long as no disruption budget forbids it. What a budget allows is
 * spent here, in the same commit as the deletion, so that two evictions never spend it twice; the
 * disruption controller says anew what is allowed once it has seen the pod go. One thread.
 * Specification: k8s.io/kubernetes/pkg/registry/core/pod/storage/eviction.go.
 */
#include <string.h>

#include "apiserver/core-internal.h"
#include "lib/base/timefmt.h"

#define RETRY_S 10
#define DISRUPTED_MAX 2000 /* a controller that doesn't keep up: nothing more is allowed */

struct budgets {
	struct op *op;
	const struct json *pod;
	const struct json *found;
	size_t n;
};

static void match_budget(void *arg, const struct json *budget)
{
	struct budgets *b = arg;
	struct selector s;

	if (selector_from_json(b->op->a, json_at(budget, "spec", "selector"), &s, NULL) ||
	    !selector_match_json(&s, json_at(b->pod, "metadata", "labels")))
		return;
	b->found = budget;
	b->n++;
}

static bool pod_says(const struct json *pod, const char *phase)
{
	return str_is(json_str(json_at(pod, "status", "phase")), phase);
}

/* A pod that doesn't serve, and won't again, needs nobody's leave to go. */
static bool needs_no_budget(const struct json *pod)
{
	return pod_says(pod, "Succeeded") || pod_says(pod, "Failed") || pod_says(pod, "Pending") ||
	       json_at(pod, "metadata", "deletionTimestamp");
}

static bool is_ready(const struct json *pod)
{
	return str_is(json_str(json_get(condition_find(pod, "Ready"), STR("status"))), "True");
}

static int64_t status_of(const struct json *budget, const char *field)
{
	return json_int(json_get(json_at(budget, "status"), str_c(field)), 0);
}

/* A pod that is running but not ready may go where the budget is kept without it. */
static bool unhealthy_may_go(const struct json *budget, const struct json *pod)
{
	if (is_ready(pod))
		return false;
	if (str_is(json_str(json_at(budget, "spec", "unhealthyPodEvictionPolicy")), "AlwaysAllow"))
		return true;
	return status_of(budget, "desiredHealthy") > 0 &&
	       status_of(budget, "currentHealthy") >= status_of(budget, "desiredHealthy");
}

static int refuse(struct op *op, const char *why, struct str name)
{
	schema_problem(&op->problems, "DisruptionBudget", STR(""), 0, "%s", why);
	(void)name;
	op->err.retry_after_s = RETRY_S;
	return err_set(&op->err, ERR_TOO_MANY,
		       "Cannot evict pod as it would violate the pod's disruption budget.");
}

static int spend(struct op *op, const struct json *budget, struct str pod)
{
	struct table *t = core_table(op->core, "policy", "poddisruptionbudgets");
	struct json *next = json_copy(op->a, budget), *status, *disrupted;
	char text[TIME_TEXT_MAX];

	if (op->dry_run)
		return 0;
	status = json_set_object(op->a, next, "status");
	json_set_int(op->a, status, "disruptionsAllowed",
		     status_of(budget, "disruptionsAllowed") - 1);
	disrupted = json_set_object(op->a, status, "disruptedPods");
	json_set(op->a, disrupted, pod, json_new_str(op->a, time_format(core_now(op->core), text)));
	(void)core_put(op->core, t, next, op->a);
	return 0;
}

static int ask_budget(struct op *op, const struct json *budget, const struct json *pod)
{
	struct str name = meta_name(budget);

	if (status_of(budget, "observedGeneration") <
	    json_int(json_at(budget, "metadata", "generation"), 0))
		return refuse(op,
			      arena_printf(op->a,
					   "The disruption budget %.*s is still being processed by "
					   "the server.",
					   STR_ARG(name)),
			      name);
	if (unhealthy_may_go(budget, pod))
		return 0;
	if (status_of(budget, "disruptionsAllowed") <= 0 ||
	    json_len(json_at(budget, "status", "disruptedPods")) >= DISRUPTED_MAX)
		return refuse(op,
			      arena_printf(op->a,
					   "The disruption budget %.*s needs %lld healthy pods and "
					   "has %lld currently",
					   STR_ARG(name),
					   (long long)status_of(budget, "desiredHealthy"),
					   (long long)status_of(budget, "currentHealthy")),
			      name);
	return spend(op, budget, meta_name(pod));
}

static int ask_budgets(struct op *op, const struct json *pod)
{
	const struct admission_scan scan = {"policy", "poddisruptionbudgets", op->req->namespace,
					    STR_NONE};
	struct budgets b = {.op = op, .pod = pod};

	if (needs_no_budget(pod))
		return 0;
	op->core->reader.each(op->core, &scan, op->a, match_budget, &b);
	if (b.n > 1)
		return err_set(&op->err, ERR_INTERNAL,
			       "This pod has more than one PodDisruptionBudget, which the eviction "
			       "subresource does not support.");
	return b.n ? ask_budget(op, b.found, pod) : 0;
}

void core_evict(struct op *op)
{
	const struct obj *live = sub_live(op);
	struct json *eviction = live ? sub_body(op) : NULL;
	bool gone;

	op->evicting = true;
	if (eviction &&
	    !write_ask(op, ADMIT_CREATE, sub_typed(op, eviction, "policy/v1", "Eviction"), NULL) &&
	    !ask_budgets(op, obj_tree(live, op->a)) &&
	    core_delete_object(op, live, json_get(eviction, STR("deleteOptions")), &gone))
		op_answer_success(op, 201, NULL);
	else
		op_answer_error(op);
}
