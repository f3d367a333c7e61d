/* The rights that all roles and bindings give, for steps that ask about them now and then. */
#ifndef PLUMB_ADMISSION_RIGHTS_OF_ALL_H
#define PLUMB_ADMISSION_RIGHTS_OF_ALL_H

#include "apiserver/admission/admission.h"
#include "apiserver/authz.h"

/* Read anew from every role and binding: fine for what is written a few times a day. authz_free().
 */
struct authz *rights_of_all(struct admission_req *r);

#endif
