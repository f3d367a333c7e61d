/*
 * Structural schemas: every value has exactly one type, said once and outside of combinations
 * (allOf, anyOf, oneOf, not), which only add limits to values that are known. Pruning, defaulting
 * and server-side apply of custom resources rest on it.
 *
 * Pure. Words as in k8s.io/apiextensions-apiserver/pkg/apiserver/schema (validation.go,
 * complete.go).
 */
#include "lib/schema/crd_check-internal.h"
#include "lib/schema/pattern.h"

#include "lib/base/pure.h"

enum level { AT_ROOT, AT_ITEMS, AT_FIELD };

static void invariants(struct crd_walk *w, const struct json *o, enum level level, struct str at);

/* ---- inside combinations ---- */

static bool is_only_type(const struct json *o, const char *type)
{
	const struct json_member *m = json_members(o);

	for (size_t i = 0; m && i < json_len(o); i++)
		if (!str_is(m[i].key, "type") && !json_is(&m[i].value, JSON_NULL))
			return false;
	return str_is(crd_text(o, "type"), type);
}

/* anyOf: [{type: integer}, {type: string}] may stand where x-kubernetes-int-or-string does. */
static bool is_int_or_string(const struct json *o)
{
	const struct json *any = crd_keyword(o, "anyOf");

	return json_len(any) == 2 && is_only_type(json_item(any, 0), "integer") &&
	       is_only_type(json_item(any, 1), "string");
}

static void nested(struct crd_walk *w, const struct json *o, bool skip_any, struct str at);

static void combinations(struct crd_walk *w, const struct json *o, bool skip_any,
			 bool skip_first_any, struct str at)
{
	const struct json *any = crd_keyword(o, "anyOf"), *all = crd_keyword(o, "allOf"),
			  *one = crd_keyword(o, "oneOf");
	struct str why = pattern_problem(w->a, crd_text(o, "pattern"));

	for (size_t i = 0; !skip_any && i < json_len(any); i++)
		nested(w, json_item(any, i), false, crd_below_item(w, at, "anyOf", i));
	for (size_t i = 0; i < json_len(all); i++)
		nested(w, json_item(all, i), skip_first_any && i == 0,
		       crd_below_item(w, at, "allOf", i));
	for (size_t i = 0; i < json_len(one); i++)
		nested(w, json_item(one, i), false, crd_below_item(w, at, "oneOf", i));
	nested(w, crd_keyword(o, "not"), false, crd_below(w, at, "not"));
	if (why.n)
		crd_invalid(w, o, at, "pattern",
			    arena_printf(w->a,
					 "must be a valid regular expression, but isn't: error "
					 "parsing regexp: %.*s",
					 STR_ARG(why)));
}

static bool is_set(const struct json *v)
{
	return v && !(v->type == JSON_BOOL && !v->b) &&
	       !(v->type == JSON_STRING && !json_str(v).n) &&
	       !(v->type == JSON_ARRAY && !json_len(v));
}

static void nested(struct crd_walk *w, const struct json *o, bool skip_any, struct str at)
{
	static const struct {
		const char *name, *state;
	} never[] = {{"type", "empty"},
		     {"additionalProperties", "undefined"},
		     {"default", "undefined"},
		     {"title", "empty"},
		     {"description", "empty"},
		     {"nullable", "false"},
		     {"x-kubernetes-preserve-unknown-fields", "false"},
		     {"x-kubernetes-embedded-resource", "false"},
		     {"x-kubernetes-int-or-string", "false"},
		     {"x-kubernetes-list-map-keys", "empty"},
		     {"x-kubernetes-list-type", "undefined"},
		     {"x-kubernetes-map-type", "undefined"},
		     {"x-kubernetes-validations", "empty"}};
	const struct json *properties = crd_keyword(o, "properties");
	const struct json_member *m = json_members(properties);

	if (!o)
		return;
	combinations(w, o, skip_any, false, at);
	nested(w, crd_keyword(o, "items"), false, crd_below(w, at, "items"));
	for (size_t i = 0; m && i < json_len(properties); i++)
		nested(w, &m[i].value, false, crd_below_key(w, at, "properties", m[i].key));
	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		const struct json *v = crd_keyword(o, never[i].name);

		if (*never[i].state == 'u' ? v != NULL : is_set(v))
			crd_forbidden(
				w, at, never[i].name,
				arena_printf(w->a, "must be %s to be structural", never[i].state));
	}
	if (crd_keyword(properties, "metadata"))
		crd_forbidden(w, at, "properties[metadata]",
			      "must not be specified in a nested context");
}

