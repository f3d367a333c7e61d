/*
 * CustomResourceDefinitions: kinds that others bring along. Here is what makes one valid and what
 * its status says; that it is served is core_crd.c's part. Pure.
 * Specification: k8s.io/apiextensions-apiserver (validation.go, naming_controller.go).
 */
#include "apiserver/crd.h"
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/rules_crd.h"
#include "apiserver/kinds/rules_webhooks.h"

#include "lib/json/jsonpath.h"
#include "lib/kube/obj.h"
#include "lib/schema/crd_schema.h"

#include "lib/base/pure.h"

static struct str text_at(const struct json *o, const char *key)
{
	return json_str(json_get(o, str_c(key)));
}

static const struct json *versions_of(const struct json *o)
{
	const struct json *v = json_at(o, "spec", "versions");

	return json_is(v, JSON_ARRAY) ? v : NULL;
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec"),
		    *names = json_set_object(c->a, spec, "names");
	struct str kind = text_at(names, "kind"), low;
	char *p;

	if (!kind.n)
		return;
	low = arena_str(c->a, kind);
	p = (char *)(uintptr_t)low.p;
	for (size_t i = 0; i < low.n; i++)
		p[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
	if (!text_at(names, "singular").n)
		json_set_str(c->a, names, "singular", low);
	if (!text_at(names, "listKind").n)
		json_set_str(c->a, names, "listKind", arena_strf(c->a, "%.*sList", STR_ARG(kind)));
}

/* ---- status ---- */

static bool has_text(const struct json *list, struct str s)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_item(list, i)), s))
			return true;
	return false;
}

static bool condition_is(const struct json *o, const char *type, const char *status)
{
	return str_is(json_str(json_get(condition_find(o, type), STR("status"))), status);
}

/* Whether the names are free is the admission step's to say (admission/crd_names.c). What has been
 * established stays so. */
static void set_names(struct kind_ctx *c, struct json *o)
{
	struct json *status = json_get(o, STR("status"));

	if (!condition_is(o, "NamesAccepted", "False")) {
		if (!condition_is(o, "Established", "True"))
			condition_set(c->a, o, "Established", "True", "InitialNamesAccepted",
				      STR("the initial names have been accepted"), c->now_ns);
		json_set(c->a, status, STR("acceptedNames"),
			 json_copy(c->a, json_at(o, "spec", "names")));
		return;
	}
	if (!condition_find(o, "Established"))
		condition_set(c->a, o, "Established", "False", "NotAccepted",
			      STR("not all names are accepted"), c->now_ns);
	if (!json_get(status, STR("acceptedNames")))
		json_set(c->a, status, STR("acceptedNames"),
			 json_build(c->a, "{s:s,s:s}", "plural", "", "kind", ""));
}

static void set_status(struct kind_ctx *c, struct json *o)
{
	struct json *status, *stored;
	const struct json *versions = versions_of(o);

	/* What comes from the live object is shared with it. */
	json_set(c->a, o, STR("status"), json_copy(c->a, json_set_object(c->a, o, "status")));
	set_names(c, o);
	crd_approval_condition(c, o);
	status = json_get(o, STR("status"));
	stored = json_set_array(c->a, status, "storedVersions");
	for (size_t i = 0; i < json_len(versions); i++) {
		const struct json *v = json_item(versions, i);

		if (json_bool(json_get(v, STR("storage")), false) &&
		    !has_text(stored, text_at(v, "name")))
			json_append_str(c->a, stored, text_at(v, "name"));
	}
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	(void)live;
	if (!c->subresource)
		set_status(c, next);
}

/* ---- rules ---- */

static void invalid(struct kind_ctx *c, struct str field, struct str value, const char *why)
{
	schema_problem(&c->problems, "FieldValueInvalid", field, 0, "Invalid value: \"%.*s\": %s",
		       (int)MIN(value.n, 200), value.p ? value.p : "", why);
}

static void required(struct kind_ctx *c, struct str field, const char *why)
{
	schema_problem(&c->problems, "FieldValueRequired", field, 0, "Required value%s%s",
		       why ? ": " : "", why ? why : "");
}

