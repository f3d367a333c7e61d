/*
 * Volumes that are bound to a claim stay until they are not: a deleted one keeps its finalizer as
 * long as it is bound. Volumes that are older than their protection get it. Pure.
 * Specification: pkg/controller/volume/pvprotection.
 */
#include "controllers/common.h"

#include "lib/base/pure.h"

#define FINALIZER "kubernetes.io/pv-protection"

static int reconcile(const struct view *v, struct str namespace UNUSED, struct str name,
		     struct plan *p, struct err *err UNUSED)
{
	const struct json *volume = view_get(v, &res_persistentvolumes, STR_NONE, name);
	bool bound = str_is(json_str(json_at(volume, "status", "phase")), "Bound");

	if (!volume)
		return 0;
	if (!meta_deleting(volume))
		finalizer_set(v, &res_persistentvolumes, volume, FINALIZER, true, p);
	else if (!bound)
		finalizer_set(v, &res_persistentvolumes, volume, FINALIZER, false, p);
	return 0;
}

static const struct controller_watch watches[] = {
	{&res_persistentvolumes, NULL, NULL, NULL},
	{0},
};

const struct controller controller_pvprotection = {
	.name = "pvprotection", .watches = watches, .reconcile = reconcile};
