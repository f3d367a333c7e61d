/*
 * What a Job may ask for: indexes that fail by themselves, policies of failure and success, its own
 * selector. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* What only Jobs with indexes may ask for. */
static void validate_indexes(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	static const char *const only[] = {"backoffLimitPerIndex", "successPolicy"};
	const struct json *completions = json_get(spec, STR("completions")),
			  *most = json_get(spec, STR("maxFailedIndexes"));
	bool indexed = str_is(json_str(json_get(spec, STR("completionMode"))), "Indexed");

	if (indexed && !completions)
		rule_required(c, at, "completions", "when completion mode is Indexed");
	if (indexed && json_int(json_get(spec, STR("parallelism")), 0) > 100000)
		rule_invalid(c, at, "parallelism", json_get(spec, STR("parallelism")),
			     "must be less than or equal to 100000 when completion mode is "
			     "Indexed");
	for (size_t i = 0; !indexed && i < ARRAY_LEN(only); i++) {
		const struct json *v = json_get(spec, str_c(only[i]));

		if (v)
			rule_invalid(c, at, only[i], v, "requires indexed completion mode");
	}
	if (most && !json_get(spec, STR("backoffLimitPerIndex")))
		rule_required(c, at, "backoffLimitPerIndex", "when maxFailedIndexes is specified");
	if (most && completions && json_int(most, 0) > json_int(completions, 0))
		rule_invalid(c, at, "maxFailedIndexes", most,
			     "must be less than or equal to completions");
}

/* Codes that a container can fail with, each once, in order. */
static void validate_exit_codes(struct kind_ctx *c, const struct spath *rule_at,
				const struct json *codes)
{
	const struct json *values = json_get(codes, STR("values"));
	struct spath at = SPATH_FIELD(rule_at, "onExitCodes"), all = SPATH_FIELD(&at, "values");
	bool in = str_is(json_str(json_get(codes, STR("operator"))), "In");

	if (codes && !json_len(values))
		rule_invalid(c, &at, "values", values, "at least one value is required");
	for (size_t i = 0; i < json_len(values); i++) {
		const struct json *v = json_item(values, i);
		struct spath here = SPATH_INDEX(&all, i);

		if (in && !json_int(v, 0))
			rule_invalid(c, &here, NULL, v, "must not be 0 for the In operator");
		if (i && json_int(v, 0) == json_int(json_item(values, i - 1), 0))
			rule_duplicate(c, &here, NULL, v);
		else if (i && json_int(v, 0) < json_int(json_item(values, i - 1), 0))
			rule_invalid(c, &at, "values", values, "must be ordered");
	}
}

static void validate_failure_policy(struct kind_ctx *c, const struct spath *at,
				    const struct json *spec)
{
	static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
	static const char *const only[] = {"Failed", NULL};
	const struct json *replacement = json_get(spec, STR("podReplacementPolicy"));
	const struct json *policy = json_get(spec, STR("podFailurePolicy")),
			  *rules = json_get(policy, STR("rules")),
			  *restart = json_at(spec, "template", "spec", "restartPolicy");
	struct spath policy_at = SPATH_FIELD(at, "podFailurePolicy"),
		     rules_at = SPATH_FIELD(&policy_at, "rules");
	struct spath template_at = SPATH_FIELD(at, "template"),
		     pod_at = SPATH_FIELD(&template_at, "spec");

	if (policy && !str_is(json_str(restart), "Never"))
		rule_invalid(c, &pod_at, "restartPolicy", restart,
			     "only \"Never\" is supported when podFailurePolicy is specified");
	if (policy && !str_is(json_str(replacement), "Failed"))
		rule_unsupported(c, at, "podReplacementPolicy", replacement, only);
	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *rule = json_item(rules, i);
		const struct json *action = json_get(rule, STR("action"));
		struct spath rule_at = SPATH_INDEX(&rules_at, i);
		bool known = false;

		for (size_t k = 0; actions[k]; k++)
			known |= str_is(json_str(action), actions[k]);
		if (!known)
			rule_unsupported(c, &rule_at, "action", action, actions);
		if (str_is(json_str(action), "FailIndex") &&
		    !json_get(spec, STR("backoffLimitPerIndex")))
			rule_invalid(c, &rule_at, "action", action,
				     "requires the backoffLimitPerIndex to be set");
		validate_exit_codes(c, &rule_at, json_get(rule, STR("onExitCodes")));
		if (!json_get(rule, STR("onExitCodes")) == !json_get(rule, STR("onPodConditions")))
			rule_invalid(c, &rules_at, NULL, rule,
				     "specifying one of OnExitCodes and OnPodConditions is "
				     "required");
	}
}

