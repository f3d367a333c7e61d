/*
 * Amounts of named resources, exact: what pods ask for, what quotas have left. Lists are short, so
 * they are searched from the front. Pure; memory is the caller's arena.
 */
#ifndef PLUMB_ADMISSION_AMOUNTS_H
#define PLUMB_ADMISSION_AMOUNTS_H

#include "lib/base/quantity.h"
#include "lib/json/json.h"

struct amount {
	struct str name;
	struct quantity q;
};
struct amounts {
	struct amount *v;
	size_t n, cap;
};

/* A quantity of JSON: text, or a whole number. False when it is neither. */
bool amount_read(const struct json *v, struct quantity *ret);
struct amount *amounts_find(const struct amounts *l, struct str name); /* NULL when absent */
void amounts_add(struct arena *a, struct amounts *l, struct str name, struct quantity q);
void amounts_max(struct arena *a, struct amounts *l, struct str name, struct quantity q);
void amounts_count(struct arena *a, struct amounts *l, struct str name, int64_t n);
/* A map of quantities. What can't be read is left out. */
void amounts_add_map(struct arena *a, struct amounts *l, const struct json *map);
/* What a pod's spec asks for altogether; which: "requests" or "limits". Containers that run side by
 * side add up, one for the start counts where it is more. */
void amounts_of_pod(struct arena *a, const struct json *spec, const char *which,
		    struct amounts *ret);

#endif
