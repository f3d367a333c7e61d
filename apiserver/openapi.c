/*
 * OpenAPI documents from schemas and kinds. Named types become definitions, as soon as something
 * refers to them; nameless ones stand where they are used. A document is built as a tree in an
 * arena of its own and written out.
 *
 * Pure.
 */
#include "apiserver/openapi.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/crd.h"
#include "lib/base/codec.h"
#include "lib/base/map.h"

#include "lib/base/pure.h"

struct writer {
	struct arena *a;
	bool v3;
	const char *prefix; /* of references */
	struct json *defs;  /* name → definition */
	struct map seen;    /* by name */
	const struct schema **todo;
	size_t ntodo, cap;
};

static struct json *type_json(struct writer *w, const struct schema *s);

/* ---- types ---- */

static void later(struct writer *w, const struct schema *s)
{
	if (map_has(&w->seen, str_c(s->name)))
		return;
	map_set(&w->seen, str_c(s->name), (void *)(uintptr_t)s);
	if (w->ntodo == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 64;
		w->todo = xreallocarray(w->todo, w->cap, sizeof(*w->todo));
	}
	w->todo[w->ntodo++] = s;
}

static struct json *ref_json(struct writer *w, const struct schema *s)
{
	struct json *o = json_new(w->a, JSON_OBJECT);

	later(w, s);
	json_set_str(w->a, o, "$ref", arena_strf(w->a, "%s%s", w->prefix, s->name));
	return o;
}

static void put_properties(struct writer *w, const struct schema *s, struct json *o);

static void put_texts(struct writer *w, struct json *o, const char *key, const char *const *v)
{
	struct json *list = json_set_array(w->a, o, key);

	for (; *v; v++)
		json_append_str(w->a, list, str_c(*v));
}

/* How lists merge, for apply and for strategic merge patches. */
static void put_list_rules(struct writer *w, const struct schema *s, struct json *o)
{
	static const char *const kinds[] = {"atomic", "set", "map"};
	const char *keys[SCHEMA_KEYS_MAX + 1] = {NULL};

	json_set_str(w->a, o, "x-kubernetes-list-type", str_c(kinds[s->list]));
	for (size_t i = 0; i < SCHEMA_KEYS_MAX; i++)
		keys[i] = s->keys[i];
	if (s->list == SCHEMA_LIST_MAP)
		put_texts(w, o, "x-kubernetes-list-map-keys", keys);
	if (!(s->flags & SCHEMA_F_PATCH_MERGE))
		return;
	json_set_str(w->a, o, "x-kubernetes-patch-strategy",
		     s->flags & SCHEMA_F_RETAIN_KEYS ? STR("merge,retainKeys") : STR("merge"));
	if (s->merge_key)
		json_set_str(w->a, o, "x-kubernetes-patch-merge-key", str_c(s->merge_key));
}

/* Numbers or text: the old form knows no "one of". */
static void put_either(struct writer *w, struct json *o, const char *other)
{
	if (!w->v3) {
		json_set_str(w->a, o, "type", STR("string"));
		return;
	}
	json_set(w->a, o, STR("oneOf"),
		 json_build(w->a, "[{s:s},{s:s}]", "type", other, "type", "string"));
}

static const char *plain_type(enum schema_type t)
{
	static const char *const names[] = {
		[SCHEMA_STRING] = "string",   [SCHEMA_INT] = "integer",
		[SCHEMA_NUMBER] = "number",   [SCHEMA_BOOL] = "boolean",
		[SCHEMA_OBJECT] = "object",   [SCHEMA_MAP] = "object",
		[SCHEMA_ARRAY] = "array",     [SCHEMA_TIME] = "string",
		[SCHEMA_DURATION] = "string", [SCHEMA_MICRO_TIME] = "string",
		[SCHEMA_BYTES] = "string",
	};

	return (size_t)t < ARRAY_LEN(names) ? names[t] : NULL;
}

static const char *format_of(const struct schema *s)
{
	if (s->format)
		return s->format;
	if (s->type == SCHEMA_BYTES)
		return "byte";
	return s->type == SCHEMA_TIME || s->type == SCHEMA_MICRO_TIME ? "date-time" : NULL;
}

/* The type itself, where it stands. */
static struct json *body_json(struct writer *w, const struct schema *s)
{
	struct json *o = json_new(w->a, JSON_OBJECT);
	const char *type = plain_type(s->type), *format = format_of(s);

