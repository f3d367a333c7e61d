/*
 * Nodes: machines, or network namespaces of one, that pods run on.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Status", "string", "The status of the node"),
	COL("Roles", "string", "The roles of the node"),
	COL_AGE,
	COL("Version", "string", "Version of the node's kubelet."),
	COL("Internal-IP", "string", "Addresses reachable inside the cluster.", .priority = 1),
	COL("External-IP", "string", "Addresses reachable from outside.", .priority = 1),
	COL("OS-Image", "string", "The node's operating system.", .priority = 1),
	COL("Kernel-Version", "string", "The node's kernel.", .priority = 1),
	COL("Container-Runtime", "string", "What runs its containers.", .priority = 1),
	{0},
};

static struct str status_text(struct kind_ctx *c, const struct json *o)
{
	const struct json *ready = condition_find(o, "Ready");
	const char *text = "Unknown";

	if (ready)
		text = str_is(json_str(json_get(ready, STR("status"))), "True") ? "Ready"
										: "NotReady";
	bool closed = json_bool(json_at(o, "spec", "unschedulable"), false);
	return arena_strf(c->a, "%s%s", text, closed ? ",SchedulingDisabled" : "");
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void cell_roles(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	static const struct str prefix = {"node-role.kubernetes.io/", 24};
	const struct json *labels = json_at(o, "metadata", "labels");
	struct str *roles = arena_array(c->a, json_len(labels) + 1, sizeof(*roles));
	AUTO(buf) struct buf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < json_len(labels); i++) {
		const struct json_member *m = &labels->members[i];
		if (str_starts(m->key, prefix) && m->key.n > prefix.n)
			roles[n++] = str_sub(m->key, prefix.n, m->key.n);
		else if (str_is(m->key, "kubernetes.io/role") && json_str(&m->value).n)
			roles[n++] = json_str(&m->value);
	}
	if (n)
		qsort(roles, n, sizeof(*roles), by_text);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%.*s", i ? "," : "", STR_ARG(roles[i]));
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<none>"));
}

static void cell_address(struct kind_ctx *c, const struct json *o, const char *type,
			 struct json *cells)
{
	const struct json *list = json_at(o, "status", "addresses");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *a = json_item(list, i);
		if (!str_is(json_str(json_get(a, STR("type"))), type))
			continue;
		cell_str(c, cells, json_str(json_get(a, STR("address"))));
		return;
	}
	cell_str(c, cells, STR("<none>"));
}

static void cell_info(struct kind_ctx *c, const struct json *o, const char *field,
		      struct json *cells)
{
	struct str s = json_str(json_at(o, "status", "nodeInfo", field));

	cell_str(c, cells, s.n ? s : STR("<unknown>"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, status_text(c, o));
	cell_roles(c, o, cells);
	cell_age(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "status", "nodeInfo", "kubeletVersion")));
	cell_address(c, o, "InternalIP", cells);
	cell_address(c, o, "ExternalIP", cells);
	cell_info(c, o, "osImage", cells);
	cell_info(c, o, "kernelVersion", cells);
	cell_info(c, o, "containerRuntimeVersion", cells);
}

static bool known(const char *const *names, struct str name)
{
	for (; *names; names++)
		if (str_is(name, *names))
			return true;
	return false;
}

static void check_taints(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
	const struct json *list = json_get(spec, STR("taints"));
	struct spath meta = SPATH_FIELD(NULL, "metadata"), all = SPATH_FIELD(&meta, "taints");

	(void)at; /* Kubernetes tells of them below metadata, where they once were */

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *t = json_item(list, i);
		const struct json *effect = json_get(t, STR("effect"));
		struct spath here = SPATH_INDEX(&all, i);
		rule_key(c, &here, json_get(t, STR("key")));
		if (json_str(json_get(t, STR("value"))).n)
			rule_name(c, &here, "value", json_get(t, STR("value")),
				  name_check_label_value);
		if (!json_str(effect).n)
			rule_required(c, &here, "effect", NULL);
		else if (!known(effects, json_str(effect)))
			rule_unsupported(c, &here, "effect", effect, effects);
		for (size_t k = 0; k < i; k++) {
			const struct json *o = json_item(list, k);
			if (!json_equal(json_get(o, STR("key")), json_get(t, STR("key"))) ||
			    !json_equal(json_get(o, STR("effect")), effect))
				continue;
			rule_duplicate(c, &here, NULL, t);
			break;
		}
	}
}

static bool was_changed(const struct json *live, const struct json *spec, const char *field)
{
	const struct json *was = json_at(live, "spec", field);

	return (json_len(was) || json_str(was).n) && !json_equal(was, json_get(spec, str_c(field)));
}

static void check_ranges(struct kind_ctx *c, const struct spath *at, const struct json *ranges)
{
	struct spath all = SPATH_FIELD(at, "podCIDRs");

	for (size_t i = 0; i < json_len(ranges); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		if (!cidr_family(json_str(json_item(ranges, i))))
			rule_invalid(c, &here, NULL, json_item(ranges, i), "must be valid CIDR");
	}
}

/* What isn't said to be set aside may be used. */
static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *status = json_get(o, STR("status"));
	const struct json *all = json_get(status, STR("capacity"));

	if (json_len(all) && !json_get(status, STR("allocatable")))
		json_set(c->a, status, STR("allocatable"), json_copy(c->a, all));
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec"));

	check_taints(c, &at, spec);
	if (!live)
		check_ranges(c, &at, json_get(spec, STR("podCIDRs")));
	if (was_changed(live, spec, "podCIDR") || was_changed(live, spec, "podCIDRs"))
		rule_forbidden(c, &at, "podCIDRs",
			       "node updates may not change podCIDR except from \"\" to valid");
	if (was_changed(live, spec, "providerID"))
		rule_forbidden(c, &at, "providerID",
			       "node updates may not change providerID except from \"\" to valid");
}

static const char *const selectable[] = {"spec.unschedulable", NULL};
static const char *const short_names[] = {"no", NULL};
static const char *const subresources[] = {"proxy", NULL};

static struct str field(const struct json *o, struct str name, struct arena *a)
{
	struct str s = field_at(o, name, a);

	return s.n ? s : STR("false");
}

const struct kind kind_node = {
	.group = "",
	.version = "v1",
	.kind = "Node",
	.plural = "nodes",
	.short_names = short_names,
	.flags = KIND_STATUS | KIND_STATUS_META | KIND_STATUS_GIVEN | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Node",
	.subresources = subresources,
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field,
	.set_defaults = set_defaults,
	.validate = validate,
};
