/* Resolves a pod's priority class to its number. Pure. */
#include <string.h>

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

static int admit(struct admission_req *r, struct err *err)
{
	struct found f = {0};
	const struct json *class = NULL;
	struct json *spec;
	int64_t value = 0;
	struct str name;

	if (r->op != ADMIT_CREATE || r->subresource || r->kind->group[0] ||
	    strcmp(r->kind->plural, "pods"))
		return 0;
	spec = json_set_object(r->a, r->object, "spec");
	name = json_str(json_get(spec, STR("priorityClassName")));
	if (!name.n)
		r->reader->each(r->reader->ctx, "scheduling.k8s.io", "priorityclasses", STR_NONE,
				r->a, look, &f);
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
	json_set_int(r->a, spec, "priority", value);
	if (!json_get(spec, STR("preemptionPolicy")))
		json_set_str(r->a, spec, "preemptionPolicy",
			     json_str_or(json_get(class, STR("preemptionPolicy")),
					 STR("PreemptLowerPriority")));
	return 0;
}

const struct admission admission_priority = {.name = "Priority", .order = 50, .admit = admit};