static bool is_label(struct str s, size_t max)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		bool inner = i && i + 1 < s.n;

		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || (ch == '-' && inner)))
			return false;
	}
	return s.n && s.n <= max;
}

static bool is_domain(struct str s)
{
	struct str rest = s, part;

	while (str_next(&rest, '.', &part))
		if (!is_label(part, 63))
			return false;
	return s.n && s.n <= 253;
}

static void check_group(struct kind_ctx *c, const struct json *o)
{
	const struct json *spec = json_get(o, STR("spec"));
	struct str group = text_at(spec, "group"),
		   plural = text_at(json_get(spec, STR("names")), "plural"),
		   want = arena_strf(c->a, "%.*s.%.*s", STR_ARG(plural), STR_ARG(group));

	if (group.n && !is_domain(group))
		invalid(c, STR("spec.group"), group,
			"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
			"characters, '-' or '.', and must start and end with an alphanumeric "
			"character");
	else if (group.n && !memchr(group.p, '.', group.n))
		invalid(c, STR("spec.group"), group, "should be a domain with at least one dot");
	if (!str_eq(meta_name(o), want))
		invalid(c, STR("metadata.name"), meta_name(o),
			"must be spec.names.plural+\".\"+spec.group");
}

static void check_label(struct kind_ctx *c, const char *field, struct str value)
{
	if (value.n && !is_label(value, 63))
		invalid(c, str_c(field), value,
			"a DNS-1035 label must consist of lower case alphanumeric characters or "
			"'-', start with an alphabetic character, and end with an alphanumeric "
			"character");
}

static void check_names(struct kind_ctx *c, const struct json *names)
{
	const struct json *shorts = json_get(names, STR("shortNames"));
	struct str kind = text_at(names, "kind");

	if (!text_at(names, "plural").n)
		required(c, STR("spec.names.plural"), NULL);
	if (!kind.n)
		required(c, STR("spec.names.kind"), NULL);
	check_label(c, "spec.names.plural", text_at(names, "plural"));
	check_label(c, "spec.names.singular", text_at(names, "singular"));
	for (size_t i = 0; i < json_len(shorts); i++)
		check_label(c, arena_printf(c->a, "spec.names.shortNames[%zu]", i),
			    json_str(json_item(shorts, i)));
	if (kind.n && str_eq(kind, text_at(names, "listKind")))
		invalid(c, STR("spec.names.listKind"), kind,
			"kind and listKind may not be the same");
}

static void check_path(struct kind_ctx *c, struct str at, const char *field, const struct json *o)
{
	struct str path = text_at(o, field);

	if (path.n && (!jsonpath_ok(path) || (path.p[0] != '.' && path.p[0] != '[')))
		invalid(c, arena_strf(c->a, "%.*s.%s", STR_ARG(at), field), path,
			"is an invalid path: must be a simple json path");
}

static void check_scale(struct kind_ctx *c, struct str at, const struct json *scale)
{
	static const struct {
		const char *field, *below;
	} paths[] = {{"specReplicasPath", ".spec."},
		     {"statusReplicasPath", ".status."},
		     {"labelSelectorPath", NULL}};

	for (size_t i = 0; scale && i < ARRAY_LEN(paths); i++) {
		struct str path = text_at(scale, paths[i].field);

		check_path(c, at, paths[i].field, scale);
		if (path.n && memchr(path.p, '[', path.n))
			invalid(c, arena_strf(c->a, "%.*s.%s", STR_ARG(at), paths[i].field), path,
				"should be a simple json path without array notation");
		if (path.n && paths[i].below && !str_starts(path, str_c(paths[i].below)))
			invalid(c, arena_strf(c->a, "%.*s.%s", STR_ARG(at), paths[i].field), path,
				arena_printf(c->a, "should be a json path under %.*s",
					     (int)strlen(paths[i].below) - 1, paths[i].below));
	}
}

