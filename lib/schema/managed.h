/* metadata.managedFields as a list that can be worked on. Pure; everything lives in the arena. */
#ifndef PLUMB_MANAGED_H
#define PLUMB_MANAGED_H

#include "lib/schema/apply.h"

struct managed {
	struct str manager, api_version, subresource, stamp;
	bool apply;
	struct json *fields; /* FieldsV1; NULL = none */
};
struct managed_list {
	struct managed *v;
	size_t n, cap;
};

/* Of an object (or NULL); entries that make no sense are left out. */
struct managed_list managed_read(struct arena *a, const struct json *object);
/* The entry of that manager and operation, made when missing. The list may move: earlier pointers
 * into it are void. */
struct managed *managed_entry(struct arena *a, struct managed_list *all, const struct apply_opts *o,
			      bool apply);
/* Into the object: applies first, then updates by time, as Kubernetes orders them; empty entries
 * are dropped. */
void managed_write(struct arena *a, struct json *object, const struct managed_list *all);
/* Without what nobody owns: type, name, and what the system sets. NULL stays NULL. */
struct json *managed_strip(struct arena *a, const struct json *set);
struct str managed_time(struct arena *a, int64_t now_ns);

#endif
