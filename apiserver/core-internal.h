/*
 * The core's state, shared by its files: tables of objects (core_table.c), reading (core_read.c),
 * writing (core_write.c, core_patch.c, core_delete.c, core_sub.c), watching (watch.c). One thread.
 */
#ifndef PLUMB_CORE_INTERNAL_H
#define PLUMB_CORE_INTERNAL_H

#include "apiserver/core.h"
#include "lib/base/codec.h"
#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/selector.h"

/* ---- tables: the objects of one stored kind, sorted by namespace and name ---- */
struct event {
	uint64_t revision;
	int64_t at_ns;
	const struct obj *old, *new; /* references; a deletion's `new` is the last state under the
					deletion's revision */
	bool deleted;
};

struct table {
	const struct kind *kind; /* the stored version */
	const struct obj **rows;
	size_t n, cap;
	uint64_t changes; /* grows with every put and delete, undone ones too */
	/* the watch log */
	struct event *log;
	size_t log_head, log_n, log_cap;
	uint64_t log_first; /* sequence number of the oldest event */
	uint64_t forgotten; /* revision up to which the log no longer reaches back */
	uint64_t noted;     /* the commit that last noted a change of this table */
	bool sealed;        /* its rows are encrypted in the store */
	bool was_sealed;    /* some still are that needn't be */
	struct list watchers;
};

/* Below, at or above 0 as o stands before, at or behind (namespace, name) in its table. */
int table_order(const struct obj *o, struct str namespace, struct str name);
/* Position of the first row that is not before (namespace, name). */
size_t table_lower(const struct table *t, struct str namespace, struct str name);
const struct obj *table_get(const struct table *t, struct str namespace, struct str name);
/* o's reference is taken over; what stood there is returned, its reference now the caller's. */
const struct obj *table_put(struct table *t, const struct obj *o);
const struct obj *table_del(struct table *t, struct str namespace, struct str name);
/* Rows of a namespace (STR_NONE = all): [*ret_from, *ret_to). */
void table_range(const struct table *t, struct str namespace, size_t *ret_from, size_t *ret_to);
/* An event of the watch log, log_first ≤ seq < log_first + log_n. */
const struct event *watch_log_at(const struct table *t, uint64_t seq);

/* ---- the core ---- */
struct served {
	const struct kind *kind;
	struct table *table;
};

/* One write of the running turn: what is undone when the commit fails. */
struct change {
	struct table *table;
	const struct obj *old, *new; /* references; new NULL = deleted */
	const struct obj *event_new; /* what watchers get; a reference */
};

/* An answer that waits for the commit. */
struct reply {
	struct core_req *req;
	int status;
	struct block *
		*blocks; /* references, freed after delivery; the array is in the turn's arena */
	size_t nblocks;
	struct str warnings, notes;
	int retry_after_s;
	struct reply *next;
};

struct hook {
	void (*fn)(void *arg, const struct kind *k, const struct obj *old, const struct obj *new);
	void *arg;
};

/* A list that goes on page by page, frozen at its revision. */
struct snapshot {
	struct list all; /* newest last */
	uint64_t id, revision;
	const struct table *table; /* what was listed, and where: a token leads nowhere else */
	char *namespace;
	const struct obj **v;
	size_t n;
	int64_t at_ns;
};

/* What admission has read in this turn: the same namespace and account for every pod of a batch.
 * An object that changes is another object, and none is freed before the turn is over. */
struct read_tree {
	const struct obj *obj;
	const struct json *tree; /* in `turn` */
};

struct webhooks;
struct quota_books;