	if (s->description)
		json_set_str(w->a, o, "description", str_c(s->description));
	if (s->type == SCHEMA_INT_OR_STRING)
		put_either(w, o, "integer");
	else if (s->type == SCHEMA_QUANTITY)
		put_either(w, o, "number");
	else if (type)
		json_set_str(w->a, o, "type", str_c(type));
	if (format)
		json_set_str(w->a, o, "format", str_c(format));
	if (s->enums && s->type == SCHEMA_STRING)
		put_texts(w, o, "enum", s->enums);
	if (s->type == SCHEMA_OBJECT)
		put_properties(w, s, o);
	if (s->type == SCHEMA_MAP && s->item)
		json_set(w->a, o, STR("additionalProperties"), type_json(w, s->item));
	if (s->type == SCHEMA_ARRAY) {
		if (s->item)
			json_set(w->a, o, STR("items"), type_json(w, s->item));
		put_list_rules(w, s, o);
	}
	if (s->flags & SCHEMA_F_ATOMIC)
		json_set_str(w->a, o, "x-kubernetes-map-type", STR("atomic"));
	if (s->flags & SCHEMA_F_PRESERVE_UNKNOWN)
		json_set_bool(w->a, o, "x-kubernetes-preserve-unknown-fields", true);
	return o;
}

static struct json *type_json(struct writer *w, const struct schema *s)
{
	return s->name ? ref_json(w, s) : body_json(w, s);
}

static struct json *property_json(struct writer *w, const struct schema_field *f)
{
	struct json *o = type_json(w, f->type), *wrapped;
	bool keep = f->type->name && f->type->flags & SCHEMA_F_RETAIN_KEYS;

	/* Beside a reference nothing else counts in the new form. */
	if (w->v3 && f->type->name && (f->description || f->default_json || keep)) {
		wrapped = json_new(w->a, JSON_OBJECT);
		json_append(w->a, json_set_array(w->a, wrapped, "allOf"), o);
		o = wrapped;
	}
	if (f->description)
		json_set_str(w->a, o, "description", str_c(f->description));
	if (w->v3 && f->default_json)
		json_set(w->a, o, STR("default"),
			 json_parse(w->a, str_c(f->default_json), NULL, NULL));
	if (keep)
		json_set_str(w->a, o, "x-kubernetes-patch-strategy", STR("retainKeys"));
	return o;
}

static void put_properties(struct writer *w, const struct schema *s, struct json *o)
{
	struct json *properties, *required = NULL;

	if (!s->nfields)
		return;
	properties = json_set_object(w->a, o, "properties");
	for (size_t i = 0; i < s->nfields; i++)
		json_add(w->a, properties, str_c(s->fields[i].name),
			 property_json(w, &s->fields[i]));
	for (size_t i = 0; i < s->nfields; i++) {
		if (!s->fields[i].required && !s->fields[i].listed)
			continue;
		if (!required)
			required = json_new(w->a, JSON_ARRAY);
		json_append_str(w->a, required, str_c(s->fields[i].name));
	}
	if (required)
		json_set(w->a, o, STR("required"), required);
}

static void define_all(struct writer *w)
{
	while (w->ntodo) {
		const struct schema *s = w->todo[--w->ntodo];
		json_set(w->a, w->defs, str_c(s->name), body_json(w, s));
	}
}

/* ---- kinds ---- */

static const struct schema *schema_of(const struct kind *k)
{
	return k->schema ? k->schema : k->schema_name ? schema_find(str_c(k->schema_name)) : NULL;
}

static struct json *gvk_json(struct writer *w, const struct kind *k)
{
	return json_build(w->a, "{s:s,s:s,s:s}", "group", k->group, "kind", k->kind, "version",
			  k->version);
}

/* A custom kind's type has no name of its own: it is called by its group, turned around. */
static struct str definition_name(struct writer *w, const struct kind *k, const struct schema *s)
{
	AUTO(buf) struct buf b = {0};
	struct str group = str_c(k->group), part;

	if (s && s->name)
		return str_c(s->name);
	while (group.n) {
		if (!str_rcut(group, '.', &group, &part)) {
			part = group;
			group = STR_NONE;
		}
		buf_printf(&b, "%.*s.", STR_ARG(part));
	}
	buf_printf(&b, "%s.%s", k->version, k->kind);
	return arena_str(w->a, buf_view(&b));
}

