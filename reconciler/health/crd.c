/* A CustomResourceDefinition is current when it is established. Pure. */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	const struct json *names = condition_find(o, "NamesAccepted");

	if (str_is(json_str(json_get(names, STR("status"))), "False"))
		return health_fail(a, "%.*s", STR_ARG(json_str(json_get(names, STR("message")))));
	if (!health_condition_is(o, "Established", "True"))
		return health_wait(a, "it is not established");
	return HEALTHY;
}

const struct health health_crd = {
	.group = "apiextensions.k8s.io", .kind = "CustomResourceDefinition", .check = check};
