/*
 * What the Container Storage Interface keeps here: drivers, which nodes have them, and how much
 * room there is. Pure. Specification: pkg/apis/storage/validation.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define STORAGE "storage.k8s.io"

static const char *driver_name(struct str name)
{
	if (name.n > 63)
		return "be no more than 63 characters";
	return name_check_dns1123_subdomain(name);
}

/* ---- drivers ---- */

static const struct kind_column driver_columns[] = {
	COL_NAME,
	COL("AttachRequired", "boolean", "Whether its volumes are attached first."),
	COL("PodInfoOnMount", "boolean", "Whether it is told about the pod."),
	COL("StorageCapacity", "boolean", "Whether it says how much room there is."),
	COL("TokenRequests", "string", "Audiences of the tokens it gets."),
	COL("RequiresRepublish", "boolean", "Whether it is asked again and again."),
	COL("Modes", "string", "Which lives its volumes may have."),
	COL_AGE,
	{0},
};

static void cell_bool(struct kind_ctx *c, struct json *cells, const struct json *spec,
		      const char *field, bool otherwise)
{
	json_append(c->a, cells,
		    json_new_bool(c->a, json_bool(json_get(spec, str_c(field)), otherwise)));
}

static void cell_list(struct kind_ctx *c, struct json *cells, const struct json *list,
		      const char *member, const char *none)
{
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);

		buf_puts(&b, i ? "," : "");
		buf_str(&b, json_str_or(member ? json_get(v, str_c(member)) : v, STR("")));
	}
	cell_str(c, cells, b.n ? buf_view(&b) : str_c(none));
}

static void driver_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec"));

	cell_name(c, cells, o);
	cell_bool(c, cells, spec, "attachRequired", true);
	cell_bool(c, cells, spec, "podInfoOnMount", false);
	cell_bool(c, cells, spec, "storageCapacity", false);
	cell_list(c, cells, json_get(spec, STR("tokenRequests")), "audience", "<unset>");
	cell_bool(c, cells, spec, "requiresRepublish", false);
	cell_list(c, cells, json_get(spec, STR("volumeLifecycleModes")), NULL, "<none>");
	cell_age(c, cells, o);
}

static void driver_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const fixed[] = {"attachRequired", "volumeLifecycleModes"};
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "tokenRequests");
	const struct json *spec = json_get(next, STR("spec")),
			  *tokens = json_get(spec, STR("tokenRequests"));

	for (size_t i = 0; i < json_len(tokens); i++) {
		const struct json *t = json_item(tokens, i),
				  *audience = json_get(t, STR("audience"));
		struct spath here = SPATH_INDEX(&all, i);

		if (json_get(t, STR("expirationSeconds")))
			rule_range(c, &here, t, "expirationSeconds", 600, (int64_t)1 << 32);
		for (size_t j = 0; j < i; j++)
			if (str_eq(json_str_or(audience, STR("")),
				   json_str_or(json_get(json_item(tokens, j), STR("audience")),
					       STR(""))))
				rule_duplicate(c, &here, "audience", audience);
	}
	for (size_t i = 0; live && i < ARRAY_LEN(fixed); i++)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), fixed[i]);
}

const struct kind kind_csidriver = {
	.group = STORAGE,
	.version = "v1",
	.kind = "CSIDriver",
	.plural = "csidrivers",
	.flags = KIND_GENERATION | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.storage.v1.CSIDriver",
	.columns = driver_columns,
	.row = driver_row,
	.validate = driver_validate,
	.name_check = driver_name,
};

/* ---- nodes ---- */

static const struct kind_column node_columns[] = {
	COL_NAME,
	COL("Drivers", "integer", "How many drivers the node has."),
	COL_AGE,
	{0},
};

static void node_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells, (int64_t)json_len(json_at(o, "spec", "drivers")));
	cell_age(c, cells, o);
}

static const struct json *driver_of(const struct json *drivers, struct str name)
{
	for (size_t i = 0; i < json_len(drivers); i++)
		if (str_eq(json_str(json_get(json_item(drivers, i), STR("name"))), name))
			return json_item(drivers, i);
	return NULL;
}

/* Told of at the driver itself, as Kubernetes does. */
static void check_topology_keys(struct kind_ctx *c, const struct spath *at, const struct json *keys)
{
	for (size_t i = 0; i < json_len(keys); i++) {
		const struct json *key = json_item(keys, i);
		const char *why = name_check_qualified(json_str(key));

		if (!json_str(key).n)
			rule_required(c, at, NULL, NULL);
		for (size_t k = 0; k < i; k++)
			if (json_equal(key, json_item(keys, k)))
				rule_duplicate(c, at, NULL, key);
		if (why)
			rule_invalid(c, at, NULL, keys, why);
	}
}

static void node_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "drivers");
	const struct json *drivers = json_at(next, "spec", "drivers"),
			  *before = json_at(live, "spec", "drivers");

	for (size_t i = 0; i < json_len(drivers); i++) {
		const struct json *d = json_item(drivers, i), *name = json_get(d, STR("name"));
		const struct json *was = driver_of(before, json_str(name));
		struct spath here = SPATH_INDEX(&all, i);

		check_topology_keys(c, &here, json_get(d, STR("topologyKeys")));
		if (json_int(json_at(d, "allocatable", "count"), 0) < 0)
			rule_invalid(c, &(struct spath){.up = &here, .name = STR("allocatable")},
				     "count", json_at(d, "allocatable", "count"),
				     "must be greater than or equal to 0");
		if (json_str(name).n > 63)
			rule_too_long(c, &here, "name", 63);
		rule_name(c, &here, "name", name, name_check_dns1123_subdomain);
		if (driver_of(drivers, json_str(name)) != d)
			rule_duplicate(c, &here, "name", name);
		if (!json_str(json_get(d, STR("nodeID"))).n)
			rule_required(c, &here, "nodeID", NULL);
		if (json_str(json_get(d, STR("nodeID"))).n > 256)
			rule_invalid(c, &here, "nodeID", json_get(d, STR("nodeID")),
				     "must be 256 characters or less");
		if (was && !json_equal(was, d))
			rule_invalid(c, NULL, "CSINodeDriver", d, "field is immutable");
	}
}

const struct kind kind_csinode = {
	.group = STORAGE,
	.version = "v1",
	.kind = "CSINode",
	.plural = "csinodes",
	.flags = KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.storage.v1.CSINode",
	.columns = node_columns,
	.row = node_row,
	.validate = node_validate,
};

/* ---- room ---- */

static const struct kind_column capacity_columns[] = {
	COL_NAME,
	COL("StorageClassName", "string", "For which class of volumes.",
	    .path = ".storageClassName"),
	COL("Capacity", "string", "How much room there is.", .path = ".capacity"),
	{0},
};

static void capacity_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "nodeTopology");

	rule_name(c, NULL, "storageClassName", json_get(next, STR("storageClassName")),
		  name_check_dns1123_subdomain);
	if (json_get(next, STR("nodeTopology")))
		rule_selector(c, &at, NULL, json_get(next, STR("nodeTopology")));
	if (!live)
		return;
	rule_immutable(c, NULL, next, live, "nodeTopology");
	rule_immutable(c, NULL, next, live, "storageClassName");
}

const struct kind kind_csistoragecapacity = {
	.group = STORAGE,
	.version = "v1",
	.kind = "CSIStorageCapacity",
	.plural = "csistoragecapacities",
	.flags = KIND_NAMESPACED,
	.schema_name = "io.k8s.api.storage.v1.CSIStorageCapacity",
	.columns = capacity_columns,
	.validate = capacity_validate,
};
