/* Events: what happened to an object, for people. They go an hour after the last word. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

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

/* ---- rules. Old Events have no eventTime; new ones say who did what. ---- */

static bool is_set(const struct json *v)
{
	return v && v->type != JSON_NULL;
}

static void check_text(struct kind_ctx *c, const struct json *o, const char *field, size_t max)
{
	struct str s = json_str(json_get(o, str_c(field)));

	if (!s.n)
		rule_required(c, NULL, field, NULL);
	else if (s.n > max)
		rule_invalid(c, NULL, field, json_new_str(c->a, STR("")),
			     arena_printf(c->a, "can have at most %zu characters", max));
}

static void check_namespace(struct kind_ctx *c, const struct json *next, bool old)
{
	struct spath at = SPATH_FIELD(NULL, "involvedObject");
	const struct json *v = json_at(next, "involvedObject", "namespace");
	struct str of = json_str(v), ns = json_str(json_at(next, "metadata", "namespace"));
	bool fits = str_is(ns, "default") || (!old && str_is(ns, "kube-system"));

	if (of.n && old)
		fits = str_eq(of, ns);
	else if (of.n)
		fits = true;
	if (!fits)
		rule_invalid(c, &at, "namespace", v ? v : json_new_str(c->a, STR("")),
			     "does not match event.namespace");
}

static void check_reporter(struct kind_ctx *c, const struct json *next, bool of_core)
{
	const char *field = of_core ? "reportingComponent" : "reportingController";
	const struct json *v = json_get(next, STR("reportingComponent"));

	if (!json_str(v).n)
		rule_required(c, NULL, field, NULL);
	else
		rule_name(c, NULL, field, v, name_check_qualified);
	check_text(c, next, "reportingInstance", 128);
	check_text(c, next, "action", 128);
	check_text(c, next, "reason", 128);
	if (json_str(json_get(next, STR("message"))).n > 1024)
		rule_invalid(c, NULL, "message", json_new_str(c->a, STR("")),
			     "can have at most 1024 characters");
}

/* events.k8s.io/v1 lets nobody use the fields that are there for old times' sake. */
static void check_unset(struct kind_ctx *c, const struct json *o)
{
	static const char *const unset[] = {"firstTimestamp", "lastTimestamp", "count"};
	struct json *none = json_new_str(c->a, STR(""));

	for (size_t i = 0; i < ARRAY_LEN(unset); i++) {
		const struct json *v = json_get(o, str_c(unset[i]));

		if (is_set(v) && json_int(v, 1))
			rule_invalid(c, NULL, unset[i], none, "needs to be unset");
	}
	if (json_str(json_at(o, "source", "component")).n ||
	    json_str(json_at(o, "source", "host")).n)
		rule_invalid(c, NULL, "source", none, "needs to be unset");
}

static void check_series(struct kind_ctx *c, const struct json *o)
{
	const struct json *series = json_get(o, STR("series"));
	struct spath at = SPATH_FIELD(NULL, "series");

	if (!is_set(series))
		return;
	if (json_int(json_get(series, STR("count")), 0) < 2)
		rule_invalid(c, &at, "count", json_new_str(c->a, STR("")), "should be at least 2");
	if (!is_set(json_get(series, STR("lastObservedTime"))))
		rule_required(c, &at, "lastObservedTime", NULL);
}

static void check_new_style(struct kind_ctx *c, const struct json *next)
{
	struct str type = json_str(json_get(next, STR("type")));

	check_series(c, next);
	if (!is_set(json_get(next, STR("eventTime"))))
		rule_required(c, NULL, "eventTime", NULL);
	if (!str_is(type, "Normal") && !str_is(type, "Warning"))
		rule_invalid(c, NULL, "type", json_new_str(c->a, STR("")),
			     arena_printf(c->a, "has invalid value: %.*s", (int)MIN(type.n, 100),
					  type.n ? type.p : ""));
	check_unset(c, next);
}

static void check_fixed(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const fixed[] = {"involvedObject",
					    "reason",
					    "reportingComponent",
					    "reportingInstance",
					    "action",
					    "related",
					    "source",
					    "message",
					    "type",
					    "firstTimestamp",
					    "count",
					    "lastTimestamp",
					    "eventTime"};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		rule_immutable(c, NULL, next, live, fixed[i]);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	bool of_core = !c->asked || !c->asked->group[0];
	bool old = !is_set(json_get(next, STR("eventTime")));

	check_namespace(c, next, old);
	if (!old)
		check_reporter(c, next, of_core);
	if (of_core || !str_is(str_c(c->asked->version), "v1"))
		return;
	if (live)
		check_fixed(c, next, live);
	else
		check_new_style(c, next);
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
	.flags = KIND_PUT_MAKES | KIND_NAMESPACED | KIND_EXPIRES | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Event",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field,
	.validate = validate,
};
