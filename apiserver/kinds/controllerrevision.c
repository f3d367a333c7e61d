/* ControllerRevisions: what a StatefulSet or DaemonSet once looked like. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Controller", "string", "Whose revision it is."),
	COL("Revision", "string", "Its number."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *owner = meta_controller(o);

	cell_name(c, cells, o);
	if (owner)
		cell_text(c, cells, "%s/%.*s",
			  str_is(json_str(json_get(owner, STR("kind"))), "DaemonSet")
				  ? "daemonset.apps"
				  : "statefulset.apps",
			  STR_ARG(json_str(json_get(owner, STR("name")))));
	else
		cell_str(c, cells, STR("<none>"));
	cell_int(c, cells, json_int(json_get(o, STR("revision")), 0));
	cell_age(c, cells, o);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	rule_non_negative(c, NULL, next, "revision");
	if (!json_get(next, STR("data")))
		rule_required(c, NULL, "data", "data is mandatory");
	if (live)
		rule_immutable(c, NULL, next, live, "data");
}

const struct kind kind_controllerrevision = {
	.group = "apps",
	.version = "v1",
	.kind = "ControllerRevision",
	.plural = "controllerrevisions",
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.apps.v1.ControllerRevision",
	.columns = columns,
	.row = row,
	.validate = validate,
};
