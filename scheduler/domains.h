/*
 * Counts by text in an arena: how many pods are in each topology domain. Pure.
 */
#ifndef PLUMB_SCHEDULER_DOMAINS_H
#define PLUMB_SCHEDULER_DOMAINS_H

#include "lib/base/arena.h"

struct domain {
	struct str name; /* borrowed */
	int64_t n;
};
struct domains {
	struct arena *a;
	struct domain *slots; /* open addressing; name.p NULL = free */
	size_t cap, n;
};
/* The count of `name`, made as 0 when it is new. Valid until the next new one. */
int64_t *domains_at(struct domains *d, struct str name);
int64_t domains_get(const struct domains *d, struct str name); /* 0 when absent */
int64_t domains_min(const struct domains *d);                  /* 0 when empty */

#endif