struct core {
	struct core_opts o;
	struct rng rng;
	uint64_t revision;
	struct served **served;
	size_t nserved;
	struct map by_path; /* "group/version/plural" → struct served: core_kinds.c */
	struct table **tables;
	size_t ntables;
	struct map by_name;              /* "group//plural" → struct table */
	struct crd *crds, *crds_retired; /* core_crd.c */
	struct core_req *queue, **queue_end;
	struct change *changes;
	size_t nchanges, changes_cap;
	const struct obj *
		*kept; /* objects that answers of the turn show, though they are not stored */
	size_t nkept, kept_cap;
	struct reply *replies, **replies_end;
	struct list watchers; /* all, for time-outs and cancelling */
	struct list snapshots;
	size_t nsnapshots;
	uint64_t next_snapshot;
	struct hook *hooks;
	size_t nhooks;
	struct admission_reader reader;
	const struct admission **steps; /* core_admit.c: the registry by order */
	struct quota_books *quotas;     /* quota.c */
	struct alloc *alloc;
	uint64_t commits; /* tried */
	struct reseal {   /* core_seal.c */
		bool wanted;
		size_t table;               /* index into tables */
		struct buf namespace, name; /* of the row that was done last */
	} reseal;
	struct arena turn; /* for one turn */
	struct read_tree read_trees[32];
	int64_t next_tick;
	int64_t events_due; /* before it no Event expires */
	struct block *comma, *event_head[4], *event_tail;
	/* core_park.c, core_webhook.c */
	struct list parked; /* requests whose calls are under way, or that wait for a moment */
	size_t ncalls, nawaiting;
	int64_t frozen_ns; /* what core_now() says during a repeated attempt, 0 = the time */
	struct conversions *conversions; /* core_convert_watch.c */
	struct webhooks *webhooks;       /* as the configurations were at webhooks_changes */
	uint64_t webhooks_changes;
	const struct table *webhooks_of[2]; /* mutating, validating */
};

int64_t core_now(const struct core *c);
struct served *core_served(const struct core *c, struct str group, struct str version,
			   struct str plural);
/* The table of a group's resource in whichever version, NULL when unknown. */
struct table *core_table(const struct core *c, const char *group, const char *plural);

/* The built-in kinds, and then the whole store. */
void core_load_kinds(struct core *c);
MUST_USE int core_load(struct core *c, struct err *err);
/* The table of a stored kind, made when there is none. */
struct table *core_table_for(struct core *c, const struct kind *k);
/* Kinds that come and go: the kind must live as long as the core. */
void core_register(struct core *c, const struct kind *k, struct table *t);
void core_unregister(struct core *c, const struct kind *k);

/* ---- CustomResourceDefinitions (core_crd.c) ---- */
/* Serves what the loaded definitions define; resume goes on with deleting. */
void core_crd_load(struct core *c);
void core_crd_resume(struct core *c);
/* After each commit, before anybody else hears of the change. */
void core_crd_change(struct core *c, const struct change *ch);
void core_crd_free(struct core *c);

/* Takes o's reference over and drops it when the turn is done. */
void core_keep(struct core *c, const struct obj *o);

/* ---- one request ---- */
struct op {
	struct core *core;
	struct core_req *req;
	const struct served *served;
	const struct kind *kind; /* as asked for */
	struct arena *a;
	struct buf warnings;
	struct json *notes; /* NULL = the audit log doesn't ask */
	struct str name;    /* of the object a create is about, once it has one: for errors */
	bool dry_run;
	bool by_kind, by_resource;       /* errors speak of the Kind, of the resource */
	bool evicting;                   /* a deletion that says in the pod's status why */
	struct err err;                  /* code ERR_NONE while all is well */
	struct schema_problems problems; /* causes of ERR_INVALID */
	struct schema_problems repeated; /* keys that the body says twice */
	const struct json *denial;       /* a webhook's Status, instead of err */
	int denial_code;
	const struct json *delete_options; /* of a delete */
	bool pure_body; /* what admission sees is a body (a Scale), not an object of the kind */
	const struct obj *live; /* of a custom resource's update; or NULL */
	bool *changed;          /* core_webhook.c */
	int round;              /* of the webhook that is asked, and its place among its like */
	size_t index;
	/* core_park.c */
	struct parked *memo;        /* of a repeated attempt */
	struct pending_call *calls; /* that this attempt found missing */
	size_t ncalls;
	bool parked; /* abandoned: nothing more matters */
	size_t savepoint;
	uint64_t revision;
	struct rng rng;
};

