/*
 * ServiceAccounts: the identities of pods.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Secrets", "string", "Number of Secrets that pods of this account may use."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells, (int64_t)json_len(json_get(o, STR("secrets"))));
	cell_age(c, cells, o);
}

/* Of the Secrets only their names are kept: they are of the same namespace, whatever is said. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *list = json_get(next, STR("secrets"));

	(void)live;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *name = json_get(json_item(list, i), STR("name"));
		struct json *only = json_new(c->a, JSON_OBJECT);

		if (name)
			json_set(c->a, only, STR("name"), name);
		*json_item(list, i) = *only;
	}
}

static const char *const short_names[] = {"sa", NULL};
static const char *const subresources[] = {"token", NULL};

const struct kind kind_serviceaccount = {
	.group = "",
	.version = "v1",
	.kind = "ServiceAccount",
	.plural = "serviceaccounts",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.ServiceAccount",
	.subresources = subresources,
	.columns = columns,
	.row = row,
	.prepare = prepare,
};
