/*
 * What of a pod may change once it is there. Must never let a writer of a sub-resource reach beyond
 * it: whoever may add an ephemeral container may not change what the others run. Pure.
 * Specification: k8s.io/kubernetes/pkg/apis/core/validation, pkg/registry/core/pod.
 */
#include <string.h>

#include "apiserver/kinds/rules.h"
#include "lib/base/pure.h"

static bool through(const struct kind_ctx *c, const char *subresource)
{
	return c->subresource && !strcmp(c->subresource, subresource);
}

/* ---- ephemeral containers ---- */

static void keep_all_but_ephemeral(struct kind_ctx *c, struct json *next, const struct json *live)
{
	static const char *const meta[] = {"labels", "annotations", "finalizers",
					   "ownerReferences"};
	const struct json *added = json_at(next, "spec", "ephemeralContainers");
	struct json *spec = json_copy(c->a, json_get(live, STR("spec")));

	if (added)
		json_set(c->a, spec, STR("ephemeralContainers"), added);
	else
		json_del(spec, STR("ephemeralContainers"));
	json_set(c->a, next, STR("spec"), spec);
	for (size_t i = 0; i < ARRAY_LEN(meta); i++)
		rule_keep_meta(c, next, live, meta[i]);
}

static const struct json *named(const struct json *list, struct str name)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_get(json_item(list, i), STR("name"))), name))
			return json_item(list, i);
	return NULL;
}

/* Containers come, and stay what they are. */
static void validate_ephemeral(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *old = json_at(live, "spec", "ephemeralContainers"),
			  *new = json_at(next, "spec", "ephemeralContainers");

	for (size_t i = 0; i < json_len(old); i++) {
		const struct json *was = json_item(old, i);
		struct str name = json_str(json_get(was, STR("name")));
		const struct json *is = named(new, name);

		if (!is || !json_equal(was, is))
			rule_forbidden(c, &at, "ephemeralContainers",
				       arena_printf(c->a,
						    "existing ephemeral containers \"%.*s\" may "
						    "not be %s",
						    STR_ARG(name), is ? "changed" : "removed"));
	}
	if (!c->problems.n)
		containers_validate(c, &at, json_get(next, STR("spec")));
}

/* ---- the pod itself ---- */

static void set_or_del(struct kind_ctx *c, struct json *o, const char *field,
		       const struct json *from)
{
	const struct json *v = json_get(from, str_c(field));

	if (v)
		json_set(c->a, o, str_c(field), v);
	else
		json_del(o, str_c(field));
}

/* The live spec with what the new one may say otherwise. */
static struct json *with_allowed(struct kind_ctx *c, const struct json *next,
				 const struct json *live)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const fields[] = {"activeDeadlineSeconds", "tolerations",
					     "schedulingGates"};
	struct json *copy = json_copy(c->a, json_get(live, STR("spec")));
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *grace = json_get(spec, STR("terminationGracePeriodSeconds"));

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct json *old = json_get(copy, str_c(lists[l]));
		const struct json *new = json_get(spec, str_c(lists[l]));

		for (size_t i = 0; i < json_len(old) && i < json_len(new); i++)
			set_or_del(c, json_item(old, i), "image", json_item(new, i));
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		set_or_del(c, copy, fields[i], spec);
	if (json_int(grace, 0) == 1 &&
	    json_int(json_get(copy, STR("terminationGracePeriodSeconds")), 0) < 0)
		json_set(c->a, copy, STR("terminationGracePeriodSeconds"), grace);
	if (json_len(json_at(live, "spec", "schedulingGates")))
		podspec_allow_narrower(c, copy, spec);
	return copy;
}

/* Their number never changes. */
static bool same_containers(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			    const struct json *was)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const why[] = {"pod updates may not add or remove containers",
					  "pod updates may not add or remove init containers"};

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		if (json_len(json_get(spec, str_c(lists[l]))) ==
		    json_len(json_get(was, str_c(lists[l]))))
			continue;
		rule_forbidden(c, at, lists[l], why[l]);
		return false;
	}
	return true;
}

/* It may come and get shorter. */
static void validate_deadline(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			      const struct json *was)
{
	const struct json *old = json_get(was, STR("activeDeadlineSeconds")),
			  *new = json_get(spec, STR("activeDeadlineSeconds"));

	rule_range(c, at, spec, "activeDeadlineSeconds", 0, INT32_MAX);
	if (old && !new)
		rule_invalid(c, at, "activeDeadlineSeconds", NULL,
			     "must not update from a positive integer to nil value");
	else if (old && json_int(new, 0) > json_int(old, 0))
		rule_invalid(c, at, "activeDeadlineSeconds", new,
			     "must be less than or equal to previous value");
}

/* Whether the list has an item that is `wanted`, but for its tolerationSeconds. */
static bool tolerates(struct kind_ctx *c, const struct json *list, const struct json *wanted)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct json *one = json_copy(c->a, json_item(list, i));
		const struct json *seconds = json_get(wanted, STR("tolerationSeconds"));

		if (seconds)
			json_set(c->a, one, STR("tolerationSeconds"), seconds);
		else
			json_del(one, STR("tolerationSeconds"));
		if (json_equal(one, wanted))
			return true;
	}
	return false;
}

static void validate_lists(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			   const struct json *was)
{
	const struct json *old = json_get(was, STR("tolerations")),
			  *new = json_get(spec, STR("tolerations")),
			  *gates = json_get(spec, STR("schedulingGates"));

	for (size_t i = 0; i < json_len(old); i++)
		if (!tolerates(c, new, json_item(old, i)))
			rule_forbidden(c, at, "tolerations",
				       "existing toleration can not be modified except its "
				       "tolerationSeconds");
	for (size_t i = 0; i < json_len(gates); i++) {
		struct str name = json_str(json_get(json_item(gates, i), STR("name")));

		if (!named(json_get(was, STR("schedulingGates")), name))
			rule_forbidden(c, at, "schedulingGates",
				       arena_printf(c->a,
						    "only deletion is allowed, but found new "
						    "scheduling gate '%.*s'",
						    (int)MIN(name.n, 253), name.p ? name.p : ""));
	}
}

void pod_update_prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (through(c, "status"))
		rule_keep_meta(c, next, live, "ownerReferences");
	if (through(c, "ephemeralcontainers"))
		keep_all_but_ephemeral(c, next, live);
}

void pod_update_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec")), *was = json_get(live, STR("spec"));

	if (through(c, "ephemeralcontainers"))
		validate_ephemeral(c, next, live);
	if (c->subresource || json_equal(spec, was))
		return;
	podspec_validate(c, &at, spec);
	if (!same_containers(c, &at, spec, was))
		return;
	validate_deadline(c, &at, spec, was);
	validate_lists(c, &at, spec, was);
	if (!json_equal(with_allowed(c, next, live), spec))
		rule_forbidden(
			c, NULL, "spec",
			"pod updates may not change fields other than `spec.containers[*].image`,"
			"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec."
			"tolerations` (only additions to existing tolerations),"
			"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
			"previously negative)");
}
