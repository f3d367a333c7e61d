/*
 * The simulated cluster: an API server's core over a store in memory, controllers, scheduler and
 * kubelets as its clients, one virtual clock, one seed. Nothing in it is random but through
 * world.rng, so a seed replays.
 */
#ifndef PLUMB_SIM_WORLD_H
#define PLUMB_SIM_WORLD_H

#include "apiserver/core.h"
#include "apiserver/inproc.h"
#include "controllers/main.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "scheduler/main.h"

#define NODES_MAX 4
#define DEPLOYMENTS_MAX 3
#define OBSERVERS 2

struct kubelet;
struct observer;

/* What a Deployment has asked for lately, and what excuses fewer pods. */
struct deployment_trace {
	int64_t replicas, surge, unavailable; /* as it stands */
	int64_t most_allowed, most_until;     /* largest replicas + surge of the last WINDOW */
	int64_t fewest_wanted,
		fewest_until;  /* smallest replicas - unavailable of the last WINDOW */
	int64_t excused_until; /* pods were taken away from outside */
};

struct world {
	uint64_t seed;
	struct rng rng;
	struct loop *loop;
	struct store *store;
	struct core *core;
	struct inproc *net, *calm; /* with faults; without */
	bool faults;               /* whether `net` misbehaves now */
	const char *plant;         /* a mistake that the invariants must find, or NULL */
	bool planted;
	bool verbose;
	struct controllers *controllers;
	struct scheduler *scheduler;
	struct client *controllers_client, *scheduler_client;
	struct kubelet *kubelets[NODES_MAX];
	struct observer *observers[OBSERVERS];
	struct deployment_trace traces[DEPLOYMENTS_MAX];
	uint64_t *pod_revisions; /* of every committed creation and change of a pod */
	size_t npod_revisions, pod_revisions_cap;
	uint64_t last_revision;
	char wrong[400]; /* the first broken invariant; "" = none */
	long commits;
};

/* ---- world.c ---- */
void world_make(struct world *w, uint64_t seed);
void world_free(struct world *w);
void world_run(struct world *w, int64_t ns); /* until then, or until something is wrong */
void world_wrong(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void world_say(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void world_start_controllers(struct world *w);
void world_stop_controllers(struct world *w);
void world_start_scheduler(struct world *w);
void world_stop_scheduler(struct world *w);
/* Everything dies at once and starts again over the same store. */
void world_reboot(struct world *w);
/* A request straight to the core, carried out at once. Returns the status; *ret (or NULL) gets the
 * body. */
int world_ask(struct world *w, enum core_verb verb, const struct resource *r, const char *namespace,
	      const char *name, const char *subresource, const char *content_type, struct str body,
	      struct buf *ret);
int64_t world_now(const struct world *w);

/* ---- kubelet.c ---- */
struct kubelet *kubelet_new(struct world *w, int number);
void kubelet_kill(struct kubelet *k); /* NULL is fine; its Node stays */

/* ---- observe.c: a client that must see exactly what was committed ---- */
struct observer *observer_new(struct world *w);
void observer_free(struct observer *o);
void observer_check(struct observer *o); /* once all is quiet */

/* ---- invariants.c ---- */
void invariants_change(struct world *w, const struct kind *k, const struct obj *old,
		       const struct obj *new);
/* After a deployment's spec was written. */
void invariants_asked(struct world *w, int deployment, int64_t replicas, int64_t surge,
		      int64_t unavailable);
void invariants_excuse(struct world *w); /* pods may be fewer for a while */
/* A deployment is deleted: its pods stay until they are collected, also when it is made anew. */
void invariants_leftovers(struct world *w, int deployment);
void invariants_converged(struct world *w); /* when faults have ended and time has passed */

/* ---- workload.c ---- */
void workload_step(struct world *w);   /* one random deed */
void workload_settle(struct world *w); /* every role alive, every node there */

#endif
