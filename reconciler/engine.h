/*
 * The reconciler's running parts: sources (GitRepositories), units (Kustomizations), watches of
 * what units declare. One loop, one thread; everything here belongs to it.
 *
 *   source: poll ─▶ commit ─┐
 *                           ▼
 *   unit:  idle ─▶ run: variables ─▶ render ─▶ dry run ─▶ inventory ─▶ apply ─▶ prune ─▶ status
 *            ▲                                                                    │
 *            └── watch: drift ─▶ put back ─▶ report        health wait ◀──────────┘
 */
#ifndef PLUMB_RECONCILER_ENGINE_H
#define PLUMB_RECONCILER_ENGINE_H

#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"
#include "lib/kube/restmap.h"
#include "reconciler/drift.h"
#include "reconciler/githelper.h"
#include "reconciler/health/health.h"
#include "reconciler/plan.h"
#include "reconciler/plandiff.h"
#include "reconciler/render.h"
#include "reconciler/statusq.h"

#define FIELD_MANAGER "plumb"
#define REQUESTED_AT "reconcile.fluxcd.io/requestedAt"
#define DRIFT_MODE "plumb.dev/drift"
/* On a Kustomization: "warn" applies files whose MAC does not fit; "strict", the default, refuses.
 */
#define SECRETS_INTEGRITY "plumb.dev/secrets-integrity"
#define SECRETS_BINDING "plumb.dev/sops-binding"
/* Suspends until then (RFC 3339), and ends spec.suspend at that time. */
#define SUSPEND_UNTIL "plumb.dev/suspend-until"
/* Ids of drift that was decided against; ours to write. */
#define REJECTED_DRIFT "plumb.dev/rejected-drift"
/* Asks for a revert: "REVISION#when" or "previous#when", "#propose" behind it for a pull request;
 * answered by the other one. */
#define ROLLBACK "plumb.dev/rollback"
#define ROLLED_BACK "plumb.dev/rolled-back"
/* "revert": a revision that does not become healthy is reverted by a commit; "propose": by a pull
 * request. */
#define ON_FAILURE "plumb.dev/on-failure"
/* What the branch of recipients changes that was pushed last: recipients.h; ours to write. */
#define RECIPIENTS_PUSHED "plumb.dev/recipients"
#define ROOT_NAMESPACE "plumb-system"
#define IN_FLIGHT_MAX 16
#define RUNS_MAX 16 /* at once: each holds all that it has rendered */

struct reconciler_opts {
	const char *data_dir, *cluster_name;
	const char *repo, *branch, *path; /* repo NULL or "" = no root unit is made */
	const char *interval;             /* of the root source, or NULL */
	const char *forge;                /* KIND=URL, or NULL */
	const char *webhook_listen;       /* ADDR:PORT, or NULL or "" */
	const char *webhook_cert, *webhook_key;
	const char
		*sops_binding; /* "required": sops files say what they are for; NULL = optional */
	const char *sealing;   /* auto, commit, propose or off; NULL = auto */
	/* Whom Kustomizations outside of ROOT_NAMESPACE act as when they don't say; or NULL. */
	const char *default_service_account;
	void (*synced)(void *arg);
	void *arg;
};

struct run;
struct drifts;
struct argo;

enum source_kind { SOURCE_GIT, SOURCE_OCI };

struct source {
	struct reconciler *r;
	enum source_kind kind;
	char *key; /* namespace/name, with a prefix for other kinds than git */
	struct obj *o;
	char commit[GIT_OID_TEXT]; /* what is fetched, to be rendered; "" = nothing yet */
	char base[GIT_OID_TEXT];   /* the remote's commit that stands for */
	char *digest;              /* of an OCI artifact */
	char *origin; /* what its maker says that it was made of: main@sha1:…; or NULL */
	char *revision, *mirror, *url;
	struct gitmirror *git; /* the mirror, opened by the first who reads it; or NULL */
	char *error;           /* why the last poll failed, or NULL */
	const char *reason;    /* of that, as conditions call it */
	char *handled;         /* requestedAt that was acted upon */
	char *verified;        /* what was verified last, and … */
	char *verified_by;     /* … how */
	int64_t generation;
	int64_t asked_generation, fetched_generation; /* of the spec that polls were made for */
	unsigned failures;
	struct githelper *helper;
	struct githelper *repack;
	struct source_secrets *secrets; /* being read for a poll */
	struct apptoken *apptoken;      /* being asked for, for a poll */
	struct loop_timer timer;
	struct loop_fd inotify;
	bool again;               /* something happened while a poll was running */
	bool waits;               /* for another source to be done with the mirror */
	struct prplans *plans;    /* of pull requests, or NULL */
	struct buf auth;          /* credentials as JSON, for pushing; "" = none */
	struct resealing *reseal; /* see reseal.h */
	struct buf asked;         /* drift branches that the running poll asks about, as JSON */
};

