/*
 * CustomResourceDefinitions turned into kinds: names, flags, columns, schema. Everything a kind
 * points to lives in the definition's arena, so a kind must not outlive its definition. Trusts
 * nothing about the object but that it is JSON.
 *
 * Pure; one thread.
 */
#include "apiserver/crd.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/kinds/rules.h"
#include "lib/json/jsonpath.h"
#include "lib/schema/crd_rules.h"
#include "lib/schema/crd_schema.h"

#include "lib/base/pure.h"

#define SELECTABLE_MAX 8 /* as Kubernetes bounds selectableFields */

static const char *text(struct crd *c, const struct json *o, const char *key)
{
	struct str s = json_str(json_get(o, str_c(key)));

	return s.n ? arena_cstr(&c->a, s) : NULL;
}

static const char *const *texts(struct crd *c, const struct json *list)
{
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	const char **v;

	if (!n)
		return NULL;
	v = arena_array(&c->a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = arena_cstr(&c->a, json_str(json_item(list, i)));
	return v;
}

/* ---- columns ---- */

static const struct kind_column *columns(struct crd *c, const struct json *list)
{
	static const struct kind_column first = COL_NAME, age = COL_AGE;
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	struct kind_column *v = arena_array(&c->a, n + 3, sizeof(*v));

	v[0] = first;
	v[1] = age;
	v[1].type = "date";
	for (size_t i = 0; i < n; i++) {
		const struct json *o = json_item(list, i);
		const char *name = text(c, o, "name"), *type = text(c, o, "type"),
			   *path = text(c, o, "jsonPath");

		v[i + 1] = (struct kind_column){
			.name = name ? name : "",
			.type = type ? type : "string",
			.format = text(c, o, "format"),
			.description = text(c, o, "description"),
			.priority = (int)json_int(json_get(o, STR("priority")), 0),
			.path = path ? path : ""};
		if (!v[i + 1].description)
			v[i + 1].description = arena_printf(
				&c->a, "Custom resource definition column (in JSONPath format): %s",
				v[i + 1].path);
	}
	return v;
}

static void text_cell(struct kind_ctx *c, const struct json *v, struct json *cells)
{
	AUTO(buf) struct buf b = {0};

	json_write(v, &b);
	cell_str(c, cells, buf_view(&b));
}

void crd_cell(struct kind_ctx *c, const struct kind_column *col, const struct json *o,
	      struct json *cells)
{
	static const struct json null = {.type = JSON_NULL};
	const struct json *v = jsonpath_first(o, str_c(col->path));
	bool plain = v && v->type != JSON_ARRAY && v->type != JSON_OBJECT;

	if (!v || v->type == JSON_NULL)
		json_append(c->a, cells, &null);
	else if (!strcmp(col->type, "date"))
		cell_since(c, cells, v);
	else if (!strcmp(col->type, "string") && !json_is(v, JSON_STRING))
		text_cell(c, v, cells);
	else if (plain)
		json_append(c->a, cells, v);
	else
		text_cell(c, v, cells);
}

/* ---- selectable fields: ".spec.color" is asked for as spec.color ---- */

static struct str field(const struct json *o, struct str name, struct arena *a)
{
	const struct json *v =
		jsonpath_first(o, arena_strf(a, ".%.*s", (int)MIN(name.n, 500), name.p));
	AUTO(buf) struct buf b = {0};

	if (!v || v->type == JSON_STRING)
		return json_str_or(v, STR(""));
	json_write(v, &b);
	return arena_str(a, buf_view(&b));
}

static const char *const *selectable(struct crd *c, const struct json *list)
{
	size_t n = json_is(list, JSON_ARRAY) ? MIN(json_len(list), (size_t)SELECTABLE_MAX) : 0;
	const char **v;

	if (!n)
		return NULL;
	v = arena_array(&c->a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const char *path = text(c, json_item(list, i), "jsonPath");

		v[i] = path && path[0] == '.' ? path + 1 : path ? path : "";
	}
	return v;
}

/* ---- versions ---- */

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	if (c->asked)
		crd_rules_check(c->asked->schema, next, live, &c->problems);
}

static void set_subresources(struct crd *c, struct crd_version *v, const struct json *subresources)
{
	const struct json *scale = json_get(subresources, STR("scale"));

	if (json_is(json_get(subresources, STR("status")), JSON_OBJECT))
		v->kind.flags |= KIND_STATUS;
	if (!json_is(scale, JSON_OBJECT))
		return;
	v->replicas = text(c, scale, "specReplicasPath");
	v->status_replicas = text(c, scale, "statusReplicasPath");
	v->selector = text(c, scale, "labelSelectorPath");
	if (v->replicas && v->status_replicas)
		v->kind.flags |= KIND_SCALE;
}

