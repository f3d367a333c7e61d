/*
 * Where pods may go, as far as the API has a say in it: label keys in affinity become a part of its
 * selectors when a pod is made, and while gates hold it back the choice may be narrowed. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* ---- label keys ---- */

static void add_keys(struct kind_ctx *c, const struct json *pod, struct json *term,
		     const char *field, const char *operator)
{
	const struct json *keys = json_get(term, str_c(field));
	struct json *selector = json_get(term, STR("labelSelector"));

	for (size_t i = 0; selector && i < json_len(keys); i++) {
		struct str key = json_str(json_item(keys, i));
		const struct json *value = json_get(json_at(pod, "metadata", "labels"), key);

		if (!value)
			continue;
		json_append(c->a, json_set_array(c->a, selector, "matchExpressions"),
			    json_build(c->a, "{s:S, s:s, s:[S]}", "key", key, "operator", operator,
				       "values", json_str(value)));
	}
}

static void apply_to_terms(struct kind_ctx *c, const struct json *pod, struct json *terms,
			   bool weighted)
{
	for (size_t i = 0; i < json_len(terms); i++) {
		struct json *term = json_item(terms, i);

		if (weighted)
			term = json_get(term, STR("podAffinityTerm"));
		add_keys(c, pod, term, "matchLabelKeys", "In");
		add_keys(c, pod, term, "mismatchLabelKeys", "NotIn");
	}
}

void podspec_apply_label_keys(struct kind_ctx *c, struct json *pod)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	struct json *affinity = json_at(pod, "spec", "affinity");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct json *k = json_get(affinity, str_c(kinds[i]));

		apply_to_terms(c, pod, json_at(k, "requiredDuringSchedulingIgnoredDuringExecution"),
			       false);
		apply_to_terms(c, pod,
			       json_at(k, "preferredDuringSchedulingIgnoredDuringExecution"), true);
	}
}

/* ---- while gates are closed ---- */

/* Every member of `had` is in `has`. */
static bool only_added(const struct json *has, const struct json *had)
{
	const struct json_member *m = json_members(had);

	for (size_t i = 0; i < json_len(had); i++)
		if (!json_equal(json_get(has, m[i].key), &m[i].value))
			return false;
	return true;
}

static bool terms_only_narrower(const struct json *has, const struct json *had)
{
	static const char *const lists[] = {"matchExpressions", "matchFields"};

	if (!had)
		return true;
	if (json_len(has) != json_len(had))
		return false;
	for (size_t i = 0; i < json_len(had); i++)
		for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
			const struct json *x = json_get(json_item(had, i), str_c(lists[l]));
			const struct json *y = json_get(json_item(has, i), str_c(lists[l]));

			if (json_len(y) < json_len(x))
				return false;
			for (size_t k = 0; k < json_len(x); k++)
				if (!json_equal(json_item(x, k), json_item(y, k)))
					return false;
		}
	return true;
}

/* While gates keep a pod from being placed, where it may go can be narrowed. */
void podspec_allow_narrower(struct kind_ctx *c, struct json *copy, const struct json *spec)
{
	const struct json *selector = json_get(spec, STR("nodeSelector")),
			  *near = json_at(spec, "affinity", "nodeAffinity");
	static const char required[] = "requiredDuringSchedulingIgnoredDuringExecution";
	const struct json *has = json_get(near, str_c(required)),
			  *had = json_at(copy, "affinity", "nodeAffinity", required);
	struct json *affinity;

	if (selector && only_added(selector, json_get(copy, STR("nodeSelector"))))
		json_set(c->a, copy, STR("nodeSelector"), selector);
	if (!near || !terms_only_narrower(json_get(has, STR("nodeSelectorTerms")),
					  json_get(had, STR("nodeSelectorTerms"))))
		return;
	affinity = json_set_object(c->a, copy, "affinity");
	json_set(c->a, affinity, STR("nodeAffinity"), near);
}

/* ---- gates and spreading ---- */

static void validate_gates(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *gates = json_get(spec, STR("schedulingGates"));
	struct spath all = SPATH_FIELD(at, "schedulingGates");

	for (size_t i = 0; i < json_len(gates); i++) {
		const struct json *name = json_get(json_item(gates, i), STR("name"));
		struct spath here = SPATH_INDEX(&all, i);

		rule_name(c, &here, NULL, name, name_check_qualified);
		for (size_t k = 0; k < i; k++)
			if (json_equal(name, json_get(json_item(gates, k), STR("name"))))
				rule_duplicate(c, &here, NULL, name);
	}
	if (json_len(gates) && json_str(json_get(spec, STR("nodeName"))).n)
		rule_forbidden(c, at, "nodeName",
			       "cannot be set until all schedulingGates have been cleared");
}

void podspec_validate_placing(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("topologySpreadConstraints"));
	struct spath all = SPATH_FIELD(at, "topologySpreadConstraints");

	validate_gates(c, at, spec);
	for (size_t i = 0; i < json_len(list); i++)
		for (size_t k = 0; k < i; k++) {
			struct str key = json_str(json_at(json_item(list, i), "topologyKey")),
				   when = json_str(
					   json_at(json_item(list, i), "whenUnsatisfiable"));
			struct spath here = SPATH_INDEX(&all, i);

			if (!str_eq(key, json_str(json_at(json_item(list, k), "topologyKey"))) ||
			    !str_eq(when,
				    json_str(json_at(json_item(list, k), "whenUnsatisfiable"))))
				continue;
			rule_duplicate(c, &here, "{topologyKey, whenUnsatisfiable}",
				       json_new_str(c->a, arena_strf(c->a, "{%.*s, %.*s}",
								     STR_ARG(key), STR_ARG(when))));
			break;
		}
}
