/*
 * Changes to rendered trees: images, common metadata, Secrets' stringData. A value that is changed
 * here loses its place in the sources (src 0), since no line of a manifest says it. Pure.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "reconciler/render-internal.h"

#include "lib/base/pure.h"

/* "registry:5000/name:tag@digest": the name without tag and digest. */
static struct str image_name(struct str image)
{
	struct str head, tail, last;

	if (str_cut(image, '@', &head, &tail))
		image = head;
	if (str_rcut(image, ':', &head, &tail) && !memchr(tail.p, '/', tail.n))
		image = head;
	(void)last;
	return image;
}

static void image_set(struct arena *a, struct json *slot, const struct json *images)
{
	struct str image = json_str(slot), name = image_name(image);

	for (size_t i = 0; i < json_len(images); i++) {
		const struct json *rule = json_item(images, i);
		struct str to = json_str_or(json_get(rule, STR("newName")), name),
			   tag = json_str(json_get(rule, STR("newTag"))),
			   digest = json_str(json_get(rule, STR("digest"))),
			   rest = str_sub(image, name.n, image.n);
		struct str next;

		if (!str_eq(json_str(json_get(rule, STR("name"))), name))
			continue;
		if (digest.n)
			next = arena_strf(a, "%.*s@%.*s", STR_ARG(to), STR_ARG(digest));
		else if (tag.n)
			next = arena_strf(a, "%.*s:%.*s", STR_ARG(to), STR_ARG(tag));
		else
			next = arena_strf(a, "%.*s%.*s", STR_ARG(to), STR_ARG(rest));
		*slot = *json_new_str(a, next);
		return;
	}
}

void render_images(struct arena *a, struct json *v, const struct json *images)
{
	struct json_member *m = json_members(v);

	if (!json_len(images))
		return;
	for (size_t i = 0; m && i < json_len(v); i++) {
		bool containers = str_is(m[i].key, "containers") ||
				  str_is(m[i].key, "initContainers") ||
				  str_is(m[i].key, "ephemeralContainers");

		for (size_t c = 0; containers && c < json_len(&m[i].value); c++) {
			struct json *slot = json_get(json_item(&m[i].value, c), STR("image"));

			if (json_is(slot, JSON_STRING))
				image_set(a, slot, images);
		}
		if (!containers)
			render_images(a, &m[i].value, images);
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		render_images(a, json_item(v, i), images);
}

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