/* What its definition says, not what we made of it. */
static struct json *custom_json(struct writer *w, const struct crd_version *v)
{
	const struct schema_field metadata = {
		.type = schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")),
		.description = "Standard object's metadata: its names, labels, owners."};

	return openapi_custom(w->a, v->published, property_json(w, &metadata), w->v3);
}

static void define_kind(struct writer *w, const struct kind *k)
{
	const struct schema *s = schema_of(k);
	struct str name = definition_name(w, k, s);
	struct json *def = json_get(w->defs, name);

	if (!def) {
		map_set(&w->seen, name, (void *)(uintptr_t)k);
		if (crd_version(k))
			def = custom_json(w, crd_version(k));
		else
			def = s ? body_json(w, s) : json_build(w->a, "{s:s}", "type", "object");
		def = json_set(w->a, w->defs, name, def);
	}
	json_append(w->a, json_set_array(w->a, def, "x-kubernetes-group-version-kind"),
		    gvk_json(w, k));
}

/* ---- paths ---- */

static struct json *parameter(struct writer *w, const char *in, const char *name)
{
	struct json *p = json_build(w->a, "{s:s,s:s}", "in", in, "name", name);

	if (!strcmp(in, "path"))
		json_set_bool(w->a, p, "required", true);
	if (w->v3)
		json_set(w->a, p, STR("schema"), json_build(w->a, "{s:s}", "type", "string"));
	else
		json_set_str(w->a, p, "type", STR("string"));
	return p;
}

struct operation {
	const char *method, *action, *query; /* names of query parameters, by spaces */
	bool answers, takes;                 /* the kind itself */
};

static const struct operation on_list[] = {
	{"get", "list",
	 "allowWatchBookmarks continue fieldSelector labelSelector limit resourceVersion "
	 "resourceVersionMatch timeoutSeconds watch",
	 false, false},
	{"post", "post", "dryRun fieldManager fieldValidation", true, true},
};
static const struct operation on_item[] = {
	{"get", "get", "", true, false},
	{"put", "put", "dryRun fieldManager fieldValidation", true, true},
	{"patch", "patch", "dryRun fieldManager fieldValidation force", true, false},
	{"delete", "delete", "dryRun gracePeriodSeconds orphanDependents propagationPolicy", false,
	 false},
};

static struct json *in_content(struct writer *w, struct json *schema)
{
	return w->v3 ? json_build(w->a, "{s:{s:o}}", "application/json", "schema", schema) : schema;
}

static struct json *operation_json(struct writer *w, const struct kind *k, struct str name,
				   const struct operation *op)
{
	struct json *o = json_new(w->a, JSON_OBJECT), *list = json_set_array(w->a, o, "parameters");
	struct json *ref = json_new(w->a, JSON_OBJECT), *answer;
	struct str rest = str_c(op->query), query;

	json_set_str(w->a, ref, "$ref", arena_strf(w->a, "%s%.*s", w->prefix, STR_ARG(name)));
	while (rest.n && str_next(&rest, ' ', &query))
		json_append(w->a, list, parameter(w, "query", arena_cstr(w->a, query)));
	if (op->takes && w->v3)
		json_set(w->a, json_set_object(w->a, o, "requestBody"), STR("content"),
			 in_content(w, ref));
	else if (op->takes)
		json_append(w->a, list,
			    json_build(w->a, "{s:s,s:s,s:b,s:o}", "in", "body", "name", "body",
				       "required", 1, "schema", ref));
	answer = json_build(w->a, "{s:s}", "description", "OK");
	if (op->answers)
		json_set(w->a, answer, w->v3 ? STR("content") : STR("schema"), in_content(w, ref));
	json_set(w->a, json_set_object(w->a, o, "responses"), STR("200"), answer);
	json_set_str(w->a, o, "x-kubernetes-action", str_c(op->action));
	json_set(w->a, o, STR("x-kubernetes-group-version-kind"), gvk_json(w, k));
	return o;
}

static struct json *path_json(struct writer *w, struct json *paths, const struct kind *k,
			      struct str path)
{
	struct json *o = json_new(w->a, JSON_OBJECT), *list;

	o = json_set(w->a, paths, path, o);
	list = json_set_array(w->a, o, "parameters");
	if (str_find(path, STR("{name}")) >= 0)
		json_append(w->a, list, parameter(w, "path", "name"));
	if (k->flags & KIND_NAMESPACED)
		json_append(w->a, list, parameter(w, "path", "namespace"));
	return o;
}

