/*
 * Names of CustomResourceDefinitions: what another definition of the group has been granted, nobody
 * else gets. It is not refused but told of in the status, as Kubernetes does it, and settled when
 * the other one goes. Pure.
 * Specification: k8s.io/apiextensions-apiserver/pkg/controller/status (naming_controller.go).
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

struct check {
	const struct admission_req *r;
	const struct json *names; /* wanted */
	struct str group;
	const char *reason;  /* of the last conflict, which is the one that is told */
	struct str conflict; /* the name that is taken */
};

static struct str text_at(const struct json *o, const char *key)
{
	return json_str(json_get(o, str_c(key)));
}

/* Plural, singular and short names share one space. */
static bool is_resource_name(const struct json *granted, struct str name)
{
	const struct json *list = json_get(granted, STR("shortNames"));

	if (str_eq(text_at(granted, "plural"), name) || str_eq(text_at(granted, "singular"), name))
		return true;
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_item(list, i)), name))
			return true;
	return false;
}

static void found(struct check *c, const char *reason, struct str name)
{
	c->reason = reason;
	c->conflict = arena_str(c->r->a, name);
}

static void compare(struct check *c, const struct json *granted)
{
	const struct json *list = json_get(c->names, STR("shortNames"));
	struct str plural = text_at(c->names, "plural"), singular = text_at(c->names, "singular"),
		   kind = text_at(c->names, "kind"), list_kind = text_at(c->names, "listKind");

	if (plural.n && is_resource_name(granted, plural))
		found(c, "PluralConflict", plural);
	if (singular.n && is_resource_name(granted, singular))
		found(c, "SingularConflict", singular);
	for (size_t i = 0; i < json_len(list); i++)
		if (is_resource_name(granted, json_str(json_item(list, i))))
			found(c, "ShortNamesConflict", json_str(json_item(list, i)));
	if (kind.n &&
	    (str_eq(text_at(granted, "kind"), kind) || str_eq(text_at(granted, "listKind"), kind)))
		found(c, "KindConflict", kind);
	if (list_kind.n && (str_eq(text_at(granted, "kind"), list_kind) ||
			    str_eq(text_at(granted, "listKind"), list_kind)))
		found(c, "ListKindConflict", list_kind);
}

static void look_at(void *arg, const struct json *o)
{
	struct check *c = arg;

	if (!str_eq(meta_name(o), meta_name(c->r->object)) &&
	    str_eq(json_str(json_at(o, "spec", "group")), c->group))
		compare(c, json_at(o, "status", "acceptedNames"));
}

static int admit(struct admission_req *r, struct err *err)
{
	struct check c = {.r = r,
			  .names = json_at(r->object, "spec", "names"),
			  .group = json_str(json_at(r->object, "spec", "group"))};

	(void)err;
	if (strcmp(r->kind->plural, "customresourcedefinitions") || r->subresource || !r->object)
		return 0;
	r->reader->each(r->reader->ctx,
			&(struct admission_scan){"apiextensions.k8s.io",
						 "customresourcedefinitions", STR_NONE, STR_NONE},
			r->a, look_at, &c);
	/* The status may be shared with the live object. */
	json_set(r->a, r->object, STR("status"),
		 json_copy(r->a, json_set_object(r->a, r->object, "status")));
	if (c.reason)
		condition_set(r->a, r->object, "NamesAccepted", "False", c.reason,
			      arena_strf(r->a, "\"%.*s\" is already in use", STR_ARG(c.conflict)),
			      r->now_ns);
	else
		condition_set(r->a, r->object, "NamesAccepted", "True", "NoConflicts",
			      STR("no conflicts found"), r->now_ns);
	return 0;
}

const struct admission admission_crd_names = {.name = "CRDNames", .order = 560, .admit = admit};
