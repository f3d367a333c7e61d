/*
 * Moving members between an object's versions. Annotations that carry what a version cannot say
 * come from clients too: what does not parse is left where it stands. Pure.
 */
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

#define KEPT_MAX ((size_t)64 << 10)

void version_move(struct arena *a, struct json *o, const char *from, const char *to)
{
	const struct json *v = json_get(o, str_c(from));
	struct json value;

	if (!v)
		return;
	value = *v;
	json_del(o, str_c(from));
	json_set(a, o, str_c(to), &value);
}

void rename_from_stored(struct arena *a, struct json *o, const struct rename *names)
{
	for (; names->stored; names++)
		version_move(a, o, names->stored, names->other);
}

void rename_to_stored(struct arena *a, struct json *o, const struct rename *names)
{
	for (; names->stored; names++)
		version_move(a, o, names->other, names->stored);
}

void version_keep(struct arena *a, struct json *o, const char *annotation, const struct json *v)
{
	struct json *meta = json_set_object(a, o, "metadata");
	AUTO(buf) struct buf text = {0};

	json_write(v, &text);
	json_set_str(a, json_set_object(a, meta, "annotations"), annotation, buf_view(&text));
}

struct json *version_take(struct arena *a, struct json *o, const char *annotation)
{
	struct json *meta = json_get(o, STR("metadata")), *all = json_get(meta, STR("annotations"));
	struct str text = json_str(json_get(all, str_c(annotation)));
	struct json *v = text.n && text.n <= KEPT_MAX ? json_parse(a, text, NULL, NULL) : NULL;

	if (!v)
		return NULL;
	json_del(all, str_c(annotation));
	if (!json_len(all))
		json_del(meta, STR("annotations"));
	return v;
}
