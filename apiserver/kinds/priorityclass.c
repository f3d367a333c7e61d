/* PriorityClasses: which pods come first. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define USER_MAX 1000000000

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Value", "integer", "Higher comes first."),
	COL("Global-Default", "boolean", "Whether it is for pods that name none."),
	COL_AGE,
	COL("PreemptionPolicy", "string", "Whether others make room."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	bool global = json_bool(json_get(o, STR("globalDefault")), false);

	cell_name(c, cells, o);
	cell_int(c, cells, json_int(json_get(o, STR("value")), 0));
	json_append(c->a, cells, json_new_bool(c->a, global));
	cell_age(c, cells, o);
	cell_str(c, cells, json_str(json_get(o, STR("preemptionPolicy"))));
}

/* It counts no changes: nothing of it that matters can. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (!live)
		json_set_int(c->a, json_set_object(c->a, next, "metadata"), "generation", 1);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *value = json_get(next, STR("value"));

	static const char *const known[] = {"system-node-critical", "system-cluster-critical"};
	struct spath meta = SPATH_FIELD(NULL, "metadata");

	if (str_starts(meta_name(next), STR("system-")) && !str_is(meta_name(next), known[0]) &&
	    !str_is(meta_name(next), known[1]))
		rule_forbidden(c, &meta, "name",
			       "priority class names with 'system-' prefix are reserved for system "
			       "use only");
	if (!str_starts(meta_name(next), STR("system-")) && json_int(value, 0) > USER_MAX)
		rule_forbidden(c, NULL, "value",
			       "maximum allowed value of a user defined priority "
			       "is 1000000000");
	if (!live)
		return;
	if (json_int(value, 0) != json_int(json_get(live, STR("value")), 0))
		rule_forbidden(c, NULL, "Value", "may not be changed in an update.");
	rule_immutable(c, NULL, next, live, "preemptionPolicy");
}

static const char *const short_names[] = {"pc", NULL};

const struct kind kind_priorityclass = {
	.group = "scheduling.k8s.io",
	.version = "v1",
	.kind = "PriorityClass",
	.plural = "priorityclasses",
	.short_names = short_names,
	.flags = KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.scheduling.v1.PriorityClass",
	.columns = columns,
	.row = row,
	.prepare = prepare,
	.validate = validate,
};