static void put_paths(struct writer *w, struct json *paths, const struct kind *k)
{
	bool grouped = k->group[0] != 0, only_post = k->flags & KIND_NO_STORE;
	struct str name = definition_name(w, k, schema_of(k));
	struct str base =
		arena_strf(w->a, "%s%s/%s%s/%s", grouped ? "/apis/" : "/api", k->group, k->version,
			   k->flags & KIND_NAMESPACED ? "/namespaces/{namespace}" : "", k->plural);
	struct json *o = path_json(w, paths, k, base);

	for (size_t i = only_post ? 1 : 0; i < ARRAY_LEN(on_list); i++)
		json_set(w->a, o, str_c(on_list[i].method),
			 operation_json(w, k, name, &on_list[i]));
	if (only_post)
		return;
	o = path_json(w, paths, k, arena_strf(w->a, "%.*s/{name}", STR_ARG(base)));
	for (size_t i = 0; i < ARRAY_LEN(on_item); i++)
		json_set(w->a, o, str_c(on_item[i].method),
			 operation_json(w, k, name, &on_item[i]));
}

/* ---- documents ---- */

static struct str group_version_of(struct arena *a, const struct kind *k)
{
	return arena_strf(a, "%s%s/%s", k->group[0] ? "apis/" : "api", k->group, k->version);
}

/* only STR_NONE = every kind. NULL when there is none. */
static struct json *document(struct writer *w, const struct openapi *o, struct str only)
{
	struct json *doc, *paths;
	bool any = false;

	doc = json_build(w->a, "{s:s,s:{s:s,s:s}}", w->v3 ? "openapi" : "swagger",
			 w->v3 ? "3.0.0" : "2.0", "info", "title", "Kubernetes", "version",
			 "v1.32.0");
	paths = json_new(w->a, JSON_OBJECT);
	w->defs = json_new(w->a, JSON_OBJECT);
	w->prefix = w->v3 ? "#/components/schemas/" : "#/definitions/";
	for (size_t i = 0; i < o->n; i++) {
		const struct kind *k = o->kinds[i];
		if (strchr(k->plural, '/') || (only.p && !str_eq(only, group_version_of(w->a, k))))
			continue;
		any = true;
		define_kind(w, k);
		put_paths(w, paths, k);
	}
	define_all(w);
	json_set(w->a, doc, STR("paths"), paths);
	if (w->v3)
		json_set(w->a, json_set_object(w->a, doc, "components"), STR("schemas"), w->defs);
	else
		json_set(w->a, doc, STR("definitions"), w->defs);
	map_release(&w->seen);
	free(w->todo);
	return any ? doc : NULL;
}

bool openapi_v3(const struct openapi *o, struct str group_version, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct writer w = {.a = &a, .v3 = true};
	const struct json *doc = document(&w, o, group_version);

	if (doc)
		json_write(doc, out);
	return doc != NULL;
}

void openapi_v3_index(const struct openapi *o, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct json *doc = json_new(&a, JSON_OBJECT), *paths = json_set_object(&a, doc, "paths");

	for (size_t i = 0; i < o->n; i++) {
		AUTO(buf) struct buf text = {0};
		struct str gv = group_version_of(&a, o->kinds[i]);
		char hash[65];
		if (json_get(paths, gv) || !openapi_v3(o, gv, &text))
			continue;
		sha256_hex(buf_view(&text), hash);
		struct json *at = json_set_object(&a, paths, arena_cstr(&a, gv));
		json_set_str(&a, at, "serverRelativeURL",
			     arena_strf(&a, "/openapi/v3/%.*s?hash=%s", STR_ARG(gv), hash));
	}
	openapi_merge_v3(&a, paths, o->external);
	json_write(doc, out);
}

void openapi_v2_json(const struct openapi *o, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct writer w = {.a = &a};
	struct json *doc = document(&w, o, STR_NONE);

	if (doc)
		openapi_merge_v2(&a, doc, o->external);
	json_write(doc ? doc : json_new(&a, JSON_OBJECT), out);
}

void openapi_v2_proto(const struct openapi *o, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct writer w = {.a = &a};
	struct json *doc = document(&w, o, STR_NONE);

	if (!doc)
		return;
	openapi_merge_v2(&a, doc, o->external);
	openapi_proto_write(doc, out);
}
