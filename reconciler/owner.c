/*
 * Reading FieldsV1 for one path. Never fails: what isn't understood owns nothing. Pure.
 */
#include "reconciler/owner.h"

#include <string.h>

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool keys_match(struct arena *a, struct str text, const struct json *item)
{
	const struct json *keys = json_parse(a, text, NULL, NULL);
	struct json_member *m = json_members(keys);

	for (size_t i = 0; m && i < json_len(keys); i++) {
		const struct json *v = json_get(item, m[i].key);

		if (v && !json_equal(v, &m[i].value))
			return false;
	}
	return m != NULL;
}

/* The entry of `fields` for item i of the list `v`. */
static const struct json *item_fields(struct arena *a, const struct json *fields,
				      const struct json *item)
{
	struct json_member *m = json_members(fields);

	for (size_t i = 0; m && i < json_len(fields); i++) {
		struct str key = m[i].key;

		if (str_starts(key, STR("k:")) && keys_match(a, str_sub(key, 2, key.n), item))
			return &m[i].value;
		if (str_starts(key, STR("v:"))) {
			const struct json *v = json_parse(a, str_sub(key, 2, key.n), NULL, NULL);

			if (v && json_equal(v, item))
				return &m[i].value;
		}
	}
	return NULL;
}

static bool owns(const struct json *fields, const struct json *shape, struct str pointer)
{
	AUTO(arena) struct arena a = {0};
	struct str token, rest = str_sub(pointer, 1, pointer.n);

	if (!pointer.n)
		return true;
	while (fields && str_next(&rest, '/', &token)) {
		const struct json *down;

		if (json_is(shape, JSON_ARRAY)) {
			uint64_t i;

			if (str_to_u64(token, &i))
				return false;
			shape = json_item(shape, i);
			down = item_fields(&a, fields, shape);
		} else {
			struct str key = arena_strf(&a, "f:%.*s", STR_ARG(token));
			char *slash;

			/* Undo the pointer's escapes. */
			while ((slash = strstr(key.p, "~1"))) {
				*slash = '/';
				memmove(slash + 1, slash + 2, strlen(slash + 2) + 1);
				key.n--;
			}
			down = json_get(fields, key);
			shape = json_get(shape, str_sub(key, 2, key.n));
		}
		/* An atomic value is owned where its owner's tree ends. */
		if (!down)
			return json_len(fields) == 0 && json_is(fields, JSON_OBJECT);
		fields = down;
	}
	return fields != NULL;
}

static bool later(struct str a, struct str b)
{
	return !b.n || str_cmp(a, b) >= 0;
}

static bool is_ours(const struct json *entry)
{
	return str_is(json_str(json_get(entry, STR("manager"))), "plumb") &&
	       str_is(json_str(json_get(entry, STR("operation"))), "Apply");
}

bool owner_find(const struct json *live, const struct json *shape, struct str pointer,
		struct owner *ret)
{
	const struct json *list = json_at(live, "metadata", "managedFields");
	struct owner guess = {0};
	bool known = false;

	*ret = (struct owner){0};
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i);
		struct str when = json_str(json_get(e, STR("time")));

		if (is_ours(e) || json_str(json_get(e, STR("subresource"))).n)
			continue;
		if (later(when, guess.when)) {
			guess.when = when;
			guess.manager = json_str(json_get(e, STR("manager")));
		}
		if (!owns(json_get(e, STR("fieldsV1")), shape, pointer) || !later(when, ret->when))
			continue;
		known = true;
		ret->when = when;
		ret->manager = json_str(json_get(e, STR("manager")));
	}
	if (!known)
		*ret = guess;
	return known;
}
