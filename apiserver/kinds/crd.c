/*
 * CustomResourceDefinitions: kinds that others bring along. Here is what makes one valid and what
 * its status says; that it is served is core_crd.c's part. Pure.
 * Specification: k8s.io/apiextensions-apiserver (validation.go, naming_controller.go).
 */
#include "apiserver/crd.h"
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/rules_crd.h"

#include "lib/kube/obj.h"

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

		if (!json_bool(json_get(v, STR("storage")), false))
			continue;
		if (!has_text(stored, text_at(v, "name")))
			json_append_str(c->a, stored, text_at(v, "name"));
		break; /* a second one is a mistake, which is said of spec.versions */
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

static void check_stored(struct kind_ctx *c, const struct json *o)
{
	const struct json *stored = json_at(o, "status", "storedVersions"),
			  *versions = versions_of(o);

	if (!json_len(stored))
		schema_problem(&c->problems, "FieldValueInvalid", STR("status.storedVersions"), 0,
			       "Invalid value: []: must have at least one stored version");
	for (size_t i = 0; json_len(stored) && i < json_len(versions); i++) {
		struct str name = text_at(json_item(versions, i), "name");

		if (json_bool(json_get(json_item(versions, i), STR("storage")), false) &&
		    !has_text(stored, name))
			invalid(c, STR("status.storedVersions"), name,
				arena_printf(c->a, "must have the storage version %.*s",
					     (int)MIN(name.n, 63), name.p));
	}
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

/* What is missing is said by the rules, by the names of the internal type. */
static void forget_missing(struct kind_ctx *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->problems.n; i++)
		if (strcmp(c->problems.v[i].reason, "FieldValueRequired") ||
		    !str_starts(c->problems.v[i].field, STR("spec")))
			c->problems.v[n++] = c->problems.v[i];
	c->problems.n = n;
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	forget_missing(c);
	if (live && json_equal(json_get(next, STR("spec")), json_get(live, STR("spec"))) &&
	    !c->subresource)
		return; /* only metadata: what stands stays acceptable */
	crd_spec_validate(c, next, live);
	check_stored(c, next);
	if (!c->subresource)
		crd_approval_validate(c, next, live);
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
