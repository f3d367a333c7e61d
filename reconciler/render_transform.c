/*
 * Changes to rendered trees: common metadata, Secrets' stringData. A value that is changed
 * here loses its place in the sources (src 0), since no line of a manifest says it. Pure.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

static void merge(struct arena *a, struct json *meta, const char *key, const struct json *from)
{
	struct json_member *m = json_members(from);
	struct json *into;

	if (!json_len(from))
		return;
	into = json_set_object(a, meta, key);
	for (size_t i = 0; i < json_len(from); i++) {
		struct json *slot = json_set(a, into, m[i].key, &m[i].value);

		slot->src = 0;
	}
}

void render_metadata(struct arena *a, struct json *object, const struct json *labels,
		     const struct json *annotations)
{
	struct json *meta = json_set_object(a, object, "metadata");

	merge(a, meta, "labels", labels);
	merge(a, meta, "annotations", annotations);
}

void render_secret(struct arena *a, struct json *object)
{
	struct json *text = json_get(object, STR("stringData"));
	struct json_member *m = json_members(text);

	for (size_t i = 0; i < json_len(text); i++) {
		AUTO(buf) struct buf coded = {0};
		struct json *data = json_set_object(a, object, "data");

		base64_encode(json_str(&m[i].value), &coded);
		json_set(a, data, m[i].key, json_new_str(a, buf_view(&coded)));
		buf_wipe(&coded);
	}
	json_del(object, STR("stringData"));
	text = json_get(object, STR("data"));
	m = json_members(text);
	for (size_t i = 0; i < json_len(text); i++)
		m[i].value.flags |= JSON_F_SENSITIVE;
}