/* ---- outside of them ---- */

static void check_type(struct crd_walk *w, const struct json *o, enum level level, struct str at)
{
	static const char *const whys[] = {
		[AT_ROOT] = "must not be empty at the root",
		[AT_ITEMS] = "must not be empty for specified array items",
		[AT_FIELD] = "must not be empty for specified object fields"};
	static const char object[] = "must be object if x-kubernetes-embedded-resource is true";
	struct str type = crd_text(o, "type");
	bool embedded = crd_flag(o, "x-kubernetes-embedded-resource"),
	     either = crd_flag(o, "x-kubernetes-int-or-string"),
	     loose = crd_flag(o, "x-kubernetes-preserve-unknown-fields");

	if (embedded && !type.n)
		crd_required(w, at, "type", object);
	else if (embedded && !str_is(type, "object"))
		crd_invalid(w, o, at, "type", object);
	else if (!type.n && !either && !loose)
		crd_required(w, at, "type", whys[level]);
	if (level == AT_ROOT && type.n && !str_is(type, "object"))
		crd_invalid(w, o, at, "type", "must be object at the root");
	if (str_is(type, "array") && !crd_keyword(o, "items"))
		crd_required(w, at, "items", "must be specified");
	if (either && loose)
		crd_invalid(w, o, at, "x-kubernetes-preserve-unknown-fields",
			    "must be false if x-kubernetes-int-or-string is true");
	if (either && embedded)
		crd_invalid(w, o, at, "x-kubernetes-embedded-resource",
			    "must be false if x-kubernetes-int-or-string is true");
}

/* Of metadata only the names may be limited: all else is Kubernetes' own. */
static bool is_plain_meta(const struct json *o)
{
	static const char *const ignored[] = {"type", "properties", "default", "example",
					      "externalDocs"};
	const struct json *properties = crd_keyword(o, "properties");
	const struct json_member *m = json_members(o), *p = json_members(properties);

	for (size_t i = 0; p && i < json_len(properties); i++)
		if (!str_is(p[i].key, "name") && !str_is(p[i].key, "generateName"))
			return false;
	for (size_t i = 0; m && i < json_len(o); i++) {
		bool plain = json_is(&m[i].value, JSON_NULL) || !is_set(&m[i].value);

		for (size_t j = 0; j < ARRAY_LEN(ignored) && !plain; j++)
			plain = str_is(m[i].key, ignored[j]);
		if (!plain)
			return false;
	}
	return true;
}