/* ---- asking outside (core_park.c) ---- */
struct recalled {
	struct str body;
	struct err err; /* code ERR_NONE: body is the answer */
	char uid[UUID_TEXT_MAX];
};
/* The answer to a call of that key (what tells it from others, in text), NULL when it has not been
 * asked yet. */
const struct recalled *op_recall(const struct op *op, struct str key);
/*
 * Parks the request: it is abandoned, though the caller may go on to find out what else it needs.
 * The call is the caller's to fill; everything in it must be in its arena. NULL with op->err when
 * it can't be made, NULL without when the same was asked before.
 */
struct core_call *op_call(struct op *op, struct str key, struct str name);
/* A conversion's: its answer is one of many, by their own keys. */
void op_call_many(struct core_call *call, const struct str *keys, size_t n);
/* A call that belongs to no request: done is told on the core's thread. NULL when too many are
 * under way. It is handed out by core_call_go(). */
struct core_call *core_call_new(struct core *c, struct str name,
				void (*done)(struct core *c, void *arg, struct str body,
					     const char *uid, const struct err *err),
				void *arg);
void core_call_go(struct core *c, struct core_call *call);
void op_begin(struct op *op);
void op_end(struct op *op);
/* The turn's changes beyond the first n are taken back. */
void core_undo_to(struct core *c, size_t n);
/* Back into the queue, with what it remembers. */
void core_requeue(struct core *c, struct core_req *r);
bool core_park_cancel(struct core *c, struct core_req *r);
/* Whether the request waits for what a controller makes in a moment: abandoned then. */
bool op_await(struct op *op);
/* Those that wait so go on: all of them when something `came`, else those whose moment is over. */
void core_park_wake(struct core *c, bool came);
/* When that will be; INT64_MAX. */
int64_t core_park_due(const struct core *c);
void core_park_forget(struct core_req *r);
void core_park_free(struct core *c);

/* ---- versions that somebody else converts (core_convert.c) ---- */
/* The objects as readers of the kind asked for see them. -1: parked, or op->err. */
MUST_USE int op_see(struct op *op, const struct obj *const *v, size_t n, const struct obj **ret);
/* The request's object so; NULL also when there is none: op_stuck() tells. */
const struct obj *op_live(struct op *op);
/* The rows of the request's namespace as they stood at that revision; ERR_EXPIRED where the watch
 * log no longer reaches back. The array is the op's, the objects live as long as the turn. */
MUST_USE int table_past(struct op *op, uint64_t revision, const struct obj ***ret_v, size_t *ret_n);
bool op_stuck(const struct op *op);
/* o as `seen` is seen, of which it is a later state: no more than metadata changed. */
const struct obj *op_like(struct op *op, const struct obj *seen, const struct obj *o);
/* A tree in another version. NULL: parked, or op->err. */
struct json *op_convert(struct op *op, const struct json *o, const struct kind *to);
void core_convert_call(struct core_call *call, const struct kind *to, const struct str *texts,
		       size_t n);

/* ---- the same for watches (core_convert_watch.c) ---- */
/* o as watchers of k see it, borrowed: itself where nothing is to be converted, NULL while that is
 * not known. -1: it can't be. */
MUST_USE int watch_seen(struct core *c, const struct kind *k, const struct obj *o,
			const struct obj **ret, struct err *err);
/* Has those converted, unless some of the kind are already under way. */
void watch_ask(struct core *c, const struct kind *k, const struct obj *const *v, size_t n);
bool watch_is_asking(struct core *c, const struct kind *k);
/* Whether something came since the last time this was asked. */
bool watch_has_news(struct core *c);
void watch_conversions_free(struct core *c);

/* ---- webhooks (core_webhook.c) ---- */
/*
 * Asks the mutating ones, which may change `object` (NULL on delete and connect); *ret_changed says
 * that one did. -1 with op->err, or with op->parked.
 */
