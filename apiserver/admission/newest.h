/* Which of the classes that call themselves the default is it: the newest, and by name among those.
 */
#ifndef PLUMB_ADMISSION_NEWEST_H
#define PLUMB_ADMISSION_NEWEST_H

#include "apiserver/admission/admission.h"

/* marks: annotations, any of which at "true" makes a default; ended by NULL. NULL when there is
 * none. */
const struct json *newest_default(struct admission_req *r, const char *group, const char *plural,
				  const char *const *marks);

#endif
