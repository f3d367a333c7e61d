/* A Service is current when it has its addresses; one of type LoadBalancer waits for its own. Pure.
 */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result check(const struct json *o, struct arena *a)
{
	struct str type = json_str(json_at(o, "spec", "type"));

	if (!str_is(type, "ExternalName") && !json_str(json_at(o, "spec", "clusterIP")).n)
		return health_wait(a, "it has no cluster IP");
	if (str_is(type, "LoadBalancer") &&
	    !json_len(json_at(o, "status", "loadBalancer", "ingress")))
		return health_wait(a, "its load balancer has no address");
	return HEALTHY;
}

const struct health health_service = {.group = "", .kind = "Service", .check = check};
