/*
 * ResourceQuota: what is made or grows must have room in its namespace's quotas. The books are the
 * core's (apiserver/quota.c), because they change with every write; this step asks them, last of
 * all, about what will be stored. Pure.
 */
#include "apiserver/admission/admission.h"

#include "lib/base/pure.h"

static int admit(struct admission_req *r, struct err *err)
{
	if (!r->object || !(r->kind->flags & KIND_NAMESPACED) || !r->reader->quota ||
	    (r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE))
		return 0;
	if (r->problems && r->problems->n)
		return 0; /* it is refused for what it says, which is the better answer */
	return r->reader->quota(r->reader->ctx, r, err);
}

const struct admission admission_resource_quota = {
	.name = "ResourceQuota", .order = ADMISSION_LAST + 900, .admit = admit};
