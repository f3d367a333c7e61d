/* Node selectors, affinity terms and tolerations against a node's facts. Pure. */
#include "lib/kube/nodematch.h"

#include "lib/base/pure.h"

static struct str label_of(const void *node, struct str key)
{
	const struct json *v = json_get(json_at(node, "metadata", "labels"), key);

	return v ? json_str_or(v, STR("")) : STR_NONE;
}

struct node_facts node_facts_of(const struct json *node)
{
	return (struct node_facts){json_str(json_at(node, "metadata", "name")), label_of, node};
}

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

bool nodematch_term(const struct json *term, const struct node_facts *n)
{
	const struct json *labels = json_at(term, "matchExpressions");
	const struct json *fields = json_at(term, "matchFields");

	if (!json_len(labels) && !json_len(fields))
		return false;
	for (size_t i = 0; i < json_len(labels); i++) {
		const struct json *r = json_item(labels, i);
		struct str have = n->label(n->ctx, json_str(json_at(r, "key")));

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

bool nodematch_pod(const struct json *node_selector, const struct json *node_affinity,
		   const struct node_facts *n)
{
	const struct json *required =
		json_at(node_affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	const struct json *terms = json_at(required, "nodeSelectorTerms");
	const struct json_member *m = json_members(node_selector);

	for (size_t i = 0; i < json_len(node_selector); i++) {
		struct str have = n->label(n->ctx, m[i].key);

		if (!have.p || !str_eq(have, json_str(&m[i].value)))
			return false;
	}
	if (!required)
		return true;
	for (size_t i = 0; i < json_len(terms); i++)
		if (nodematch_term(json_item(terms, i), n))
			return true;
	return false;
}

bool tolerations_cover(const struct json *tolerations, const struct taint_facts *t)
{
	for (size_t i = 0; i < json_len(tolerations); i++) {
		const struct json *o = json_item(tolerations, i);
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