/* One declared object, as it was applied last. */
struct entry {
	struct unit *unit;
	const struct resource *resource;
	char *id, *namespace, *name, *api_version, *kind;
	char *place;  /* file:line */
	char *file;   /* the manifest that declares it … */
	uint32_t doc; /* … in this document of it */
	bool lone;    /* which holds nothing else */
	char *bytes;  /* the declared object */
	size_t nbytes;
	char *hidden; /* pointers of its sensitive values: sensitive_paths */
	size_t nhidden;
	char *said; /* where values are said that its document doesn't say: said.h */
	size_t nsaid;
	char hash[65];
	const struct obj *accepted; /* what the server made of it; NULL = not applied yet */
	bool adopted;               /* it was there before us: never pruned */
	bool dirty;                 /* it changed while nobody could look */
	bool fresh;                 /* made by this run: changes before it was known went unheard */
	bool seen;                  /* mark and sweep */
	bool fixing;                /* a correction is on its way */
	bool kept;                  /* somebody's hand holds it as it is: reconcile: disabled */
	bool gone;                  /* deleted since, while it could not be put back */
	bool overlaid;              /* accepted holds frozen values: no measure of what git says */
	unsigned fixes;             /* corrections within a minute of each other */
	int64_t fixed_at;
	struct frozen *frozen; /* fields that wait for a decision */
	size_t nfrozen;
	uint64_t looked;  /* the live object's revision when they were read */
	bool frozen_gone; /* so does its deletion */
};

/* Whether what sops encrypted is as it was written. */
enum integrity { INTEGRITY_UNKNOWN, INTEGRITY_NONE, INTEGRITY_GOOD, INTEGRITY_BROKEN };

/* A unit that is only planned: nothing is written, not even its status. */
struct unitplan {
	struct arena arena;
	struct plan_report report;
	void (*done)(void *arg);
	void *arg;
};

struct unit {
	struct reconciler *r;
	char *key;
	struct obj *o;      /* the Kustomization; NULL = gone */
	struct obj *head;   /* the same without its inventory: see unit_tree */
	struct map entries; /* id → struct entry */
	char *reads;        /* what was applied last was built from: reads.h; NULL = unknown */
	int64_t generation; /* of the spec that was applied last */
	char *revision;     /* applied last */
	char commit[GIT_OID_TEXT];
	char *handled;           /* requestedAt */
	bool ready, full;        /* full: apply also what didn't change */
	bool untold;             /* it is applied; that it is well was not told yet */
	bool again;              /* something happened during a run */
	bool depends;            /* it has dependencies */
	bool lacks;              /* … one of which isn't there */
	char *shared;            /* what another unit declares as well, and who: NULL = nothing */
	char *shared_told;       /* that, as it was told last */
	bool suspended;          /* by its spec */
	bool was_suspended;      /* when it was looked at last */
	int64_t suspended_until; /* wall clock; 0 = nobody said */
	struct list queued;      /* in the reconciler's queue, or empty */
	bool prune_later;        /* what is to go waits for those that may take it over */
	unsigned failures;
	struct run *run;
	struct unitplan *plan;       /* or NULL */
	struct loop_timer timer;     /* the next look, by interval or retry */
	int64_t health_until;        /* waiting for health, 0 = not */
	int64_t health_from;         /* since when */
	int64_t health_told;         /* when it was last said what is waited for */
	struct farchecks *farchecks; /* while health is waited for */
	struct drifts *drifts;
	struct revert *revert;              /* under way */
	struct recipients_push *recipients; /* of its sops files: recipients.h; or NULL */
	bool wants_revert;                  /* once its source is there */
	char reverted[72];                  /* digest of the build that was reverted last */
	enum integrity integrity;
	char *broken;        /* which file isn't, and why */
	char digest[72];     /* of what was built last: sha256:… */
	char *history;       /* status.history as it was put last, or NULL */
	int64_t began;       /* when the reconciliation under way did; 0 = told already */
	struct map rejected; /* ids of drift that somebody decided against */
	struct far *far;     /* the cluster that it is applied to, where that is another one */
	struct argo *argo;   /* where the object is an Application: argo.h; or NULL */
};

