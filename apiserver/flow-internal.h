/* What flow.c (seats and queues) and flow_match.c (who belongs where) share. */
#ifndef PLUMB_APISERVER_FLOW_INTERNAL_H
#define PLUMB_APISERVER_FLOW_INTERNAL_H

#include "apiserver/flow.h"

#define FLOW_QUEUES_MAX 1024 /* however many a level asks for */
#define FLOW_HAND_MAX 16

struct flow_queue {
	struct list tickets; /* flow_ticket.in_queue, oldest first */
	struct list active;  /* in the level's list while there are any */
	size_t n;
	uint64_t finish; /* virtual time at which what it has had so far is over */
};

/* By name; lives while it is configured, has tickets or is somebody's. */
struct flow_level {
	struct list all; /* flows.levels */
	char *name, *uid;
	bool exempt, queuing, gone;
	int shares, lendable_percent, borrowing_percent; /* borrowing -1 = without limit */
	size_t nqueues, hand, queue_limit;
	struct flow_queue *queues;
	struct list active; /* flow_queue.active */
	size_t waiting;
	uint64_t now; /* virtual time */
	int nominal, floor, ceiling, used;
	int refs;
};

struct flow_texts {
	struct str *v;
	size_t n;
	bool all; /* "*" is among them */
};

struct flow_subject {
	enum { SUBJECT_USER, SUBJECT_GROUP, SUBJECT_ACCOUNT } kind;
	struct str name, namespace;
	bool all; /* name is "*" */
};

struct flow_rule {
	struct flow_subject *subjects;
	size_t nsubjects;
	struct flow_resources {
		struct flow_texts verbs, groups, resources, namespaces;
		bool cluster;
	} * resources;
	size_t nresources;
	struct flow_paths {
		struct flow_texts verbs, paths;
	} * paths;
	size_t npaths;
};

enum flow_by { FLOW_BY_NOBODY, FLOW_BY_USER, FLOW_BY_NAMESPACE };

struct flow_schema {
	struct list all; /* flows.schemas, in the order of looking; by itself when gone */
	struct arena arena;
	struct str name, uid, level_name;
	int64_t precedence;
	enum flow_by by;
	struct flow_rule *rules;
	size_t nrules;
	struct flow_level *level; /* a reference; the catch-all when its own is missing; or NULL */
	int refs;
	struct metric_value *user;
};

struct flows {
	struct flows_opts o;
	struct list schemas, levels;
	struct list waiting; /* flow_ticket.waiting, oldest first */
	size_t nwaiting;
	int pool, pool_used; /* lent seats */
};

/* ---- flow_match.c ---- */
/* NULL when no schema takes it. */
struct flow_schema *flow_classify(struct flows *f, const struct flow_ask *q);
uint64_t flow_hash(const struct flow_schema *s, const struct flow_ask *q);
void flow_schema_unref(struct flow_schema **s);
/* Finds each schema's level, after a change of either. */
void flows_link(struct flows *f);

/* ---- flow.c ---- */
void flow_level_unref(struct flow_level **l);

#endif
