/*
 * FlowSchemas and PriorityLevelConfigurations: which requests wait in which queue. The mandatory
 * ones are what they are. Pure. Specification: pkg/apis/flowcontrol/validation.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define GROUP "flowcontrol.apiserver.k8s.io"
#define PRECEDENCE_MAX 10000

/* ---- flow schemas ---- */

static const struct kind_column columns[] = {
	COL_NAME,
	COL("PriorityLevel", "string", "Where its requests wait."),
	COL("MatchingPrecedence", "integer", "Lower is looked at first."),
	COL("DistinguisherMethod", "string", "What makes a flow."),
	COL_AGE,
	COL("MissingPL", "string", "Whether its priority level is missing."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *dangling = condition_find(o, "Dangling");

	cell_name(c, cells, o);
	cell_str(c, cells,
		 json_str_or(json_at(spec, "priorityLevelConfiguration", "name"), STR("")));
	cell_int(c, cells, json_int(json_get(spec, STR("matchingPrecedence")), 0));
	cell_str(c, cells,
		 json_str_or(json_at(spec, "distinguisherMethod", "type"), STR("<none>")));
	cell_age(c, cells, o);
	cell_str(c, cells, json_str_or(json_get(dangling, STR("status")), STR("?")));
}

static void check_subject(struct kind_ctx *c, const struct spath *at, const struct json *s)
{
	static const struct {
		const char *kind, *field;
	} sorts[] = {{"User", "user"}, {"Group", "group"}, {"ServiceAccount", "serviceAccount"}};
	struct str kind = json_str(json_get(s, STR("kind")));

	for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
		bool there = json_is(json_get(s, str_c(sorts[i].field)), JSON_OBJECT);

		if (str_is(kind, sorts[i].kind) && !there)
			rule_required(c, at, sorts[i].field,
				      arena_printf(c->a, "%s is required when subject kind is '%s'",
						   sorts[i].field, sorts[i].kind));
		else if (!str_is(kind, sorts[i].kind) && there)
			rule_forbidden(c, at, sorts[i].field,
				       arena_printf(c->a,
						    "%s is forbidden when subject kind is not "
						    "'%s'",
						    sorts[i].field, sorts[i].kind));
	}
}

static void check_rule(struct kind_ctx *c, const struct spath *at, const struct json *r)
{
	const struct json *subjects = json_get(r, STR("subjects")),
			  *resources = json_get(r, STR("resourceRules"));
	struct spath all = SPATH_FIELD(at, "subjects"), rules = SPATH_FIELD(at, "resourceRules");

	for (size_t i = 0; i < json_len(subjects); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		check_subject(c, &here, json_item(subjects, i));
	}
	if (!json_len(resources) && !json_len(json_get(r, STR("nonResourceRules"))))
		rule_required(c, at, NULL,
			      "at least one of resourceRules and nonResourceRules has to be "
			      "non-empty");
	for (size_t i = 0; i < json_len(resources); i++) {
		const struct json *one = json_item(resources, i);
		struct spath here = SPATH_INDEX(&rules, i);

		if (!json_bool(json_get(one, STR("clusterScope")), false) &&
		    !json_len(json_get(one, STR("namespaces"))))
			rule_required(c, &here, "namespaces",
				      "resource rules that are not cluster scoped must supply at "
				      "least one namespace");
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const methods[] = {"ByNamespace", "ByUser", NULL};
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "rules"),
		     method_at = SPATH_FIELD(&at, "distinguisherMethod");
	const struct json *spec = json_get(next, STR("spec")),
			  *rules = json_get(spec, STR("rules")),
			  *method = json_at(spec, "distinguisherMethod", "type"),
			  *place = json_get(spec, STR("matchingPrecedence"));
	bool exempt = str_is(meta_name(next), "exempt");

	(void)live;
	if (c->subresource)
		return;
	if (json_int(place, 1) < 1 || json_int(place, 1) > PRECEDENCE_MAX)
		rule_invalid(c, &at, "matchingPrecedence", place,
			     json_int(place, 1) < 1 ? "must be a positive value"
						    : "must not be greater than 10000");
	else if (json_int(place, 0) == 1 && !exempt)
		rule_invalid(c, &at, "matchingPrecedence", place,
			     "only the schema named 'exempt' may have matchingPrecedence 1");
	if (method && !str_is(json_str(method), methods[0]) &&
	    !str_is(json_str(method), methods[1]))
		rule_unsupported(c, &method_at, "type", method, methods);
	for (size_t i = 0; i < json_len(rules); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		check_rule(c, &here, json_item(rules, i));
	}
}

const struct kind kind_flowschema = {
	.group = GROUP,
	.version = "v1",
	.kind = "FlowSchema",
	.plural = "flowschemas",
	.flags = KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.k8s.api.flowcontrol.v1.FlowSchema",
	.columns = columns,
	.row = row,
	.validate = validate,
};

