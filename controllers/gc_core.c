/* The decisions of garbage collection. Pure; everything made is in the arena given. */
#include "controllers/gc_core.h"

#include "lib/base/pure.h"

static const struct json *owners_of(const struct json *o)
{
	return json_at(o, "metadata", "ownerReferences");
}

bool gc_has_finalizer(const struct json *o, const char *name)
{
	const struct json *all = json_at(o, "metadata", "finalizers");

	for (size_t i = 0; i < json_len(all); i++)
		if (str_is(json_str(json_item(all, i)), name))
			return true;
	return false;
}

enum gc_owner gc_owner_state(const struct json *owner, struct str uid)
{
	if (!owner || !str_eq(meta_uid(owner), uid))
		return GC_OWNER_ABSENT;
	if (meta_deleting(owner) && gc_has_finalizer(owner, FINALIZER_FOREGROUND))
		return GC_OWNER_WAITING;
	return GC_OWNER_SOLID;
}

static const char *own_propagation(const struct json *o)
{
	if (gc_has_finalizer(o, FINALIZER_ORPHAN))
		return "Orphan";
	if (gc_has_finalizer(o, FINALIZER_FOREGROUND))
		return "Foreground";
	return "Background";
}

struct gc_decision gc_decide(struct arena *a, const struct json *o, const enum gc_owner *state,
			     bool has_dependents)
{
	const struct json *owners = owners_of(o);
	size_t count[3] = {0};
	struct json *solid = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(owners); i++) {
		count[state[i]]++;
		if (state[i] == GC_OWNER_SOLID)
			json_append(a, solid, json_item(owners, i));
	}
	if (!json_len(owners) || count[GC_OWNER_SOLID] == json_len(owners))
		return (struct gc_decision){.action = GC_NOTHING};
	if (count[GC_OWNER_SOLID])
		return (struct gc_decision){.action = GC_DROP_OWNERS, .owners = solid};
	if (count[GC_OWNER_WAITING] && has_dependents)
		return (struct gc_decision){.action = GC_DELETE, .propagation = "Foreground"};
	return (struct gc_decision){.action = GC_DELETE, .propagation = own_propagation(o)};
}

const struct json *gc_owners_without(struct arena *a, const struct json *o, struct str uid)
{
	const struct json *owners = owners_of(o);
	struct json *rest = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(owners); i++)
		if (!str_eq(json_str(json_at(json_item(owners, i), "uid")), uid))
			json_append(a, rest, json_item(owners, i));
	return json_len(rest) == json_len(owners) ? NULL : rest;
}

const struct json *gc_finalizers_without(struct arena *a, const struct json *o, const char *name)
{
	const struct json *all = json_at(o, "metadata", "finalizers");
	struct json *rest = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(all); i++)
		if (!str_is(json_str(json_item(all, i)), name))
			json_append(a, rest, json_item(all, i));
	return rest;
}

const struct json *gc_owners_released(struct arena *a, const struct json *o)
{
	struct json *all = json_copy(a, owners_of(o));
	bool any = false;

	for (size_t i = 0; i < json_len(all); i++) {
		if (!json_bool(json_at(json_item(all, i), "blockOwnerDeletion"), false))
			continue;
		json_set_bool(a, json_item(all, i), "blockOwnerDeletion", false);
		any = true;
	}
	return any ? all : NULL;
}

const struct json *gc_patch(struct arena *a, const struct json *o, const char *field,
			    const struct json *value)
{
	return json_build(a, "{s:{s:S, s:S, s:o}}", "metadata", "uid", meta_uid(o),
			  "resourceVersion", json_str(json_at(o, "metadata", "resourceVersion")),
			  field, value);
}

bool gc_blocks(const struct json *o, struct str uid)
{
	const struct json *owners = owners_of(o);

	for (size_t i = 0; i < json_len(owners); i++) {
		const struct json *ref = json_item(owners, i);

		if (str_eq(json_str(json_at(ref, "uid")), uid) &&
		    json_bool(json_at(ref, "blockOwnerDeletion"), false))
			return true;
	}
	return false;
}