/* Everything live that belongs to a unit, of one kind. */
struct kindwatch {
	struct reconciler *r;
	struct informer *informer;
};

struct reconciler {
	struct client *client;
	struct loop *loop;
	struct reconciler_opts opts;
	struct restmap *restmap;
	struct recorder *recorder;
	struct statusq *statuses;
	struct informer *sources_informer, *oci_informer, *units_informer;
	struct informer *sealing; /* the published sealing key; or NULL */
	struct informer *apps_informer, *projects_informer, *appsets_informer, *repo_secrets;
	struct map sources, units; /* key → struct source, struct unit */
	bool lacking;              /* some unit waits for one that isn't there */
	struct map owned;          /* identity → struct entry: see entry_key */
	struct map watches;        /* group/kind → struct kindwatch */
	struct map gates;          /* forges: see forge_call.c */
	struct map clusters;       /* others: see far.c */
	struct bootstrap *bootstrap;
	struct webhooks *webhooks;
	struct unsupported *unsupported; /* see unsupported.h */
	struct alerts *alerts;
	struct leftovers *leftovers; /* see leftover.h */
	struct loop_timer discovery; /* another try */
	size_t running;              /* runs under way */
	struct list goodbyes;        /* see goodbye.h */
	struct list queue;           /* units that wait for one of them to end */
	struct loop_timer dequeue;
	bool synced;
};

/* The simulation and the role start it alike. The client is borrowed. */
struct reconciler *reconciler_start(struct client *c, const struct reconciler_opts *o);
void reconciler_stop(struct reconciler *r);

/* ---- bootstrap.c: the root objects ---- */
struct bootstrap *bootstrap_start(struct reconciler *r);
void bootstrap_free(struct bootstrap *b);

/* ---- source.c ---- */
void source_changed(struct reconciler *r, const struct obj *old, const struct obj *new);
void source_changed_oci(struct reconciler *r, const struct obj *old, const struct obj *new);
/* The branch it follows, STR_NONE when it is a tag or a commit. In `a`. */
struct str source_branch(const struct source *s, struct arena *a);
struct source *source_find(struct reconciler *r, struct str namespace, struct str name);
struct source *source_find_oci(struct reconciler *r, struct str namespace, struct str name);
const struct resource *source_resource(const struct source *s);
void source_free(struct source *s);
/* It stands for an address that Applications name: no object speaks of it. */
bool source_is_internal(const struct source *s);
/* Borrowed: until the source is gone, or its url changes, which ends the runs that use it. */
struct gitmirror *source_git(struct source *s, struct err *err);
/* ---- source_poll.c ---- */
void source_poll(struct source *s);
/* Those that wait for this mirror. */
void sources_waiting(struct reconciler *r, const char *mirror);
/* ---- source_files.c: a repository on this machine ---- */
void source_watch_files(struct source *s);
void source_unwatch_files(struct source *s);
/* ---- source_secrets.c ---- */
/*
 * All Secrets that the spec names, decoded: {auth, proxy, cert, verify}. done is called once; with
 * err and its condition's reason where one cannot be had.
 */
void source_secrets(struct source *s, void (*done)(struct source *s, const struct json *secrets,
						   const struct err *err));
void source_secrets_cancel(struct source *s);
/* ---- source_app.c: a GitHub App's token in place of a password ---- */
/*
 * False when the Secrets hold no App's key; else done is called, as by source_secrets, with a
 * username and a token among `auth`.
 */
bool source_app(struct source *s, const struct json *secrets,
		void (*done)(struct source *s, const struct json *secrets, const struct err *err));
void source_app_cancel(struct source *s);
/* ---- source_call.c: the helper, with the source's credentials ---- */
struct sourcejob {
	const char *what;     /* of githelper_start; auth is added to the request */
	struct json *request; /* copied */
	int64_t timeout_ns;
	githelper_done *done;
	void *arg;
};
struct sourcecall;
/* A GitHub App's token is asked for anew where it ends soon. Never NULL; done comes in a later
 * turn, and the source may go meanwhile. */
