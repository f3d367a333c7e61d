/*
 * Fair queuing in the sense of Kubernetes' API priority and fairness: which requests run, which
 * wait, and which are told to come again. A FlowSchema says which PriorityLevelConfiguration a
 * request belongs to and what makes its flow; a level has seats, and queues for what finds none.
 *
 * Seats: each level has its share of the server's. What a level lends (lendablePercent) goes into
 * a common pool that whoever needs more takes from, those below their share first; what it doesn't
 * lend is always its own. Of a level's queues the one runs next that has had least.
 *
 * Pure; belongs to one thread. Without any schema or level everything runs.
 */
#ifndef PLUMB_APISERVER_FLOW_H
#define PLUMB_APISERVER_FLOW_H

#include "apiserver/admission/admission.h"
#include "lib/base/list.h"
#include "lib/json/json.h"

struct flows;
struct flow_schema;
struct flow_level;
struct flow_queue;
struct metric_value;

struct flows_opts {
	int seats;       /* of the whole server; 0 = 600 */
	int64_t wait_ns; /* how long one may wait in a queue; 0 = 15 s */
};
struct flows *flows_new(const struct flows_opts *o);
void flows_free(struct flows *f); /* no ticket is in use any more */

/* A FlowSchema or PriorityLevelConfiguration as it is now; o NULL = it is gone. */
void flows_schema(struct flows *f, struct str name, const struct json *o);
void flows_level(struct flows *f, struct str name, const struct json *o);

struct flow_ask {
	const struct admission_user *user;
	struct str verb;
	struct str group, resource, subresource, namespace; /* of a request for a resource */
	struct str path;                                    /* else */
};

enum flow_state { FLOW_OUT, FLOW_RUNS, FLOW_WAITS };

/* One request's. The caller's memory, zeroed at first, from enter to leave. */
struct flow_ticket {
	enum flow_state state;
	int width;                  /* seats it takes */
	struct flow_schema *schema; /* a reference, kept until flow_forget; NULL = unclassified */
	struct flow_level *level;
	struct flow_queue *queue;
	struct list in_queue, waiting;
	int64_t since_ns;
};

/* FLOW_RUNS: go on, and flow_leave at the end. FLOW_WAITS: flows_next will name it. FLOW_OUT: it is
 * refused, and `*ret_why` says why ("queue-full", "concurrency-limit"). */
enum flow_state flow_enter(struct flows *f, const struct flow_ask *q, int width, int64_t now_ns,
			   struct flow_ticket *t, const char **ret_why);
/* It is done, or has gone away while it waited. Harmless when it is neither. */
void flow_leave(struct flows *f, struct flow_ticket *t);
/* Drops what the ticket knows of its schema: the last call for it. */
void flow_forget(struct flows *f, struct flow_ticket *t);
/* The next one that may run now (its state is FLOW_RUNS then), or NULL. */
struct flow_ticket *flows_next(struct flows *f, int64_t now_ns);
/* One that has waited too long, taken out (FLOW_OUT), or NULL. */
struct flow_ticket *flows_expired(struct flows *f, int64_t now_ns);
/* When flows_expired has something to say, 0 = never. */
int64_t flows_due(const struct flows *f);
size_t flows_waiting(const struct flows *f);

/* For headers and figures. */
struct str flow_schema_name(const struct flow_ticket *t);
struct str flow_schema_uid(const struct flow_ticket *t);
struct str flow_level_name(const struct flow_ticket *t);
struct str flow_level_uid(const struct flow_ticket *t);

/* A place where the caller keeps something about the schema as it is now; NULL without one. */
struct metric_value **flow_schema_user(const struct flow_ticket *t);

struct flow_figures {
	struct str name;
	int nominal, used, waiting;
	bool exempt;
};
void flows_each_level(const struct flows *f, void (*fn)(void *arg, const struct flow_figures *l),
		      void *arg);

#endif
