/* Garbage collection's state, shared by gc_run.c (kinds and queue) and gc_job_run.c (one object).
 */
#ifndef PLUMB_GC_INTERNAL_H
#define PLUMB_GC_INTERNAL_H

#include "controllers/gc.h"
#include "controllers/gc_core.h"
#include "lib/base/list.h"
#include "lib/kube/workqueue.h"

#define INDEX_OWNERS "owner-uids" /* every owner's uid, controlling or not */

struct gc;
struct monitor {
	struct gc *gc;
	size_t at; /* in gc.monitors */
	const struct resource *resource;
	struct informer *informer;
	bool shared; /* the manager's */
	bool gone;   /* no longer served: a definition that was deleted */
	bool missed; /* not waited for any longer, and said so */
	int64_t since_ns;
};

struct gc {
	struct client *client;
	struct manager *manager;
	struct restmap *map;
	struct monitor **monitors;
	size_t n;
	struct workqueue *queue;
	struct list jobs;
	size_t running;
	struct loop_timer refresh; /* discovery is read again when it rings */
	struct loop_timer work;
	bool started, refreshing, going;
	int64_t refreshed_ns;
};

struct monitor *gc_monitor_of(struct gc *g, const struct resource *r);
/* Every kind is known; but one whose list fails is waited for half a minute only: a definition
 * whose conversion webhook is gone must not hold up what is deleted elsewhere. */
bool gc_synced(struct gc *g);
void gc_enqueue(struct monitor *m, struct str namespace, struct str name);
/* Reads discovery again soon: a kind turned up that isn't known. */
void gc_want_refresh(struct gc *g);
void gc_go(struct gc *g);

/* A dependent and where it was found. */
struct dependent {
	struct monitor *monitor;
	const struct json *tree;
};
struct dependents {
	struct dependent *v;
	size_t n;
};
struct dependents gc_dependents(struct gc *g, struct str uid, struct arena *a);

/* Handles a key that was taken from the queue; ends with workqueue_done. */
void gc_job_run(struct gc *g, struct str key);
struct gc_job;
void gc_jobs_free(struct gc *g);

#endif
