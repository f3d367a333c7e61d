/*
 * Claims and volumes: a claim that names no class gets the default one, what is in use is protected
 * by a finalizer that a controller takes away, and only claims whose class allows it may grow.
 * Pure; memory is the request's. Specification: plugin/pkg/admission/storage.
 */
#include "apiserver/admission/admission.h"
#include "apiserver/admission/amounts.h"
#include "apiserver/admission/newest.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define STORAGE "storage.k8s.io"

/* ---- protection ---- */

static int protect(struct admission_req *r, struct err *err UNUSED)
{
	const char *finalizer = "kubernetes.io/pvc-protection";
	struct json *list;

	if (r->op != ADMIT_CREATE || r->subresource)
		return 0;
	if (admission_is(r, "", "persistentvolumes"))
		finalizer = "kubernetes.io/pv-protection";
	else if (!admission_is(r, "", "persistentvolumeclaims"))
		return 0;
	list = json_set_array(r->a, json_set_object(r->a, r->object, "metadata"), "finalizers");
	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), finalizer))
			return 0;
	json_append_str(r->a, list, str_c(finalizer));
	return 0;
}

const struct admission admission_storage_object_in_use_protection = {
	.name = "StorageObjectInUseProtection", .order = 85, .admit = protect};

/* ---- the default class ---- */

static int default_class(struct admission_req *r, struct err *err UNUSED)
{
	static const char *const marks[] = {"storageclass.kubernetes.io/is-default-class",
					    "storageclass.beta.kubernetes.io/is-default-class",
					    NULL};
	const struct json *class;

	if (r->op != ADMIT_CREATE || r->subresource ||
	    !admission_is(r, "", "persistentvolumeclaims"))
		return 0;
	if (json_is(json_at(r->object, "spec", "storageClassName"), JSON_STRING) ||
	    meta_annotation(r->object, "volume.beta.kubernetes.io/storage-class").p)
		return 0; /* "" says: none */
	class = newest_default(r, STORAGE, "storageclasses", marks);
	if (class)
		json_set_str(r->a, json_set_object(r->a, r->object, "spec"), "storageClassName",
			     meta_name(class));
	return 0;
}

const struct admission admission_default_storage_class = {
	.name = "DefaultStorageClass", .order = 80, .admit = default_class};

/* ---- growing ---- */

static bool size_of(const struct json *claim, struct quantity *ret)
{
	return amount_read(json_at(claim, "spec", "resources", "requests", "storage"), ret);
}

static bool may_grow(struct admission_req *r)
{
	struct str name = json_str(json_at(r->object, "spec", "storageClassName"));
	const struct json *class;

	if (!name.n)
		name = meta_annotation(r->object, "volume.beta.kubernetes.io/storage-class");
	if (!name.n)
		return false;
	class = r->reader->get(r->reader->ctx, STORAGE, "storageclasses", STR_NONE, name, r->a);
	return json_bool(json_get(class, STR("allowVolumeExpansion")), false);
}

static int resize(struct admission_req *r, struct err *err)
{
	struct quantity now, was;

	if (r->op != ADMIT_UPDATE || r->subresource ||
	    !admission_is(r, "", "persistentvolumeclaims"))
		return 0;
	if (!size_of(r->object, &now) || !size_of(r->old, &was) || quantity_cmp(now, was) <= 0)
		return 0;
	if (!str_is(json_str(json_at(r->old, "status", "phase")), "Bound"))
		return admission_forbid(r, err,
					STR("Only bound persistent volume claims can be expanded"));
	if (may_grow(r))
		return 0;
	return admission_forbid(r, err,
				STR("only dynamically provisioned pvc can be resized and the "
				    "storageclass that provisions the pvc must support resize"));
}

const struct admission admission_persistent_volume_claim_resize = {
	.name = "PersistentVolumeClaimResize", .order = 710, .admit = resize};
