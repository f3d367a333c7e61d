/*
 * The controller runtime's state: a manager with shared informers, a runner per controller, a job
 * per key that is being worked on.
 */
#ifndef PLUMB_MANAGER_INTERNAL_H
#define PLUMB_MANAGER_INTERNAL_H

#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/kube/controller.h"
#include "lib/kube/events.h"
#include "lib/kube/workqueue.h"

struct shared {
	struct manager *manager;
	struct informer *informer;
	char *field_selector;
};

struct subscription {
	struct runner *runner;
	const struct controller_watch *watch;
};

struct runner {
	struct manager *manager;
	const struct controller *controller;
	const void *config;
	struct informer **informers;        /* one for each of controller->watches */
	struct subscription *subscriptions; /* likewise */
	struct workqueue *queue;
	struct recorder *recorder;
	struct loop_timer resync, more;
	size_t running;
	struct map failed; /* key → struct err that ended its last plan */
	struct map gone;   /* key → how many of its objects went, as a pointer's bits */
	bool going;        /* within runner_go */
};

/* One write of a job that the caches must have seen before its key may come again. */
struct own_write {
	const struct resource *resource;
	uint64_t revision;               /* created, changed */
	struct str namespace, name, uid; /* deleted: gone, marked, or another object by now */
};

/* A write under way; in its job's arena. */
struct op_call {
	struct list all; /* in job.calls */
	struct job *job;
	struct plan_op *op;
	struct client_call *call;
};

/* A key between workqueue_get and workqueue_done. */
struct job {
	struct list all; /* in manager.jobs */
	struct runner *runner;
	struct arena arena; /* the view's and the plan's */
	struct rng rng;
	struct plan plan;
	struct str key;      /* the queue's, borrowed */
	struct plan_op *op;  /* the next to be begun */
	struct list calls;   /* struct op_call */
	size_t ncalls, done; /* under way, and successful so far */
	bool written;        /* nothing more is: waits for the caches */
	struct own_write *writes;
	size_t nwrites;
	const struct obj **pins; /* what the plan's texts point into; own references */
	size_t npins, pins_cap;
	struct loop_timer deadline; /* for waiting */
	struct err err;             /* what ended the plan early */
};

struct manager {
	struct client *client;
	uint64_t seed;
	struct shared **informers;
	size_t ninformers;
	struct runner **runners;
	size_t nrunners;
	struct list jobs;
	bool started, stopped;
};

/* What view.ctx points to. job NULL: the view is for this turn only. */
struct view_source {
	struct runner *runner;
	struct job *job;
};
extern const struct view_ops manager_view_ops;
/* The informer that a runner reads a resource from; panics when the controller doesn't declare it.
 */
struct informer *runner_informer(const struct runner *r, const struct resource *resource);

/* Takes the next keys while there are workers free and all caches are filled. */
void runner_go(struct runner *r);
/* Remembers (or, err NULL, forgets) what ended a key's last plan, for view.failed. */
void runner_failed(struct runner *r, struct str key, const struct err *err);
/* Begins to apply job->plan; the job frees itself in the end. */
void job_apply(struct job *job);
/* Ends what waits for nothing any more. */
void job_recheck(struct job *job);
void job_free(struct job *job);

#endif
