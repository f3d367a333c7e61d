/*
 * What a CustomResourceDefinition's spec must be: its names, its versions with their columns and
 * sub-resources, how objects are converted between them. Schemas are lib/schema's. Pure.
 *
 * What all versions share is named by the path that Kubernetes' internal type gives it:
 * spec.validation rather than spec.versions[0].schema.
 * Specification: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation.
 */
#include "apiserver/kinds/rules_crd.h"
#include "apiserver/kinds/rules_webhooks.h"

#include "lib/json/jsonpath.h"
#include "lib/kube/obj.h"
#include "lib/schema/crd_schema.h"

#include "lib/base/pure.h"

static const struct spath top = {.name = STR("spec")};

static const struct json *versions_of(const struct json *definition)
{
	return json_at(definition, "spec", "versions");
}

static void check_label(struct kind_ctx *c, const struct spath *at, const char *field,
			const struct json *value)
{
	rule_optional_name(c, at, field, value, name_check_dns1035_label);
}

/* ---- names ---- */

static void check_group(struct kind_ctx *c, const struct json *o)
{
	const struct json *group = json_at(o, "spec", "group");
	struct str g = json_str(group), plural = json_str(json_at(o, "spec", "names", "plural")),
		   want = arena_strf(c->a, "%.*s.%.*s", STR_ARG(plural), STR_ARG(g));
	struct spath meta = {.name = STR("metadata")};

	if (!g.n)
		rule_required(c, &top, "group", NULL);
	else if (name_check_dns1123_subdomain(g))
		rule_invalid(c, &top, "group", group, name_check_dns1123_subdomain(g));
	else if (!memchr(g.p, '.', g.n))
		rule_invalid(c, &top, "group", group, "should be a domain with at least one dot");
	if (!str_eq(json_str(json_at(o, "metadata", "name")), want))
		rule_invalid(c, &meta, "name", json_at(o, "metadata", "name"),
			     "must be spec.names.plural+\".\"+spec.group");
}

static struct str lower(struct kind_ctx *c, struct str s)
{
	char *p = arena_alloc(c->a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
	return (struct str){p, s.n};
}

/* Kinds are labels but for their capitals. */
static void check_kind(struct kind_ctx *c, const struct spath *at, const char *field,
		       const struct json *value)
{
	struct str low = lower(c, json_str(value));

	if (!low.n)
		rule_required(c, at, field, NULL);
	else if (name_check_dns1035_label(low))
		rule_invalid(c, at, field, value,
			     arena_printf(c->a,
					  "may have mixed case, but should otherwise match: %s",
					  name_check_dns1035_label(low)));
}

static void check_labels(struct kind_ctx *c, const struct spath *up, struct str name,
			 const struct json *list)
{
	struct spath at = {.up = up, .name = name};

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath item = SPATH_INDEX(&at, i);

		rule_name(c, &item, NULL, json_item(list, i), name_check_dns1035_label);
	}
}

static void check_names(struct kind_ctx *c, const struct json *names)
{
	struct spath at = SPATH_FIELD(&top, "names");
	const struct json *kind = json_get(names, STR("kind")),
			  *list = json_get(names, STR("listKind"));

	if (!json_str(json_get(names, STR("plural"))).n)
		rule_required(c, &at, "plural", NULL);
	if (!json_str(json_get(names, STR("singular"))).n)
		rule_required(c, &at, "singular", NULL);
	check_label(c, &at, "plural", json_get(names, STR("plural")));
	check_label(c, &at, "singular", json_get(names, STR("singular")));
	check_kind(c, &at, "kind", kind);
	check_kind(c, &at, "listKind", list);
	check_labels(c, &at, STR("shortNames"), json_get(names, STR("shortNames")));
	check_labels(c, &at, STR("categories"), json_get(names, STR("categories")));
	if (json_str(kind).n && str_eq(json_str(kind), json_str(list)))
		rule_invalid(c, &at, "listKind", list, "kind and listKind may not be the same");
}

/* ---- columns and sub-resources ---- */

static bool check_path(struct kind_ctx *c, const struct spath *at, const char *field,
		       const struct json *path)
{
	if (json_str(path).n && json_str(path).p[0] == '.')
		return true;
	if (json_str(path).n)
		rule_invalid(c, at, field, path, "must be a simple json path starting with .");
	else
		rule_required(c, at, field, NULL);
	return false;
}

static bool is_one_of(struct str s, const char *const *list)
{
	for (; *list; list++)
		if (str_is(s, *list))
			return true;
	return false;
}

