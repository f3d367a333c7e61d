/* The rights that all roles and bindings give, for steps that ask about them now and then. */
#ifndef PLUMB_ADMISSION_RIGHTS_OF_ALL_H
#define PLUMB_ADMISSION_RIGHTS_OF_ALL_H

#include "apiserver/admission/admission.h"
#include "apiserver/authz.h"

/* Read anew from every role and binding: fine for what is written a few times a day. authz_free().
 */
struct authz *rights_of_all(struct admission_req *r);
/*
 * What CEL's authorizer asks: group, resource, subresource, namespace, name or path, verb, and
 * `user` where it is a ServiceAccount's name instead of the user's.
 */
bool authorizer_allows(const struct authz *z, const struct admission_user *user,
		       const struct json *attributes);
/* The same for struct cel_env: arg is the admission_req. Reads all rights for each question. */
int authorizer_may(void *arg, const struct json *attributes, struct str *ret_reason);

#endif
