/*
 * What a Kustomization says of itself. One merge patch of the status per report, only when it says
 * something new; events for what a person wants to know. On the role's loop.
 */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"

#define MESSAGE_MAX 20000

static bool set_text(struct arena *a, struct json *patch, const struct json *status,
		     const char *key, struct str value)
{
	if (!value.p || str_eq(json_str(json_get(status, str_c(key))), value))
		return false;
	json_set_str(a, patch, key, value);
	return true;
}

static bool set_conditions(struct unit *u, struct arena *a, struct json *o,
			   const struct unit_report *rep)
{
	int64_t now = loop_wall(u->r->loop);
	bool working = !strcmp(rep->ready, "Unknown"), changed;

	changed = condition_set(a, o, "Ready", rep->ready, rep->reason, rep->message, now);
	changed |= condition_set(a, o, "Reconciling", working ? "True" : "False", rep->reason,
				 working ? rep->message : STR(""), now);
	if (rep->healthy)
		changed |= condition_set(a, o, "Healthy", rep->healthy, rep->reason, rep->message,
					 now);
	return changed;
}

static void tell(struct unit *u, const struct json *o, const struct unit_report *rep)
{
	bool bad = !strcmp(rep->ready, "False");

	if (bad)
		log_warn("not applied", "unit", u->key, "reason", rep->reason, "error",
			 log_fmt("%.*s", STR_ARG(rep->message)));
	else
		log_info("applied", "unit", u->key, "message",
			 log_fmt("%.*s", STR_ARG(rep->message)));
	recorder_event(u->r->recorder, o, bad ? "Warning" : "Normal", rep->reason, "%.*s",
		       (int)MIN(rep->message.n, (size_t)1000), rep->message.p);
}

void unit_report(struct unit *u, const struct unit_report *rep)
{
	AUTO(arena) struct arena a = {0};
	struct json *o, *status, *patch;
	struct unit_report r = *rep;
	bool changed, conditions;

	if (!u->o)
		return;
	r.message = str_sub(rep->message, 0, MESSAGE_MAX);
	u->ready = !strcmp(r.ready, "True");
	o = json_copy(&a, unit_tree(u, &a));
	status = json_set_object(&a, o, "status");
	patch = json_new(&a, JSON_OBJECT);
	conditions = changed = set_conditions(u, &a, o, &r);
	json_set(&a, patch, STR("conditions"), json_get(status, STR("conditions")));
	changed |= set_text(&a, patch, status, "lastAttemptedRevision", r.attempted);
	changed |= set_text(&a, patch, status, "lastAppliedRevision", r.applied);
	changed |= set_text(&a, patch, status, "lastHandledReconcileAt",
			    u->handled && !r.partial ? str_c(u->handled) : STR_NONE);
	if (json_int(json_get(status, STR("observedGeneration")), 0) != u->o->generation) {
		json_set_int(&a, patch, "observedGeneration", u->o->generation);
		changed = true;
	}
	if (r.inventory && !json_equal(json_at(status, "inventory", "entries"), r.inventory)) {
		json_set(&a, patch, STR("inventory"),
			 json_build(&a, "{s:o}", "entries", r.inventory));
		changed = true;
	}
	if (changed || statusq_busy(u->r->statuses, &res_kustomizations, u->o))
		statusq_put(u->r->statuses, &res_kustomizations, u->o,
			    json_build(&a, "{s:o}", "status", patch));
	if (r.event && (conditions || !u->ready))
		tell(u, o, &r);
}