static void check_columns(struct kind_ctx *c, struct str at, const struct json *list)
{
	static const char *const types[] = {"integer", "number", "string", "boolean", "date"};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_item(list, i);
		struct str here =
			arena_strf(c->a, "%.*s.additionalPrinterColumns[%zu]", STR_ARG(at), i);
		bool known = false;

		for (size_t t = 0; t < ARRAY_LEN(types); t++)
			known |= str_is(text_at(o, "type"), types[t]);
		if (!known)
			invalid(c, arena_strf(c->a, "%.*s.type", STR_ARG(here)), text_at(o, "type"),
				"must be one of boolean,date,integer,number,string");
		check_path(c, here, "jsonPath", o);
	}
}

static const struct json *schema_in(const struct json *versions, struct str name)
{
	for (size_t i = 0; i < json_len(versions); i++)
		if (str_eq(text_at(json_item(versions, i), "name"), name))
			return json_at(json_item(versions, i), "schema", "openAPIV3Schema");
	return NULL;
}

/* A schema that was good enough before is not judged again: limits may have become tighter. */
static void check_version(struct kind_ctx *c, struct str at, const struct json *v,
			  const struct json *before)
{
	const struct json *schema = json_at(v, "schema", "openAPIV3Schema");
	struct str name = text_at(v, "name");

	if (name.n && !is_label(name, 63))
		invalid(c, arena_strf(c->a, "%.*s.name", STR_ARG(at)), name,
			"a DNS-1035 label must consist of lower case alphanumeric characters or "
			"'-', start with an alphabetic character, and end with an alphanumeric "
			"character");
	if (!schema)
		required(c, arena_strf(c->a, "%.*s.schema.openAPIV3Schema", STR_ARG(at)),
			 "schemas are required");
	else if (!before || !json_equal(schema, before))
		crd_schema_check(schema,
				 arena_strf(c->a, "%.*s.schema.openAPIV3Schema", STR_ARG(at)),
				 &c->problems);
	check_columns(c, at, json_get(v, STR("additionalPrinterColumns")));
	check_scale(c, arena_strf(c->a, "%.*s.subresources.scale", STR_ARG(at)),
		    json_at(v, "subresources", "scale"));
}

static void check_versions(struct kind_ctx *c, const struct json *versions,
			   const struct json *before)
{
	static const struct spath spec = {.name = STR("spec")};
	struct spath all = SPATH_FIELD(&spec, "versions");
	size_t storages = 0;

	for (size_t i = 0; i < json_len(versions); i++) {
		const struct json *v = json_item(versions, i);
		struct str at = arena_strf(c->a, "spec.versions[%zu]", i);
		struct spath here = SPATH_INDEX(&all, i);

		storages += json_bool(json_get(v, STR("storage")), false);
		for (size_t j = 0; j < i; j++)
			if (str_eq(text_at(v, "name"), text_at(json_item(versions, j), "name")))
				invalid(c, STR("spec.versions"), text_at(v, "name"),
					"must contain unique version names");
		check_version(c, at, v, schema_in(before, text_at(v, "name")));
		if (!c->subresource)
			crd_selectable_validate(c, &here, v);
	}
	if (storages != 1)
		schema_problem(&c->problems, "FieldValueInvalid", STR("spec.versions"), 0,
			       "Invalid value: must have exactly one version marked as storage "
			       "version");
}

static void check_stored(struct kind_ctx *c, const struct json *o)
{
	const struct json *stored = json_at(o, "status", "storedVersions"),
			  *versions = versions_of(o);

	if (!json_len(stored))
		schema_problem(&c->problems, "FieldValueInvalid", STR("status.storedVersions"), 0,
			       "Invalid value: []: must have at least one stored version");
	for (size_t i = 0; i < json_len(stored); i++) {
		struct str name = json_str(json_item(stored, i));
		int n = (int)MIN(name.n, 63);
		bool found = false;

		for (size_t j = 0; j < json_len(versions); j++)
			found |= str_eq(text_at(json_item(versions, j), "name"), name);
		if (!found)
			invalid(c, arena_strf(c->a, "status.storedVersions[%zu]", i), name,
				arena_printf(c->a,
					     "missing from spec.versions; %.*s was previously a "
					     "storage version, and must remain in spec.versions "
					     "until a storage migration ensures no data remains "
					     "persisted in %.*s and removes %.*s from "
					     "status.storedVersions",
					     n, name.p, n, name.p, n, name.p));
	}
}

