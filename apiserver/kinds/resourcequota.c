/* ResourceQuotas: how much a namespace may use in all (rules_quota.c has the rules). Pure. */
#include "apiserver/kinds/rules.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Request", "string", "Used and allowed requests."),
	COL("Limit", "string", "Used and allowed limits."),
	COL_AGE,
	{0},
};

static void cell_used(struct kind_ctx *c, const struct json *o, bool limits, struct json *cells)
{
	const struct json *hard = json_at(o, "status", "hard");
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(hard); i++) {
		struct str key = hard->members[i].key;
		struct str used = json_str(json_get(json_at(o, "status", "used"), key));
		if (str_starts(key, STR("limits.")) != limits)
			continue;
		buf_printf(&b, "%s%.*s: %.*s/%.*s", b.n ? ", " : "", STR_ARG(key), STR_ARG(used),
			   STR_ARG(json_str(&hard->members[i].value)));
	}
	cell_str(c, cells, buf_view(&b));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_used(c, o, false, cells);
	cell_used(c, o, true, cells);
	cell_age(c, cells, o);
}

static const char *const short_names[] = {"quota", NULL};

const struct kind kind_resourcequota = {
	.group = "",
	.version = "v1",
	.kind = "ResourceQuota",
	.plural = "resourcequotas",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE |
		 KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.ResourceQuota",
	.columns = columns,
	.row = row,
	.validate = quota_validate,
};
