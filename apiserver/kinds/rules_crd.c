/*
 * Rules of CustomResourceDefinitions that stand by themselves: fields that may be selected by, and
 * groups that are Kubernetes' own. Pure.
 * Specification: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation.
 */
#include "apiserver/kinds/rules_crd.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

enum { SELECTABLE_MAX = 8 };
#define APPROVED "api-approved.kubernetes.io"

/* ---- selectable fields ---- */

/* What the schema says at ".spec.color"; NULL when that is no plain path to something it knows. */
static const struct json *schema_below(const struct json *schema, struct str path)
{
	struct str rest = path, part;

	if (!path.n || path.p[0] != '.')
		return NULL;
	for (bool first = true; schema && str_next(&rest, '.', &part); first = false) {
		if (first)
			continue; /* before the leading dot */
		schema = json_get(json_get(schema, STR("properties")), part);
	}
	return schema;
}

static const char *why_not(const struct json *schema, struct str path)
{
	const struct json *field = schema_below(schema, path);
	struct str type = json_str(json_get(field, STR("type")));

	if (str_starts(path, STR(".metadata")))
		return "must not point to fields in metadata";
	if (!field)
		return "is an invalid path: does not refer to a valid field";
	if (!str_is(type, "string") && !str_is(type, "boolean") && !str_is(type, "integer"))
		return "must point to a field of type string, boolean or integer. Enum string "
		       "fields and strings with formats are allowed.";
	return NULL;
}

void crd_selectable_validate(struct kind_ctx *c, const struct spath *at, const struct json *version)
{
	const struct json *list = json_get(version, STR("selectableFields")),
			  *schema = json_at(version, "schema", "openAPIV3Schema");
	struct spath all = SPATH_FIELD(at, "selectableFields");

	if (json_len(list) > SELECTABLE_MAX)
		schema_problem(&c->problems, "FieldValueTooMany", spath_text(c->a, &all), 0,
			       "Too many: %zu: must have at most %d items", json_len(list),
			       SELECTABLE_MAX);
	for (size_t i = 0; i < json_len(list) && i < SELECTABLE_MAX; i++) {
		const struct json *path = json_get(json_item(list, i), STR("jsonPath"));
		const char *why = why_not(schema, json_str(path));
		struct spath here = SPATH_INDEX(&all, i);

		if (why)
			rule_invalid(c, &here, "jsonPath", path, why);
		for (size_t k = 0; k < i; k++)
			if (json_equal(path, json_get(json_item(list, k), STR("jsonPath"))))
				rule_duplicate(c, &here, "jsonPath", path);
	}
}

/* ---- Kubernetes' own groups ---- */

static bool is_protected(struct str group)
{
	return str_is(group, "k8s.io") || str_ends(group, STR(".k8s.io")) ||
	       str_is(group, "kubernetes.io") || str_ends(group, STR(".kubernetes.io"));
}

static const char *unapproved(const struct json *o)
{
	struct str said = meta_annotation(o, APPROVED);

	if (!said.n)
		return "protected groups must have approval annotation \"" APPROVED
		       "\", see https://github.com/kubernetes/enhancements/pull/1111";
	if (str_starts(said, STR("unapproved")) || str_find(said, STR("://")) > 0)
		return NULL;
	return "protected groups must have approval annotation \"" APPROVED
	       "\" with either a URL or a reason starting with \"unapproved\", see "
	       "https://github.com/kubernetes/enhancements/pull/1111";
}

void crd_approval_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const struct spath meta = {.name = STR("metadata")};
	struct spath all = SPATH_FIELD(&meta, "annotations"), at = SPATH_KEY(&all, STR(APPROVED));
	const char *why = unapproved(next);

	if (!why || !is_protected(json_str(json_at(next, "spec", "group"))))
		return;
	if (live && unapproved(live)) /* it was there before it had to be said */
		return;
	if (meta_annotation(next, APPROVED).n)
		rule_invalid(c, &at, NULL, json_new_str(c->a, meta_annotation(next, APPROVED)),
			     why);
	else
		rule_required(c, &at, NULL, why);
}

void crd_approval_condition(struct kind_ctx *c, struct json *o)
{
	struct str said = meta_annotation(o, APPROVED), text;
	const char *why = unapproved(o), *reason = "ApprovedAnnotation";

	if (!is_protected(json_str(json_at(o, "spec", "group"))))
		return;
	if (why) {
		reason = said.n ? "InvalidAnnotation" : "MissingAnnotation";
		text = str_c(why);
	} else if (str_starts(said, STR("unapproved"))) {
		reason = "UnapprovedAnnotation";
		text = arena_strf(c->a, "not approved: \"%.*s\"", STR_ARG(said));
	} else {
		text = arena_strf(c->a, "approved in %.*s", STR_ARG(said));
	}
	condition_set(c->a, o, "KubernetesAPIApprovalPolicyConformant",
		      strcmp(reason, "ApprovedAnnotation") ? "False" : "True", reason, text,
		      c->now_ns);
}
