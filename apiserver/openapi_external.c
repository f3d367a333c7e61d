/*
 * Schemas that extension API servers publish, among ours. What they send is hostile: only paths of
 * their own group version are taken, and definitions that nobody here has under that name. Pure.
 */
#include <string.h>

#include "apiserver/openapi.h"
#include "lib/base/codec.h"

#include "lib/base/pure.h"

#define DEFINITIONS_MAX 5000

void openapi_part_v2(const struct json *doc, struct str group, struct str version, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	const struct json *paths = json_get(doc, STR("paths")),
			  *defs = json_get(doc, STR("definitions"));
	struct str own = arena_strf(&a, "/apis/%.*s/%.*s/", STR_ARG(group), STR_ARG(version));
	struct json *part = json_new(&a, JSON_OBJECT), *kept = json_set_object(&a, part, "paths");

	if (!json_is(paths, JSON_OBJECT) || !json_is(defs, JSON_OBJECT) ||
	    json_len(defs) > DEFINITIONS_MAX)
		return;
	for (size_t i = 0; i < json_len(paths); i++)
		if (str_starts(paths->members[i].key, own))
			json_add(&a, kept, paths->members[i].key, &paths->members[i].value);
	if (!json_len(kept))
		return;
	json_set(&a, part, STR("definitions"), defs);
	json_write(part, out);
}

struct str openapi_part_v3(struct arena *a, const struct json *index, struct str group,
			   struct str version)
{
	struct str path = arena_strf(a, "apis/%.*s/%.*s", STR_ARG(group), STR_ARG(version)),
		   url = json_str(json_get(json_get(json_get(index, STR("paths")), path),
					   STR("serverRelativeURL")));

	/* Where else it may point is not our business: the path is ours, only its end is theirs. */
	if (!str_starts(url, arena_strf(a, "/openapi/v3/%.*s?", STR_ARG(path))) || url.n > 1024)
		return STR_NONE;
	return url;
}

static void merge(struct arena *a, struct json *to, const struct json *from)
{
	for (size_t i = 0; json_is(from, JSON_OBJECT) && i < json_len(from); i++)
		if (!json_get(to, from->members[i].key))
			json_add(a, to, from->members[i].key, &from->members[i].value);
}

void openapi_merge_v2(struct arena *a, struct json *doc, const struct json *external)
{
	for (size_t i = 0; i < json_len(external); i++) {
		const struct json *part = json_get(json_item(external, i), STR("swagger"));

		if (!json_is(part, JSON_OBJECT))
			continue;
		merge(a, json_set_object(a, doc, "paths"), json_get(part, STR("paths")));
		merge(a, json_set_object(a, doc, "definitions"),
		      json_get(part, STR("definitions")));
	}
}

void openapi_merge_v3(struct arena *a, struct json *paths, const struct json *external)
{
	for (size_t i = 0; i < json_len(external); i++) {
		const struct json *e = json_item(external, i);
		struct str path = json_str(json_get(e, STR("path"))),
			   url = json_str(json_get(e, STR("url")));

		if (url.n && !json_get(paths, path))
			json_set(a, paths, path, json_build(a, "{s:S}", "serverRelativeURL", url));
	}
}