static void check_fixed(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *a = json_get(next, STR("spec")), *b = json_get(live, STR("spec")),
			  *an = json_get(a, STR("names")), *bn = json_get(b, STR("names"));

	if (!str_eq(text_at(a, "group"), text_at(b, "group")))
		invalid(c, STR("spec.group"), text_at(a, "group"), "field is immutable");
	if (!str_eq(text_at(a, "scope"), text_at(b, "scope")))
		invalid(c, STR("spec.scope"), text_at(a, "scope"), "field is immutable");
	if (!str_eq(text_at(an, "plural"), text_at(bn, "plural")))
		invalid(c, STR("spec.names.plural"), text_at(an, "plural"), "field is immutable");
	if (!str_eq(text_at(an, "kind"), text_at(bn, "kind")))
		invalid(c, STR("spec.names.kind"), text_at(an, "kind"), "field is immutable");
}

static void check_converter(struct kind_ctx *c, const struct json *webhook)
{
	const struct json *versions = json_get(webhook, STR("conversionReviewVersions"));
	struct spath spec = {.name = STR("spec")}, at = SPATH_FIELD(&spec, "conversion"),
		     client = SPATH_FIELD(&at, "webhookClientConfig");

	if (!json_get(webhook, STR("clientConfig")))
		rule_required(c, &client, NULL, "required when strategy is set to Webhook");
	else
		rule_webhook_client(c, &client, json_get(webhook, STR("clientConfig")));
	if (!json_len(versions))
		rule_required(c, &at, "conversionReviewVersions", NULL);
	else if (!has_text(versions, STR("v1")) && !has_text(versions, STR("v1beta1")))
		rule_invalid(c, &at, "conversionReviewVersions", versions,
			     "must include at least one of v1, v1beta1");
}

static void check_conversion(struct kind_ctx *c, const struct json *conversion)
{
	const struct json *webhook = json_get(conversion, STR("webhook"));
	bool asks = str_is(text_at(conversion, "strategy"), "Webhook");

	if (asks && !webhook)
		required(c, STR("spec.conversion.webhook"),
			 "required when strategy is set to Webhook");
	else if (asks)
		check_converter(c, webhook);
	else if (webhook)
		schema_problem(&c->problems, "FieldValueForbidden", STR("spec.conversion.webhook"),
			       0,
			       "Forbidden: should not be set when strategy is not set to Webhook");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *spec = json_get(next, STR("spec"));

	if (live && json_equal(spec, json_get(live, STR("spec"))) && !c->subresource)
		return; /* only metadata: what stands stays acceptable */
	check_group(c, next);
	check_names(c, json_get(spec, STR("names")));
	check_versions(c, versions_of(next), versions_of(live));
	check_conversion(c, json_get(spec, STR("conversion")));
	check_stored(c, next);
	if (json_bool(json_get(spec, STR("preserveUnknownFields")), false))
		schema_problem(&c->problems, "FieldValueInvalid", STR("spec.preserveUnknownFields"),
			       0,
			       "Invalid value: true: cannot set to true, set "
			       "x-kubernetes-preserve-unknown-fields to true in "
			       "spec.versions[*].schema instead");
	if (!c->subresource)
		crd_approval_validate(c, next, live);
	if (live)
		check_fixed(c, next, live);
}

static const char *const short_names[] = {"crd", "crds", NULL};
static const char *const categories[] = {"api-extensions", NULL};

const struct kind kind_crd = {
	.group = "apiextensions.k8s.io",
	.version = "v1",
	.kind = "CustomResourceDefinition",
	.plural = "customresourcedefinitions",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_STATUS | KIND_STATUS_META | KIND_GENERATION,
	.schema_name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
		       "CustomResourceDefinition",
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