int webhooks_mutate(struct op *op, const struct admission_req *r, bool *ret_changed);
int webhooks_validate_all(struct op *op, const struct admission_req *r);
void core_webhooks_free(struct core *c);
/* core_note.c: for the audit log. */
struct webhook;
void note_said(struct op *op, const struct webhook *w, const struct json *said);
void note_open(struct op *op, const struct webhook *w);
void note_mutation(struct op *op, const struct webhook *w, bool mutated, const struct json *patch);
/* A request that says `ask`. */
void core_ask(struct op *op);

/* The value of a query parameter, STR_NONE when absent. */
struct str op_query(const struct op *op, const char *name);
/* core_options.c: the request's options, refused with op->denial when they make no sense. */
int options_read(struct op *op);
/* Always -1: the options, not the object, are invalid. */
int options_refuse(struct op *op, const char *reason, const char *field, const char *message);
int options_read_delete(struct op *op, const struct json *options);
/* Answers, once the turn is committed. */
void op_answer_obj(struct op *op, int status, const struct obj *o);
void op_answer_json(struct op *op, int status, const struct json *v);
void op_answer_blocks(struct op *op, int status, struct block **blocks, size_t n);
/* op->err as a Status. */
void op_answer_error(struct op *op);
void op_answer_success(struct op *op, int status, const struct json *details);

void core_read(struct op *op); /* GET and LIST */
void core_create(struct op *op);
void core_update(struct op *op);
void core_patch(struct op *op);
void core_delete(struct op *op);
void core_delete_collection(struct op *op);
void core_watch(struct op *op);

/* ---- writing ---- */
/* The request's body as a tree of the kind, checked; NULL with op->err. */
struct json *write_decode(struct op *op);
/* The body as JSON; keys said twice are noted, and write_check says what comes of them. */
struct json *write_parse(struct op *op);
/* Creates what an apply or a PUT didn't find, if the caller may; answers. */
void core_make_missing(struct op *op, struct json *next, bool tracked);
/* Whether an applied configuration says only what its kind has. */
int write_check_applied(struct op *op, const struct json *config);
/* Against the kind's schema; drops what may not stay. -1 with op->err when that ends it. */
int write_check(struct op *op, struct json *v);
/* From a decoded object to the stored one (or, dry, what would be): NULL with op->err. live NULL =
 * create. */
const struct obj *write_object(struct op *op, struct json *next, const struct obj *live,
			       bool track);
/* create without an answer: for PUT and apply that create. */
void core_create_object(struct op *op, struct json *next, bool track);
/* Puts `tree` under the next revision; returns a borrowed object, valid for the turn. */
const struct obj *core_put(struct core *c, struct table *t, struct json *tree, struct arena *a);
void core_remove(struct core *c, struct table *t, const struct obj *o, struct arena *a);
/* Deletes or marks, as kind, options and finalizers ask; *ret_gone says which. Borrowed result (the
 * marked object or the last state). */
const struct obj *core_delete_object(struct op *op, const struct obj *live,
				     const struct json *options, bool *ret_gone);
/* After an update of an object that is being deleted: true when nothing holds it any more. */
bool core_deletable(const struct kind *k, const struct json *o);
/* Sub-resources other than status: true when this was one and it has been answered. */
bool core_subresource(struct op *op);
/* POST of a Binding. */
void core_binding(struct op *op);
void core_admit_sort(struct core *c);
/* What may change a write, before its kind's rules have a look at it; those who only judge come
 * after them. */
int write_mutate(struct op *op, enum admission_op what, struct json *next, const struct json *old);
int write_judge(struct op *op, enum admission_op what, struct json *next, const struct json *old);
int write_admit_delete(struct op *op, struct str name, const struct json *old);
/* The webhooks alone: for bodies that aren't objects of the kind (a Scale, an Eviction). */
int write_ask(struct op *op, enum admission_op what, struct json *next, const struct json *old);

/* ---- for sub-resources (core_sub.c) ---- */
/* The object that the request is about; NULL with op->err. */
const struct obj *sub_live(struct op *op);
/* The body as it is: these kinds have no schema of their own that would be checked. */
struct json *sub_body(struct op *op);
/* What webhooks are shown says what it is, whether or not the writer did. */
struct json *sub_typed(struct op *op, struct json *body, const char *api_version, const char *kind);
void core_evict(struct op *op); /* core_evict.c */
/* A webhook made `changed` of an object that was good: it becomes that, as far as the request may
 * change it, checked and defaulted again. */
