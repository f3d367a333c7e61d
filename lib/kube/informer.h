/*
 * A cache of one resource, kept true by list and watch: resumes after a cut, lists again on 410,
 * with back-off. Objects stay bytes; indexes map text to sets of objects. On one loop.
 */
#ifndef PLUMB_INFORMER_H
#define PLUMB_INFORMER_H

#include "lib/kube/client.h"

struct informer;

struct informer_opts {
	const struct resource *resource;
	struct str namespace; /* STR_NONE = all */
	const char *label_selector, *field_selector;
	bool metadata_only; /* objects are PartialObjectMetadata where the server can */
};

/* old NULL = added, new NULL = deleted. Called after the cache changed. Resyncs after a relist look
 * like ordinary changes. */
typedef void informer_fn(void *arg, const struct obj *old, const struct obj *new);

/* Calls put(ctx, value) for each index value of o (e.g. its owner's uid). Parses into `a` at will.
 */
typedef void index_fn(const struct obj *o, struct arena *a,
		      void (*put)(void *ctx, struct str value), void *ctx);

struct informer *informer_new(struct client *c, const struct informer_opts *o);
void informer_free(struct informer *i);
/* Before informer_start. The order of registration is the order of calls. */
void informer_on_change(struct informer *i, informer_fn *fn, void *arg);
/* Called after the cache's revision moved: a list was completed, an event or bookmark came. */
void informer_on_progress(struct informer *i, void (*fn)(void *arg), void *arg);
void informer_add_index(struct informer *i, const char *name, index_fn *fn);
void informer_start(struct informer *i);

bool informer_synced(const struct informer *i);       /* the first list is complete */
uint64_t informer_revision(const struct informer *i); /* up to where the cache is true */
size_t informer_count(const struct informer *i);
const struct resource *informer_resource(const struct informer *i);
/* Borrowed until the loop's next turn; NULL when absent. */
const struct obj *informer_get(const struct informer *i, struct str namespace, struct str name);

/* Borrowed arrays, valid until the loop's next turn, in order of key. */
struct obj_set {
	const struct obj *const *v;
	size_t n;
};
struct obj_set informer_list(struct informer *i, struct arena *a); /* all */
struct obj_set informer_list_ns(struct informer *i, struct str namespace, struct arena *a);
struct obj_set informer_by_index(struct informer *i, const char *index, struct str value,
				 struct arena *a);

#endif
