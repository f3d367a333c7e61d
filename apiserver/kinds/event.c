/* Events: what happened to an object, for people. They go an hour after the last word. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL("Last Seen", "string", "When it happened last."),
	COL("Type", "string", "Normal or Warning."),
	COL("Reason", "string", "Why, in one word."),
	COL("Object", "string", "What it happened to."),
	COL("Subobject", "string", "Which part of it.", .priority = 1),
	COL("Source", "string", "Who says so.", .priority = 1),
	COL("Message", "string", "What happened."),
	COL("First Seen", "string", "When it happened first.", .priority = 1),
	COL("Count", "string", "How often.", .priority = 1),
	COL("Name", "string", "Name, unique within a namespace.", .priority = 1, .format = "name"),
	{0},
};

static void cell_source(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	struct str component = json_str(json_at(o, "source", "component")),
		   host = json_str(json_at(o, "source", "host"));

	if (!component.n)
		component = json_str(json_get(o, STR("reportingComponent")));
	cell_text(c, cells, "%.*s%s%.*s", STR_ARG(component), host.n ? ", " : "", STR_ARG(host));
}

static const struct json *first_of(const struct json *o, const char *field)
{
	const struct json *v = json_get(o, str_c(field));

	if (!v || v->type == JSON_NULL)
		v = json_get(o, STR("eventTime"));
	return v && v->type != JSON_NULL ? v : json_at(o, "metadata", "creationTimestamp");
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	struct str kind = json_str(json_at(o, "involvedObject", "kind")),
		   name = json_str(json_at(o, "involvedObject", "name"));
	char *lower = arena_cstr(c->a, kind);

	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	cell_since(c, cells, first_of(o, "lastTimestamp"));
	cell_str(c, cells, json_str(json_get(o, STR("type"))));
	cell_str(c, cells, json_str(json_get(o, STR("reason"))));
	cell_text(c, cells, "%s/%.*s", lower, STR_ARG(name));
	cell_str(c, cells, json_str(json_at(o, "involvedObject", "fieldPath")));
	cell_source(c, cells, o);
	cell_str(c, cells, str_trim(json_str(json_get(o, STR("message")))));
	cell_since(c, cells, first_of(o, "firstTimestamp"));
	cell_int(c, cells, json_int(json_get(o, STR("count")), 1));
	cell_str(c, cells, json_str(json_at(o, "metadata", "name")));
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "involvedObject");
	struct str of = json_str(json_at(next, "involvedObject", "namespace")),
		   ns = json_str(json_at(next, "metadata", "namespace"));

	(void)live;
	if (of.n ? !str_eq(of, ns) : !str_is(ns, "default"))
		rule_invalid(c, &at, "namespace", json_at(next, "involvedObject", "namespace"),
			     "does not match event.namespace");
}

static const char *const selectable[] = {"involvedObject.kind",
					 "involvedObject.namespace",
					 "involvedObject.name",
					 "involvedObject.uid",
					 "involvedObject.apiVersion",
					 "involvedObject.resourceVersion",
					 "involvedObject.fieldPath",
					 "reason",
					 "reportingComponent",
					 "source",
					 "type",
					 NULL};
static const char *const short_names[] = {"ev", NULL};

static struct str field(const struct json *o, struct str name, struct arena *a)
{
	if (str_is(name, "source"))
		return json_str_or(json_at(o, "source", "component"),
				   json_str(json_get(o, STR("reportingComponent"))));
	return field_at(o, name, a);
}

const struct kind kind_event = {
	.group = "",
	.version = "v1",
	.kind = "Event",
	.plural = "events",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_EXPIRES | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Event",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field,
	.validate = validate,
};
