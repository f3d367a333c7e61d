/*
 * What extension API servers serve, added to the discovery documents of what is served here. Their
 * documents are others' words: what doesn't look right is left out. Pure; memory is the caller's
 * arena.
 */
#include "apiserver/discovery.h"

#include "lib/json/json.h"

#include "lib/base/pure.h"

static struct str text_at(const struct json *o, const char *key)
{
	return json_str_or(json_get(o, str_c(key)), STR(""));
}

/* ---- the old form ---- */

static struct json *group_of(struct arena *a, struct json *groups, struct str name)
{
	for (size_t i = 0; i < json_len(groups); i++)
		if (str_eq(text_at(json_item(groups, i), "name"), name))
			return json_item(groups, i);
	return json_append(a, groups, json_build(a, "{s:S,s:[]}", "name", name, "versions"));
}

void external_groups(struct arena *a, const struct json *external, struct json *groups)
{
	for (size_t i = 0; i < json_len(external); i++) {
		const struct json *e = json_item(external, i);
		struct str group = text_at(e, "group"), version = text_at(e, "version");
		struct json *g = group_of(a, groups, group), *v;

		v = json_append_object(a, json_set_array(a, g, "versions"));
		json_set_str(a, v, "groupVersion",
			     arena_strf(a, "%.*s/%.*s", STR_ARG(group), STR_ARG(version)));
		json_set_str(a, v, "version", version);
		if (!json_get(g, STR("preferredVersion"))) {
			struct json first = *v;

			json_set(a, g, STR("preferredVersion"), &first);
		}
	}
}

/* ---- the aggregated form ---- */

static struct json *item_of(struct arena *a, struct json *items, struct str name)
{
	for (size_t i = 0; i < json_len(items); i++)
		if (str_eq(json_str_or(json_at(json_item(items, i), "metadata", "name"), STR("")),
			   name))
			return json_item(items, i);
	return json_append(a, items,
			   json_build(a, "{s:{s:S,s:n},s:[]}", "metadata", "name", name,
				      "creationTimestamp", "versions"));
}

static void set_kind(struct arena *a, struct json *to, const struct json *from,
		     const struct json *e)
{
	struct str group = text_at(from, "group"), version = text_at(from, "version");
	struct json *k = json_set_object(a, to, "responseKind");

	json_set_str(a, k, "group", version.n ? group : text_at(e, "group"));
	json_set_str(a, k, "version", version.n ? version : text_at(e, "version"));
	json_set_str(a, k, "kind", text_at(from, "kind"));
}

static void copy_list(struct arena *a, struct json *to, const struct json *from, const char *key)
{
	const struct json *list = json_get(from, str_c(key));

	for (size_t i = 0; i < json_len(list); i++)
		if (json_is(json_item(list, i), JSON_STRING))
			json_append(a, json_set_array(a, to, key), json_item(list, i));
}

static struct json *resource_of(struct json *resources, struct str name)
{
	for (size_t i = 0; i < json_len(resources); i++)
		if (str_eq(text_at(json_item(resources, i), "resource"), name))
			return json_item(resources, i);
	return NULL;
}

static void add_resource(struct arena *a, struct json *resources, const struct json *from,
			 const struct json *e)
{
	struct str name, sub;
	struct json *r, *parent;
	bool is_sub = str_cut(text_at(from, "name"), '/', &name, &sub);

	parent = is_sub ? resource_of(resources, name) : NULL;
	if (!name.n || (is_sub && !parent))
		return;
	r = json_append_object(a, is_sub ? json_set_array(a, parent, "subresources") : resources);
	json_set_str(a, r, is_sub ? "subresource" : "resource", is_sub ? sub : name);
	set_kind(a, r, from, e);
	json_set_array(a, r, "verbs");
	copy_list(a, r, from, "verbs");
	if (is_sub)
		return;
	json_set_str(a, r, "scope",
		     json_bool(json_get(from, STR("namespaced")), false) ? STR("Namespaced")
									 : STR("Cluster"));
	json_set_str(a, r, "singularResource", text_at(from, "singularName"));
	copy_list(a, r, from, "shortNames");
	copy_list(a, r, from, "categories");
}

void external_items(struct arena *a, const struct json *external, struct json *items)
{
	for (size_t i = 0; i < json_len(external); i++) {
		const struct json *e = json_item(external, i),
				  *list = json_at(e, "document", "resources");
		struct json *item = item_of(a, items, text_at(e, "group")), *v, *resources;

		v = json_append_object(a, json_set_array(a, item, "versions"));
		json_set_str(a, v, "version", text_at(e, "version"));
		json_set_str(a, v, "freshness",
			     json_bool(json_get(e, STR("up")), false) ? STR("Current")
								      : STR("Stale"));
		resources = json_set_array(a, v, "resources");
		for (size_t n = 0; json_is(list, JSON_ARRAY) && n < json_len(list); n++)
			add_resource(a, resources, json_item(list, n), e);
	}
}