/* ---- priority levels ---- */

static const struct kind_column level_columns[] = {
	COL_NAME,
	COL("Type", "string", "Exempt or limited."),
	COL("NominalConcurrencyShares", "string", "Its share of the server."),
	COL("Queues", "string", "How many queues it has."),
	COL("HandSize", "string", "From how many a request may choose."),
	COL("QueueLengthLimit", "string", "How many may wait in one."),
	COL_AGE,
	{0},
};

static void cell_number(struct kind_ctx *c, struct json *cells, const struct json *v)
{
	if (json_is(v, JSON_INT))
		cell_text(c, cells, "%lld", (long long)v->i);
	else
		cell_str(c, cells, STR("<none>"));
}

static void level_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *limited = json_get(spec, STR("limited")),
			  *queuing = json_at(limited, "limitResponse", "queuing");
	const struct json *share = json_get(limited ? limited : json_get(spec, STR("exempt")),
					    STR("nominalConcurrencyShares"));

	cell_name(c, cells, o);
	cell_str(c, cells, json_str_or(json_get(spec, STR("type")), STR("")));
	cell_number(c, cells, share);
	cell_number(c, cells, json_get(queuing, STR("queues")));
	cell_number(c, cells, json_get(queuing, STR("handSize")));
	cell_number(c, cells, json_get(queuing, STR("queueLengthLimit")));
	cell_age(c, cells, o);
}

static void level_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");

	if (str_is(json_str(json_get(spec, STR("type"))), "Exempt")) {
		struct json *exempt = json_set_object(c->a, spec, "exempt");

		default_int(c, exempt, "nominalConcurrencyShares", 0);
		default_int(c, exempt, "lendablePercent", 0);
	}
}

static void check_queuing(struct kind_ctx *c, const struct spath *at, const struct json *q)
{
	const struct json *queues = json_get(q, STR("queues")),
			  *hand = json_get(q, STR("handSize"));

	rule_range(c, at, q, "queues", 1, 10000000);
	rule_range(c, at, q, "handSize", 1, 10000000);
	rule_range(c, at, q, "queueLengthLimit", 1, 2147483647);
	if (json_int(hand, 1) > json_int(queues, 1))
		rule_invalid(c, at, "handSize", hand,
			     arena_printf(c->a, "should not be greater than queues (%lld)",
					  (long long)json_int(queues, 1)));
}

static void check_limited(struct kind_ctx *c, const struct spath *at, const struct json *limited)
{
	const struct json *response = json_get(limited, STR("limitResponse")),
			  *queuing = json_get(response, STR("queuing"));
	struct spath in = SPATH_FIELD(at, "limitResponse"), queues = SPATH_FIELD(&in, "queuing");
	bool queue = str_is(json_str(json_get(response, STR("type"))), "Queue");

	rule_range(c, at, limited, "lendablePercent", 0, 100);
	rule_non_negative(c, at, limited, "nominalConcurrencyShares");
	if (queue && !queuing)
		rule_required(c, &in, "queuing",
			      "must not be empty if limited is selected as the type");
	else if (!queue && queuing)
		rule_forbidden(c, &in, "queuing",
			       "must be nil if limited.limitResponse.type is not "
			       "'Queue'");
	else if (queuing)
		check_queuing(c, &queues, queuing);
}

static void level_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), limited_at = SPATH_FIELD(&at, "limited");
	const struct json *spec = json_get(next, STR("spec")),
			  *limited = json_get(spec, STR("limited"));
	bool exempt = str_is(json_str(json_get(spec, STR("type"))), "Exempt");
	struct str name = meta_name(next);

	(void)live;
	if (c->subresource)
		return;
	if (exempt != str_is(name, "exempt"))
		rule_invalid(c, &at, "type", json_get(spec, STR("type")),
			     "must be 'Exempt' if and only if `name` is 'exempt'");
	if (exempt && limited)
		rule_forbidden(c, &at, "limited", "must be nil if the type is not Limited");
	else if (!exempt && !limited)
		rule_required(c, &at, "limited", "must not be empty when type is Limited");
	else if (limited)
		check_limited(c, &limited_at, limited);
	if (!exempt && json_get(spec, STR("exempt")))
		rule_forbidden(c, &at, "exempt", "must be nil if the type is Limited");
}

const struct kind kind_prioritylevelconfiguration = {
	.group = GROUP,
	.version = "v1",
	.kind = "PriorityLevelConfiguration",
	.plural = "prioritylevelconfigurations",
	.flags = KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
	.columns = level_columns,
	.row = level_row,
	.set_defaults = level_defaults,
	.validate = level_validate,
};
