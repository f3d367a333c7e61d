/*
 * Applications in the engine: a unit whose object is an Application has a struct argo beside it,
 * and the engine's files ask here where the two kinds differ. On the role's loop.
 */
#ifndef PLUMB_RECONCILER_ARGO_H
#define PLUMB_RECONCILER_ARGO_H

#include "reconciler/application.h"
#include "reconciler/run.h"

#define ARGO_SECRET_TYPE "argocd.argoproj.io/secret-type" /* repository, repo-creds */

enum argo_sync { ARGO_UNKNOWN, ARGO_SYNCED, ARGO_OUT_OF_SYNC };

struct argo {
	struct unit *u;
	char *problem;    /* what is wrong with the spec, or NULL */
	bool unsupported; /* … and it is fine but for what we cannot do */
	bool automated;
	char *operation; /* the sync that is asked for, as JSON, or NULL */
	char *finished;  /* the last such one, until the Application no longer says it */
	char *approved;  /* when deletion was approved last, as it is written, or NULL */
	bool unpruned;   /* objects wait to be pruned */
	bool refresh;    /* somebody asked for a look, and is to be told */
	bool answer;     /* … even where nothing is new */
	struct unitplan plan;
	int64_t compared_generation; /* what the last comparison was of … */
	char compared[GIT_OID_TEXT];
	/* What it found: id → word, as JSON {"ns/kind/name": "create"}; "" = nothing differs. */
	char *differs;
	size_t ndiffers;
	char *error;       /* of the last run or comparison: no sync status is known; or NULL */
	char *error_type;  /* ComparisonError … */
	const char *phase; /* of the running or last operation; NULL = none since the start */
	char *message;     /* of it */
	int64_t started, ended; /* wall clock */
	bool by_hand;
	char *waits;                /* for a sync window: which, or NULL */
	char retried[GIT_OID_TEXT]; /* what was tried again … */
	int64_t retries;            /* … so often */
	bool worked;                /* the running run changed something */
	struct json *hooks;         /* results of hooks, in `arena` */
	struct json *results;       /* … and of everything else */
	struct arena arena;
	struct orphans *orphans;
	bool orphans_now; /* somebody asked for a look, or its project changed */
	char *held;       /* what waits to be pruned: argo_note_held; or NULL */
	char *strange;    /* a word on an object that nobody knows, or NULL */
	bool hooks_known, pre_delete, post_delete; /* whether there are hooks of its end */
	bool pre_done, post_done;                  /* they have run */
	char *history;                             /* status.history as it was put last, or NULL */
	bool kustomized;                           /* a kustomization is at its path */
	char *told;                                /* the status as it was put last */
	struct loop_timer publish;
};

/* Watches of Applications and AppProjects; progress is called as they fill. */
void argo_start(struct reconciler *r, void (*progress)(void *arg));
void argo_stop(struct reconciler *r);
bool argo_synced(const struct reconciler *r);

/* ---- argo_unit.c ---- */
/* The key of the unit that an object is: Applications and Kustomizations may share names. */
struct str unit_key_of(struct arena *a, const struct obj *o);
/* Its own kind. */
const struct resource *unit_resource(const struct unit *u);
/* The object as the engine reads it; ours to keep. */
struct obj *argo_take(struct unit *u, const struct obj *o);
void argo_free(struct unit *u);
/* Before a run: true when one shall begin, be it only to compare. */
bool argo_gate(struct unit *u, const struct source *s);
/* The finalizer that holds the object until its own are gone. */
bool unit_finalizer_is(const struct unit *u, struct str name);
/* An operation is over. */
void argo_operation_done(struct argo *g, const char *phase, struct str message);

/* ---- argo_source.c: repositories that no GitRepository speaks of ---- */
/* Makes or updates the source that the unit's translation names. */
void argo_source_use(struct unit *u);
/* Drops those that no Application names any longer. */
void argo_sources_sweep(struct reconciler *r);
/* A Secret that holds credentials came, changed or went. */
void argo_on_secret(void *arg, const struct obj *old, const struct obj *new);

/* ---- argo_windows.c: its AppProject ---- */
/* NULL: none, or the one that allows all. In `a`. */
const struct json *argo_project(const struct unit *u, struct arena *a);
/* Those being deleted wait for the last Application that belongs to them: Argo CD's finalizer. */
void argo_projects_end(struct reconciler *r);
/* A Secret says that this cluster is the project's own. */
bool argo_scoped(const struct unit *u, const struct json *project);
/* All that was rendered is of kinds and in namespaces that the project allows. */
MUST_USE int argo_permits(const struct run *run, struct err *err);
/* Sync windows: see project_window. */
MUST_USE int argo_window(const struct unit *u, bool by_hand, struct err *err);
/* Windows open and close with the minute. */
int64_t argo_next_minute(const struct unit *u);
/* It may not be synced now; it is looked at again when that may have changed. */
bool argo_shut(struct unit *u);
/* How long to wait after a failure; `otherwise` where the policy says nothing; 0 = no longer. */
int64_t argo_retry(struct unit *u, int64_t otherwise);

