/*
 * The API server's core: the REST verbs over kinds, store, watch log and admission. Deterministic
 * and synchronous: requests are queued, core_turn() carries out all that are queued, commits what
 * they wrote in one transaction, and only then hands out the answers and the watch events. It
 * knows nothing of sockets, so that the simulation runs it as it is.
 *
 * One thread. Time comes from the caller, randomness from the seed.
 */
#ifndef PLUMB_APISERVER_CORE_H
#define PLUMB_APISERVER_CORE_H

#include "apiserver/admission/admission.h"
#include "apiserver/store/store.h"
#include "lib/kube/obj.h"
#include "lib/os/loop.h"

struct core;

enum core_verb {
	CORE_GET,
	CORE_LIST,
	CORE_WATCH,
	CORE_CREATE,
	CORE_UPDATE,
	CORE_PATCH,
	CORE_DELETE,
	CORE_DELETE_COLLECTION
};

/* How the answer is to be shown: Accept, decided by the front. */
enum core_form {
	CORE_FORM_OBJECT,
	CORE_FORM_TABLE,
	CORE_FORM_PARTIAL /* PartialObjectMetadata(List) */
};

struct core_answer {
	int status;
	const char *content_type;    /* "application/json" */
	struct block *const *blocks; /* borrowed: the receiver takes references */
	size_t nblocks;
	struct str warnings; /* one `Warning:` text a line, or STR_NONE */
	int retry_after_s;   /* 0 = none */
	struct str notes;    /* for the audit log: members of a JSON object, or STR_NONE */
};

struct core_req;
/* Who gets the answer. Called from core_turn (never from core_submit), on the core's thread. */
struct core_sink {
	/* The complete answer; r is the receiver's again (and may be freed inside). */
	void (*answer)(struct core_req *r, const struct core_answer *a);
	/* A watch: begin once, then events (whole lines of JSON, possibly many blocks a call), then
	 * end (r is the receiver's again). write answers -1 when the client can't keep up: the core
	 * ends the watch without calling end. */
	void (*stream_begin)(struct core_req *r, const struct core_answer *head);
	int (*stream_write)(struct core_req *r, struct block *const *blocks, size_t n);
	void (*stream_end)(struct core_req *r);
};

struct core_req {
	/* filled by the submitter; everything lives until the answer */
	enum core_verb verb;
	struct str group, version, resource, subresource; /* subresource STR_NONE = the object */
	struct str namespace, name;
	struct str query;        /* raw, for labelSelector, fieldSelector, limit, continue,
				    resourceVersion, dryRun, … */
	struct str content_type; /* of body: the four patch types, json, yaml, protobuf */
	struct str body;
	/* The body read beforehand, or NULL: JSON, in memory that lives until the answer. The core
	 * takes it, and reads the body itself when it needs it once more. */
	struct json *read;
	struct json_repeats *repeats; /* of that */
	enum core_form form;
	struct str form_version; /* "v1" of meta.k8s.io */
	struct admission_user user;
	/* Whether the caller may create the object, where an apply or a PUT would: 0, or -1 with
	 * err. Asked on the core's thread; NULL = yes. */
	int (*may_create)(struct core_req *r, struct err *err);
	struct str user_agent; /* its first word is the default field manager */
	const struct core_sink *sink;
	void *user_data;
	struct arena *arena; /* the request's; the core allocates its temporary things here */
	bool ask;            /* of what others carry out (exec, proxy, reviews): only whether it
				may be; a create is answered with what webhooks made of it */
	bool internal;       /* the server's own: nobody outside is asked about it */
	bool noted;          /* the audit log wants to know what admission notes */
	bool noted_patches;  /* and how webhooks changed it */
	/* the core's own */
	void *core_private;
	struct core_req *core_next;
};

/*
 * A call out of the process that a request needs answered: a webhook's. Lives until
 * core_call_done(); the request may be gone by then.
 */
struct core_call {
	struct str name; /* of the webhook: for errors and measurements */
	struct str url;  /* "https://…", or STR_NONE: a Service */
	struct str namespace, service, path;
	int port;
	struct str ca_bundle; /* PEM; empty = whom the system trusts */
	int64_t timeout_ns;
	struct str body;     /* JSON, to be POSTed */
	const char *uid;     /* a new one for each call */
	struct arena *arena; /* holds all of the above */
};

