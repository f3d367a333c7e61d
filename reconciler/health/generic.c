/*
 * Kinds without a rule of their own, by the conventions of kstatus: observedGeneration, and the
 * conditions Ready, Stalled, Failed, Reconciling. An object without status is as it should be.
 * Pure.
 */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

/*
 * Flux' controllers write a status for all that they know; before that, nothing is known. Alerts
 * and Providers are told nothing of by Flux itself, and what is suspended is not looked at.
 */
static bool is_unseen(const struct json *o)
{
	struct str group, version;

	api_version_split(json_str(json_get(o, STR("apiVersion"))), &group, &version);
	return str_ends(group, STR(".toolkit.fluxcd.io")) &&
	       !str_starts(group, STR("notification.")) &&
	       !str_is(json_str(json_get(o, STR("kind"))), "ExternalArtifact") &&
	       !json_bool(json_at(o, "spec", "suspend"), false) &&
	       !json_at(o, "status", "observedGeneration");
}

static struct health_result check(const struct json *o, struct arena *a)
{
	const struct json *status = json_get(o, STR("status")), *ready;

	if (is_unseen(o) || (json_get(status, STR("observedGeneration")) && health_stale(o)))
		return health_wait(a, "the latest spec has not been looked at yet");
	if (health_condition_is(o, "Stalled", "True") || health_condition_is(o, "Failed", "True"))
		return health_fail(
			a, "%.*s",
			STR_ARG(json_str_or(json_get(condition_find(o, "Stalled"), STR("message")),
					    STR("it failed"))));
	if (health_condition_is(o, "Reconciling", "True"))
		return health_wait(a, "still reconciling");
	ready = condition_find(o, "Ready");
	if (ready && !str_is(json_str(json_get(ready, STR("status"))), "True"))
		return health_wait(a, "not ready: %.*s",
				   STR_ARG(json_str(json_get(ready, STR("message")))));
	return HEALTHY;
}

const struct health health_generic = {.group = "", .kind = "*", .check = check};