static void check_column(struct kind_ctx *c, const struct spath *at, const struct json *column)
{
	static const char *const types[] = {"boolean", "date", "integer", "number", "string", NULL},
				 *const formats[] = {"byte",   "date",     "date-time",
						     "double", "float",    "int32",
						     "int64",  "password", NULL};
	static const char type_words[] = "must be one of boolean,date,integer,number,string",
			  format_words[] = "must be one of byte,date,date-time,double,float,int32,"
					   "int64,password";
	const struct json *type = json_get(column, STR("type")),
			  *format = json_get(column, STR("format"));

	if (!json_str(json_get(column, STR("name"))).n)
		rule_required(c, at, "name", NULL);
	if (!json_str(type).n)
		rule_required(c, at, "type", type_words);
	else if (!is_one_of(json_str(type), types))
		rule_invalid(c, at, "type", type, type_words);
	if (json_str(format).n && !is_one_of(json_str(format), formats))
		rule_invalid(c, at, "format", format, format_words);
	check_path(c, at, "jsonPath", json_get(column, STR("jsonPath")));
}

static void check_columns(struct kind_ctx *c, const struct spath *up, const struct json *list)
{
	struct spath at = SPATH_FIELD(up, "additionalPrinterColumns");

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&at, i);

		check_column(c, &here, json_item(list, i));
	}
}

/* The documentation allows no array notation; Kubernetes takes it and then scales nothing, without
 * a word. */
static bool check_scale_path(struct kind_ctx *c, const struct spath *at, const char *field,
			     const struct json *path)
{
	struct str text = json_str(path);

	if (!check_path(c, at, field, path))
		return false;
	if (jsonpath_ok(text) && !memchr(text.p, '[', text.n))
		return true;
	rule_invalid(c, at, field, path, "should be a simple json path without array notation");
	return false;
}

static void check_scale(struct kind_ctx *c, const struct spath *up, const struct json *scale)
{
	struct spath subresources = SPATH_FIELD(up, "subresources"),
		     at = SPATH_FIELD(&subresources, "scale");
	const struct json *spec = json_get(scale, STR("specReplicasPath")),
			  *status = json_get(scale, STR("statusReplicasPath")),
			  *labels = json_get(scale, STR("labelSelectorPath"));

	if (!scale)
		return;
	if (check_scale_path(c, &at, "specReplicasPath", spec) &&
	    !str_starts(json_str(spec), STR(".spec.")))
		rule_invalid(c, &at, "specReplicasPath", spec, "should be a json path under .spec");
	if (check_scale_path(c, &at, "statusReplicasPath", status) &&
	    !str_starts(json_str(status), STR(".status.")))
		rule_invalid(c, &at, "statusReplicasPath", status,
			     "should be a json path under .status");
	if (json_str(labels).n && check_scale_path(c, &at, "labelSelectorPath", labels) &&
	    !str_starts(json_str(labels), STR(".spec.")) &&
	    !str_starts(json_str(labels), STR(".status.")))
		rule_invalid(c, &at, "labelSelectorPath", labels,
			     "should be a json path under either .spec or .status");
}

/* ---- schemas ---- */

/* With a status sub-resource the status is judged by properties[status] alone: what the root says
 * beside properties would be lost. */
static void check_root(struct kind_ctx *c, const struct spath *at, const struct json *schema)
{
	static const char *const never[] = {"default",
					    "enum",
					    "nullable",
					    "maxProperties",
					    "minProperties",
					    "additionalProperties",
					    "allOf",
					    "anyOf",
					    "oneOf",
					    "not",
					    "$ref",
					    "$schema",
					    "id",
					    "definitions",
					    "dependencies",
					    "patternProperties",
					    "additionalItems",
					    "x-kubernetes-embedded-resource",
					    "x-kubernetes-int-or-string",
					    "x-kubernetes-list-type",
					    "x-kubernetes-list-map-keys",
					    "x-kubernetes-map-type"};
	struct str type = json_str(json_get(schema, STR("type")));

	if (type.n && !str_is(type, "object")) {
		rule_invalid(c, at, "type", json_get(schema, STR("type")),
			     "only \"object\" is allowed as the type at the root of the schema if "
			     "the status subresource is enabled");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		const struct json *v = json_get(schema, str_c(never[i]));

		if (!v || json_is(v, JSON_NULL) || (v->type == JSON_BOOL && !v->b))
			continue;
		rule_invalid(
			c, at, NULL, NULL,
			"only [Description Type Format Title Maximum ExclusiveMaximum Minimum "
			"ExclusiveMinimum MaxLength MinLength Pattern MaxItems MinItems "
			"UniqueItems MultipleOf Required Items Properties ExternalDocs Example "
			"XPreserveUnknownFields XValidations] fields are allowed at the root of "
			"the schema if the status subresource is enabled");
		return;
	}
}

