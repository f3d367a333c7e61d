/* Resolves a pod's priority class to its number, once. Pure. */
#include "apiserver/admission/admission.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

struct found {
	const struct json *global;
};

static void look(void *arg, const struct json *o)
{
	struct found *f = arg;

	if (json_bool(json_get(o, STR("globalDefault")), false) &&
	    (!f->global || json_int(json_get(o, STR("value")), 0) <
				   json_int(json_get(f->global, STR("value")), 0)))
		f->global = o;
}

/* Asked for every pod. */
static void look_for_default(struct admission_req *r, struct found *f)
{
	const struct admission_scan defaults = {"scheduling.k8s.io", "priorityclasses", STR_NONE,
						STR("\"globalDefault\":true")};

	r->reader->each(r->reader->ctx, &defaults, r->a, look, f);
}

static bool built_in(struct str name, int64_t *ret)
{
	if (str_is(name, "system-cluster-critical"))
		*ret = 2000000000;
	else if (str_is(name, "system-node-critical"))
		*ret = 2000001000;
	else
		return false;
	return true;
}

/* There is one class for those that name none. */
static int check_class(struct admission_req *r, struct err *err)
{
	struct found f = {0};

	if (r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE)
		return 0;
	if (!json_bool(json_get(r->object, STR("globalDefault")), false))
		return 0;
	look_for_default(r, &f);
	if (!f.global || str_eq(meta_name(f.global), r->name))
		return 0;
	return admission_forbid(r, err,
				arena_strf(r->a,
					   "PriorityClass %.*s is already marked as default. Only "
					   "one default can exist",
					   STR_ARG(meta_name(f.global))));
}

/* What the class says goes; who says another thing is refused. */
static int agree(struct admission_req *r, struct json *spec, const struct json *class,
		 int64_t value, struct err *err)
{
	const struct json *number = json_get(spec, STR("priority"));
	struct str policy, said;

	if (json_is(number, JSON_INT) && number->i != value)
		return admission_forbid(
			r, err,
			arena_strf(r->a,
				   "the integer value of priority (%lld) must not be provided in "
				   "pod spec; priority admission controller computed %lld from the "
				   "given PriorityClass name",
				   (long long)number->i, (long long)value));
	json_set_int(r->a, spec, "priority", value);
	policy = json_str_or(json_get(class, STR("preemptionPolicy")), STR("PreemptLowerPriority"));
	said = json_str(json_get(spec, STR("preemptionPolicy")));
	if (said.n && !str_eq(said, policy))
		return admission_forbid(
			r, err,
			arena_strf(r->a,
				   "the string value of PreemptionPolicy (%.*s) must not be "
				   "provided in pod spec; priority admission controller computed "
				   "%.*s from the given PriorityClass name",
				   STR_ARG(said), STR_ARG(policy)));
	json_set_str(r->a, spec, "preemptionPolicy", policy);
	return 0;
}

/* A pod's priority stays what it was made, though a writer leaves it out. */
static int keep(struct admission_req *r)
{
	static const char *const kept[] = {"priority", "preemptionPolicy"};
	struct json *spec = json_set_object(r->a, r->object, "spec");

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const struct json *was = json_at(r->old, "spec", kept[i]);

		if (was && !json_get(spec, str_c(kept[i])))
			json_set(r->a, spec, str_c(kept[i]), was);
	}
	return 0;
}

static int admit(struct admission_req *r, struct err *err)
{
	struct found f = {0};
	const struct json *class = NULL;
	struct json *spec;
	int64_t value = 0;
	struct str name;

	if (admission_is(r, "scheduling.k8s.io", "priorityclasses"))
		return check_class(r, err);
	if ((r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE) || r->subresource ||
	    !admission_is(r, "", "pods"))
		return 0;
	if (r->op == ADMIT_UPDATE)
		return keep(r);
	spec = json_set_object(r->a, r->object, "spec");
	name = json_str(json_get(spec, STR("priorityClassName")));
	if (!name.n)
		look_for_default(r, &f);
	else if (!built_in(name, &value))
		class = r->reader->get(r->reader->ctx, "scheduling.k8s.io", "priorityclasses",
				       STR_NONE, name, r->a);
	if (name.n && !class && !value)
		return err_set(
			err, ERR_FORBIDDEN,
			"pods \"%.*s\" is forbidden: no PriorityClass with name %.*s was found",
			(int)MIN(r->name.n, 253), r->name.p ? r->name.p : "", (int)MIN(name.n, 253),
			name.p);
	if (f.global) {
		class = f.global;
		json_set_str(r->a, spec, "priorityClassName", meta_name(class));
	}
	if (class)
		value = json_int(json_get(class, STR("value")), 0);
	return agree(r, spec, class, value, err);
}

const struct admission admission_priority = {.name = "Priority", .order = 50, .admit = admit};