/* ---- argo_status.c ---- */
void argo_report(struct unit *u, const struct unit_report *rep);
/* Something that the status tells may have changed. */
void argo_look_later(struct unit *u);
/* What the sync under way waits for; nothing where none is. */
void argo_waits(struct unit *u, struct str what);
void argo_publish(struct unit *u);
/* What keeps it from ending, for its conditions. */
void argo_deletion_error(struct unit *u, struct str why);

/* ---- argo_warn.c ---- */
/* What is stored and has no effect, what is shared, what nobody declares: [{type, message}]. */
struct json *argo_warnings(const struct unit *u, struct arena *a);
/* ---- run_argo.c ---- */
/* What the operation says of the revision. */
MUST_USE int argo_begin(struct run *run, struct err *err);
/* Fills what Applications add to a run's options. */
void argo_prepare(struct run *run);
/* Takes hooks out of what was rendered. */
void argo_rendered(struct run *run);
/* What the object says of an option, or NULL: the Application; STR_NONE. */
struct str argo_option_of(const struct run *run, const struct json *object, struct str key);
/* A live object is to go when the rest is healthy, which it isn't yet: pruning goes on by itself
 * then, or run->wave_error says why not. */
bool argo_prunes_later(struct run *run, const struct json *live);
/* "Key=value", said by the object or by the Application; false for Kustomizations. */
bool argo_run_option(const struct run *run, const struct json *object, const char *option);
/* The namespace is made by this run. */
bool argo_makes_namespace(const struct run *run, struct str name);
/* Between dry run and apply: the namespace, then hooks of before; goes on with run_apply. */
void argo_before_apply(struct run *run);
/* An item begins another wave: true when the ones before are healthy, else looks again later. */
bool run_wave_ready(struct run *run, size_t i);
/* All is applied: hooks, then run_prune. */
void argo_after_apply(struct run *run);
/* It failed: true when hooks for that run first, and end it. */
bool argo_on_failure(struct run *run, const char *reason, struct str message);
/* The declared object with what is ignored as it is live. */
struct json *argo_respect(const struct entry *e, struct arena *a, struct json *tree);
/* Takes out of the list what is no difference. */
void argo_filter(const struct unit *u, const struct json *declared, struct drift_list *l);

/* ---- argo_prune.c ---- */
/* Pruning that is off, or not approved yet, is held back and told, never forgotten. */
void argo_prune_opts(struct run *run, struct plan_prune_opts *opts);
/* Why the live object stays, though it is to go; or NULL. */
const char *argo_keeps(const struct run *run, const struct json *live);
/* It may be there though git doesn't say so. */
bool argo_extraneous(const struct json *live);
/* The same of an entry of the inventory, as far as is known. */
bool argo_leaves(struct run *run, const struct plan_entry *e);
/* How what is deleted takes its dependents along. */
const char *argo_propagation(const struct run *run);
/* Its end waits for approval: Delete=confirm. */
bool argo_stays(const struct unit *u);
/* What was held back becomes part of the status. */
void argo_note_held(struct run *run);

/* ---- argo_farewell.c ---- */
bool argo_finalizer_is(struct str name);
/* Its objects go with it. */
bool argo_cascades(const struct unit *u);
/* Finalizers for the hooks of its end, as long as there are such: by a run, and by what is known.
 */
void argo_finalizers_note(struct run *run);
void argo_finalizers_keep(struct unit *u);
bool argo_ends_with_hooks(const struct unit *u);
/* In place of run_far: what has to be rendered first. */
void argo_farewell_begin(struct run *run);
void argo_farewell_rendered(struct run *run);
/* True while hooks run that end with run_farewell_end. */
bool argo_farewell_hooks(struct run *run);
/* It cannot end now: says so and tries again. Ends the run. */
void argo_farewell_failed(struct run *run, struct str why);

/* ---- run_hooks.c ---- */
bool hooks_left(const struct run *run, enum argo_phase phase, int64_t below);
/* Runs the hooks of a phase whose wave is below, then `then`, with what went wrong or NULL. */
void hooks_run(struct run *run, enum argo_phase phase, int64_t below,
	       void (*then)(struct run *run, const char *error));

#endif
