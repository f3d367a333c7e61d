/* Messages on their way to Providers. The alerts' (alert.c). */
#ifndef PLUMB_RECONCILER_ALERT_SEND_H
#define PLUMB_RECONCILER_ALERT_SEND_H

#include "reconciler/alert.h"
#include "reconciler/forge.h"

struct sendings {
	struct reconciler *r;
	struct list v;
	size_t n; /* the caller sets them a limit */
};
void sendings_init(struct sendings *all, struct reconciler *r);
void sendings_release(struct sendings *all);
/* All is copied. provider NULL: there is none, which is said. */
void sendings_begin(struct sendings *all, const struct obj *alert, const struct obj *provider,
		    const struct alert_about *about, const struct alert_event *e);
/* The commit status that says the same; its sha is empty where there is no commit. In `a`. */
struct forge_ask alert_status_ask(struct arena *a, const char *cluster,
				  const struct alert_about *about, const struct alert_event *e);

#endif
