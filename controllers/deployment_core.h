/*
 * The arithmetic and the bookkeeping of the Deployment controller: what a rollout may do next,
 * how a Deployment's ReplicaSets share a change of size, and what its status says. Pure.
 */
#ifndef PLUMB_DEPLOYMENT_CORE_H
#define PLUMB_DEPLOYMENT_CORE_H

#include "controllers/common.h"

#define ANNOTATION_REVISION "deployment.kubernetes.io/revision"
#define ANNOTATION_HISTORY "deployment.kubernetes.io/revision-history"
#define ANNOTATION_DESIRED "deployment.kubernetes.io/desired-replicas"
#define ANNOTATION_MAX "deployment.kubernetes.io/max-replicas"
#define LABEL_HASH "pod-template-hash"

/* One ReplicaSet of the Deployment: what is, and (in `new`) what it shall be. */
struct dep_rs {
	const struct json *was; /* NULL: it is to be created */
	struct json *new;       /* a private copy */
	struct str name;
	int64_t replicas;                 /* spec.replicas as it shall be */
	int64_t had;                      /* spec.replicas as it is */
	int64_t actual, ready, available; /* status */
	int64_t revision, created_ns;
	bool settled; /* its controller has acted on its spec as it is */
	bool dirty;   /* `new` differs from `was` */
};

struct dep {
	const struct view *v;
	struct plan *plan;
	const struct json *was;               /* the Deployment */
	struct json *status;                  /* its status as it shall be */
	int64_t replicas, surge, unavailable; /* wanted, and the bounds resolved to pods */
	int64_t collisions;
	bool recreate, paused;
	struct dep_rs **all; /* by age, the new one included when there is one */
	size_t n;
	struct dep_rs *current; /* of the present template; NULL = none yet */
	bool created;           /* current is made by this plan */
};

/* Reads the wanted state out of the Deployment; `all` and `current` stay empty. */
void dep_init(struct dep *d, const struct view *v, const struct json *deployment, struct plan *p);
/* The ReplicaSet in `rss` (claimed, any order) of the present template becomes current. */
void dep_take_replicasets(struct dep *d, const struct trees *rss);

/* Finds or makes the current ReplicaSet, and gives it the Deployment's annotations and revision. */
void dep_sync_current(struct dep *d);
/* Wanted size into annotations and spec of one ReplicaSet, with the event. */
void dep_scale_to(struct dep *d, struct dep_rs *rs, int64_t replicas);

bool dep_is_scaling(const struct dep *d);
void dep_scale_proportionally(struct dep *d);
void dep_roll(struct dep *d);
void dep_recreate(struct dep *d);
/* Deletes ReplicaSets beyond revisionHistoryLimit once the rollout is complete. */
void dep_prune_history(struct dep *d);

/* Counts and conditions into d->status. */
void dep_status(struct dep *d);
bool dep_complete(const struct dep *d, const struct json *status);
void dep_condition(struct dep *d, const char *type, const char *status, const char *reason,
		   struct str message);
void dep_condition_drop(struct dep *d, const char *type);

/* "pod-template-hash" of a template. */
struct str dep_template_hash(struct arena *a, const struct json *template, int64_t collisions);

#endif
