/*
 * The controller loop. A controller is data: which kind it is about, what else it watches and how
 * that maps to keys, and a pure reconcile function from a view to a plan. The runtime owns
 * caches, queue, retries, and applies plans with resourceVersion preconditions.
 *
 * Read-your-writes: after a plan is applied, the key is held back until the caches have seen the
 * revisions of its own writes. So reconcile functions need no expectations, and use deterministic
 * names for children.
 */
#ifndef PLUMB_CONTROLLER_H
#define PLUMB_CONTROLLER_H

#include "lib/base/codec.h"
#include "lib/kube/informer.h"
#include "lib/kube/selector.h"

/* ---- what a reconcile function sees ---- */
struct view {
	struct arena *arena; /* for everything temporary, and for the plan */
	int64_t now_ns;      /* wall clock */
	struct rng *rng;     /* seeded */
	const struct view_ops *ops;
	void *ctx;
	const void *config;       /* the role's options for this controller, or NULL */
	const struct err *failed; /* what ended this key's previous plan; NULL = it went through */
	/* How many objects mapped to this key have left the caches while this process looked: with
	 * those that are there, how many there ever were. 0 unless the controller counts_gone. */
	uint32_t gone;
};
/* Implemented by the runtime over informers, and by tests over plain lists. Trees are in
 * view->arena. */
struct view_ops {
	const struct json *(*get)(const struct view *v, const struct resource *r,
				  struct str namespace, struct str name);
	struct json_set_view (*list)(const struct view *v, const struct resource *r,
				     struct str namespace, const char *index, struct str value);
};
struct json_set_view {
	const struct json *const *v;
	size_t n;
};
/* NULL when absent. */
const struct json *view_get(const struct view *v, const struct resource *r, struct str namespace,
			    struct str name);
/* namespace STR_NONE = all. */
struct json_set_view view_list(const struct view *v, const struct resource *r,
			       struct str namespace);
struct json_set_view view_by_index(const struct view *v, const struct resource *r,
				   const char *index, struct str value);

/* ---- what it answers ---- */
enum plan_op_type {
	PLAN_CREATE,
	PLAN_UPDATE,
	PLAN_UPDATE_STATUS,
	PLAN_PATCH,
	PLAN_APPLY,
	PLAN_DELETE,
	PLAN_TOKEN,
	PLAN_EVENT
};
struct plan_op {
	enum plan_op_type type;
	const struct resource *resource;
	struct str namespace, name;
	const char *subresource;  /* PLAN_PATCH: NULL or "status", "scale", "binding" */
	const struct json *body;  /* object, merge patch, or event */
	struct str uid, revision; /* preconditions, STR_NONE = none */
	const char *propagation;  /* PLAN_DELETE: "Background", "Foreground", "Orphan" or NULL */
	int64_t grace_s;          /* PLAN_DELETE: -1 = the object's own */
	struct str account;       /* PLAN_TOKEN: whose */
	bool ignore_not_found, ignore_exists;
	struct plan_op *next;
};
struct plan {
	struct arena *a;
	struct plan_op *first, *last;
	size_t n;
	int64_t requeue_ns; /* look again after that long; 0 = no */
};
void plan_create(struct plan *p, const struct resource *r, const struct json *object);
/* Whole-object writes carry the object's resourceVersion: a stale one gets 409 and the key comes
 * again. */
void plan_update(struct plan *p, const struct resource *r, const struct json *object);
void plan_update_status(struct plan *p, const struct resource *r, const struct json *object);
void plan_patch(struct plan *p, const struct resource *r, const struct json *of,
		const char *subresource, const struct json *merge_patch);
struct plan_op *plan_delete(struct plan *p, const struct resource *r,
			    const struct json *object); /* uid precondition is set */
/* A merge patch of the Secret, to which the runtime adds `data.token`: a token of the account's
 * that lives as long as the Secret. The plan never sees it. */
void plan_token(struct plan *p, const struct json *secret, struct str account,
		const struct json *merge_patch);
/* An Event about `regarding`; type "Normal" or "Warning". Repeats are counted by the recorder. */
void plan_event(struct plan *p, const struct json *regarding, const char *type, const char *reason,
		const char *fmt, ...) PRINTF_LIKE(5, 6);
void plan_requeue(struct plan *p, int64_t after_ns); /* the earliest wins */

/* Plan operations are applied in order, but for creations of one kind, or deletions, that follow
 * each other: some of those run side by side. The first failure ends the plan, and the key is
 * retried by the error's table row. An event is told once the operation before it went well. */

/* ---- a controller ---- */
typedef int reconcile_fn(const struct view *v, struct str namespace, struct str name,
			 struct plan *ret_plan, struct err *err);
/* Puts the keys (obj_key) that a change of `o` concerns: put(ctx, key). */
typedef void mapper_fn(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		       void *ctx);
/* The same where the keys can only be told from other cached objects (which Services select this
 * Pod?). */
typedef void mapper_view_fn(const struct view *v, const struct obj *o,
			    void (*put)(void *ctx, struct str key), void *ctx);

struct controller_watch {
	const struct resource *resource;
	mapper_fn *map; /* NULL = the object's own key */
	const char *field_selector;
	mapper_view_fn *map_view; /* used instead of map when it isn't NULL */
};
struct controller_index {
	const struct resource *resource;
	const char *name;
	index_fn *fn;
};
struct controller {
	const char *name;                       /* "deployment" */
	const char *component;                  /* whose its events are; NULL = NAME-controller */
	const struct controller_watch *watches; /* ended by a NULL resource */
	const struct controller_index *indexes; /* likewise, or NULL */
	reconcile_fn *reconcile;
	int64_t resync_ns; /* look at every key again that often; 0 = never */
	bool counts_gone;  /* view.gone is wanted; the first watch is the keys' own kind */
};

/* Mappers and indexes that many use. */
void map_to_controller_owner(const struct obj *o, struct arena *a,
			     void (*put)(void *ctx, struct str key),
			     void *ctx); /* key of the controlling owner */
void index_by_controller_uid(const struct obj *o, struct arena *a,
			     void (*put)(void *ctx, struct str value), void *ctx);
void index_by_node(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		   void *ctx); /* spec.nodeName */
#define INDEX_OWNER "controller-uid"
#define INDEX_NODE "node"

/* ---- the runtime ---- */
struct manager; /* shares informers between controllers on one client */
struct manager *manager_new(struct client *c, uint64_t seed);
void manager_free(struct manager *m);
void manager_add(struct manager *m, const struct controller *c, const void *config);
/* The shared informer of a resource (made when missing), for code beside controllers. */
struct informer *manager_informer(struct manager *m, const struct resource *r,
				  const char *field_selector);
/* Those of whole kinds (no selector), one after the other; NULL behind the last. */
struct informer *manager_informer_at(const struct manager *m, size_t n);
void manager_start(struct manager *m);
void manager_stop(
	struct manager *m); /* no further reconcile starts; running writes end by themselves */
bool manager_synced(const struct manager *m);
bool manager_idle(const struct manager *m); /* nothing queued, nothing in flight: for tests */

#endif
