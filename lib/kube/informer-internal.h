/* The informer's state, shared by its cache (informer.c) and its indexes (informer_index.c). */
#ifndef PLUMB_INFORMER_INTERNAL_H
#define PLUMB_INFORMER_INTERNAL_H

#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"

/* Everything under one index value. Kept while it has members. */
struct bucket {
	struct index *index;
	struct str value; /* behind the bucket */
	struct entry **v;
	size_t n, cap;
};

struct index {
	char *name;
	index_fn *fn;
	struct map buckets;
};

struct entry {
	const struct obj *obj;
	uint64_t round;          /* of the list that last held it */
	struct bucket **buckets; /* that it stands in */
	size_t nbuckets;
};

struct handler {
	informer_fn *fn;
	void *arg;
};

struct informer {
	struct client *client;
	const struct resource *resource;
	char *namespace, *label_selector, *field_selector;
	struct map entries;
	struct index *indexes;
	size_t nindexes;
	struct handler *handlers;
	size_t nhandlers;
	void (*progress)(void *arg);
	void *progress_arg;
	const struct obj **dead;
	size_t ndead, dead_cap;
	struct arena scratch; /* for one event or list */
	struct client_list *list;
	struct client_watch *watch;
	struct loop_timer retry, burial;
	uint64_t revision, round;
	unsigned failures;
	bool metadata_only, started, synced, relist, heard;
};

void informer_index(struct informer *i, struct entry *e);
void informer_unindex(struct informer *i, struct entry *e);
void informer_indexes_release(struct informer *i);
/* Sorts v by namespace and name. */
struct obj_set informer_sorted(const struct obj **v, size_t n);

#endif
