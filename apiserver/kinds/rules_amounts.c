/*
 * What resources may be called, where amounts of them are bounded.
 * Pure. Specification: pkg/apis/core/validation, pkg/apis/core/helper.
 */
#include "apiserver/kinds/rules.h"
#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool is_among(struct str name, const char *const *known)
{
	for (; *known; known++)
		if (str_is(name, *known))
			return true;
	return false;
}

static const char *const of_containers[] = {"cpu", "memory", "ephemeral-storage", NULL};
static const char *const of_quotas[] = {"cpu",
					"memory",
					"ephemeral-storage",
					"requests.cpu",
					"requests.memory",
					"requests.storage",
					"requests.ephemeral-storage",
					"limits.cpu",
					"limits.memory",
					"limits.ephemeral-storage",
					"pods",
					"resourcequotas",
					"services",
					"replicationcontrollers",
					"secrets",
					"persistentvolumeclaims",
					"configmaps",
					"services.nodeports",
					"services.loadbalancers",
					NULL};

static bool is_plain(struct str name)
{
	return str_find(name, STR("/")) < 0;
}

static bool is_huge_page(struct str name)
{
	return str_starts(name, STR("hugepages-"));
}

static bool is_native(struct str name)
{
	return is_plain(name) || str_find(name, STR("kubernetes.io/")) >= 0;
}

bool amount_overcommits(struct str name)
{
	return is_native(name) && !is_huge_page(name);
}

static bool is_of_quotas(struct str name)
{
	return is_among(name, of_quotas) || is_huge_page(name) ||
	       str_starts(name, STR("requests.hugepages-"));
}

static bool is_standard(struct str name)
{
	return is_of_quotas(name) || str_is(name, "storage");
}

static const char *problem(struct kind_ctx *c, struct str name, enum amount_place place)
{
	const char *why = name_check_qualified(name);

	if (why)
		return why;
	if (is_plain(name) && !is_standard(name))
		return "must be a standard resource type or fully qualified";
	if (place != AMOUNT_OF_CONTAINER)
		return NULL;
	if (is_plain(name))
		return is_among(name, of_containers) || is_huge_page(name)
			       ? NULL
			       : "must be a standard resource for containers";
	if (!is_native(name) &&
	    (str_starts(name, STR("requests.")) ||
	     name_check_qualified(arena_strf(c->a, "requests.%.*s", STR_ARG(name)))))
		return "doesn't follow extended resource name standard";
	return NULL;
}

void rule_amount_name(struct kind_ctx *c, const struct spath *at, struct str name,
		      enum amount_place place)
{
	const char *why = problem(c, name, place);

	if (why)
		rule_invalid(c, at, NULL, json_new_str(c->a, name), why);
}
