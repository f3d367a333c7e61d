/*
 * Matching that several plugins need: nodeSelector and node affinity terms, tolerations. Pure.
 */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static bool values_have(const struct json *values, struct str s)
{
	for (size_t i = 0; i < json_len(values); i++)
		if (str_eq(json_str(json_item(values, i)), s))
			return true;
	return false;
}

static bool greater(struct str have, const struct json *values, bool reverse)
{
	int64_t a, b;

	if (json_len(values) != 1 || str_to_i64(have, &a) != 0 ||
	    str_to_i64(json_str(json_item(values, 0)), &b) != 0)
		return false;
	return reverse ? a < b : a > b;
}

/* One NodeSelectorRequirement against the value found (`has` tells absence from emptiness). */
static bool requirement_holds(const struct json *r, struct str have, bool has)
{
	struct str op = json_str(json_at(r, "operator"));
	const struct json *values = json_at(r, "values");

	if (str_is(op, "In"))
		return has && values_have(values, have);
	if (str_is(op, "NotIn"))
		return !has || !values_have(values, have);
	if (str_is(op, "Exists"))
		return has;
	if (str_is(op, "DoesNotExist"))
		return !has;
	if (str_is(op, "Gt") || str_is(op, "Lt"))
		return has && greater(have, values, str_is(op, "Lt"));
	return false;
}

/* An empty term matches nothing (core/v1: "a null or empty node selector term"). */
bool node_term_matches(const struct json *term, const struct sched_node *n)
{
	const struct json *labels = json_at(term, "matchExpressions");
	const struct json *fields = json_at(term, "matchFields");

	if (!json_len(labels) && !json_len(fields))
		return false;
	for (size_t i = 0; i < json_len(labels); i++) {
		const struct json *r = json_item(labels, i);
		struct str have = sched_node_label(n, json_str(json_at(r, "key")));

		if (!requirement_holds(r, have, have.p != NULL))
			return false;
	}
	for (size_t i = 0; i < json_len(fields); i++) {
		const struct json *r = json_item(fields, i);

		if (!str_is(json_str(json_at(r, "key")), "metadata.name") ||
		    !requirement_holds(r, n->name, true))
			return false;
	}
	return true;
}

bool node_matches_selector(const struct sched_pod *pod, const struct sched_node *n)
{
	const struct json *required =
		json_at(pod->node_affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	const struct json *terms = json_at(required, "nodeSelectorTerms");
	const struct json_member *m = json_members(pod->node_selector);

	for (size_t i = 0; i < json_len(pod->node_selector); i++) {
		struct str have = sched_node_label(n, m[i].key);

		if (!have.p || !str_eq(have, json_str(&m[i].value)))
			return false;
	}
	if (!required)
		return true;
	for (size_t i = 0; i < json_len(terms); i++)
		if (node_term_matches(json_item(terms, i), n))
			return true;
	return false;
}

bool pod_tolerates(const struct sched_pod *pod, const struct taint *t)
{
	for (size_t i = 0; i < json_len(pod->tolerations); i++) {
		const struct json *o = json_item(pod->tolerations, i);
		struct str key = json_str(json_at(o, "key")), op = json_str(json_at(o, "operator"));
		struct str effect = json_str(json_at(o, "effect"));

		if (effect.n && !str_eq(effect, t->effect))
			continue;
		if (key.n ? !str_eq(key, t->key) : !str_is(op, "Exists"))
			continue;
		if (str_is(op, "Exists") || str_eq(json_str(json_at(o, "value")), t->value))
			return true;
	}
	return false;
}
