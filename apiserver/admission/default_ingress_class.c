/* An Ingress that names no class gets the default one. Pure; memory is the request's. */
#include "apiserver/admission/newest.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static int admit(struct admission_req *r, struct err *err UNUSED)
{
	static const char *const marks[] = {"ingressclass.kubernetes.io/is-default-class", NULL};
	const struct json *class;

	if (r->op != ADMIT_CREATE || r->subresource ||
	    !admission_is(r, "networking.k8s.io", "ingresses"))
		return 0;
	if (json_is(json_at(r->object, "spec", "ingressClassName"), JSON_STRING) ||
	    meta_annotation(r->object, "kubernetes.io/ingress.class").p)
		return 0;
	class = newest_default(r, "networking.k8s.io", "ingressclasses", marks);
	if (class)
		json_set_str(r->a, json_set_object(r->a, r->object, "spec"), "ingressClassName",
			     meta_name(class));
	return 0;
}

const struct admission admission_default_ingress_class = {
	.name = "DefaultIngressClass", .order = 95, .admit = admit};
