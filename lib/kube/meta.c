/*
 * The parts of a tree that every kind has: metadata, owners, conditions. Pure.
 * Specification: k8s.io/apimachinery/pkg/apis/meta/v1, API conventions (conditions).
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct json *meta(const struct json *o)
{
	return json_get(o, STR("metadata"));
}

struct str meta_name(const struct json *o)
{
	return json_str(json_get(meta(o), STR("name")));
}

struct str meta_namespace(const struct json *o)
{
	return json_str(json_get(meta(o), STR("namespace")));
}

struct str meta_uid(const struct json *o)
{
	return json_str(json_get(meta(o), STR("uid")));
}

struct str meta_annotation(const struct json *o, const char *key)
{
	return json_str(json_get(json_get(meta(o), STR("annotations")), str_c(key)));
}

struct str meta_label(const struct json *o, const char *key)
{
	return json_str(json_get(json_get(meta(o), STR("labels")), str_c(key)));
}

const struct json *meta_controller(const struct json *o)
{
	const struct json *owners = json_get(meta(o), STR("ownerReferences"));

	for (size_t i = 0; i < json_len(owners); i++) {
		const struct json *owner = json_item(owners, i);

		if (json_bool(json_get(owner, STR("controller")), false))
			return owner;
	}
	return NULL;
}

struct json *meta_owner_ref(struct arena *a, const struct json *owner, bool controller)
{
	struct json *ref = json_new(a, JSON_OBJECT);

	json_set_str(a, ref, "apiVersion", json_str(json_get(owner, STR("apiVersion"))));
	json_set_str(a, ref, "kind", json_str(json_get(owner, STR("kind"))));
	json_set_str(a, ref, "name", meta_name(owner));
	json_set_str(a, ref, "uid", meta_uid(owner));
	if (controller) {
		json_set_bool(a, ref, "controller", true);
		json_set_bool(a, ref, "blockOwnerDeletion", true);
	}
	return ref;
}

struct json *condition_find(const struct json *o, const char *type)
{
	const struct json *all = json_at(o, "status", "conditions");

	for (size_t i = 0; i < json_len(all); i++) {
		struct json *c = json_item(all, i);

		if (str_is(json_str(json_get(c, STR("type"))), type))
			return c;
	}
	return NULL;
}

static bool set_changed(struct arena *a, struct json *c, const char *field, struct str value)
{
	if (str_eq(json_str(json_get(c, str_c(field))), value))
		return false;
	json_set_str(a, c, field, value);
	return true;
}

bool condition_set(struct arena *a, struct json *o, const char *type, const char *status,
		   const char *reason, struct str message, int64_t now_ns)
{
	struct json *c = condition_find(o, type);
	char now[TIME_TEXT_MAX];
	bool flipped, changed;

	if (!c) {
		struct json *st = json_set_object(a, o, "status");

		c = json_append_object(a, json_set_array(a, st, "conditions"));
		json_set_str(a, c, "type", str_c(type));
	}
	flipped = set_changed(a, c, "status", str_c(status));
	if (flipped)
		json_set_str(a, c, "lastTransitionTime", time_format(now_ns, now));
	changed = set_changed(a, c, "reason", str_c(reason));
	return set_changed(a, c, "message", message) || changed || flipped;
}