struct sourcecall *source_call(struct source *s, const struct sourcejob *job);
void source_call_cancel(struct sourcecall *c); /* done is not called; NULL is fine */
/* ---- source_request.c: what the helper is asked ---- */
/* NULL with err and *ret_reason when the spec cannot be asked for. */
struct json *source_request(struct source *s, struct arena *a, const struct json *secrets,
			    const char **ret_reason, struct err *err);
/* spec.include names it, directly or through others. */
bool source_includes(struct source *s, const struct source *other, unsigned depth);
struct source *source_included(struct source *s, const struct json *include);
/* ---- source_status.c ---- */
struct source_news {
	const struct err *err;       /* why there is nothing new, or ERR_NONE */
	const char *reason;          /* of that, or NULL to take it from err */
	bool rewritten;              /* the branch no longer holds what was followed */
	struct str was;              /* the revision before */
	const struct json *metadata; /* of an OCI artifact */
};
void source_report(struct source *s, const struct source_news *news);
/* The answer of a poll, for source_status and units. */
void source_fetched(struct source *s, const struct json *answer, const struct err *err);
/* The same where the condition's reason is known. */
void source_failed(struct source *s, const char *reason, const struct err *err);

/* ---- unit.c: when to run ---- */
void unit_changed(struct reconciler *r, const struct obj *old, const struct obj *new);
void unit_free(struct unit *u);
void unit_look(struct unit *u); /* runs when there is reason to */
/* A run ended: those that wait for their turn. */
void units_dequeue(struct reconciler *r);
void unit_look_after(struct unit *u, int64_t ns); /* the earliest wins */
void units_of_source(struct reconciler *r, const struct source *s);
struct source *unit_source(const struct unit *u, const struct json *spec);
/* A run is over. */
void unit_ended(struct unit *u, bool ok);
/* The Kustomization without its inventory, which may be a hundred times as long as the rest. */
const struct json *unit_tree(const struct unit *u, struct arena *a);
/* status.inventory.entries */
const struct json *unit_inventory(const struct unit *u, struct arena *a);
/* Takes the object over as what the unit is now. */
void unit_take(struct unit *u, const struct obj *o);
bool unit_suspended(const struct unit *u);
/* The user that the unit's objects are written as: its ServiceAccount; NULL = ourselves. In `a`. */
const char *unit_acts_as(const struct unit *u, struct arena *a);

/* ---- unit_deps.c ---- */
void units_depending(struct reconciler *r, const struct unit *on);
void units_lacking(struct reconciler *r); /* there is a new unit */
/* Directly or through others; depth bounds how far that is followed. */
bool unit_waits_on(const struct unit *u, const struct unit *on, unsigned depth);
/* What stands in the way, in words, with the condition's reason; STR_NONE when nothing does. */
struct str unit_missing(struct unit *u, const struct json *spec, struct arena *a,
			const char **ret_reason);

/* ---- revert.c ---- */
void revert_free(struct unit *u);
/* Does what ROLLBACK asks. */
void revert_asked(struct unit *u);
/* It did not become healthy: reverts where ON_FAILURE says so. */
void revert_unhealthy(struct unit *u, struct str why);

/* ---- entries.c ---- */
struct str entry_key(struct arena *a, struct str group, struct str kind, struct str namespace,
		     struct str name);
struct entry *entry_of(struct reconciler *r, const struct obj *o);
struct entry *entry_set(struct unit *u, const struct rendered *from,
			const struct rendered_object *o);
/* What the server made of it: the body of its answer. */
void entry_accept(struct entry *e, struct str body);
/* A run has ended: what it found to be declared by another unit, too, is an event, once. */
void entries_tell_shared(struct unit *u);
/* It came by the watch, too: kept once. new may be NULL. */
void entry_saw(struct entry *e, const struct obj *new);
/* Only where it is declared may have changed. */
void entry_touch(struct entry *e, const struct rendered *from, const struct rendered_object *o);
/* The declared object, its sensitive values flagged. */
struct json *entry_declared(const struct entry *e, struct arena *a);
void entry_drop(struct unit *u, struct entry *e);
void entries_free(struct unit *u);
/* Starts watching the resource when nobody does. */
struct informer *kindwatch_get(struct reconciler *r, const struct resource *res);
const struct obj *entry_live(struct entry *e);
void kindwatches_free(struct reconciler *r);

