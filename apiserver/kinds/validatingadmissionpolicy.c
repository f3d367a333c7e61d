/*
 * ValidatingAdmissionPolicies and their bindings. Expressions are compiled when they are written,
 * and carried out by admission/validating_policy.c. Pure.
 */
#include "apiserver/kinds/rules.h"
#include "apiserver/policy.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define GROUP "admissionregistration.k8s.io"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Validations", "integer", "How many validations it has."),
	COL("ParamKind", "string", "The kind of its parameters."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *kind = json_at(o, "spec", "paramKind");

	cell_name(c, cells, o);
	cell_int(c, cells, (int64_t)json_len(json_at(o, "spec", "validations")));
	if (kind)
		cell_text(c, cells, "%.*s/%.*s",
			  STR_ARG(json_str(json_get(kind, STR("apiVersion")))),
			  STR_ARG(json_str(json_get(kind, STR("kind")))));
	else
		cell_str(c, cells, STR("<unset>"));
	cell_age(c, cells, o);
}

static void check_rules(struct kind_ctx *c, const struct spath *at, const struct json *rules)
{
	static const char *const lists[] = {"operations", "apiGroups", "apiVersions", "resources"};

	for (size_t i = 0; i < json_len(rules); i++) {
		struct spath here = SPATH_INDEX(at, i);

		for (size_t j = 0; j < ARRAY_LEN(lists); j++)
			if (!json_len(json_get(json_item(rules, i), str_c(lists[j]))))
				rule_required(c, &here, lists[j], NULL);
	}
}

static void check_match(struct kind_ctx *c, const struct spath *at, const struct json *match,
			bool must)
{
	struct spath rules = SPATH_FIELD(at, "resourceRules"),
		     excluded = SPATH_FIELD(at, "excludeResourceRules");

	if (must && !json_len(json_get(match, STR("resourceRules"))))
		rule_required(c, at, "resourceRules", NULL);
	check_rules(c, &rules, json_get(match, STR("resourceRules")));
	check_rules(c, &excluded, json_get(match, STR("excludeResourceRules")));
	rule_selector(c, at, "namespaceSelector", json_get(match, STR("namespaceSelector")));
	rule_selector(c, at, "objectSelector", json_get(match, STR("objectSelector")));
}

static void need(struct kind_ctx *c, const struct spath *at, const struct json *list,
		 const char *field)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(at, i);

		if (!str_trim(json_str_or(json_get(json_item(list, i), str_c(field)), STR(""))).n)
			rule_required(c, &here, field, NULL);
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "validations"),
		     match = SPATH_FIELD(&at, "matchConstraints"),
		     param = SPATH_FIELD(&at, "paramKind"),
		     conditions = SPATH_FIELD(&at, "matchConditions");
	const struct json *spec = json_get(next, STR("spec")),
			  *validations = json_get(spec, STR("validations")),
			  *kind = json_get(spec, STR("paramKind"));

	(void)live;
	if (c->subresource)
		return;
	if (!json_get(spec, STR("matchConstraints")))
		rule_required(c, &at, "matchConstraints", NULL);
	else
		check_match(c, &match, json_get(spec, STR("matchConstraints")), true);
	if (!json_len(validations) && !json_len(json_get(spec, STR("auditAnnotations"))))
		rule_required(c, &at, "validations",
			      "validations or auditAnnotations must be non-empty");
	need(c, &all, validations, "expression");
	need(c, &conditions, json_get(spec, STR("matchConditions")), "name");
	need(c, &conditions, json_get(spec, STR("matchConditions")), "expression");
	if (kind && !json_str(json_get(kind, STR("apiVersion"))).n)
		rule_required(c, &param, "apiVersion", NULL);
	if (kind && !json_str(json_get(kind, STR("kind"))).n)
		rule_required(c, &param, "kind", NULL);
	policy_validate(c, &at, next);
	policy_compile(c->a, next, &c->problems);
}

#define TYPES_MAX 10

struct found {
	struct kind_ctx *c;
	const struct kind *v[TYPES_MAX];
	size_t n;
};

static void find_kind(struct found *f, struct str group, struct str version, struct str resource)
{
	const struct kind *k;

	if (f->n == TYPES_MAX || str_is(group, "*") || str_is(version, "*") ||
	    str_find(resource, STR("*")) >= 0 || str_find(resource, STR("/")) >= 0)
		return;
	k = f->c->served(f->c->served_arg, group, version, resource);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i] == k)
			return;
	if (k && k->schema)
		f->v[f->n++] = k;
}

