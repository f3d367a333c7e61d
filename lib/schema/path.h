/*
 * Where a walk through a value stands: a chain of steps on the walkers' stacks, made into text only
 * when there is a problem to report. Pure.
 */
#ifndef PLUMB_SCHEMA_PATH_H
#define PLUMB_SCHEMA_PATH_H

#include "lib/schema/schema.h"

struct spath {
	const struct spath *up; /* NULL at the top */
	struct str name;        /* a field or map key; p NULL for an index */
	size_t index;
	const struct schema *in; /* type that the step was taken in; may be NULL */
	bool key;                /* name is a map key: written as [name] */
	const struct json *old;  /* what stood here before, where that is looked at; or NULL */
};

/* A step into a field, an item, a map's entry. `up` must outlive it. */
#define SPATH_FIELD(above, field) ((struct spath){.up = (above), .name = STR(field)})
#define SPATH_INDEX(above, i) ((struct spath){.up = (above), .index = (i)})
#define SPATH_KEY(above, k) ((struct spath){.up = (above), .name = (k), .key = true})

/* "spec.containers[0].image"; map keys as labels[a.b], those of definitions' types as labels.a.b
 * unless the step says `key`: so Kubernetes' OpenAPI validator names them. In the arena. */
struct str spath_text(struct arena *a, const struct spath *p);
/* Without indexes and map keys, as Go's decoder names fields: "spec.containers.image". */
struct str spath_go(struct arena *a, const struct spath *p);

#endif
