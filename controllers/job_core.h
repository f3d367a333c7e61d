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
	bool *done; /* Indexed: by index */
	/* With backoffLimitPerIndex, by index, else NULL: has failed for good; the failed pod whose
	 * count its successor is to carry on. */
	bool *index_failed;
	const struct json **last_failed;
	int64_t index_limit;
	bool held;        /* some failed pod has to stay for its successor */
	bool over;        /* how it ends has been said already */
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
/* As the Job sees it: a pod that is being deleted will not succeed any more, unless the Job waits
 * for its end. */
bool job_pod_failed(const struct job *j, const struct json *pod);
/* Whether pods on their way out count until they are gone. */
bool job_waits_for_ends(const struct job *j);
/* "Count", "Ignore", "FailIndex", "FailJob": what spec.podFailurePolicy makes of a failed pod. */
struct str job_failure_action(struct job *j, const struct json *pod);
int64_t job_ended_ns(const struct json *pod);
/* How long to wait now, after so many failures in a row, the last one then. */
int64_t job_backoff_after(int64_t failures, int64_t last_ns, int64_t now_ns);
/* How long new pods have to wait after failures; 0 = not at all. */
int64_t job_backoff_ns(const struct job *j);

/* ---- indexes that fail or succeed by themselves (job_index.c) ---- */
void job_index_look(struct job *j);
/* The pod has to stay until its successor carries its count. */
bool job_index_holds(const struct job *j, const struct json *pod);
void job_index_annotate(struct job *j, struct json *pod, int64_t index);
int64_t job_index_wait_ns(const struct job *j, int64_t index);
/* NULL = the indexes give no reason to fail the Job. */
const char *job_index_failure(const struct job *j, struct str *ret_message);
bool job_success_policy(const struct job *j, struct str *ret_message);

bool job_has(const struct json *job, const char *condition);

#endif
