/* See autoscaled.h. Must never leave out a number that our own field set still holds: the server
 * would take that for giving it up, and go back to its default. Pure. */
#include "reconciler/autoscaled.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool owns(const struct json *entry)
{
	return json_at(entry, "fieldsV1", "f:spec", "f:replicas");
}

static bool is_autoscaler(const struct json *entry)
{
	struct str who = json_str(json_get(entry, STR("manager")));

	return str_is(json_str(json_get(entry, STR("subresource"))), "scale") &&
	       (str_is(who, "controllers") || str_is(who, "kube-controller-manager"));
}

bool autoscaled(const struct json *live)
{
	const struct json *list = json_at(live, "metadata", "managedFields");

	for (size_t i = 0; i < json_len(list); i++)
		if (is_autoscaler(json_item(list, i)) && owns(json_item(list, i)))
			return true;
	return false;
}

static bool owned_by_us(const struct json *live)
{
	const struct json *list = json_at(live, "metadata", "managedFields");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i);

		if (str_is(json_str(json_get(e, STR("operation"))), "Apply") &&
		    str_is(json_str(json_get(e, STR("manager"))), "plumb") && owns(e))
			return true;
	}
	return false;
}

const struct json *autoscaled_keep(struct arena *a, const struct json *declared,
				   const struct json *live)
{
	struct json *copy, *spec;

	if (!json_at(declared, "spec", "replicas") || !autoscaled(live))
		return declared;
	copy = json_copy(a, declared);
	spec = json_get(copy, STR("spec"));
	if (owned_by_us(live))
		json_set(a, spec, STR("replicas"), json_at(live, "spec", "replicas"));
	else
		json_del(spec, STR("replicas"));
	return copy;
}

bool autoscaled_by_any(const struct json *list, const struct json *object)
{
	const struct json *items = json_get(list, STR("items"));

	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *to = json_at(json_item(items, i), "spec", "scaleTargetRef");

		if (str_eq(json_str(json_get(to, STR("name"))), meta_name(object)) &&
		    str_eq(json_str(json_get(to, STR("kind"))),
			   json_str(json_get(object, STR("kind")))))
			return true;
	}
	return false;
}