struct core_opts {
	struct store *store; /* borrowed */
	uint64_t seed;
	int64_t (*now)(void *arg); /* wall clock, ns */
	void *now_arg;
	const char *service_cidr; /* "10.96.0.0/16" */
	int64_t keep_events_ns;   /* how long the watch log reaches back; 0 = 5 min */
	/* KIND_SECRET objects, and those of the resources that `encrypt` names ("configmaps",
	 * "widgets.example.com"; borrowed), pass through here on the way to and from the store;
	 * NULL = plain. Results in `out`. */
	const char *const *encrypt;
	size_t nencrypt;
	int (*seal)(void *arg, struct str key, struct str plain, struct buf *out, struct err *err);
	int (*open)(void *arg, struct str key, struct str sealed, struct buf *out, struct err *err);
	void *seal_arg;
	/* Whether it was sealed under a key that seals no more: core_reseal has work then. */
	bool (*is_old)(void *arg, struct str sealed);
	/* Whether a stored value is sealed at all; NULL = as its table says. */
	bool (*is_sealed)(struct str value);
	/* Carries out a call and says so with core_call_done(), on the core's thread, soon after
	 * its timeout at the latest. NULL = nobody is ever called: configurations of webhooks have
	 * no effect. */
	void (*call)(void *arg, struct core_call *call);
	void *call_arg;
};

/* Reads the whole store. */
struct core *core_new(const struct core_opts *o, struct err *err);
void core_free(struct core *c);

void core_submit(struct core *c, struct core_req *r);
/* The client went away: no further call of the sink for r, which is the caller's again. */
void core_cancel(struct core *c, struct core_req *r);
/* What a call brought: the body of a 2xx answer, or why there is none (err's code is not ERR_NONE).
 * The call is gone after this. Wants a core_turn() afterwards. */
void core_call_done(struct core *c, struct core_call *call, struct str body, const struct err *err);
/* Whether anybody may want to be asked about requests that say `ask`. */
bool core_ask_is_watched(struct core *c, enum admission_op op);
/* True when anything is queued. */
bool core_pending(const struct core *c);
/* Carries out what is queued, and what is due (expired Events, watch time-outs, bookmarks). */
void core_turn(struct core *c);
/* When core_turn wants to be called though nothing is submitted (core_opts.now's clock), 0 = never.
 */
int64_t core_due(const struct core *c);

/*
 * What is encrypted goes under the newest key again, a slice at a time between turns, without a new
 * revision: 1 = there is more, 0 = all is, -1 = error (try again later).
 */
MUST_USE int core_reseal(struct core *c, struct err *err);
bool core_reseal_wanted(const struct core *c);
/* From now on seal and open get this argument, and everything is to be sealed again. */
void core_reseal_start(struct core *c, void *seal_arg);

/* ---- what the front and its authorizer need ---- */
/* The served kinds, built-in and custom: for (size_t i = 0; (k = core_kind_at(c, i)); i++). */
const struct kind *core_kind_at(const struct core *c, size_t i);
const struct kind *core_kind_find(const struct core *c, struct str group, struct str version,
				  struct str plural);
/* The revision of the last commit. */
uint64_t core_revision(const struct core *c);
/* Called within core_turn after each commit, once for each change, in order; old NULL = created,
 * new NULL = deleted. */
void core_on_change(struct core *c,
		    void (*fn)(void *arg, const struct kind *k, const struct obj *old,
			       const struct obj *new),
		    void *arg);
/* Borrowed until the next core_turn; NULL when absent. */
const struct obj *core_get(const struct core *c, const struct kind *k, struct str namespace,
			   struct str name);
/* What a read-only kind's table shows from now on, in place of what it did: never stored, watched
 * by nobody. Takes the references, not the array. Between turns. */
void core_show(struct core *c, const struct kind *k, struct obj *const *v, size_t n);
void core_each(const struct core *c, const struct kind *k,
	       void (*fn)(void *arg, const struct obj *o), void *arg);

/*
 * Splits "/api/v1/namespaces/x/pods/y/log" and an HTTP method into a request's fields. Watches are
 * GETs of collections with watch=true (or the old /watch/ prefix); a GET with a
 * name is CORE_GET. False when the path isn't a resource path.
 */
bool core_route(struct str method, struct str path, struct str query, struct core_req *r);
const char *core_verb_name(enum core_verb v); /* "get", "list", … as RBAC says */

/* A metav1.Status of an error, as Kubernetes words it. */
void core_status_write(const struct err *err, struct str group, struct str resource,
		       struct str name, struct buf *out);

#endif