int write_again(struct op *op, struct json *next, struct json *changed);

/* ---- selecting ---- */
struct selecting {
	struct selector labels, fields;
	bool has_labels, has_fields;
	bool moved; /* by fields of a version that somebody else converts to */
};
MUST_USE int selecting_parse(struct op *op, struct arena *a, struct selecting *ret);
/* Of an object in the version that was asked for, where that is another's to convert. */
bool selecting_match(const struct kind *k, const struct selecting *s, const struct obj *o);
/* What can be told of an object in any version: false = it isn't selected. */
bool selecting_may(const struct kind *k, const struct selecting *s, const struct obj *o);
/* Keeps what is selected of v, and where seen isn't NULL the same in the version that was asked
 * for. -1: parked, or op->err. */
MUST_USE int op_select(struct op *op, const struct selecting *s, const struct obj **v, size_t *n,
		       const struct obj **seen);

/* ---- forms: object, table, metadata only ---- */
/* One object in the request's form: the object's own block, or a new one. A reference. */
struct block *form_block(const struct kind *k, enum core_form form, const struct obj *o,
			 struct str include, int64_t now_ns);
/* The same as a whole answer or event: a Table of one row, its columns left out where they were
 * sent before. */
struct block *form_single(const struct kind *k, enum core_form form, const struct obj *o,
			  struct str include, bool columns, int64_t now_ns);
void form_list_head(const struct kind *k, enum core_form form, uint64_t revision,
		    struct str continue_token, int64_t remaining, struct buf *out);
/* Between head and tail of a Table's rows and a list's items there is the same comma. */

/* ---- watching ---- */
void watch_log_add(struct core *c, struct table *t, const struct change *ch);
void watch_deliver(struct core *c, struct table *t, size_t first_new);
void watch_tick(struct core *c);
/* Those that waited for a conversion go on. */
void watch_resume(struct core *c);
bool watch_cancel(struct core *c, struct core_req *r);
void watch_free_all(struct core *c);
void watch_log_release(struct table *t);

/* ---- what goes into the store (core_seal.c) ---- */
/* GROUP/PLURAL/NAMESPACE/NAME; the namespace is empty for cluster-scoped kinds. */
struct str core_store_key(struct arena *a, const struct table *t, const struct obj *o);
/* Encrypted where the kind asks for it; lives as long as the turn. */
MUST_USE int core_store_value(struct core *c, const struct table *t, struct str key,
			      struct str plain, struct str *ret, struct err *err);
/* Beside the turn's changes: when each table they touch was changed last, so that after a restart
 * watches of quiet tables go on. Fills w, which has room for one row a change. */
size_t core_store_noted(struct core *c, struct store_write *w);
/* Reads such a row; false when it is something else. */
bool core_load_noted(struct core *c, struct str key, struct str value);
void core_reseal_free(struct core *c);
/* Whether a kind's objects are to be encrypted in the store. */
bool core_is_sealed(const struct core *c, const struct kind *k);

/* ---- allocation of Service addresses and node ports (alloc.c) ---- */
struct alloc *alloc_new(const char *service_cidr, struct err *err);
void alloc_free(struct alloc *a);
/* Keeps the books: called for every change of a Service. */
void alloc_change(struct alloc *a, const struct json *old, const struct json *new);
/* Fills clusterIP(s) and nodePorts of `next`; problems where what is asked for is taken or outside.
 */
int alloc_service(struct alloc *a, struct arena *arena, struct rng *rng, struct json *next,
		  const struct json *live, struct schema_problems *problems);

/* status.c: with causes. */
void core_status_write_causes(const struct err *err, struct str group, struct str kind_or_resource,
			      struct str name, struct str uid, const struct schema_problems *causes,
			      struct buf *out);

#endif