/* The next of "0,2-4"; false at the end, and where it isn't said so. */
static bool next_interval(struct str *rest, int64_t *ret_from, int64_t *ret_to)
{
	struct str part, first, end;

	if (!str_next(rest, ',', &part))
		return false;
	if (!str_cut(part, '-', &first, &end))
		first = end = part;
	return !str_to_i64(first, ret_from) && !str_to_i64(end, ret_to) &&
	       (first.p == end.p ? *ret_to == *ret_from : *ret_to > *ret_from);
}

int64_t job_count_indexes(struct str text, int64_t below)
{
	int64_t n = 0, last = -1, from, to;

	if (!text.n)
		return -1;
	while (text.p) {
		if (!next_interval(&text, &from, &to) || from <= last || to >= below)
			return -1;
		n += to - from + 1;
		last = to;
	}
	return n;
}

bool job_indexes_overlap(struct str a, struct str b)
{
	int64_t from_a, to_a, from_b, to_b;
	bool have_a = next_interval(&a, &from_a, &to_a), have_b = next_interval(&b, &from_b, &to_b);

	while (have_a && have_b) {
		if (to_a < from_b)
			have_a = next_interval(&a, &from_a, &to_a);
		else if (to_b < from_a)
			have_b = next_interval(&b, &from_b, &to_b);
		else
			return true;
	}
	return false;
}

static void validate_success_rule(struct kind_ctx *c, const struct spath *at,
				  const struct json *rule, int64_t completions)
{
	const struct json *listed = json_get(rule, STR("succeededIndexes")),
			  *count = json_get(rule, STR("succeededCount"));
	int64_t most = completions;

	if (!listed && !count)
		rule_required(c, at, NULL,
			      "at least one of succeededCount or succeededIndexes must be "
			      "specified");
	if (listed) {
		most = job_count_indexes(json_str(listed), completions);
		if (most < 0)
			rule_invalid(c, at, "succeededIndexes", listed,
				     "error parsing succeededIndexes: it lists indexes below "
				     "completions in order, as in \"1,3-5,7\"");
	}
	rule_non_negative(c, at, rule, "succeededCount");
	if (count && most >= 0 && json_int(count, 0) > most)
		rule_invalid(c, at, "succeededCount", count,
			     arena_printf(c->a,
					  "must be less than or equal to %lld (the number of %s)",
					  (long long)most,
					  listed ? "indexes in the specified succeededIndexes field"
						 : "specified completions"));
}

static void validate_success_policy(struct kind_ctx *c, const struct spath *at,
				    const struct json *spec)
{
	const struct json *policy = json_get(spec, STR("successPolicy")),
			  *rules = json_get(policy, STR("rules"));
	struct spath here = SPATH_FIELD(at, "successPolicy"), all = SPATH_FIELD(&here, "rules");

	if (policy && !json_len(rules))
		rule_required(c, &here, "rules",
			      "at least one rules must be specified when the successPolicy is "
			      "specified");
	for (size_t i = 0; i < json_len(rules); i++) {
		struct spath one = SPATH_INDEX(&all, i);

		validate_success_rule(c, &one, json_item(rules, i),
				      json_int(json_get(spec, STR("completions")), 0));
	}
}

void job_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *by = json_get(spec, STR("managedBy"));
	ptrdiff_t slash = str_find(json_str(by), STR("/"));

	validate_indexes(c, at, spec);
	validate_failure_policy(c, at, spec);
	validate_success_policy(c, at, spec);
	if (by && (slash <= 0 || slash + 1 == (ptrdiff_t)json_str(by).n))
		rule_invalid(c, at, "managedBy", by,
			     "must be a domain-prefixed path (such as \"acme.io/foo\")");
}

/* One that says nothing of choosing its selector has the one made for it. */
void job_validate_selector(struct kind_ctx *c, const struct spath *at, const struct json *job)
{
	const struct json *spec = json_get(job, STR("spec"));
	const struct json *selector = json_get(spec, STR("selector"));
	struct str uid = json_str(json_get(json_get(selector, STR("matchLabels")),
					   STR("batch.kubernetes.io/controller-uid")));

	if (json_bool(json_get(spec, STR("manualSelector")), false))
		rule_selector_matches(c, at, spec);
	else if (selector && !str_eq(uid, meta_uid(job)))
		rule_invalid(c, at, "selector", selector, "`selector` not auto-generated");
}
