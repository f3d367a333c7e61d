/* One run of a unit: the state that its steps share. Private to run*.c. */
#ifndef PLUMB_RECONCILER_RUN_H
#define PLUMB_RECONCILER_RUN_H

#include "reconciler/application.h"
#include "reconciler/engine.h"
#include "reconciler/reads.h"

enum run_phase { RUN_KEYS, RUN_VARS, RUN_RENDER, RUN_DRY, RUN_APPLY, RUN_PRUNE };

/* What is done with one object, in order of rank. */
struct run_item {
	const struct rendered_object *o;
	struct entry *entry; /* set when it is applied */
	int rank, wave;
	bool changed; /* needs applying */
	bool adopted;
	bool listed;      /* stands in the inventory already */
	bool elsewhere;   /* dry-run in another namespace, since its own isn't there yet */
	struct obj *dry;  /* what the dry run made of it, where it is compared with what is live */
	bool skip;        /* left as it is: its annotations say so */
	bool kept;        /* … those of the live object */
	bool recreate;    /* to be deleted first */
	int64_t patience; /* until when the old one may take to go */
	const char *looked;        /* the revision that was looked at after a restart; or NULL */
	unsigned moves;            /* how often somebody wrote between our reading and writing */
	const char *hint;          /* behind the error's text, or NULL */
	const struct json *live;   /* for a plan */
	const struct json *scaled; /* what is live, where an autoscaler decides on its replicas */
	struct err err;
};

/* An object that a sync makes and waits for; see run_hooks.c. */
struct run_hook {
	struct rendered_object o;
	enum argo_phase phase;
	int wave;
	bool done;
};
struct run_hooks {
	enum argo_phase phase;
	int64_t below; /* waves */
	size_t i;
	int64_t until;
	const char *error;
	void (*then)(struct run *run, const char *error);
};

struct run_op {
	struct run *run;
	struct run_op *next, **self;
	struct client *client;
	struct client_call *call;
	struct loop_timer timer; /* instead of a call: run_later */
	size_t i;
	void (*done)(struct run *run, size_t i, const struct api_answer *answer);
};

struct run {
	struct unit *u;
	struct reconciler *r;
	struct arena arena;
	enum run_phase phase;
	const struct json *spec;
	struct gitmirror *mirror;
	char commit[GIT_OID_TEXT], tree[GIT_OID_TEXT];
	struct reads reads;
	struct str revision;
	int64_t generation;
	struct render_opts opts;
	const char *as;        /* whom writes are made as: see unit_acts_as */
	struct age_keys *keys; /* for this run alone */
	struct str recipients; /* what the decryption Secret lists, or STR_NONE: recipients.h */
	struct rendered rendered;
	bool refreshed;   /* discovery was read anew */
	bool discovering; /* another cluster's is read for the first time */
	struct run_item *items;
	size_t n, next, inflight;
	struct plan_prune prune;
	struct run_op *ops;
	struct loop_timer soon; /* the next step, or another try for a new kind */
	int64_t kinds_until;
	bool failed;
	bool prune_failed; /* a deletion was refused: why is in prune.why */
	bool farewell;     /* the Kustomization is being deleted: only pruning is left … */
	bool last_hooks;   /* … and hooks, which have to be rendered for it */
	int64_t patience;  /* of a farewell that waits */
	bool resumed;      /* nothing but a restart lies between the last run and this one */
	char *secret_of_vars;
	int64_t wave_until; /* for the health of waves */
	const char *wave_error;
	bool approved;  /* what waits for a confirmation may be deleted */
	bool at_commit; /* one that was asked for, not the source's */
	struct run_hook *hooks;
	size_t nhooks;
	struct run_hooks hook;   /* the one under way */
	const char *fail_reason; /* while hooks of a failure run */
	struct str fail_message;
};

/* Calls the API; done later, unless the run is cancelled. */
void run_call(struct run *run, const struct api_call *call, size_t i,
	      void (*done)(struct run *run, size_t i, const struct api_answer *answer));
/* Calls done with a NULL answer after a while. */
void run_later(struct run *run, int64_t ns, size_t i,
	       void (*done)(struct run *run, size_t i, const struct api_answer *answer));
/* The same as the unit's ServiceAccount, where it has one: whatever touches its objects. */
void run_call_as(struct run *run, struct api_call *call, size_t i,
		 void (*done)(struct run *run, size_t i, const struct api_answer *answer));
/* Ends the run. */
void run_fail(struct run *run, const char *reason, struct str message);
/* The same, when trying again cannot help. */
void run_stall(struct run *run, const char *reason, struct str message);
void run_succeed(struct run *run, struct str message);

/* far.c: the cluster that is written to; calls run_keys when done, or run_prune_go in a farewell
 * that needs nothing rendered. */
void run_far(struct run *run);
/* run.c: what to render, and how. */
MUST_USE int run_prepare(struct run *run, struct source *s, struct err *err);
/* run_keys.c: calls run_vars when done. */
void run_keys(struct run *run);
/* run_vars.c: calls run_render when done. */
void run_vars(struct run *run);
void run_render(struct run *run);
/* run_apply.c */
void run_dry(struct run *run);
void run_apply_item(struct run *run, size_t i);
/* After the dry run, or after what comes in between. */
void run_apply(struct run *run);
void run_pump(struct run *run);
void run_item_failed(struct run *run, size_t i, const struct err *err);
/* An annotation or label of an object says this. */
bool object_says(const struct json *tree, const char *key, const char *value);
/* ---- run_force.c ---- */
/* The error is of the kind that making it anew helps against, and that is wanted. */
bool run_recreates(struct run *run, size_t i, const struct err *err);
void run_recreate(struct run *run, size_t i);
/* The old object isn't gone yet: tries again by itself. */
bool run_waits_for_end(struct run *run, size_t i, const struct api_answer *answer);
/* ---- run_plan.c: in place of applying ---- */
void run_plan_ready(struct run *run);
void run_plan_failed(struct run *run, struct str message);
/* run_prune.c */
void run_prune(struct run *run);
const struct resource *plan_resource(struct run *run, const struct plan_entry *e);
/* farewell.c: takes the finalizer off. */
void run_farewell_end(struct run *run);
/* Deletes run->prune.go, then ends the run. */
void run_prune_go(struct run *run);
/* Goes on with it after a pause. */
void run_prune_next(struct run *run);
/* The inventory as it is when all of `items` stand: those that aren't adopted, and what is held
 * back or not yet pruned. */
const struct json *run_inventory(struct run *run, bool with_old);

#endif
