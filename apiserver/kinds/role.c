/* Roles: what may be done within a namespace. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	{.name = "Created At",
	 .type = "date",
	 .description = "When it was made.",
	 .path = ".metadata.creationTimestamp"},
	{0},
};

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *rules = json_get(next, STR("rules"));
	struct spath at = SPATH_FIELD(NULL, "rules");

	(void)live;
	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *r = json_item(rules, i);
		struct spath item = SPATH_INDEX(&at, i);
		bool urls = json_len(json_get(r, STR("nonResourceURLs"))) > 0;

		if (!json_len(json_get(r, STR("verbs"))))
			rule_required(c, &item, "verbs", "verbs must contain at least one value");
		if (urls)
			rule_invalid(c, &item, "nonResourceURLs",
				     json_get(r, STR("nonResourceURLs")),
				     "namespaced rules cannot apply to non-resource URLs");
		if (!urls && !json_len(json_get(r, STR("apiGroups"))))
			rule_required(c, &item, "apiGroups",
				      "resource rules must supply at least one api group");
		if (!urls && !json_len(json_get(r, STR("resources"))))
			rule_required(c, &item, "resources",
				      "resource rules must supply at least one resource");
	}
}

const struct kind kind_role = {
	.group = "rbac.authorization.k8s.io",
	.version = "v1",
	.kind = "Role",
	.plural = "roles",
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.rbac.v1.Role",
	.columns = columns,
	.validate = validate,
	.name_check = name_check_path_segment,
};
