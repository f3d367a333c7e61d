/*
 * RuntimeClass: a pod carries the overhead of its class, and goes where the class can run. Must
 * never let a pod say an overhead of its own. Pure; memory is the request's. Specification:
 * plugin/pkg/admission/runtimeclass, pkg/util/tolerations.
 */
#include "apiserver/admission/admission.h"
#include "apiserver/admission/amounts.h"

#include "lib/base/pure.h"

static bool same_amounts(struct arena *a, const struct json *x, const struct json *y)
{
	struct amounts of_x = {0}, of_y = {0};

	amounts_add_map(a, &of_x, x);
	amounts_add_map(a, &of_y, y);
	if (of_x.n != of_y.n)
		return false;
	for (size_t i = 0; i < of_x.n; i++) {
		const struct amount *other = amounts_find(&of_y, of_x.v[i].name);

		if (!other || quantity_cmp(other->q, of_x.v[i].q))
			return false;
	}
	return true;
}

static int overhead(struct admission_req *r, struct json *spec, const struct json *class,
		    struct err *err)
{
	const struct json *has = json_get(spec, STR("overhead")),
			  *of_class = json_get(class, STR("overhead"));
	const struct json *fixed = json_get(of_class, STR("podFixed"));

	if (!json_is(of_class, JSON_OBJECT)) {
		if (!json_len(has))
			return 0;
		return admission_forbid(r, err,
					STR("pod rejected: Pod Overhead set without corresponding "
					    "RuntimeClass defined Overhead"));
	}
	if (has && !same_amounts(r->a, has, fixed))
		return admission_forbid(r, err,
					STR("pod rejected: Pod's Overhead doesn't match "
					    "RuntimeClass's defined Overhead"));
	if (json_len(fixed))
		json_set(r->a, spec, STR("overhead"), fixed);
	return 0;
}

static int select_nodes(struct admission_req *r, struct json *spec, const struct json *wanted,
			struct err *err)
{
	for (size_t i = 0; i < json_len(wanted); i++) {
		struct json *all = json_set_object(r->a, spec, "nodeSelector");
		struct str key = wanted->members[i].key,
			   value = json_str(&wanted->members[i].value);
		const struct json *has = json_get(all, key);

		if (has && !str_eq(json_str(has), value))
			return admission_forbid(
				r, err,
				arena_strf(r->a,
					   "conflict: runtimeClass.scheduling.nodeSelector[%.*s] = "
					   "%.*s; pod.spec.nodeSelector[%.*s] = %.*s",
					   STR_ARG(key), STR_ARG(value), STR_ARG(key),
					   STR_ARG(json_str(has))));
		json_set(r->a, all, key, &wanted->members[i].value);
	}
	return 0;
}

/* Whether whoever has `a` tolerates all that one with `b` does. */
static bool covers(const struct json *a, const struct json *b)
{
	struct str key = json_str(json_get(a, STR("key"))),
		   effect = json_str(json_get(a, STR("effect"))),
		   operator= json_str(json_get(a, STR("operator")));
	const struct json *seconds = json_get(a, STR("tolerationSeconds"));

	if (key.n && !str_eq(key, json_str(json_get(b, STR("key")))))
		return false;
	if (effect.n && !str_eq(effect, json_str(json_get(b, STR("effect")))))
		return false;
	if (seconds && (!json_get(b, STR("tolerationSeconds")) ||
			json_int(seconds, 0) < json_int(json_get(b, STR("tolerationSeconds")), 0)))
		return false;
	if (str_is(operator, "Exists"))
		return true;
	return !str_is(json_str(json_get(b, STR("operator"))), "Exists") &&
	       str_eq(json_str(json_get(a, STR("value"))), json_str(json_get(b, STR("value"))));
}

static void tolerate(struct admission_req *r, struct json *spec, const struct json *wanted)
{
	for (size_t i = 0; i < json_len(wanted); i++) {
		struct json *all = json_set_array(r->a, spec, "tolerations");
		bool have = false;

		for (size_t k = 0; k < json_len(all); k++)
			have |= covers(json_item(all, k), json_item(wanted, i));
		if (!have)
			json_append(r->a, all, json_item(wanted, i));
	}
}

static int admit(struct admission_req *r, struct err *err)
{
	const struct json *class = NULL;
	struct json *spec;
	struct str name;

	if (r->op != ADMIT_CREATE || r->subresource || !admission_is(r, "", "pods"))
		return 0;
	spec = json_set_object(r->a, r->object, "spec");
	name = json_str(json_get(spec, STR("runtimeClassName")));
	if (name.n)
		class = r->reader->get(r->reader->ctx, "node.k8s.io", "runtimeclasses", STR_NONE,
				       name, r->a);
	if (name.n && !class)
		return admission_forbid(r, err,
					arena_strf(r->a,
						   "pod rejected: RuntimeClass \"%.*s\" not found",
						   (int)MIN(name.n, 253), name.p));
	if (overhead(r, spec, class, err) ||
	    select_nodes(r, spec, json_at(class, "scheduling", "nodeSelector"), err))
		return -1;
	tolerate(r, spec, json_at(class, "scheduling", "tolerations"));
	return 0;
}

const struct admission admission_runtime_class = {
	.name = "RuntimeClass", .order = 90, .admit = admit};
