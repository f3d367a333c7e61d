/*
 * The pod's state machine. Pure: pod_step() looks at what is wanted (struct pod_spec), what is
 * (struct pod_obs) and the clock, and answers with actions; the shell (pod.c) carries them out
 * and tells the machine by pod_on_* what came of it. pod_mark() notes that an action was begun,
 * so that it is not asked for twice. Level-triggered: pod_step() may be called at any time.
 *
 * One container (an init container too):
 *
 *             image ready            created and started
 *   WAITING ─────────────▶ STARTING ────────────────────▶ RUNNING ──┐ stop: HOOK → TERM → KILL
 *      ▲                      │ failed: back-off, reason            │
 *      └──────────────────────┘                                     ▼
 *                             STARTING ◀── back-off over ──────── EXITED
 *
 * The pod: sandbox and volumes first, then init containers one by one, then all others; once it
 * is to end (deleted, gone, deadline, all done), main containers stop first, sidecars after them,
 * the last one first, then TEARDOWN, then CONFIRM (the API's DELETE) or, when the API has forgotten
 * it, REMOVE.
 *
 * Times: `mono` for what is waited for, `wall` for what people read. Both in ns.
 */
#ifndef PLUMB_KUBELET_POD_CORE_H
#define PLUMB_KUBELET_POD_CORE_H

#include <sys/types.h>

#include "kubelet/pod_spec.h"

#define CONTAINER_ID_MAX 65

struct pod_clock {
	int64_t mono, wall;
};

enum part_state { PART_NONE, PART_BUSY, PART_READY, PART_FAILED };
struct part {
	enum part_state state;
	unsigned failures;
	int64_t retry_at; /* mono */
};

enum cont_state { CONT_WAITING, CONT_STARTING, CONT_RUNNING, CONT_EXITED, CONT_STATE_MAX };
enum stop_phase { STOP_NONE, STOP_HOOK, STOP_TERM, STOP_KILL };

/* How a run of a container ended. */
struct cont_end {
	bool set;
	int exit_code;
	char reason[32];
	char *message; /* owned, may be NULL */
	int64_t started_wall, finished_wall;
	char id[CONTAINER_ID_MAX];
};

struct cont_obs {
	enum cont_state state;
	struct part image;
	char image_id[80]; /* "sha256:…" of the image it runs */
	char id[CONTAINER_ID_MAX];
	pid_t pid;
	unsigned restarts;
	int64_t started_wall, started_mono;
	struct cont_end end, last; /* of this run (EXITED), of the one before */
	/* why it waits, beyond the ordinary */
	char reason[40];
	char *message; /* owned */
	unsigned start_failures, crashes;
	int64_t retry_at; /* mono: not started again before */
	/* on its way down */
	enum stop_phase stop;
	bool hook_done, hook_busy;
	int64_t stop_since, kill_at; /* mono */
	int64_t stop_grace_s;        /* -1 = the pod's */
	bool unhealthy;              /* liveness, startup or postStart failed: stop it */
	bool swap;                   /* stopped for another image, which follows at once */
	bool was_ready;              /* before that */
	int64_t quiet_until;         /* mono: until then its run looks as the one before */
	/* what probes say */
	bool started, ready;
	bool post_start_busy;
};

enum pod_end { POD_END_NONE, POD_END_SUCCEEDED, POD_END_FAILED };

struct pod_obs {
	struct part sandbox, volumes;
	char ip[16];
	int64_t start_wall; /* status.startTime */
	int64_t start_mono;
	struct cont_obs *c; /* as many as the spec has, in its order */
	size_t n;
	enum pod_end end;
	char end_reason[40], end_message[400];
	bool by_pressure;   /* evicted since the node ran out of something */
	bool gone;          /* the API has forgotten it */
	int64_t stop_since; /* mono: when its containers were to end; 0 = not yet */
	int64_t leaves_at;  /* mono: until then clients may still be sent to it; 0 = none are */
	bool torn_down, confirming, removed;
	struct part confirm;
};

