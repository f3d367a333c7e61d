/*
 * ClusterRole aggregation: the rules of a ClusterRole that says whose rules it gathers are the
 * union of theirs, in the order of their names, each rule once. Pure. Specification:
 * pkg/controller/clusterroleaggregation.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

static bool picks(const struct view *v, const struct json *role, const struct json *other)
{
	const struct json *all = json_at(role, "aggregationRule", "clusterRoleSelectors");

	for (size_t i = 0; i < json_len(all); i++) {
		struct selector s;

		if (!selector_from_json(v->arena, json_item(all, i), &s, NULL) &&
		    selector_match_json(&s, json_at(other, "metadata", "labels")))
			return true;
	}
	return false;
}

static bool has_rule(const struct json *rules, const struct json *rule)
{
	for (size_t i = 0; i < json_len(rules); i++)
		if (json_equal(json_item(rules, i), rule))
			return true;
	return false;
}

static int by_name(const void *x, const void *y)
{
	return str_cmp(meta_name(*(const struct json *const *)x),
		       meta_name(*(const struct json *const *)y));
}

static struct json *gathered(const struct view *v, const struct json *role)
{
	struct json_set_view all = view_list(v, &res_clusterroles, STR_NONE);
	struct json *rules = json_new(v->arena, JSON_ARRAY);
	struct trees from = {0};

	for (size_t i = 0; i < all.n; i++)
		if (!str_eq(meta_name(all.v[i]), meta_name(role)) && picks(v, role, all.v[i]))
			trees_add(v->arena, &from, all.v[i]);
	if (from.n)
		qsort(from.v, from.n, sizeof(*from.v), by_name);
	for (size_t i = 0; i < from.n; i++) {
		const struct json *theirs = json_get(from.v[i], STR("rules"));

		for (size_t j = 0; j < json_len(theirs); j++)
			if (!has_rule(rules, json_item(theirs, j)))
				json_append(v->arena, rules, json_item(theirs, j));
	}
	return rules;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *role = view_get(v, &res_clusterroles, namespace, name);
	const struct json *now = json_get(role, STR("rules"));
	struct json *rules;

	(void)err;
	if (!role || !json_len(json_at(role, "aggregationRule", "clusterRoleSelectors")))
		return 0;
	rules = gathered(v, role);
	if (json_len(rules) == json_len(now) && (!json_len(rules) || json_equal(rules, now)))
		return 0;
	plan_patch(p, &res_clusterroles, role, NULL, json_build(v->arena, "{s:o}", "rules", rules));
	return 0;
}

/* A role concerns itself and whoever gathers it, or did before its labels went: all that gather are
 * looked at again, which are few. */
static void map_role(const struct view *v, const struct obj *o,
		     void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_clusterroles, STR_NONE);

	for (size_t i = 0; i < all.n; i++)
		if (json_get(all.v[i], STR("aggregationRule")))
			put(ctx, obj_key(v->arena, STR_NONE, meta_name(all.v[i])));
	put(ctx, obj_key(v->arena, STR_NONE, o->name));
}

static const struct controller_watch watches[] = {
	{&res_clusterroles, NULL, NULL, map_role},
	{0},
};

const struct controller controller_clusterroleaggregation = {
	.name = "clusterroleaggregation",
	.watches = watches,
	.reconcile = reconcile,
};
