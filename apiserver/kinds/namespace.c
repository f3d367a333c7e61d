/*
 * Namespaces. Their end is two steps: deletion marks them Terminating, the namespace controller
 * empties them and takes the finalizer off through the finalize subresource.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Status", "string", "The status of the namespace"),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "status", "phase")));
	cell_age(c, cells, o);
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *finalizers;
	struct json *status;

	if (live) {
		/* Only the finalize subresource changes spec. */
		if (!c->subresource && json_get(live, STR("spec")))
			json_set(c->a, next, STR("spec"), json_get(live, STR("spec")));
		return;
	}
	status = json_set_object(c->a, next, "status");
	json_set_str(c->a, status, "phase", STR("Active"));
	finalizers = json_set_array(c->a, json_set_object(c->a, next, "spec"), "finalizers");
	for (size_t i = 0; i < json_len(finalizers); i++)
		if (str_is(json_str(json_item(finalizers, i)), "kubernetes"))
			return;
	json_append_str(c->a, finalizers, STR("kubernetes"));
}

/* Every namespace can be selected by its name. */
static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct str name = meta_name(o);
	struct json *meta = json_get(o, STR("metadata"));

	if (name.n && json_is(meta, JSON_OBJECT))
		json_set_str(c->a, json_set_object(c->a, meta, "labels"),
			     "kubernetes.io/metadata.name", name);
}

/* On creation they are told of together; the finalize subresource says which one it is. */
static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *list = json_at(next, "spec", "finalizers");
	struct spath spec = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&spec, "finalizers");

	for (size_t i = 0; (!live || c->subresource) && i < json_len(list); i++) {
		struct spath at = SPATH_INDEX(&all, i), *where = live ? &at : &all;
		struct str name = json_str(json_item(list, i));
		const char *why = name_check_qualified(name);

		if (!why && str_find(name, STR("/")) < 0 && !str_is(name, "kubernetes") &&
		    !str_is(name, "orphan") && !str_is(name, "foregroundDeletion"))
			why = "name is neither a standard finalizer name nor is it fully qualified";
		if (why)
			rule_invalid(c, where, NULL, json_item(list, i), why);
	}
}

static const char *const selectable[] = {"status.phase", NULL};
static const char *const short_names[] = {"ns", NULL};
static const char *const subresources[] = {"finalize", NULL};

const struct kind kind_namespace = {
	.group = "",
	.version = "v1",
	.kind = "Namespace",
	.plural = "namespaces",
	.short_names = short_names,
	.flags = KIND_ONE_BY_ONE | KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Namespace",
	.subresources = subresources,
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
	.name_check = name_check_dns1123_label,
};