static void set_version(struct crd *c, struct crd_version *v, const struct json *spec,
			const struct json *o)
{
	const struct json *names = c->names;
	bool preserve = json_bool(json_get(spec, STR("preserveUnknownFields")), false);

	v->crd = c;
	v->served = json_bool(json_get(o, STR("served")), false);
	v->kind = (struct kind){.group = c->group,
				.version = text(c, o, "name"),
				.kind = text(c, names, "kind"),
				.plural = c->plural,
				.list_kind = text(c, names, "listKind"),
				.singular = text(c, names, "singular"),
				.short_names = texts(c, json_get(names, STR("shortNames"))),
				.categories = texts(c, json_get(names, STR("categories"))),
				.flags = KIND_GENERATION,
				.validate = validate,
				.crd = v};
	if (str_is(json_str(json_get(spec, STR("scope"))), "Namespaced"))
		v->kind.flags |= KIND_NAMESPACED;
	v->published = json_at(o, "schema", "openAPIV3Schema");
	v->kind.schema = crd_schema_build(&c->a, v->published, preserve);
	v->kind.columns = columns(c, json_get(o, STR("additionalPrinterColumns")));
	v->kind.selectable = selectable(c, json_get(o, STR("selectableFields")));
	v->kind.field = v->kind.selectable ? field : NULL;
	set_subresources(c, v, json_get(o, STR("subresources")));
	if (json_bool(json_get(o, STR("deprecated")), false)) {
		v->deprecation = text(c, o, "deprecationWarning");
		if (!v->deprecation)
			v->deprecation = arena_printf(&c->a, "%s/%s %s is deprecated", c->group,
						      v->kind.version ? v->kind.version : "",
						      v->kind.kind ? v->kind.kind : "");
	}
	if (json_bool(json_get(o, STR("storage")), false) && !c->stored)
		c->stored = v;
}

static void set_converter(struct crd *c, const struct json *conversion)
{
	const struct json *webhook = json_get(conversion, STR("webhook")),
			  *versions = json_get(webhook, STR("conversionReviewVersions"));
	struct webhook_client w;

	if (!str_is(json_str(json_get(conversion, STR("strategy"))), "Webhook") || c->n < 2)
		return;
	w = webhook_client(&c->a, json_get(webhook, STR("clientConfig")));
	c->converter = arena_dup(&c->a, &w, sizeof(w));
	c->converter_v1beta1 = json_len(versions) > 0;
	for (size_t i = 0; i < json_len(versions); i++)
		if (str_is(json_str(json_item(versions, i)), "v1"))
			c->converter_v1beta1 = false;
}

static bool condition_is(const struct json *o, const char *type, const char *status)
{
	return str_is(json_str(json_get(condition_find(o, type), STR("status"))), status);
}

static bool fill(struct crd *c, const struct json *o)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *versions = json_get(spec, STR("versions"));

	c->name = text(c, json_get(o, STR("metadata")), "name");
	c->group = text(c, spec, "group");
	c->plural = text(c, json_get(spec, STR("names")), "plural");
	c->terminating = json_str(json_at(o, "metadata", "deletionTimestamp")).n > 0;
	if (!c->name || !c->group || !c->plural || !json_is(versions, JSON_ARRAY))
		return false;
	c->established = condition_is(o, "Established", "True");
	c->names = json_get(spec, STR("names"));
	if (c->established && condition_is(o, "NamesAccepted", "False"))
		c->names = json_at(o, "status", "acceptedNames");
	c->n = json_len(versions);
	c->versions = arena_array(&c->a, c->n + 1, sizeof(*c->versions));
	for (size_t i = 0; i < c->n; i++) {
		set_version(c, &c->versions[i], spec, json_item(versions, i));
		if (!c->versions[i].kind.version || !c->versions[i].kind.kind)
			return false;
	}
	for (size_t i = 0; c->stored && i < c->n; i++)
		if (&c->versions[i] != c->stored)
			c->versions[i].kind.stored = &c->stored->kind;
	set_converter(c, json_get(spec, STR("conversion")));
	return c->stored != NULL;
}

struct crd *crd_new(const struct json *o)
{
	struct crd *c = xalloc(sizeof(*c));

	if (fill(c, json_copy(&c->a, o)))
		return c;
	crd_free(c);
	return NULL;
}

void crd_free(struct crd *c)
{
	if (!c)
		return;
	arena_release(&c->a);
	free(c);
}