/* ---- status.c: what a Kustomization says of itself ---- */
struct unit_report {
	const char *ready;  /* "True", "False", "Unknown" */
	const char *reason; /* ReconciliationSucceeded … */
	struct str message;
	struct str attempted, applied; /* revisions; STR_NONE leaves them */
	const struct json *inventory;  /* entries, or NULL to leave them */
	const char *healthy;           /* "True", "False", "Unknown", or NULL to leave it */
	bool event;
	bool stalled;   /* trying again cannot help */
	bool ended;     /* for better or worse: it goes into the history */
	bool unwatched; /* nobody asks for health any longer */
	bool partial;   /* there is more to come: a request isn't answered yet */
};
/* done may be NULL. */
void unit_report(struct unit *u, const struct unit_report *rep);

/* ---- run*.c ---- */
void run_begin(struct unit *u);
void run_cancel(struct unit *u);
/* ---- far.c: spec.kubeConfig ---- */
/* Where the unit's objects are: its client, kinds and watches. */
struct reconciler *unit_there(const struct unit *u);
void unit_far_free(struct unit *u);
/* ---- farewell.c ---- */
#define UNIT_FINALIZER "finalizers.fluxcd.io"
/* Makes sure that deleting the Kustomization waits for us. */
void unit_hold(struct unit *u);
/* The list is written whole, and only over the version that it was read from. */
void unit_finalizers_write(struct unit *u, struct json *list);
/* One that is called so, or so with something behind a slash. */
bool unit_finalizer_has(const struct unit *u, const char *finalizer);
/* It is being deleted: prunes as its deletionPolicy says, then lets it go. */
void unit_farewell(struct unit *u);

/* ---- health_wait.c ---- */
/* Judges the unit's objects now; true when it is settled either way. */
void unit_health_start(struct unit *u);
void unit_health_look(struct unit *u);

/* By the unit's own expressions, else by the rule of the kind. */
struct health_result unit_health_of(const struct unit *u, const struct json *o, struct arena *a);
/* spec.timeout, or what Flux takes in its place. */
int64_t unit_timeout(const struct json *spec);
bool health_check_names(const struct json *check, const struct entry *e);
struct verdict {
	size_t waiting, failed, all;
	struct str first; /* what stands in the way */
};
/* state: enum health_state; what is said of it is kept when it is the first, or the first failure.
 */
void verdict_add(struct verdict *v, int state, struct str what);
/* ---- health_far.c: healthChecks of objects that aren't the unit's ---- */
void farchecks_start(struct unit *u);
void farchecks_free(struct unit *u);
void farchecks_judge(const struct unit *u, struct arena *a, struct verdict *v);

/* ---- drift_watch.c, drift_report.c ---- */
void drift_on_change(struct reconciler *r, const struct obj *old, const struct obj *new);
void drift_recheck(struct unit *u); /* what changed during a run or a suspension */
/* proposed: it stays as it is until somebody decides. */
void drifts_note(struct unit *u, struct entry *e, const struct json *declared,
		 const struct drift_list *l, bool proposed);
/* Does with drift what the mode says; true when it must be put back. */
bool drift_decide(struct entry *e, const struct json *declared, struct drift_list *l);
void drifts_free(struct unit *u);

/* ---- freeze.c: mode propose ---- */
/* True when this is news. */
bool entry_freeze(struct entry *e, const struct drift_item *item);
void entry_thaw(struct entry *e);
/* `now` is how the live object (NULL = gone) differs: what no longer does waits for nothing, and
 * what is frozen next is of this revision of it. */
void entry_looked(struct entry *e, const struct json *live, const struct drift_list *now);
/* What to apply: as declared, but for what is frozen, and then only while the object is still the
 * one that was looked at (ERR_CONFLICT). Thaws what git changed itself. */
struct json *entry_overlay(struct entry *e, struct arena *a, const struct json *declared);
/* Closes the proposal when nothing waits any longer. */
void unit_settle(struct unit *u);
bool drift_rejected(const struct unit *u, const char *id);
void unit_reject(struct unit *u);
/* What was rejected before a restart. */
void drift_recall(struct unit *u);
bool unit_proposes(const struct unit *u);
struct json *proposed_branches(struct reconciler *r, const struct source *s, struct arena *a);
/* Of those asked for, which stand on the remote: one that is gone was rejected. */
void source_branches(struct source *s, const struct json *asked, const struct json *there);
/* The revision was replaced: what drifted from the old one is history. */
void drifts_reset(struct unit *u);

#endif
