/* What Roles and ClusterRoles, and their bindings, have in common. Pure. */
#include "apiserver/kinds/rules.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* ---- roles ---- */

const struct kind_column rbac_role_columns[] = {
	COL_NAME,
	{.name = "Created At",
	 .type = "date",
	 .description = "When it was made.",
	 .path = ".metadata.creationTimestamp"},
	{0},
};

void rbac_rules_validate(struct kind_ctx *c, const struct json *next, bool namespaced)
{
	const struct json *rules = json_get(next, STR("rules"));
	struct spath at = SPATH_FIELD(NULL, "rules");

	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *r = json_item(rules, i);
		struct spath item = SPATH_INDEX(&at, i);
		bool urls = json_len(json_get(r, STR("nonResourceURLs"))) > 0;

		if (!json_len(json_get(r, STR("verbs"))))
			rule_required(c, &item, "verbs", "verbs must contain at least one value");
		if (urls && namespaced)
			rule_invalid(c, &item, "nonResourceURLs",
				     json_get(r, STR("nonResourceURLs")),
				     "namespaced rules cannot apply to non-resource URLs");
		if (urls && (json_len(json_get(r, STR("apiGroups"))) ||
			     json_len(json_get(r, STR("resources"))) ||
			     json_len(json_get(r, STR("resourceNames")))))
			rule_invalid(c, &item, "nonResourceURLs",
				     json_get(r, STR("nonResourceURLs")),
				     "rules cannot apply to both regular resources and "
				     "non-resource URLs");
		if (!urls && !json_len(json_get(r, STR("apiGroups"))))
			rule_required(c, &item, "apiGroups",
				      "resource rules must supply at least one api group");
		if (!urls && !json_len(json_get(r, STR("resources"))))
			rule_required(c, &item, "resources",
				      "resource rules must supply at least one resource");
	}
}

/* ---- bindings ---- */

const struct kind_column rbac_binding_columns[] = {
	COL_NAME,
	COL("Role", "string", "The role that is handed out."),
	COL_AGE,
	COL("Users", "string", "Users who get it.", .priority = 1),
	COL("Groups", "string", "Groups that get it.", .priority = 1),
	COL("ServiceAccounts", "string", "Service accounts that get it.", .priority = 1),
	{0},
};

static void cell_subjects(struct kind_ctx *c, const struct json *o, const char *kind,
			  struct json *cells)
{
	const struct json *all = json_get(o, STR("subjects"));
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *s = json_item(all, i);
		struct str ns = json_str_or(json_get(s, STR("namespace")), STR("")),
			   name = json_str_or(json_get(s, STR("name")), STR(""));

		if (!str_is(json_str(json_get(s, STR("kind"))), kind))
			continue;
		buf_printf(&b, "%s", b.n ? ", " : "");
		if (!strcmp(kind, "ServiceAccount"))
			buf_printf(&b, "%.*s/", STR_ARG(ns));
		buf_str(&b, name);
	}
	cell_str(c, cells, arena_str(c->a, buf_view(&b)));
}

void rbac_binding_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ref = json_get(o, STR("roleRef"));

	cell_name(c, cells, o);
	cell_text(c, cells, "%.*s/%.*s", STR_ARG(json_str(json_get(ref, STR("kind")))),
		  STR_ARG(json_str(json_get(ref, STR("name")))));
	cell_age(c, cells, o);
	cell_subjects(c, o, "User", cells);
	cell_subjects(c, o, "Group", cells);
	cell_subjects(c, o, "ServiceAccount", cells);
}

void rbac_binding_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *subjects = json_get(o, STR("subjects"));

	default_str(c, json_set_object(c->a, o, "roleRef"), "apiGroup",
		    "rbac.authorization.k8s.io");
	for (size_t i = 0; i < json_len(subjects); i++) {
		struct json *s = json_item(subjects, i);
		struct str kind = json_str(json_get(s, STR("kind")));

		if (str_is(kind, "User") || str_is(kind, "Group"))
			default_str(c, s, "apiGroup", "rbac.authorization.k8s.io");
	}
}

#define GROUP "rbac.authorization.k8s.io"

static void check_ref(struct kind_ctx *c, const struct json *ref)
{
	static const char *const groups[] = {GROUP, NULL}, *const kinds[] = {"Role", "ClusterRole",
									     NULL};
	struct spath at = SPATH_FIELD(NULL, "roleRef");
	struct str kind = json_str(json_get(ref, STR("kind")));

	if (!str_is(json_str(json_get(ref, STR("apiGroup"))), GROUP))
		rule_unsupported(c, &at, "apiGroup", json_get(ref, STR("apiGroup")), groups);
	if (!str_is(kind, kinds[0]) && !str_is(kind, kinds[1]))
		rule_unsupported(c, &at, "kind", json_get(ref, STR("kind")), kinds);
	if (!json_str(json_get(ref, STR("name"))).n)
		rule_required(c, &at, "name", NULL);
	else
		rule_name(c, &at, "name", json_get(ref, STR("name")), name_check_path_segment);
}

static void check_account(struct kind_ctx *c, const struct spath *at, const struct json *s,
			  bool namespaced)
{
	static const char *const groups[] = {"", NULL};

	if (json_str(json_get(s, STR("name"))).n)
		rule_name(c, at, "name", json_get(s, STR("name")), name_check_dns1123_subdomain);
	if (json_str(json_get(s, STR("apiGroup"))).n)
		rule_unsupported(c, at, "apiGroup", json_get(s, STR("apiGroup")), groups);
	if (!namespaced && !json_str(json_get(s, STR("namespace"))).n)
		rule_required(c, at, "namespace", NULL);
}

static void check_subject(struct kind_ctx *c, const struct spath *at, const struct json *s,
			  bool namespaced)
{
	static const char *const kinds[] = {"ServiceAccount", "User", "Group", NULL};
	static const char *const groups[] = {GROUP, NULL};
	struct str kind = json_str(json_get(s, STR("kind")));

	if (!json_str(json_get(s, STR("name"))).n)
		rule_required(c, at, "name", NULL);
	if (str_is(kind, kinds[0]))
		check_account(c, at, s, namespaced);
	else if (!str_is(kind, kinds[1]) && !str_is(kind, kinds[2]))
		rule_unsupported(c, at, "kind", json_get(s, STR("kind")), kinds);
	else if (!str_is(json_str(json_get(s, STR("apiGroup"))), GROUP))
		rule_unsupported(c, at, "apiGroup", json_get(s, STR("apiGroup")), groups);
}

void rbac_binding_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *subjects = json_get(next, STR("subjects"));
	bool namespaced = json_str(json_at(next, "metadata", "namespace")).n > 0;
	struct spath at = SPATH_FIELD(NULL, "subjects");

	check_ref(c, json_get(next, STR("roleRef")));
	if (live && !json_equal(json_get(next, STR("roleRef")), json_get(live, STR("roleRef"))))
		rule_invalid(c, NULL, "roleRef", json_get(next, STR("roleRef")),
			     "cannot change roleRef");
	for (size_t i = 0; i < json_len(subjects); i++) {
		struct spath item = SPATH_INDEX(&at, i);

		check_subject(c, &item, json_item(subjects, i), namespaced);
	}
}