static const struct json *schema_of(const struct json *version)
{
	return json_at(version, "schema", "openAPIV3Schema");
}

/* A schema that was good enough before is not judged again: limits may have become tighter. */
static void check_schema(struct kind_ctx *c, const struct spath *up, const struct json *schema,
			 bool has_status)
{
	struct spath at = SPATH_FIELD(up, "openAPIV3Schema");

	if (has_status)
		check_root(c, &at, schema);
	crd_schema_check(schema, spath_text(c->a, &at), &c->problems);
}

static const struct json *version_named(const struct json *versions, struct str name)
{
	for (size_t i = 0; i < json_len(versions); i++)
		if (str_eq(json_str(json_get(json_item(versions, i), STR("name"))), name))
			return json_item(versions, i);
	return NULL;
}

static bool was_accepted(const struct json *version, const struct json *before)
{
	const struct json *old =
		schema_of(version_named(before, json_str(json_get(version, STR("name")))));

	return old && json_equal(schema_of(version), old);
}

/* ---- versions ---- */

static bool is_shared(const struct json *versions, const char *member)
{
	const struct json *first = json_get(json_item(versions, 0), str_c(member));

	for (size_t i = 1; i < json_len(versions); i++) {
		const struct json *v = json_get(json_item(versions, i), str_c(member));

		if (!v != !first || (v && !json_equal(v, first)))
			return false;
	}
	return json_len(versions) > 0;
}

static bool has_status(const struct json *version)
{
	return json_at(version, "subresources", "status") != NULL;
}

static void check_shared(struct kind_ctx *c, const struct json *versions, const struct json *before)
{
	const struct json *first = json_item(versions, 0);
	struct spath schema = SPATH_FIELD(&top, "validation");
	bool status = false;

	for (size_t i = 0; i < json_len(versions); i++)
		status |= has_status(json_item(versions, i));
	if (is_shared(versions, "schema") && schema_of(first) && !was_accepted(first, before))
		check_schema(c, &schema, schema_of(first), status);
	if (is_shared(versions, "subresources"))
		check_scale(c, &top, json_at(first, "subresources", "scale"));
	if (is_shared(versions, "additionalPrinterColumns"))
		check_columns(c, &top, json_get(first, STR("additionalPrinterColumns")));
}

static void check_deprecation(struct kind_ctx *c, const struct spath *at,
			      const struct json *version)
{
	const struct json *warning = json_get(version, STR("deprecationWarning"));
	struct str text = json_str(warning);

	if (!json_is(warning, JSON_STRING))
		return;
	if (!json_bool(json_get(version, STR("deprecated")), false))
		rule_invalid(c, at, "deprecationWarning", warning,
			     "can only be set for deprecated versions");
	else if (!text.n)
		rule_invalid(c, at, "deprecationWarning", warning, "must not be an empty string");
	else if (text.n > 256)
		rule_invalid(c, at, "deprecationWarning", warning,
			     "must be <= 256 characters long");
}

static void check_version(struct kind_ctx *c, const struct spath *at, const struct json *versions,
			  size_t i)
{
	const struct json *v = json_item(versions, i);
	struct spath schema = SPATH_FIELD(at, "schema");

	rule_name(c, at, "name", json_get(v, STR("name")), name_check_dns1035_label);
	if (i == 0)
		check_label(c, &top, "version", json_get(v, STR("name")));
	check_deprecation(c, at, v);
	if (!schema_of(v))
		rule_required(c, &schema, "openAPIV3Schema", "schemas are required");
	if (!is_shared(versions, "subresources"))
		check_scale(c, at, json_at(v, "subresources", "scale"));
	if (!is_shared(versions, "additionalPrinterColumns"))
		check_columns(c, at, json_get(v, STR("additionalPrinterColumns")));
	if (!c->subresource)
		crd_selectable_validate(c, at, v);
}

static bool are_unique(const struct json *versions)
{
	for (size_t i = 0; i < json_len(versions); i++) {
		struct str name = json_str(json_get(json_item(versions, i), STR("name")));

		if (version_named(versions, name) != json_item(versions, i))
			return false;
	}
	return true;
}

/* Enough to see what is meant: schemas would fill pages. */
static const struct json *names_of(struct kind_ctx *c, const struct json *versions)
{
	struct json *names = json_new(c->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(versions); i++)
		json_append_str(c->a, names,
				json_str(json_get(json_item(versions, i), STR("name"))));
	return names;
}

