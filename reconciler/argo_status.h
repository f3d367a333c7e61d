/*
 * An Application's status while it is put together (argo_status.c): its resources, one by one, are
 * argo_resources.c's.
 */
#ifndef PLUMB_RECONCILER_ARGO_STATUS_H
#define PLUMB_RECONCILER_ARGO_STATUS_H

#include "reconciler/argo.h"

struct telling {
	struct unit *u;
	struct argo *g;
	struct arena *a;
	const struct json *t; /* the translation */
	struct json *resources, *images;
	int worst; /* index into argo_healths */
	struct str why;
	size_t out;
};

/* Worst last, as Argo CD ranks them. */
extern const char *const argo_healths[];

/* Fills resources, images, worst, why and out from what the unit knows of its objects. */
void argo_add_resources(struct telling *w);

#endif
