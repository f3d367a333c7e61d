/*
 * The arithmetic of Jobs: which pods have ended and been counted, whether the Job has, and which
 * indexes are still to be done. Pure.
 */
#ifndef PLUMB_JOB_CORE_H
#define PLUMB_JOB_CORE_H

#include "controllers/common.h"

/* A pod keeps this finalizer until its end has been counted in the Job's status. */
#define JOB_TRACKING "batch.kubernetes.io/job-tracking"
#define JOB_INDEX "batch.kubernetes.io/job-completion-index"
#define JOB_INDEXES_MAX 100000

struct job {
	const struct view *v;
	struct plan *plan;
	const struct json *was, *spec;
	struct json *new, *status; /* as they shall be */
	struct trees pods, active, count_now;
	int64_t parallelism, completions; /* completions -1: until one has succeeded */
	int64_t backoff_limit;
	bool indexed, suspended;
	int64_t succeeded, failed, ready, terminating;
	bool *done;       /* Indexed: by index */
	bool all_counted; /* nothing is left to be counted */
	struct str ends;  /* a policy's message that the Job has failed, STR_NONE = none */
};

/* Reads spec and status, sorts the pods out, and counts: `status` says so far what is to be
 * written, and count_now are the pods whose finalizer goes after that. */
void job_look(struct job *j);
/* -1 when the pod has no index. */
int64_t job_index_of(const struct json *pod);
/* "0,2-4" ⇄ flags. */
void job_indexes_parse(struct str text, bool *flags, int64_t n);
struct str job_indexes_text(struct arena *a, const bool *flags, int64_t n);
bool job_tracked(const struct json *pod);
/* Plans to take the finalizer from a pod. */
void job_let_go(const struct view *v, struct plan *p, const struct json *pod);
/* How long new pods have to wait after failures; 0 = not at all. */
int64_t job_backoff_ns(const struct job *j);
bool job_has(const struct json *job, const char *condition);

#endif
