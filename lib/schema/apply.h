/*
 * Server-side apply and field ownership (managedFields, FieldsV1). Pure.
 * Specification: structured-merge-diff v4 and k8s.io/apimachinery/pkg/util/managedfields.
 */
#ifndef PLUMB_APPLY_H
#define PLUMB_APPLY_H

#include "lib/schema/schema.h"

struct apply_opts {
	struct str manager;     /* field manager */
	struct str api_version; /* of the request */
	struct str subresource; /* "" or "status" … */
	int64_t now_ns;         /* time of the entry */
	bool force;
};

struct apply_conflict {
	struct str field;   /* ".spec.replicas" as Kubernetes prints paths */
	struct str manager; /* `"kubectl-edit" using apps/v1 at 2026-…` as Kubernetes prints it */
};
struct apply_conflicts {
	struct apply_conflict *v;
	size_t n;
};

/*
 * Merges the applied configuration into live (NULL when the object is to be created) and returns
 * the new object with metadata.managedFields updated; fields the manager gave up and nobody else
 * owns are removed. On conflicts without force: NULL, ERR_CONFLICT, and *ret_conflicts filled.
 * s NULL = schemaless (deduced) typing.
 */
struct json *apply_merge(struct arena *a, const struct schema *s, const struct json *live,
			 const struct json *config, const struct apply_opts *o,
			 struct apply_conflicts *ret_conflicts, struct err *err);

/* Updates managedFields of `next` (the caller's to change) for a create, update or patch that
 * turned live (or NULL) into next. */
void apply_track_update(struct arena *a, const struct schema *s, const struct json *live,
			struct json *next, const struct apply_opts *o);

/* Calls fn for every leaf path (RFC 6901 pointer into v) that FieldsV1 `fields` owns and v has.
 * List-map keys are resolved to indexes. For drift and reports. */
void apply_owned_paths(const struct schema *s, const struct json *fields, const struct json *v,
		       void (*fn)(void *arg, struct str pointer, const struct json *value),
		       void *arg);
/* The managedFields entry of one manager and operation ("Apply", "Update"), NULL when none. */
const struct json *apply_entry(const struct json *object, struct str manager, struct str operation,
			       struct str subresource);

#endif