static void check_versions(struct kind_ctx *c, const struct json *versions,
			   const struct json *before)
{
	struct spath all = SPATH_FIELD(&top, "versions");
	size_t storages = 0;

	for (size_t i = 0; i < json_len(versions); i++) {
		const struct json *v = json_item(versions, i);
		struct spath at = SPATH_INDEX(&all, i), schema = SPATH_FIELD(&at, "schema");

		storages += json_bool(json_get(v, STR("storage")), false);
		check_version(c, &at, versions, i);
		if (schema_of(v) && !is_shared(versions, "schema") && !was_accepted(v, before))
			check_schema(c, &schema, schema_of(v), has_status(v));
	}
	check_shared(c, versions, before);
	if (!are_unique(versions))
		rule_invalid(c, &all, NULL, names_of(c, versions),
			     "must contain unique version names");
	if (storages != 1)
		rule_invalid(c, &all, NULL, names_of(c, versions),
			     "must have exactly one version marked as storage version");
}

/* ---- conversion ---- */

static void check_review_versions(struct kind_ctx *c, const struct spath *at,
				  const struct json *list)
{
	bool known = false;

	if (!json_len(list))
		rule_required(c, at, NULL, NULL);
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(at, i);
		const struct json *v = json_item(list, i);
		size_t j = 0;

		while (j < i && !json_equal(json_item(list, j), v))
			j++;
		if (j < i)
			rule_invalid(c, &here, NULL, v, "duplicate version");
		else
			rule_name(c, &here, NULL, v, name_check_dns1035_label);
		known |= str_is(json_str(v), "v1") || str_is(json_str(v), "v1beta1");
	}
	if (json_len(list) && !known)
		rule_invalid(c, at, NULL, list, "must include at least one of v1, v1beta1");
}

static void check_conversion(struct kind_ctx *c, const struct json *conversion)
{
	static const char *const strategies[] = {"None", "Webhook", NULL};
	struct spath at = SPATH_FIELD(&top, "conversion"),
		     client = SPATH_FIELD(&at, "webhookClientConfig"),
		     reviews = SPATH_FIELD(&at, "conversionReviewVersions");
	const struct json *strategy = json_get(conversion, STR("strategy")),
			  *webhook = json_get(conversion, STR("webhook"));

	if (!conversion)
		return;
	if (!json_str(strategy).n)
		rule_required(c, &at, "strategy", NULL);
	else if (!is_one_of(json_str(strategy), strategies))
		rule_unsupported(c, &at, "strategy", strategy, strategies);
	if (str_is(json_str(strategy), "Webhook")) {
		if (json_get(webhook, STR("clientConfig")))
			rule_webhook_client(c, &client, json_get(webhook, STR("clientConfig")));
		else
			rule_required(c, &client, NULL, "required when strategy is set to Webhook");
		check_review_versions(c, &reviews,
				      json_get(webhook, STR("conversionReviewVersions")));
		return;
	}
	if (json_get(webhook, STR("clientConfig")))
		rule_forbidden(c, &client, NULL,
			       "should not be set when strategy is not set to Webhook");
	if (json_len(json_get(webhook, STR("conversionReviewVersions"))))
		rule_forbidden(c, &reviews, NULL,
			       "should not be set when strategy is not set to Webhook");
}

static void check_fixed(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath names = SPATH_FIELD(&top, "names");
	const struct json *a = json_get(next, STR("spec")), *b = json_get(live, STR("spec"));

	rule_immutable(c, &top, a, b, "group");
	rule_immutable(c, &top, a, b, "scope");
	rule_immutable(c, &names, json_get(a, STR("names")), json_get(b, STR("names")), "plural");
	rule_immutable(c, &names, json_get(a, STR("names")), json_get(b, STR("names")), "kind");
}

void crd_spec_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
	const struct json *spec = json_get(next, STR("spec")),
			  *scope = json_get(spec, STR("scope"));

	check_group(c, next);
	if (!json_str(scope).n)
		rule_required(c, &top, "scope", NULL);
	else if (!is_one_of(json_str(scope), scopes))
		rule_unsupported(c, &top, "scope", scope, scopes);
	check_names(c, json_get(spec, STR("names")));
	check_versions(c, versions_of(next), versions_of(live));
	check_conversion(c, json_get(spec, STR("conversion")));
	if (json_bool(json_get(spec, STR("preserveUnknownFields")), false))
		rule_invalid(c, &top, "preserveUnknownFields",
			     json_get(spec, STR("preserveUnknownFields")),
			     "cannot set to true, set x-kubernetes-preserve-unknown-fields to true "
			     "in spec.versions[*].schema instead");
	if (live)
		check_fixed(c, next, live);
}