enum pod_act {
	ACT_SANDBOX, /* network namespace, address, cgroup */
	ACT_VOLUMES,
	ACT_IMAGE,    /* container */
	ACT_START,    /* container */
	ACT_PRE_STOP, /* container */
	ACT_TERM,     /* container */
	ACT_KILL,     /* container */
	ACT_TEARDOWN, /* containers' remains, network, mounts; logs stay */
	ACT_CONFIRM,  /* last status, then DELETE with grace 0 */
	ACT_REMOVE,   /* everything of it */
	ACT_MAX
};
struct pod_action {
	enum pod_act act;
	size_t c;
};

struct pod_plan {
	struct pod_action v[2 * POD_CONTAINERS_MAX + 8];
	size_t n;
	int64_t wake_at; /* mono; 0 = nothing to wait for */
};

void pod_obs_init(struct pod_obs *o, const struct pod_spec *s);
void pod_obs_release(struct pod_obs *o);
/* The spec has got more ephemeral containers. */
void pod_obs_grow(struct pod_obs *o, const struct pod_spec *s);

/* Notices what has come to an end by itself (all done, deadline over). Call before pod_step(). */
void pod_settle(const struct pod_spec *s, struct pod_obs *o, struct pod_clock now);
void pod_step(const struct pod_spec *s, const struct pod_obs *o, struct pod_clock now,
	      struct pod_plan *ret);
void pod_mark(const struct pod_spec *s, struct pod_obs *o, const struct pod_action *a,
	      struct pod_clock now);

/* ---- what came of it ---- */
void pod_on_sandbox(struct pod_obs *o, bool ok, const char *ip, struct pod_clock now);
void pod_on_volumes(struct pod_obs *o, bool ok, struct pod_clock now);
/* reason: ErrImagePull, ErrImageNeverPull, InvalidImageName … */
void pod_on_image(struct cont_obs *c, bool ok, const char *reason, const char *message,
		  struct pod_clock now);
void pod_on_started(const struct container_spec *s, struct cont_obs *c, pid_t pid,
		    struct pod_clock now);
/* It never ran: reason CreateContainerConfigError, CreateContainerError, RunContainerError. */
void pod_on_start_failed(struct cont_obs *c, const char *reason, const char *message,
			 struct pod_clock now);
/* The runtime made it, but not run: an end like another, by Kubernetes' reckoning. */
void pod_on_start_error(const struct container_spec *s, struct cont_obs *c, const char *message,
			struct pod_clock now);
/* message: the termination message, or NULL. */
void pod_on_exited(const struct container_spec *s, struct cont_obs *c, int exit_code, bool oom,
		   int64_t finished_wall, const char *message, struct pod_clock now);
void pod_on_hook_done(struct cont_obs *c);
void pod_on_unhealthy(struct cont_obs *c, int64_t grace_s);
/* It runs, and is given another image. */
void pod_on_swap(struct cont_obs *c);
/* Others say that it is over, or this node won't have it. */
void pod_on_end(struct pod_obs *o, enum pod_end end, const char *reason, const char *message);
/* The API has forgotten it: what wasn't told to end before gets a moment only. */
void pod_on_gone(const struct pod_spec *s, struct pod_obs *o);
/* pressure: for the node's sake, not for what it did itself. */
void pod_on_evicted(struct pod_obs *o, bool pressure, const char *message);
void pod_on_torn_down(struct pod_obs *o);
void pod_on_confirmed(struct pod_obs *o, bool ok, struct pod_clock now);
/* Something that may have been waited for changed: try failed parts again now. */
void pod_retry_now(struct pod_obs *o);

/* ---- questions ---- */
bool pod_stopping(const struct pod_spec *s, const struct pod_obs *o);
bool pod_initialized(const struct pod_spec *s, const struct pod_obs *o);
/* Would this container be started again after it ended so? */
bool cont_restarts(const struct container_spec *s, int exit_code);
/* Seconds of back-off after that many crashes in a row: 0, 10, 20 … 300. */
int64_t crash_backoff_s(unsigned crashes);
const char *pod_act_name(enum pod_act act);
/* "start web", one line an action: for traces. */
void pod_plan_write(const struct pod_spec *s, const struct pod_plan *p, struct buf *out);

#endif
