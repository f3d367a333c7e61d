/* The table of resources.h, once as objects and once for looking up. Pure data. */
#include "lib/kube/resources.h"

#define X(name, g, v, p, k, ns) const struct resource res_##name = {g, v, p, k, ns};
RESOURCES(X)
#undef X

static const struct resource *const known[] = {
#define X(name, ...) &res_##name,
	RESOURCES(X)
#undef X
};

const struct resource *resource_known(struct str api_version, struct str kind)
{
	struct str group, version;

	api_version_split(api_version, &group, &version);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		/* Mostly the first letter tells. */
		if (kind.n && *kind.p == *known[i]->kind && str_is(kind, known[i]->kind) &&
		    str_is(group, known[i]->group) && str_is(version, known[i]->version))
			return known[i];
	return NULL;
}