static void check_meta(struct crd_walk *w, const struct json *o, enum level level, struct str at)
{
	static const struct {
		const char *name, *type, *why;
	} fields[] = {{"kind", "string", "must be string"},
		      {"apiVersion", "string", "must be string"},
		      {"metadata", "object", "must be object"}};
	const struct json *properties = crd_keyword(o, "properties");

	if (level != AT_ROOT && !crd_flag(o, "x-kubernetes-embedded-resource"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct json *field = crd_keyword(properties, fields[i].name);

		if (field && !str_is(crd_text(field, "type"), fields[i].type))
			crd_invalid(w, field,
				    crd_below_key(w, at, "properties", str_c(fields[i].name)),
				    "type", fields[i].why);
	}
	if (level == AT_ROOT && crd_keyword(properties, "metadata") &&
	    !is_plain_meta(crd_keyword(properties, "metadata")))
		crd_forbidden(w, at, "properties[metadata]",
			      "must not specify anything other than name and generateName, but "
			      "metadata is implicitly specified");
}

static void check_below(struct crd_walk *w, const struct json *o, enum level level, struct str at)
{
	const struct json *properties = crd_keyword(o, "properties"),
			  *more = crd_keyword(o, "additionalProperties"),
			  *items = crd_keyword(o, "items");
	const struct json_member *m = json_members(properties);

	if (items)
		invariants(w, items, AT_ITEMS, crd_below(w, at, "items"));
	for (size_t i = 0; m && i < json_len(properties); i++)
		invariants(w, &m[i].value, AT_FIELD, crd_below_key(w, at, "properties", m[i].key));
	if (more && level == AT_ROOT)
		crd_forbidden(w, at, "additionalProperties", "must not be used at the root");
	if (json_is(more, JSON_OBJECT))
		invariants(w, more, AT_FIELD, crd_below(w, at, "additionalProperties"));
	if (!crd_flag(o, "x-kubernetes-embedded-resource"))
		return;
	if (more)
		crd_forbidden(w, at, "additionalProperties",
			      "must not be used if x-kubernetes-embedded-resource is set");
	if (!json_len(properties) && !crd_flag(o, "x-kubernetes-preserve-unknown-fields"))
		crd_required(w, at, "properties",
			     "must not be empty if x-kubernetes-embedded-resource is true without "
			     "x-kubernetes-preserve-unknown-fields");
}

static void invariants(struct crd_walk *w, const struct json *o, enum level level, struct str at)
{
	if (!json_is(o, JSON_OBJECT))
		return;
	check_below(w, o, level, at);
	combinations(w, o, is_int_or_string(o),
		     is_int_or_string(json_item(crd_keyword(o, "allOf"), 0)), at);
	check_type(w, o, level, at);
	check_meta(w, o, level, at);
}

/* ---- what combinations speak of is there ---- */

struct pair {
	const struct json *limits, *type; /* a schema in a combination; what it limits */
	struct str at, type_at;
};

static void complete(struct crd_walk *w, struct pair p, bool is_limit);

static struct pair pair_below(struct crd_walk *w, struct pair p, const char *name, struct str key)
{
	const struct json *limits = crd_keyword(p.limits, name), *type = crd_keyword(p.type, name);

	return (struct pair){
		key.n ? json_get(limits, key) : limits, key.n ? json_get(type, key) : type,
		key.n ? crd_below_key(w, p.at, name, key) : crd_below(w, p.at, name),
		key.n ? crd_below_key(w, p.type_at, name, key) : crd_below(w, p.type_at, name)};
}

static void complete_list(struct crd_walk *w, struct pair p, const char *name)
{
	const struct json *list = crd_keyword(p.limits, name);

	for (size_t i = 0; i < json_len(list); i++)
		complete(w,
			 (struct pair){json_item(list, i), p.type, crd_below_item(w, p.at, name, i),
				       p.type_at},
			 true);
}

static void complete(struct crd_walk *w, struct pair p, bool is_limit)
{
	const struct json *properties = crd_keyword(p.limits, "properties");
	const struct json_member *m = json_members(properties);

	if (!p.limits)
		return;
	if (!p.type) {
		crd_required(w, p.type_at, NULL,
			     arena_printf(w->a, "because it is defined in %.*s", STR_ARG(p.at)));
		return;
	}
	complete(w,
		 (struct pair){crd_keyword(p.limits, "not"), p.type, crd_below(w, p.at, "not"),
			       p.type_at},
		 true);
	complete_list(w, p, "allOf");
	complete_list(w, p, "anyOf");
	complete_list(w, p, "oneOf");
	if (!is_limit)
		return;
	complete(w, pair_below(w, p, "items", STR_NONE), true);
	for (size_t i = 0; m && i < json_len(properties); i++)
		complete(w, pair_below(w, p, "properties", m[i].key), true);
}

void crd_structural_check(struct crd_walk *w, const struct json *openapi, struct str at)
{
	invariants(w, openapi, AT_ROOT, at);
	complete(w, (struct pair){openapi, openapi, at, at}, false);
}
