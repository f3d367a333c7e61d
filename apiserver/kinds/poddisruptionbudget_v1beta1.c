/*
 * PodDisruptionBudgets as policy/v1beta1 says them: there, an empty selector selects nothing; since
 * v1 it selects everything. What selects nothing is stored as an expression that no pod meets.
 * Pure. Specification: pkg/apis/policy/v1beta1 (conversion).
 */
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

extern const struct kind kind_poddisruptionbudget;

#define NOTHING "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"

static struct json *selector_of(const struct json *o)
{
	struct json *s = json_at(o, "spec", "selector");

	return json_is(s, JSON_OBJECT) ? s : NULL;
}

/* An empty selector that means everything is said with an expression that every pod meets. */
static struct json *only_term(struct arena *a, const char *operator)
{
	return json_build(a, "{s:[{s:s,s:s}]}", "matchExpressions", "key", NOTHING,
			  "operator", operator);
}

static bool is_term(const struct json *s, const char *operator)
{
	const struct json *all = json_get(s, STR("matchExpressions")), *first = json_item(all, 0);

	return s && json_len(all) == 1 && !json_len(json_get(s, STR("matchLabels"))) &&
	       str_is(json_str(json_get(first, STR("key"))), NOTHING) &&
	       str_is(json_str(json_get(first, STR("operator"))), operator);
}

static void from_stored(struct arena *a, struct json *o)
{
	struct json *s = selector_of(o);

	if (is_term(s, "Exists"))
		*s = *json_new(a, JSON_OBJECT);
	else if (s && !json_len(s))
		*s = *only_term(a, "DoesNotExist");
}

static void to_stored(struct arena *a, struct json *o)
{
	struct json *s = selector_of(o);

	if (is_term(s, "DoesNotExist"))
		*s = *json_new(a, JSON_OBJECT);
	else if (s && !json_len(s))
		*s = *only_term(a, "Exists");
}

const struct kind kind_poddisruptionbudget_v1beta1 = {
	.group = "policy",
	.version = "v1beta1",
	.kind = "PodDisruptionBudget",
	.plural = "poddisruptionbudgets",
	.stored = &kind_poddisruptionbudget,
	.schema_name = "io.k8s.api.policy.v1beta1.PodDisruptionBudget",
	.from_stored = from_stored,
	.to_stored = to_stored,
};
