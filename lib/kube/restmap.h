/*
 * From apiVersion and kind to resource, read from the server's aggregated discovery
 * (APIGroupDiscoveryList v2, GET /apis and /api) and refreshed when a kind is unknown.
 */
#ifndef PLUMB_RESTMAP_H
#define PLUMB_RESTMAP_H

#include "lib/kube/client.h"

struct restmap;
struct restmap *restmap_new(struct client *c);
void restmap_free(struct restmap *m);
/* Reads discovery again; done(arg, err) with err->code ERR_NONE when fresh. One refresh runs at a
 * time, callers share it. */
void restmap_refresh(struct restmap *m, void (*done)(void *arg, const struct err *err), void *arg);
/* No done() for this arg any more. */
void restmap_cancel(struct restmap *m, const void *arg);
/* NULL when unknown. Valid for the map's life. */
const struct resource *restmap_find(struct restmap *m, struct str api_version, struct str kind);
/* Of whatever version, served ones first: for references that outlive the versions they name. */
const struct resource *restmap_find_group(const struct restmap *m, struct str group,
					  struct str kind);
/* Whether r was in the last discovery that was read to its end: its definition may be gone, or
 * another with the same kind have come in its place. */
bool restmap_served(const struct restmap *m, const struct resource *r);
bool restmap_ready(const struct restmap *m); /* read at least once */
/* for (size_t i = 0; (r = restmap_at(m, i)); i++) */
const struct resource *restmap_at(const struct restmap *m, size_t i);

#endif