/* The kinds that a rule names one by one. */
static void find_kinds(struct found *f, const struct json *rule)
{
	const struct json *groups = json_get(rule, STR("apiGroups")),
			  *versions = json_get(rule, STR("apiVersions")),
			  *resources = json_get(rule, STR("resources"));

	for (size_t g = 0; g < json_len(groups); g++)
		for (size_t v = 0; v < json_len(versions); v++)
			for (size_t r = 0; r < json_len(resources); r++)
				find_kind(f, json_str(json_item(groups, g)),
					  json_str(json_item(versions, v)),
					  json_str(json_item(resources, r)));
}

static void check_types(struct kind_ctx *c, const struct json *next, struct json *status)
{
	const struct json *rules = json_at(next, "spec", "matchConstraints", "resourceRules");
	struct json *checked = json_new(c->a, JSON_OBJECT),
		    *warnings = json_set_array(c->a, checked, "expressionWarnings");
	struct found f = {.c = c};

	for (size_t i = 0; c->served && i < json_len(rules); i++)
		find_kinds(&f, json_item(rules, i));
	policy_check_types(c->a, next, f.v, f.n, warnings);
	if (!json_len(warnings))
		json_del(checked, STR("expressionWarnings"));
	json_set(c->a, status, STR("typeChecking"), checked);
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	int64_t generation = json_int(json_at(live, "metadata", "generation"), 0);
	struct json *status;

	if (c->subresource)
		return;
	if (!live || !json_equal(json_get(next, STR("spec")), json_get(live, STR("spec"))))
		generation++;
	json_set(c->a, next, STR("status"), json_copy(c->a, json_set_object(c->a, next, "status")));
	status = json_get(next, STR("status"));
	json_set_int(c->a, status, "observedGeneration", generation);
	check_types(c, next, status);
}

static const char *const categories[] = {"api-extensions", NULL};

const struct kind kind_validatingadmissionpolicy = {
	.group = GROUP,
	.version = "v1",
	.kind = "ValidatingAdmissionPolicy",
	.plural = "validatingadmissionpolicies",
	.categories = categories,
	.flags = KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
	.columns = columns,
	.row = row,
	.prepare = prepare,
	.validate = validate,
};

/* ---- bindings ---- */

static const struct kind_column binding_columns[] = {
	COL_NAME,
	COL("PolicyName", "string", "The policy."),
	COL("ParamRef", "string", "Its parameters."),
	COL_AGE,
	{0},
};

static void binding_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ref = json_at(o, "spec", "paramRef");
	struct str ns = json_str(json_get(ref, STR("namespace"))),
		   name = json_str(json_get(ref, STR("name")));

	cell_name(c, cells, o);
	cell_str(c, cells, json_str_or(json_at(o, "spec", "policyName"), STR("")));
	if (!ref)
		cell_str(c, cells, STR("<unset>"));
	else
		cell_text(c, cells, "%.*s/%.*s", ns.n ? (int)ns.n : 1, ns.n ? ns.p : "*",
			  name.n ? (int)name.n : 1, name.n ? name.p : "*");
	cell_age(c, cells, o);
}

static void binding_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), match = SPATH_FIELD(&at, "matchResources");
	const struct json *spec = json_get(next, STR("spec")),
			  *policy = json_get(spec, STR("policyName")),
			  *actions = json_get(spec, STR("validationActions"));

	(void)live;
	if (!json_str(policy).n)
		rule_required(c, &at, "policyName", NULL);
	else
		rule_name(c, &at, "policyName", policy, name_check_dns1123_subdomain);
	if (!json_len(actions))
		rule_required(c, &at, "validationActions", NULL);
	policy_binding_validate(c, &at, spec);
	if (json_get(spec, STR("matchResources")))
		check_match(c, &match, json_get(spec, STR("matchResources")), false);
}

const struct kind kind_validatingadmissionpolicybinding = {
	.group = GROUP,
	.version = "v1",
	.kind = "ValidatingAdmissionPolicyBinding",
	.plural = "validatingadmissionpolicybindings",
	.categories = categories,
	.flags = KIND_GENERATION,
	.schema_name = "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
	.columns = binding_columns,
	.row = binding_row,
	.validate = binding_validate,
};
