/* RoleBindings: who has a role within a namespace. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Role", "string", "The role that is handed out."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ref = json_get(o, STR("roleRef"));

	cell_name(c, cells, o);
	cell_text(c, cells, "%.*s/%.*s", STR_ARG(json_str(json_get(ref, STR("kind")))),
		  STR_ARG(json_str(json_get(ref, STR("name")))));
	cell_age(c, cells, o);
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *subjects = json_get(o, STR("subjects"));

	default_str(c, json_set_object(c->a, o, "roleRef"), "apiGroup",
		    "rbac.authorization.k8s.io");
	for (size_t i = 0; i < json_len(subjects); i++) {
		struct json *s = json_item(subjects, i);
		bool account = str_is(json_str(json_get(s, STR("kind"))), "ServiceAccount");

		if (!account)
			default_str(c, s, "apiGroup", "rbac.authorization.k8s.io");
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
	const struct json *subjects = json_get(next, STR("subjects"));
	struct spath ref = SPATH_FIELD(NULL, "roleRef"), at = SPATH_FIELD(NULL, "subjects");

	if (!json_str(json_at(next, "roleRef", "name")).n)
		rule_required(c, &ref, "name", NULL);
	if (live && !json_equal(json_get(next, STR("roleRef")), json_get(live, STR("roleRef"))))
		rule_invalid(c, NULL, "roleRef", json_get(next, STR("roleRef")),
			     "cannot change roleRef");
	for (size_t i = 0; i < json_len(subjects); i++) {
		const struct json *s = json_item(subjects, i), *kind = json_get(s, STR("kind"));
		struct spath item = SPATH_INDEX(&at, i);

		if (!json_str(json_get(s, STR("name"))).n)
			rule_required(c, &item, "name", NULL);
		if (str_is(json_str(kind), "ServiceAccount")) {
			if (!json_str(json_get(s, STR("namespace"))).n)
				rule_required(c, &item, "namespace", NULL);
		} else if (!str_is(json_str(kind), "User") && !str_is(json_str(kind), "Group")) {
			rule_unsupported(c, &item, "kind", kind, kinds);
		}
	}
}

const struct kind kind_rolebinding = {
	.group = "rbac.authorization.k8s.io",
	.version = "v1",
	.kind = "RoleBinding",
	.plural = "rolebindings",
	.flags = KIND_NAMESPACED | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.rbac.v1.RoleBinding",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
	.name_check = name_check_path_segment,
};
