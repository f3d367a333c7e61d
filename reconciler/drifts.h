/* What drifted from a unit's revision, until it is told. Private to drift_*.c. */
#ifndef PLUMB_RECONCILER_DRIFTS_H
#define PLUMB_RECONCILER_DRIFTS_H

#include "reconciler/engine.h"

#define NOTES_MAX 500

/* One drifted field or object. All text is on the heap, and redacted but for live_json. */
struct drift_note {
	char *entry; /* inventory id */
	char *api_version, *kind, *namespace, *name, *place, *file;
	uint32_t doc;
	bool lone;
	enum drift_op op;
	char *path, *git, *live, *manager;
	char *git_json, *live_json; /* for the edit; NULL where sensitive */
	char *reason;               /* why the manifest could not be edited, or NULL */
	char id[17];
	int64_t at_ns;
	bool proposed;
};

struct drift_pull;

struct drifts {
	struct unit *u;
	struct drift_note v[NOTES_MAX];
	size_t n;
	char commit[GIT_OID_TEXT]; /* pushed last; "" = there is no branch of ours */
	char *problem;             /* why it could not be pushed, or NULL */
	char branch[300];
	struct loop_timer timer;
	struct loop_timer away; /* until the branch's deletion is tried again */
	unsigned refusals;      /* deletions that failed, one after another */
	struct sourcecall *helper;
	struct drift_pull *pull; /* where there is a forge */
	bool again;
	bool closing;      /* to be taken away once the running push is over */
	bool proposed;     /* something here waits for a decision */
	bool adopting;     /* mode adopt: straight onto the tracked branch, where that is allowed */
	bool onto;         /* the push under way is such a one */
	unsigned failures; /* pushes that failed since the last that didn't */
	unsigned pushes;   /* within a window: who keeps changing is told of ever more rarely */
	int64_t pushed_at, noted_at;
};

/* ---- drift_text.c (pure) ---- */
struct drift_text {
	const char *cluster, *unit, *revision;
};
void drift_subject(const struct drifts *d, const struct drift_text *t, struct buf *out);
void drift_message(const struct drifts *d, const struct drift_text *t, struct buf *out);
void drift_markdown(const struct drifts *d, const struct drift_text *t, struct buf *out);

/* The same drift has the same id. */
void drift_id(const struct entry *e, const struct json *declared, const struct drift_item *item,
	      char ret[17]);
/* A report and a branch that an earlier life pushed; u has no drifts yet. */
void drifts_take_up(struct unit *u, const char *branch, const char *commit);
/* Nothing waits any longer: branch and report go. */
void drifts_close(struct drifts *d);
/* The unit is going: what was proposed goes without it. */
void drifts_goodbye(struct unit *u);
/* ---- drift_commit.c ---- */
void drift_commit_delete(struct drifts *d);
/* Edits what can be edited and pushes the branch; goes on with drift_object_write. */
void drift_commit(struct drifts *d);
/* ---- drift_pull.c: the branch's pull request; all do nothing without a forge ---- */
void drift_pull_tell(struct drifts *d);  /* the branch was pushed */
void drift_pull_close(struct drifts *d); /* the drift is gone */
/* The branch is gone: true when the forge is asked why, and does what it says. */
bool drift_pull_decides(struct drifts *d);
void drift_pull_look(struct drifts *d); /* something may have happened to it */
void drift_pull_status(const struct drifts *d, struct arena *a, struct json *report);
void drift_pull_free(struct drifts *d);
/* ---- drift_object.c ---- */
void drift_object_write(struct drifts *d);
void drift_object_delete(struct drifts *d);

#endif
