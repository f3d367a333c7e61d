/* The figures that dashboards for Flux read: gotk_* on /metrics. Any loop. */
#ifndef PLUMB_RECONCILER_GOTK_H
#define PLUMB_RECONCILER_GOTK_H

#include "lib/base/str.h"

struct gotk_object {
	const char *kind; /* "Kustomization", "GitRepository" */
	struct str namespace, name;
};
/* status: "True", "False", "Unknown"; "Deleted" when the object is gone. */
void gotk_condition(const struct gotk_object *o, const char *status);
void gotk_suspended(const struct gotk_object *o, bool on);
void gotk_took(const struct gotk_object *o, int64_t ns);

#endif
