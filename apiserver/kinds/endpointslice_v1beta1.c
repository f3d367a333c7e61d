/* EndpointSlices as discovery.k8s.io/v1beta1 says them: the zone is one of the topology's labels.
 * Pure. */
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

extern const struct kind kind_endpointslice;

#define ZONE "topology.kubernetes.io/zone"

static void endpoint_from_stored(struct arena *a, struct json *e)
{
	struct str zone = json_str(json_get(e, STR("zone")));

	version_move(a, e, "deprecatedTopology", "topology");
	if (zone.n)
		json_set_str(a, json_set_object(a, e, "topology"), ZONE, zone);
	json_del(e, STR("zone"));
}

static void endpoint_to_stored(struct arena *a, struct json *e)
{
	struct json *topology = json_get(e, STR("topology"));
	struct str zone = json_str(json_get(topology, STR(ZONE)));

	if (zone.n) {
		json_set_str(a, e, "zone", zone);
		topology = json_get(e, STR("topology"));
		json_del(topology, STR(ZONE));
	}
	if (topology && !json_len(topology))
		json_del(e, STR("topology"));
	version_move(a, e, "topology", "deprecatedTopology");
}

static void each(struct arena *a, struct json *o, void (*fn)(struct arena *a, struct json *e))
{
	const struct json *all = json_get(o, STR("endpoints"));

	for (size_t i = 0; i < json_len(all); i++)
		if (json_is(json_item(all, i), JSON_OBJECT))
			fn(a, json_item(all, i));
}

static void from_stored(struct arena *a, struct json *o)
{
	each(a, o, endpoint_from_stored);
}

static void to_stored(struct arena *a, struct json *o)
{
	each(a, o, endpoint_to_stored);
}

const struct kind kind_endpointslice_v1beta1 = {
	.group = "discovery.k8s.io",
	.version = "v1beta1",
	.kind = "EndpointSlice",
	.plural = "endpointslices",
	.stored = &kind_endpointslice,
	.schema_name = "io.k8s.api.discovery.v1beta1.EndpointSlice",
	.from_stored = from_stored,
	.to_stored = to_stored,
};
